/**
 * Which versions an advisory is about: OSV's `ranges` and `versions`
 * (https://ossf.github.io/osv-schema/#affected-fields), by the rules of
 * golang.org/x/vuln/internal/semver, so that a finding here is a finding of govulncheck:
 *
 * - Only ranges of the type SEMVER can be compared. No ranges at all, none of this type and a range
 *   without events all mean every version.
 * - Events are walked in the order of their versions; `0` is before everything. From `introduced`
 *   on versions are affected, from `fixed` on they are not.
 * - Build metadata, `+incompatible` too, is no part of the order. What is not a semantic version is
 *   before all that are.
 *
 * Two things are beyond x/vuln, and in the specification of OSV: `last_affected` ends a range after
 * its version, and where there is a list of `versions`, it counts in addition to the ranges.
 */
import { compareParsed, parseSemver, type Semver } from "../module/semver.ts";

/** What an advisory says of one module. Plain data. */
export interface Affected {
  readonly path: string;
  /**
   * Those of the type SEMVER, each as its events: `>=0 <1.2.3 >=1.3.0 <=1.3.9` is introduced in 0,
   * fixed in 1.2.3, introduced in 1.3.0, and last affected is 1.3.9. Texts, because thousands of
   * small objects take many times longer to send to another thread.
   */
  readonly ranges: readonly string[];
  /** Affected one by one, in addition. */
  readonly versions: readonly string[];
  /**
   * Whether versions outside of what is compared may be meant, or only some of those inside: there
   * are ranges in another scheme than Go's versions.
   */
  readonly isRangeUnknown: boolean;
  /** {@linkcode lastFix} */
  readonly lastFix: string;
}

export type EventKind = "introduced" | "fixed" | "last_affected";

const SIGNS: Readonly<Record<EventKind, string>> = {
  introduced: ">=",
  fixed: "<",
  last_affected: "<=",
};

/** @param version without white space, as it is in the advisory */
export function eventText(kind: EventKind, version: string): string {
  return `${SIGNS[kind]}${version}`;
}

/** {@linkcode Affected} prepared for comparisons. */
export interface ParsedAffected {
  readonly ranges: readonly (readonly ParsedEvent[])[];
  readonly versions: readonly (Semver | null)[];
}

interface ParsedEvent {
  readonly kind: EventKind;
  /** Before all versions. */
  readonly isStart: boolean;
  readonly version: Semver | null;
  readonly text: string;
}

/**
 * A version of an advisory, with or without its `v` or `go`; null for what is not a semantic
 * version.
 */
export function parseLoosely(text: string): Semver | null {
  return parseSemver(`v${text.replace(/^v/, "").replace(/^go/, "")}`);
}

export function parseAffected(
  { ranges, versions }: Pick<Affected, "ranges" | "versions">,
): ParsedAffected {
  return {
    ranges: ranges.map((range) => parseEvents(range).sort(compareEvents)),
    versions: versions.map(parseLoosely),
  };
}

function parseEvents(range: string): ParsedEvent[] {
  return range === "" ? [] : range.split(" ").map(parseEvent);
}

function parseEvent(event: string): ParsedEvent {
  const [, sign = "", text = ""] = /^(>=|<=?)(.*)$/.exec(event) ?? [];
  const kind = sign === ">=" ? "introduced" : sign === "<" ? "fixed" : "last_affected";
  return {
    kind,
    text,
    isStart: kind === "introduced" && text === "0",
    version: parseLoosely(text),
  };
}

function compareEvents(a: ParsedEvent, b: ParsedEvent): number {
  return Number(b.isStart) - Number(a.isStart) || compareParsed(a.version, b.version);
}

/** Whether a version is affected. */
export function isAffected(
  { ranges, versions }: ParsedAffected,
  version: Semver | null,
): boolean {
  if (versions.some((one) => one !== null && compareParsed(one, version) === 0)) return true;
  if (ranges.length > 0) return ranges.some((events) => isInRange(events, version));
  return versions.length === 0;
}

function isInRange(events: readonly ParsedEvent[], version: Semver | null): boolean {
  if (events.length === 0) return true;
  let isAffected = false;
  for (const { kind, isStart, version: bound } of events) {
    if (kind === "introduced") {
      isAffected ||= isStart || compareParsed(version, bound) >= 0;
    } else if (isAffected) {
      const order = compareParsed(version, bound);
      isAffected = kind === "fixed" ? order < 0 : order <= 0;
    }
  }
  return isAffected;
}

/**
 * The versions that fix an advisory for whoever uses `version`: later ones that no part of the
 * advisory is about, in ascending order, as they are written in it.
 */
export function fixesFor(
  affected: readonly ParsedAffected[],
  version: Semver | null,
): string[] {
  const fixes = affected.flatMap(({ ranges }) => ranges.flat())
    .filter(({ kind, version: fix }) => kind === "fixed" && compareParsed(version, fix) < 0)
    .filter(({ version: fix }) => !affected.some((one) => isAffected(one, fix)))
    .sort((a, b) => compareParsed(a.version, b.version));
  return [...new Set(fixes.map(({ text }) => text))];
}

/**
 * The version from which on an advisory affects nothing any more, as the protocol's
 * `index/modules.json` has it. Empty if there is none, and where it is not known as such. Clients
 * take every version from there on for safe without looking further.
 *
 * `NonSupersededFix` of x/vuln, but for several ranges of which one has no end: there it returns
 * the end of another one.
 */
export function lastFix(affected: Pick<Affected, "ranges" | "versions">): string {
  const { ranges } = parseAffected(affected);
  if (affected.versions.length > 0 || ranges.length === 0) return "";
  const ends = ranges.map(endOf);
  if (ends.includes(null)) return "";
  const latest = ends.filter((end) => end !== null && end !== "never").reduce<ParsedEvent | null>(
    (latest, end) => compareParsed(latest?.version ?? null, end.version) < 0 ? end : latest,
    null,
  );
  return latest?.text ?? "";
}

/** The event that ends a range for good; null where none does that is a fix. */
function endOf(events: readonly ParsedEvent[]): ParsedEvent | "never" | null {
  if (events.length === 0) return null;
  let end: ParsedEvent | "never" | null = "never";
  for (const event of events) {
    if (event.kind === "introduced") end = null;
    else if (end === null && event.kind === "fixed") end = event;
    else if (end === null) return null;
  }
  return end;
}
