/**
 * Verdicts about many versions: those of a go.sum file or of a software bill of materials, or those
 * that were used.
 *
 * Limits: {@linkcode MAX_AUDITED} versions; facts are looked up for {@linkcode WORKERS} at a time.
 */
import { atPace, Pace, type Steps } from "../async/pace.ts";
import { each, forEach } from "../async/workers.ts";
import { InvalidRequestError } from "../errors.ts";
import { parseForeignJson } from "../module/foreign_json.ts";
import { parseGoSums } from "../module/go_sum.ts";
import { type ModuleVersion, moduleVersion, nameOf } from "../module/module_version.ts";
import { UnknownFactError } from "./facts.ts";
import type { Asking } from "./policy.ts";
import type { Verdict } from "./verdict.ts";

export const MAX_AUDITED = 20_000;
const WORKERS = 16;
/** Of a software bill of materials; some 30 milliseconds. */
const MAX_JSON_VALUES = 100_000;
/** Lines in one step, and what one costs, in the unit of {@linkcode Pace.spend}. */
const STEP_LINES = 500;
const ITEM_COST_BYTES = 2048;

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
export async function modulesOf(text: string, signal?: AbortSignal): Promise<ModuleVersion[]> {
  const pace = new Pace(signal);
  return text.trimStart().startsWith("{")
    ? await atPace(modulesOfSbom(text), pace)
    : await atPace(modulesOfGoSum(text), pace);
}

function* modulesOfGoSum(text: string): Steps<ModuleVersion[]> {
  const modules = new Map<string, ModuleVersion>();
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i += STEP_LINES) {
    for (const { path, version, zipH1 } of parseGoSums(lines.slice(i, i + STEP_LINES))) {
      if (zipH1 !== null) add(modules, { path, version });
    }
    yield STEP_LINES * ITEM_COST_BYTES;
  }
  return [...modules.values()];
}

/** @throws {InvalidRequestError} when there are too many */
function add(modules: Map<string, ModuleVersion>, module: ModuleVersion): void {
  modules.set(nameOf(module), module);
  if (modules.size <= MAX_AUDITED) return;
  throw new InvalidRequestError(`Cannot audit more than ${MAX_AUDITED} versions`);
}

const GO_PURL = /^pkg:golang\/([^@?#]+)@([^?#]+)/;

function* modulesOfSbom(text: string): Steps<ModuleVersion[]> {
  let document: unknown;
  try {
    document = parseForeignJson(text, MAX_JSON_VALUES);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidRequestError(`Cannot read the file: ${reason}`, { cause });
  }
  const modules = new Map<string, ModuleVersion>();
  for (const purl of purlsOf(document)) {
    yield ITEM_COST_BYTES;
    const [, path = "", version = ""] = GO_PURL.exec(purl) ?? [];
    if (path === "") continue;
    try {
      const module = moduleVersion(decodeURIComponent(path), decodeURIComponent(version));
      add(modules, module);
    } catch (error) {
      // The standard library and main modules have versions that no proxy serves.
      const isNoModule = error instanceof InvalidRequestError && modules.size <= MAX_AUDITED;
      if (!isNoModule && !(error instanceof URIError)) throw error;
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
