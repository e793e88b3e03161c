/**
 * `deno task images pin|check`: the base images of the Dockerfile, which its first `ARG`
 * instructions name:
 *
 * ```text
 * ARG DEBIAN_IMAGE=debian:13-slim
 * ARG DEBIAN_IMAGE=debian:13-slim@sha256:<64 hexadecimal digits>
 * ```
 *
 * `pin` asks the registry what each tag is now, with `docker buildx imagetools inspect`, and writes
 * the digests into the Dockerfile. An image that is pinned already is pinned anew. The digest is
 * that of the index of all platforms, where there is one. Nothing is written if one image fails.
 *
 * `check` asks nobody, and exits with status 1 if an image is named without its digest.
 */

export interface BaseImage {
  /** The name of the build argument. */
  readonly argument: string;
  /** `<name>:<tag>` */
  readonly tagged: string;
  /** `sha256:…`, or null where it is not pinned. */
  readonly digest: string | null;
}

const ARGUMENT = /^ARG ([A-Z_]+_IMAGE)=([^\s@]+)(?:@(\S+))?$/gm;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * The base images, in order.
 *
 * @throws {Error} when an image has no tag, a digest is malformed, or a `FROM` names an image
 *   otherwise
 */
export function baseImages(dockerfile: string): BaseImage[] {
  const images = [...dockerfile.matchAll(ARGUMENT)].map(
    ([, argument = "", tagged = "", digest = null]) => {
      if (!/:[^:/]+$/.test(tagged)) {
        throw new Error(`Cannot pin ${argument}: "${tagged}" has no tag`);
      }
      if (digest !== null && !DIGEST.test(digest)) {
        throw new Error(`Cannot pin ${argument}: "${digest}" is not a digest`);
      }
      return { argument, tagged, digest };
    },
  );
  for (const [, base = ""] of dockerfile.matchAll(/^FROM (\S+)/gm)) {
    if (!images.some(({ argument }) => base === `\${${argument}}`)) {
      throw new Error(`Cannot pin the base images: no argument has the name of "FROM ${base}"`);
    }
  }
  return images;
}

/**
 * The Dockerfile with the digests of its images.
 *
 * @param digestOf what the registry has under a tag
 */
export async function pinImages(
  dockerfile: string,
  digestOf: (tagged: string) => Promise<string>,
): Promise<string> {
  let pinned = dockerfile;
  for (const { argument, tagged } of baseImages(dockerfile)) {
    const digest = await digestOf(tagged);
    if (!DIGEST.test(digest)) throw new Error(`Cannot pin ${tagged}: "${digest}" is not a digest`);
    pinned = pinned.replace(
      new RegExp(`^ARG ${argument}=.*$`, "m"),
      `ARG ${argument}=${tagged}@${digest}`,
    );
  }
  return pinned;
}

/** @throws {Error} when docker fails, whose words are on standard error */
async function digestInRegistry(tagged: string): Promise<string> {
  const { success, stdout } = await new Deno.Command("docker", {
    args: ["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", tagged],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot ask the registry for ${tagged}: docker failed`);
  const { digest }: { digest?: unknown } = JSON.parse(new TextDecoder().decode(stdout));
  return String(digest);
}

if (import.meta.main) {
  const [command, ...rest] = Deno.args;
  if (rest.length > 0 || (command !== "pin" && command !== "check")) {
    console.error("Usage: deno task images pin|check");
    Deno.exit(2);
  }
  const dockerfile = await Deno.readTextFile("Dockerfile");
  if (command === "pin") {
    await Deno.writeTextFile("Dockerfile", await pinImages(dockerfile, digestInRegistry));
  } else {
    const unpinned = baseImages(dockerfile).filter(({ digest }) => digest === null);
    for (const { tagged } of unpinned) console.error(`${tagged} is not pinned by its digest`);
    if (unpinned.length > 0) Deno.exit(1);
  }
}
