/**
 * Which of a module's versions is its latest: https://go.dev/ref/mod#version-queries. That is a
 * tagged one ({@linkcode pickLatest}), or if there is none, that of the latest commit
 * ({@linkcode newestCommit}).
 */
import type { Retraction } from "./go_mod.ts";
import { isPseudoVersion, parsePseudoVersion } from "./pseudo_version.ts";
import { retractedBy } from "./retraction.ts";
import { compareParsed, parseSemver, type Semver } from "./semver.ts";
import { isCanonicalVersion, type Version } from "./version.ts";

/** Versions in one step, and the cost of each. */
const STEP_ITEMS = 1024;
const ITEM_COST_BYTES = 1024;

/**
 * The highest version, a release before any pre-release, of those that are not retracted. An
 * `+incompatible` version is taken only where there is no other. Null if nothing is left;
 * pseudo-versions and other names are passed over.
 *
 * A list may be long, so it is done in steps (async/pace.ts).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { atOnce } from "../async/pace.ts";
 * const versions = ["v1.0.0", "v1.1.0", "v1.2.0-rc.1", "v2.0.0+incompatible"];
 * assert.equal(atOnce(pickLatest(versions, [])), "v1.1.0");
 * assert.equal(atOnce(pickLatest(versions, [{ low: "v1.1.0", high: "v1.1.0" }])), "v1.0.0");
 * ```
 */
export function* pickLatest(
  versions: readonly string[],
  retractions: readonly Retraction[],
): Generator<number, Version | null, void> {
  yield retractions.length * ITEM_COST_BYTES;
  const isRetracted = retractedBy(retractions);
  let best: Candidate | null = null;
  for (const [i, version] of versions.entries()) {
    if (i % STEP_ITEMS === 0) yield STEP_ITEMS * ITEM_COST_BYTES;
    if (!isCanonicalVersion(version) || isPseudoVersion(version)) continue;
    const parsed = parseSemver(version);
    if (parsed === null) continue;
    const candidate = { version, parsed, rank: rankOf(parsed) };
    if ((best === null || isBetter(candidate, best)) && !isRetracted(version)) best = candidate;
  }
  return best?.version ?? null;
}

/** The highest versions of a list; null where there is none of the kind. */
export interface HighestVersions {
  /** Of those without `+incompatible`: the highest release, or else the highest pre-release. */
  readonly compatible: Version | null;
  /** Of those without `+incompatible`, the last one in order, release or not. */
  readonly lastCompatible: Version | null;
  /** Of all: the highest release, or else the highest pre-release. */
  readonly overall: Version | null;
}

/**
 * The versions of a list between which the `go` command chooses the highest, retracted or not.
 * Pseudo-versions and other names are passed over. In steps.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { atOnce } from "../async/pace.ts";
 * assert.deepEqual(atOnce(highestVersions(["v1.0.0", "v1.1.0-rc.1", "v2.0.0+incompatible"])), {
 *   compatible: "v1.0.0",
 *   lastCompatible: "v1.1.0-rc.1",
 *   overall: "v2.0.0+incompatible",
 * });
 * ```
 */
export function* highestVersions(
  versions: readonly string[],
): Generator<number, HighestVersions, void> {
  let compatible: Candidate | null = null;
  let lastCompatible: Candidate | null = null;
  let overall: Candidate | null = null;
  for (const [i, version] of versions.entries()) {
    if (i % STEP_ITEMS === 0) yield STEP_ITEMS * ITEM_COST_BYTES;
    if (!isCanonicalVersion(version) || isPseudoVersion(version)) continue;
    const parsed = parseSemver(version);
    if (parsed === null) continue;
    const candidate = { version, parsed, rank: parsed.prerelease === "" ? 1 : 0 };
    overall = better(overall, candidate);
    if (parsed.build !== "") continue;
    compatible = better(compatible, candidate);
    lastCompatible = better(lastCompatible, { version, parsed, rank: 0 });
  }
  return {
    compatible: compatible?.version ?? null,
    lastCompatible: lastCompatible?.version ?? null,
    overall: overall?.version ?? null,
  };
}

function better(best: Candidate | null, candidate: Candidate): Candidate {
  return best === null || isBetter(candidate, best) ? candidate : best;
}

/**
 * The pseudo-version with the latest commit time, the first of several. Null if there is none;
 * other versions are skipped. Their order is not that of time: a commit after the tag v0.1.0 has a
 * higher version than a newer one on a branch without tags. In steps.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { atOnce } from "../async/pace.ts";
 * const older = "v0.1.1-0.20240102030405-0123456789ab";
 * const newer = "v0.0.0-20250102030405-abcdef012345";
 * assert.equal(atOnce(newestCommit([older, newer, "v1.0.0"])), newer);
 * ```
 */
export function* newestCommit(
  versions: readonly string[],
): Generator<number, Version | null, void> {
  let newest: Version | null = null;
  let newestMs = -Infinity;
  for (const [i, version] of versions.entries()) {
    if (i % STEP_ITEMS === 0) yield STEP_ITEMS * ITEM_COST_BYTES;
    if (!isCanonicalVersion(version)) continue;
    const timeMs = parsePseudoVersion(version)?.time.getTime() ?? -Infinity;
    if (timeMs > newestMs) [newest, newestMs] = [version, timeMs];
  }
  return newest;
}

interface Candidate {
  readonly version: Version;
  readonly parsed: Semver;
  readonly rank: number;
}

function isBetter(a: Candidate, b: Candidate): boolean {
  return a.rank > b.rank || a.rank === b.rank && compareParsed(a.parsed, b.parsed) > 0;
}

/** Compatible before incompatible, then releases before pre-releases. */
function rankOf({ prerelease, build }: Semver): number {
  return (build === "" ? 2 : 0) + (prerelease === "" ? 1 : 0);
}
