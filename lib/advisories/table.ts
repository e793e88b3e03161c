/**
 * The advisories of all sources in memory, by module, for decisions about module versions: without
 * a wait, on any thread. {@linkcode AdvisoryTable} is plain data that a structured clone takes to
 * another thread; {@linkcode Matcher} looks things up in it.
 *
 * Memory: of the 4,291 entries of the Go database, a clone has 2.5 MB; with what the main thread
 * has besides (entry_set.ts), they take 14 MB there.
 */
import type { Steps } from "../async/pace.ts";
import type { Semver } from "../module/semver.ts";
import {
  goOfSemver,
  semverOfGo,
  semverOfToolchain,
  TOOLCHAIN_MODULE,
} from "../module/go_version.ts";
import type { Advisory } from "./osv.ts";
import {
  type Affected,
  fixesFor,
  isAffected,
  parseAffected,
  type ParsedAffected,
  parseLoosely,
} from "./ranges.ts";

/** An advisory about a module. */
export interface AffectedBy {
  /** The name of its source in the configuration. */
  readonly source: string;
  readonly advisory: Advisory;
  /** The parts of the advisory that are about this module. */
  readonly affected: readonly Affected[];
}

export interface AdvisoryTable {
  /** Grows with each change in this process. */
  readonly generation: number;
  /** Names the state of each source, `go:12 own:3`: the same on all replicas. */
  readonly state: string;
  readonly modules: ReadonlyMap<string, readonly AffectedBy[]>;
}

export const EMPTY_TABLE: AdvisoryTable = { generation: 0, state: "", modules: new Map() };

/** An advisory that a module version is affected by. */
export interface Finding {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  /** {@linkcode Advisory.isReviewed} */
  readonly isReviewed: boolean;
  readonly isMalicious: boolean;
  /** The base score of CVSS, 0 to 10; null where it is not known. */
  readonly severity: number | null;
  /** Whether it may be about other versions than it seems: {@linkcode Affected.isRangeUnknown}. */
  readonly isRangeUnknown: boolean;
  /**
   * Later versions that are not affected, in ascending order: `v1.2.3`, of Go itself `go1.22.3`.
   * The `+incompatible` of a version is not in them.
   */
  readonly fixed: readonly string[];
  /** The name of its source in the configuration. */
  readonly source: string;
  readonly url: string | null;
}

/** The advisories of one source, in the order of the configuration. */
export interface SourceAdvisories {
  readonly source: string;
  /** Names the state of the source, the same on all replicas. */
  readonly state: string;
  readonly advisories: Iterable<Advisory>;
}

/** What adding an advisory costs, in the unit of async/pace.ts. */
const ADVISORY_COST = 2048;

/** Of several entries with the same id, the first source's counts. */
export function* compileSteps(
  sources: readonly SourceAdvisories[],
  generation: number,
): Steps<AdvisoryTable> {
  const modules = new Map<string, AffectedBy[]>();
  const seen = new Set<string>();
  for (const { source, advisories } of sources) {
    for (const advisory of advisories) {
      if (seen.has(advisory.id)) continue;
      seen.add(advisory.id);
      for (const [path, affected] of Map.groupBy(advisory.affected, ({ path }) => path)) {
        const known = modules.get(path);
        const one = { source, advisory, affected };
        if (known === undefined) modules.set(path, [one]);
        else known.push(one);
      }
      yield ADVISORY_COST;
    }
  }
  const state = sources.map(({ source, state }) => `${source}:${state}`).join(" ");
  return { generation, state, modules };
}

interface Prepared {
  readonly by: AffectedBy;
  readonly parsed: readonly ParsedAffected[];
}

/** A version, and what advisories about it call its module. */
interface Subject {
  readonly names: readonly string[];
  readonly version: Semver | null;
  /** How a fix is written. */
  readonly show: (fix: string) => string;
}

export class Matcher {
  readonly table: AdvisoryTable;
  readonly #now: () => number;
  /** Filled as modules are asked about; the table bounds it. */
  readonly #prepared = new Map<string, readonly Prepared[]>();

  /** @param now the time in milliseconds since 1970 */
  constructor(table: AdvisoryTable, now: () => number) {
    this.table = table;
    this.#now = now;
  }

  /**
   * The advisories about any version of a module that are not withdrawn. Those about the standard
   * library and the `go` command are also about golang.org/toolchain.
   */
  forModule(path: string): readonly AffectedBy[] {
    return namesOf(path).flatMap((name) => this.#preparedFor(name)).map(({ by }) => by)
      .filter((by) => !this.#isWithdrawn(by));
  }

  /**
   * The advisories that a version is affected by, in the order of their sources and ids. At most
   * one finding for each advisory.
   *
   * `stdlib` and `toolchain` have Go versions (`go1.22.3` or `1.22.3`). For golang.org/toolchain a
   * version that holds no Go version is not affected.
   */
  match(path: string, version: string): readonly Finding[] {
    const findings = new Map<string, Finding>();
    for (const subject of subjectsOf(path, version)) {
      for (const prepared of subject.names.flatMap((name) => this.#preparedFor(name))) {
        const { id } = prepared.by.advisory;
        const finding = findings.has(id) ? null : this.#find(prepared, subject);
        if (finding !== null) findings.set(id, finding);
      }
    }
    return [...findings.values()];
  }

  #find({ by, parsed }: Prepared, { version, show }: Subject): Finding | null {
    if (this.#isWithdrawn(by)) return null;
    const affecting = by.affected.filter((_, i) => {
      const one = parsed[i];
      return one !== undefined && isAffected(one, version);
    });
    if (affecting.length === 0) return null;
    const { id, aliases, summary, isReviewed, isMalicious, severity, url } = by.advisory;
    return {
      id,
      aliases,
      summary,
      isReviewed,
      isMalicious,
      severity,
      isRangeUnknown: affecting.every(({ isRangeUnknown }) => isRangeUnknown),
      fixed: fixesFor(parsed, version).map(show),
      source: by.source,
      url,
    };
  }

  #isWithdrawn({ advisory: { withdrawnMs } }: AffectedBy): boolean {
    return withdrawnMs !== null && withdrawnMs < this.#now();
  }

  #preparedFor(name: string): readonly Prepared[] {
    const known = this.#prepared.get(name);
    if (known !== undefined) return known;
    const found = this.table.modules.get(name);
    if (found === undefined) return [];
    const prepared = found.map((by) => ({ by, parsed: by.affected.map(parseAffected) }));
    this.#prepared.set(name, prepared);
    return prepared;
  }
}

/** What advisories call the standard library, and the commands that come with it. */
const GO_MODULES = ["stdlib", "toolchain"] as const;

function namesOf(path: string): readonly string[] {
  return path === TOOLCHAIN_MODULE ? [path, ...GO_MODULES] : [path];
}

/** None for what is no version, of which nothing is known: as govulncheck has it. */
function subjectsOf(path: string, version: string): readonly Subject[] {
  if (version === "" || version === "(devel)") return [];
  if (GO_MODULES.some((name) => name === path)) {
    return [subjectOfGo([path], semverOfGo(version) ?? version)];
  }
  const module = {
    names: [path],
    version: parseLoosely(version),
    show: (fix: string) => `v${fix.replace(/^v/, "")}`,
  };
  const go = path === TOOLCHAIN_MODULE ? semverOfToolchain(version) : null;
  return go === null ? [module] : [module, subjectOfGo(GO_MODULES, go)];
}

function subjectOfGo(names: readonly string[], version: string): Subject {
  const show = (fix: string) => goOfSemver(`v${fix.replace(/^v/, "")}`);
  return { names, version: parseLoosely(version), show };
}
