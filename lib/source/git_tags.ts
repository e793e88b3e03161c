/**
 * A module's versions according to the tags of its repository (https://go.dev/ref/mod#vcs-version):
 *
 * ```
 * v1.2.3        version v1.2.3 of the module in the root
 * kit/v1.2.3    version v1.2.3 of the module in the directory kit; kit/v2.3.4 is one of …/kit/v2
 * v1.2.3+meta   no version, but a commit that comes after it is one "after v1.2.3"
 * v1.2, 1.2.3   nothing
 * ```
 *
 * Follows `Versions` and `tagToVersion` of cmd/go/internal/modfetch, and `Tags` of its package
 * codehost.
 */
import { createHash } from "node:crypto";
import type { Hash, Refs } from "../git/refs.ts";
import { matchesPathMajor } from "../module/path.ts";
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { canonicalSemver, compareSemver, majorOf } from "../module/semver.ts";
import type { Layout } from "./layout.ts";

const TAGS = "refs/tags/";

/** All tags and the commits that they lead to, sorted by name. */
export function tagsOf(refs: Refs): [name: string, hash: Hash][] {
  return [...refs]
    .filter(([ref]) => ref.startsWith(TAGS))
    .map(([ref, hash]): [string, Hash] => [ref.slice(TAGS.length), hash])
    .sort(([a], [b]) => a < b ? -1 : 1);
}

export interface TagVersion {
  /** Canonical, without build metadata. */
  readonly version: string;
  /** Whether the tag is exactly the version: only then the version is the tag's commit. */
  readonly isExact: boolean;
}

/**
 * The version that a tag stands for, for a module whose tags begin with `tagPrefix`; null if it
 * stands for none.
 */
export function versionOfTag(tag: string, tagPrefix: string): TagVersion | null {
  if (!tag.startsWith(tagPrefix)) return null;
  const text = tag.slice(tagPrefix.length);
  const version = canonicalSemver(text);
  // v1.2 would stand for v1.2.0, and then v1.2.0 could mean two commits.
  if (version === null || !text.startsWith(version)) return null;
  // It would name a commit other than the tagged one. With a prefix, the go command overlooks that
  // and takes the time from one commit and the files from the other.
  if (isPseudoVersion(text)) return null;
  return { version, isExact: version === text };
}

/** In ascending order. */
export interface TaggedVersions {
  readonly compatible: readonly string[];
  /** Versions that are valid only with the suffix `+incompatible`, given here without it. */
  readonly incompatible: readonly string[];
}

/**
 * The versions that the tags name. Whether the incompatible ones count depends on the files of
 * their commits.
 */
export function taggedVersions(refs: Refs, layout: Layout): TaggedVersions {
  const compatible: string[] = [];
  const incompatible: string[] = [];
  // gopkg.in uses vN tags only for the stable path.
  const hasVersions = !(layout.path.startsWith("gopkg.in/") && layout.path.endsWith("-unstable"));
  for (const [tag] of hasVersions ? tagsOf(refs) : []) {
    if (!tag.startsWith(layout.tagPrefix)) continue;
    const version = tag.slice(layout.tagPrefix.length);
    if (canonicalSemver(version) !== version || isPseudoVersion(version)) continue;
    if (matchesPathMajor(version, layout.pathMajor)) compatible.push(version);
    else if (layout.codeDir === "" && layout.pathMajor === "") incompatible.push(version);
  }
  return {
    compatible: compatible.sort(compareSemver),
    incompatible: incompatible.sort(compareSemver),
  };
}

/** The highest version of each major version, of a list in ascending order. */
export function highestOfMajors(versions: readonly string[]): Map<string, string> {
  return new Map(versions.map((version) => [majorOf(version) ?? "", version]));
}

/**
 * The state of all tags that may decide which version a commit of the module is, as
 * `Origin.TagPrefix` and `TagSum`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(tagState(new Map(), { tagPrefix: "", pathMajor: "" }), {
 *   tagPrefix: "",
 *   tagSum: "t1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
 * });
 * ```
 */
export function tagState(
  refs: Refs,
  { tagPrefix, pathMajor }: Pick<Layout, "tagPrefix" | "pathMajor">,
): { readonly tagPrefix: string; readonly tagSum: string } {
  const prefix = pathMajor === "" ? tagPrefix : `${tagPrefix}${pathMajor.slice(1)}.`;
  const digest = createHash("sha256");
  for (const [tag, hash] of tagsOf(refs)) {
    if (!tag.startsWith(prefix)) continue;
    const text = tag.slice(tagPrefix.length);
    // A version, perhaps with build metadata. The quotes are Go's %q: git allows neither control
    // characters nor backslashes in names, which are what JSON writes in another way.
    if (versionOfTag(text, "") !== null) digest.update(`${JSON.stringify(tag)} ${hash}\n`);
  }
  return { tagPrefix: prefix, tagSum: `t1:${digest.digest("base64")}` };
}
