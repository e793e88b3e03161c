/**
 * What the author of a module says about its versions: which are retracted and why, and whether the
 * module is deprecated. As with the `go` command, that is what the go.mod file of the module's
 * highest version says, retracted or not: the highest release, or else the highest pre-release, or
 * else the version that `@latest` resolves to (modload.queryLatestVersionIgnoringRetractions).
 *
 * `+incompatible` versions count where the highest of the others has no go.mod file
 * (queryMatcher.filterVersions).
 *
 * The answer is kept as long as the module's list does not change (version_lists.ts). It applies to
 * all versions, also to those that a client or a policy does not see.
 */
import { LRUCache } from "lru-cache";
import { atPace, Pace } from "../async/pace.ts";
import { type GoModNotices, scanGoModNotices, syntheticGoMod } from "../module/go_mod.ts";
import { highestVersions } from "../module/latest.ts";
import type { ModulePath } from "../module/path.ts";
import { retractedBy } from "../module/retraction.ts";
import type { Version } from "../module/version.ts";
import type { Copy } from "../store/manifest.ts";
import type { ModuleAnswers, ServiceOptions } from "./stored_modules.ts";

export interface ModuleNotices extends GoModNotices {
  /** The version whose go.mod file says so. */
  readonly version: Version;
  /** Its source was not asked or failed: there may be a higher version. */
  readonly stale: boolean;
  /** Whether a version is within one of the retractions. Takes some comparisons of versions. */
  readonly isRetracted: (version: string) => boolean;
}

/**
 * The reasons why a version is retracted, one for each retraction that has one; null where it is
 * not retracted.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const retractions = [{ low: "v1.0.0", high: "v1.1.0", rationale: "Loses data." }];
 * assert.deepEqual(retractionOf({ retractions }, "v1.0.5"), ["Loses data."]);
 * assert.equal(retractionOf({ retractions }, "v1.2.0"), null);
 * ```
 */
export function retractionOf(
  { retractions }: Pick<GoModNotices, "retractions">,
  version: string,
): readonly string[] | null {
  const applying = retractions.filter((retraction) => retractedBy([retraction])(version));
  if (applying.length === 0) return null;
  return applying.map(({ rationale }) => rationale).filter((rationale) => rationale !== "");
}

/** Retractions and comments that are kept, of all modules, count as so many characters at most. */
const MAX_KEPT_CHARS = 4 * 1024 * 1024;
/** What an entry takes besides its texts, and a retraction besides its reason. */
const OVERHEAD_CHARS = 256;

/** An answer, and the list that it holds for. */
interface Kept {
  readonly list: readonly Version[];
  readonly notices: ModuleNotices;
}

export class NoticeReader {
  readonly #modules: Pick<ModuleAnswers, "list" | "copy" | "latest">;
  readonly #kept: LRUCache<ModulePath, Kept>;

  constructor(modules: Pick<ModuleAnswers, "list" | "copy" | "latest">) {
    this.#modules = modules;
    this.#kept = new LRUCache({
      maxSize: MAX_KEPT_CHARS,
      sizeCalculation: ({ notices }) => sizeOf(notices),
    });
  }

  /**
   * The notices of a module. Null where it has no version that could have any, or the answer is not
   * available here ({@linkcode ModuleAnswers}).
   *
   * @throws {NotFoundError} when its source knows of no such module
   * @throws {ProxyError} of another kind when that could not be determined
   */
  async read(path: ModulePath, options: ServiceOptions): Promise<ModuleNotices | null> {
    const list = await this.#modules.list(path, options);
    if (list === null) return null;
    const kept = this.#kept.get(path);
    if (kept !== undefined && kept.list === list.versions && kept.notices.stale === list.stale) {
      return kept.notices;
    }
    const pace = new Pace(options.signal);
    const highest = await this.#highest(path, { versions: list.versions, options, pace });
    if (highest === null) return null;
    const { copy, isTagged } = highest;
    const stale = list.stale || highest.stale;
    const { version } = copy.manifest;
    // The same version says the same, whatever else came into the list.
    const notices = kept?.notices.version === version && kept.notices.stale === stale
      ? kept.notices
      : { ...await noticesIn(copy, pace), stale };
    // A commit may come without a tag, which the list does not show.
    if (isTagged) this.#kept.set(path, { list: list.versions, notices });
    return notices;
  }

  async #highest(
    path: ModulePath,
    { versions, options, pace }: {
      readonly versions: readonly Version[];
      readonly options: ServiceOptions;
      readonly pace: Pace;
    },
  ): Promise<{ copy: Copy; isTagged: boolean; stale: boolean } | null> {
    const copyOf = (version: Version) => this.#modules.copy({ path, version }, options);
    const { compatible, lastCompatible, overall } = await atPace(highestVersions(versions), pace);
    if (overall === null) {
      const latest = await this.#modules.latest(path, options);
      return latest === null ? null : { copy: latest.copy, isTagged: false, stale: latest.stale };
    }
    let version = overall;
    if (overall !== compatible && lastCompatible !== null) {
      const last = await copyOf(lastCompatible);
      if (last === null) return null;
      if (hasGoMod(last)) version = compatible ?? overall;
    }
    const copy = await copyOf(version);
    return copy === null ? null : { copy, isTagged: true, stale: false };
  }
}

async function noticesIn(copy: Copy, pace: Pace): Promise<Omit<ModuleNotices, "stale">> {
  const said = await atPace(scanGoModNotices(copy.goMod), pace);
  const isRetracted = retractedBy(said.retractions);
  return { ...said, version: copy.manifest.version, isRetracted };
}

/** Whether the version has a go.mod file of its own, as far as the `go` command can tell. */
function hasGoMod({ manifest: { path }, goMod }: Copy): boolean {
  const synthetic = syntheticGoMod(path);
  return goMod.length !== synthetic.length || goMod.some((byte, i) => byte !== synthetic[i]);
}

function sizeOf({ retractions, deprecation }: ModuleNotices): number {
  return retractions.reduce(
    (sum, { rationale }) => sum + rationale.length + OVERHEAD_CHARS,
    (deprecation?.length ?? 0) + OVERHEAD_CHARS,
  );
}
