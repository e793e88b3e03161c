/**
 * Verdicts about many versions: those of a go.sum file or of a software bill of materials, or those
 * that were used.
 *
 * Limits: {@linkcode MAX_AUDITED} versions; facts are looked up for {@linkcode WORKERS} at a time.
 */
import { each, forEach } from "../async/workers.ts";
import { InvalidRequestError } from "../errors.ts";
import { parseGoSums } from "../module/go_sum.ts";
import { type ModuleVersion, moduleVersion, nameOf } from "../module/module_version.ts";
import { UnknownFactError } from "./facts.ts";
import type { Asking } from "./policy.ts";
import type { Verdict } from "./verdict.ts";

export const MAX_AUDITED = 20_000;
const WORKERS = 16;

export interface Audited {
  readonly module: string;
  readonly version: string;
  /** `unknown` where a fact cannot be determined. */
  readonly action: Verdict["action"] | "unknown";
  readonly isEnforced: boolean;
  readonly rule: string | null;
  readonly reason: string;
  /** RFC 3339; null where no end is known. */
  readonly until: string | null;
  readonly exception: string | null;
}

/** @throws what `decide` throws, except unknown facts */
export async function audit(
  modules: readonly ModuleVersion[],
  { decide, ...asking }: Asking & {
    readonly decide: (module: ModuleVersion, asking: Asking) => Promise<Verdict>;
  },
): Promise<Audited[]> {
  const found = new Map<string, Audited>();
  await forEach(each(modules), {
    workers: WORKERS,
    work: async (module) => {
      asking.signal.throwIfAborted();
      found.set(nameOf(module), await audited(module, () => decide(module, asking)));
    },
  });
  return modules.flatMap((module) => found.get(nameOf(module)) ?? []);
}

/** A verdict as it is shown; unknown where a fact cannot be determined. */
export async function audited(
  { path, version }: ModuleVersion,
  decide: () => Promise<Verdict>,
): Promise<Audited> {
  try {
    const { action, isEnforced, rule, reason, untilMs, exception } = await decide();
    const until = untilMs === null ? null : new Date(untilMs).toISOString();
    return { module: path, version, action, isEnforced, rule, reason, until, exception };
  } catch (error) {
    if (!(error instanceof UnknownFactError)) throw error;
    return {
      module: path,
      version,
      action: "unknown",
      isEnforced: true,
      rule: null,
      reason: error.message,
      until: null,
      exception: null,
    };
  }
}

/** The rule, its reason, and until when, for a line of output. */
export function whyText({ rule, reason, until }: Audited): string {
  const why = [rule ?? "", reason].filter((part) => part !== "").join(": ");
  return until === null ? why : `${why} (until ${until})`;
}

/** Whether a build that uses the version would fail, or could. */
export function isBad({ action, isEnforced }: Audited): boolean {
  return isEnforced && (action === "deny" || action === "hold" || action === "unknown");
}

/**
 * The versions whose code a file says is used: of go.sum, those with a zip; of a CycloneDX document
 * in JSON, the components with a Go package URL.
 *
 * @throws {InvalidRequestError} when it is neither, or has too many
 */
export function modulesOf(text: string): ModuleVersion[] {
  const modules = text.trimStart().startsWith("{")
    ? modulesOfSbom(text)
    : parseGoSums([text]).filter(({ zipH1 }) => zipH1 !== null)
      .map(({ path, version }) => ({ path, version }));
  if (modules.length > MAX_AUDITED) {
    throw new InvalidRequestError(`Cannot audit more than ${MAX_AUDITED} versions`);
  }
  return modules;
}

const GO_PURL = /^pkg:golang\/([^@?#]+)@([^?#]+)/;

function modulesOfSbom(text: string): ModuleVersion[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new InvalidRequestError("Cannot read the file: it is neither go.sum nor JSON", { cause });
  }
  const modules = new Map<string, ModuleVersion>();
  for (const purl of purlsOf(document)) {
    const [, path = "", version = ""] = GO_PURL.exec(purl) ?? [];
    if (path === "") continue;
    try {
      const module = moduleVersion(decodeURIComponent(path), decodeURIComponent(version));
      modules.set(nameOf(module), module);
    } catch (error) {
      // The standard library and main modules have versions that no proxy serves.
      if (!(error instanceof InvalidRequestError || error instanceof URIError)) throw error;
    }
  }
  return [...modules.values()];
}

/** The package URLs of a document's components, and of the components in them. */
function purlsOf(document: unknown): string[] {
  const found: string[] = [];
  const left: unknown[] = [document];
  while (left.length > 0 && found.length <= MAX_AUDITED) {
    const one = left.pop();
    if (typeof one !== "object" || one === null) continue;
    const { purl, components } = one as { purl?: unknown; components?: unknown };
    if (typeof purl === "string") found.push(purl);
    if (Array.isArray(components)) left.push(...components.toReversed());
  }
  return found;
}
