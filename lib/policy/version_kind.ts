/** Kinds of versions: https://go.dev/ref/mod#versions. */
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { parseSemver } from "../module/semver.ts";

export const VERSION_KINDS = ["release", "prerelease", "pseudo", "incompatible"] as const;

export type VersionKind = (typeof VERSION_KINDS)[number];

/** The kinds of a version: `v2.0.0-rc.1+incompatible` has two. */
export function kindsOf(version: string): readonly VersionKind[] {
  const kind = isPseudoVersion(version)
    ? "pseudo"
    : parseSemver(version)?.prerelease === ""
    ? "release"
    : "prerelease";
  return version.endsWith("+incompatible") ? [kind, "incompatible"] : [kind];
}
