/**
 * Pseudo-versions, the versions of commits without a tag: https://go.dev/ref/mod#pseudo-versions
 *
 * ```
 * (1) vX.0.0-yyyymmddhhmmss-abcdef123456         no tag before the commit
 * (2) vX.Y.(Z+1)-0.yyyymmddhhmmss-abcdef123456   vX.Y.Z is the tag before it
 * (3) vX.Y.Z-pre.0.yyyymmddhhmmss-abcdef123456   vX.Y.Z-pre is the tag before it
 * ```
 *
 * Build metadata of the tag, in practice `+incompatible`, is kept at the end of (2) and (3). The
 * time is the commit's in UTC. Each sorts right after its base and before the next version that can
 * be tagged.
 *
 * Follows golang.org/x/mod/module/pseudo.go.
 */
import { canonicalSemver, parseSemver } from "./semver.ts";

/** A pseudo-version in parts. */
export interface PseudoVersion {
  /** The tagged version before the commit, with the build metadata; empty if there is none. */
  readonly base: string;
  /** The commit's time, in whole seconds. */
  readonly time: Date;
  /** The beginning of the commit's hash, 12 digits in all that Go makes. */
  readonly revision: string;
  /** With its `+`, or empty. */
  readonly build: string;
}

/** What {@linkcode formatPseudoVersion} needs to know about a commit. */
export interface PseudoVersionParts {
  /** `"v2"`, used if there is no base; empty means `"v0"`. */
  readonly major: string;
  /** The tagged version before the commit, or empty. */
  readonly base: string;
  readonly time: Date;
  readonly revision: string;
}

const RELEASE = "v[0-9]+\\.0\\.0";
const PRERELEASE = "v[0-9]+\\.[0-9]+\\.[0-9]+-(?:[^+]*\\.)?0";
const SHAPE = new RegExp(
  `^(?:(?<release>${RELEASE})-|(?<prerelease>${PRERELEASE})\\.)` +
    "(?<time>[0-9]{14})-(?<revision>[0-9A-Za-z]+)(?:\\+.*)?$",
);

/**
 * Whether `text` has the shape of a pseudo-version. Its time and its base may still make no sense.
 */
export function isPseudoVersion(text: string): boolean {
  return shapeOf(text) !== null;
}

/**
 * The parts of a pseudo-version. Null for what has another shape, and where the parts make no
 * sense: there is no such time, the base would have a negative patch number, or there is build
 * metadata without a base to have it from.
 */
export function parsePseudoVersion(text: string): PseudoVersion | null {
  const shape = shapeOf(text);
  if (shape === null) return null;
  const time = parseTime(shape.time);
  const base = baseOf(shape.start, shape.build);
  if (time === null || base === null) return null;
  return { base, time, revision: shape.revision, build: shape.build };
}

/**
 * @throws {RangeError} when `time` is not within the years 0 to 9999, which have four digits.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const commit = { time: new Date("2026-01-02T03:04:05Z"), revision: "abcdef123456" };
 * assert.equal(
 *   formatPseudoVersion({ major: "v2", base: "", ...commit }),
 *   "v2.0.0-20260102030405-abcdef123456",
 * );
 * assert.equal(
 *   formatPseudoVersion({ major: "v2", base: "v2.0.9+incompatible", ...commit }),
 *   "v2.0.10-0.20260102030405-abcdef123456+incompatible",
 * );
 * ```
 */
export function formatPseudoVersion({ major, base, time, revision }: PseudoVersionParts): string {
  const segment = `${formatTime(time)}-${revision}`;
  const parsed = parseSemver(base);
  if (parsed === null) return `${major || "v0"}.0.0-${segment}`;
  if (parsed.prerelease !== "") {
    return `${canonicalSemver(base)}.0.${segment}${parsed.build}`;
  }
  const nextPatch = BigInt(parsed.patch) + 1n;
  return `v${parsed.major}.${parsed.minor}.${nextPatch}-0.${segment}${parsed.build}`;
}

interface Shape {
  /** All before the time, without the separator. */
  readonly start: string;
  readonly time: string;
  readonly revision: string;
  readonly build: string;
}

function shapeOf(text: string): Shape | null {
  const groups = SHAPE.exec(text)?.groups;
  // Few texts have the shape, which is checked faster.
  const semver = groups === undefined ? null : parseSemver(text);
  if (semver === null || groups === undefined) return null;
  const { release = "", prerelease = "", time = "", revision = "" } = groups;
  return { start: release || prerelease, time, revision, build: semver.build };
}

/**
 * The base behind all that comes before the time, empty for none, null where there cannot be one.
 */
function baseOf(start: string, build: string): string | null {
  const parsed = parseSemver(start);
  if (parsed === null) return null;
  if (parsed.prerelease === "") return build === "" ? "" : null;
  if (parsed.prerelease !== "-0") return start.replace(/\.0$/, "") + build;
  if (parsed.patch === "0") return null;
  return `v${parsed.major}.${parsed.minor}.${BigInt(parsed.patch) - 1n}${build}`;
}

function parseTime(digits: string): Date | null {
  const iso = digits.replace(/^(....)(..)(..)(..)(..)(..)$/, "$1-$2-$3T$4:$5:$6.000Z");
  const time = new Date(iso);
  // Date takes February 30 for March 2, and 24:00 for the next day.
  return Number.isNaN(time.getTime()) || time.toISOString() !== iso ? null : time;
}

function formatTime(time: Date): string {
  const iso = time.toISOString();
  if (!/^[0-9]{4}-/.test(iso)) {
    throw new RangeError(
      `Cannot write time ${iso} in a pseudo-version: the year has not four digits`,
    );
  }
  return iso.slice(0, 19).replace(/[-T:]/g, "");
}
