/**
 * The manifest: what a copy of a module version is. One JSON line, then the raw bytes of go.mod.
 *
 * ```text
 * {"format":1,"path":"example.com/hello","version":"v1.0.0","time":"2024-02-03T04:05:06Z",
 * "goMod":{"sizeBytes":25,"h1":"h1:fpu2YBs8Cn+uPELS7pdczZmF9hlK1PibTkwahffYMfo="},
 * "zip":{"h1":"h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
 * "source":"git https://git.example.com/hello",
 * "sha256":"zTBlum4SRZ1e17/hcBklxJz/xmAqSP/Q2GZFQc4kxB8="}⏎
 * module example.com/hello⏎
 * ```
 *
 * (The line is broken here for the eye only.) go.mod stays raw because its bytes are hashed into
 * go.sum, may be 16 MiB and need not be UTF-8. `head -1 FILE | jq` shows the rest to a person. Both
 * hashes are as in go.sum, `h1:` and base64: https://go.dev/ref/mod#go-sum-files.
 *
 * `sha256` is the last member: the SHA-256, in base64, of the line's bytes before `,"sha256"`. The
 * line contains the hash of go.mod, so the two cover every byte. A line without it is accepted:
 * versions before 0.2 wrote none (and ignore it), and no manifest is ever rewritten.
 *
 * A manifest is forever, so both directions are strict: what cannot be read back is never written,
 * and a manifest that is damaged, lies under another's key or has a format from the future is
 * refused, never repaired and never fetched again. Unknown members of the line are ignored:
 * whatever would change an answer takes a new `format`.
 *
 * Limits: {@linkcode MAX_LINE_BYTES} and {@linkcode MAX_GO_MOD_SIZE_BYTES}.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Info, Origin } from "../module/info.ts";
import { type H1, isH1 } from "../module/h1.ts";
import { parseJson } from "../module/json.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { hashGoMod } from "../zip/hash.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";

/** The JSON line without go.mod. `format` is the writing's business, not the program's. */
export interface Manifest extends ModuleVersion {
  /** The commit's time, as in `.info`. */
  readonly time: Info["time"];
  readonly origin?: Origin;
  readonly goMod: { readonly sizeBytes: number; readonly h1: H1 };
  readonly zip: { readonly h1: H1 };
  /**
   * Where the copy is from, for people: `proxy https://proxy.example.com`,
   * `git https://git.example.com/x`.
   */
  readonly source: string;
}

/** A copy of a module version, all but its zip. */
export interface Copy {
  readonly manifest: Manifest;
  readonly goMod: Uint8Array<ArrayBuffer>;
}

/** Much more than a path, a version and an origin need. */
export const MAX_LINE_BYTES = 64 * 1024;
export const MAX_MANIFEST_BYTES = MAX_LINE_BYTES + 1 + MAX_GO_MOD_SIZE_BYTES;

/**
 * A manifest that must not be served. No {@linkcode ProxyError}: the fault is ours, and no retry
 * helps.
 */
export class InvalidManifestError extends Error {
  override readonly name = "InvalidManifestError";
}

export interface CopyFacts extends Omit<Manifest, "goMod" | "zip"> {
  readonly goMod: Uint8Array<ArrayBuffer>;
  readonly zipH1: H1;
}

/** A copy made from what its source said. */
export function makeCopy({ goMod, zipH1, ...facts }: CopyFacts): Copy {
  const manifest = {
    ...facts,
    goMod: { sizeBytes: goMod.length, h1: hashGoMod(goMod) },
    zip: { h1: zipH1 },
  };
  return { manifest, goMod };
}

/**
 * The bytes to store.
 *
 * @throws {InvalidManifestError} when {@linkcode decodeManifest} would not give the copy back
 */
export function encodeManifest({ manifest, goMod }: Copy): Uint8Array<ArrayBuffer> {
  const { path, version, time, origin, source } = manifest;
  const line = withSum(JSON.stringify({
    format: 1,
    path,
    version,
    time,
    origin,
    goMod: manifest.goMod,
    zip: manifest.zip,
    source,
  }));
  const head = new TextEncoder().encode(`${line}\n`);
  const bytes = new Uint8Array(head.length + goMod.length);
  bytes.set(head);
  bytes.set(goMod, head.length);
  decodeManifest(bytes, manifest);
  return bytes;
}

/**
 * The copy that the bytes under the key of a module version say.
 *
 * @throws {InvalidManifestError} when they are damaged, about something else, or of an unknown
 * format
 */
export function decodeManifest(
  bytes: Uint8Array<ArrayBuffer>,
  { path, version }: ModuleVersion,
): Copy {
  const refuse = (fault: string) =>
    new InvalidManifestError(`Cannot use the manifest of ${nameOf({ path, version })}: ${fault}`);

  const end = bytes.subarray(0, MAX_LINE_BYTES + 1).indexOf(NEWLINE);
  if (end < 0) throw refuse(`no line of at most ${MAX_LINE_BYTES} bytes`);
  const goMod = bytes.subarray(end + 1);
  const parsed = LINE.safeParse(parseJson(bytes.subarray(0, end)));
  if (!parsed.success) throw refuse(z.prettifyError(parsed.error));
  const { format: _, sha256, ...rest } = parsed.data;
  if (rest.path !== path || rest.version !== version) {
    throw refuse(`it is about ${rest.path}@${rest.version}`);
  }
  if (rest.goMod.sizeBytes !== goMod.length) {
    throw refuse(`go.mod has ${goMod.length} bytes, not ${rest.goMod.sizeBytes}`);
  }
  if (rest.goMod.h1 !== hashGoMod(goMod)) throw refuse("go.mod has another hash");
  if (sha256 !== undefined && !isSumOf(bytes.subarray(0, end), sha256)) {
    throw refuse("its line contradicts its checksum");
  }
  return { manifest: { ...rest, path, version }, goMod };
}

const NEWLINE = 0x0a;

/** The line with its checksum as its last member. */
function withSum(line: string): string {
  const covered = line.slice(0, -1);
  return `${covered}${sumMember(sha256Of(new TextEncoder().encode(covered)))}`;
}

/** Whether the line ends with this sum, and the sum is right. */
function isSumOf(line: Uint8Array<ArrayBuffer>, sha256: string): boolean {
  const member = new TextEncoder().encode(sumMember(sha256));
  const end = line.length - member.length;
  return end >= 0 && line.subarray(end).every((byte, index) => byte === member[index]) &&
    sha256Of(line.subarray(0, end)) === sha256;
}

function sumMember(sha256: string): string {
  return `,"sha256":"${sha256}"}`;
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}

const H1_TEXT = z.string().refine(isH1, "not h1: and base64").transform((text) => text as H1);
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
/** A kind and a URL or name without white space, control characters or userinfo. */
const SOURCE = /^[a-z]+ (?![a-z0-9+.-]+:\/\/[^/?#]*@)[!-~]{1,2000}$/;

const TEXT = z.string().exactOptional();
const ORIGIN = z.object({
  vcs: TEXT,
  url: TEXT,
  subdir: TEXT,
  hash: TEXT,
  tagPrefix: TEXT,
  tagSum: TEXT,
  ref: TEXT,
  repoSum: TEXT,
}) satisfies z.ZodType<Origin>;

const LINE = z.object({
  format: z.literal(1),
  path: z.string(),
  version: z.string(),
  time: z.string().regex(TIME),
  origin: ORIGIN.exactOptional(),
  goMod: z.object({ sizeBytes: z.int().min(0).max(MAX_GO_MOD_SIZE_BYTES), h1: H1_TEXT }),
  zip: z.object({ h1: H1_TEXT }),
  source: z.string().regex(SOURCE),
  sha256: TEXT,
});
