/**
 * Which of a module's tagged versions is its latest: https://go.dev/ref/mod#version-queries
 */
import type { Retraction } from "./go_mod.ts";
import { isPseudoVersion } from "./pseudo_version.ts";
import { retractedBy } from "./retraction.ts";
import { parseSemver } from "./semver.ts";
import { compareVersions, isCanonicalVersion, type Version } from "./version.ts";

/**
 * The highest version, a release before any pre-release, of those that are not retracted. An
 * `+incompatible` version is taken only where there is no other. Null if nothing is left;
 * pseudo-versions and other names are passed over.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const versions = ["v1.0.0", "v1.1.0", "v1.2.0-rc.1", "v2.0.0+incompatible"];
 * assert.equal(pickLatest(versions, []), "v1.1.0");
 * assert.equal(pickLatest(versions, [{ low: "v1.1.0", high: "v1.1.0" }]), "v1.0.0");
 * ```
 */
export function pickLatest(
  versions: readonly string[],
  retractions: readonly Retraction[],
): Version | null {
  const isRetracted = retractedBy(retractions);
  const candidates = versions
    .filter(isCanonicalVersion)
    .filter((version) => !isPseudoVersion(version))
    .sort((a, b) => rank(b) - rank(a) || compareVersions(b, a));
  return candidates.find((version) => !isRetracted(version)) ?? null;
}

/** Compatible before incompatible, then releases before pre-releases. */
function rank(version: string): number {
  const { prerelease, build } = parseSemver(version) ?? { prerelease: "", build: "" };
  return (build === "" ? 2 : 0) + (prerelease === "" ? 1 : 0);
}
