/**
 * What the tags of a repository say about a module's versions (https://go.dev/ref/mod#vcs-version):
 *
 * ```
 * v1.2.3        version v1.2.3 of the module in the root
 * kit/v1.2.3    version v1.2.3 of the module in the directory kit, and of the module …/kit/v2 there if it were v2
 * v1.2.3+meta   no version, but a commit that comes after it is one "after v1.2.3"
 * v1.2, 1.2.3   nothing
 * ```
 *
 * Follows `Versions` and `tagToVersion` of cmd/go/internal/modfetch, and `Tags` of its package codehost.
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
  /** Whether the tag is nothing but the version: only then the version is the tag's commit. */
  readonly isExact: boolean;
}

/** The version that a tag stands for, for a module whose tags begin with `tagPrefix`; null if it stands for none. */
export function versionOfTag(tag: string, tagPrefix: string): TagVersion | null {
  if (!tag.startsWith(tagPrefix)) return null;
  const text = tag.slice(tagPrefix.length);
  const version = canonicalSemver(text);
  // v1.2 would stand for v1.2.0, and then v1.2.0 could mean two commits.
  if (version === null || !text.startsWith(version)) return null;
  // It would name another commit than the one that it is a tag of. The go command overlooks that where there is a prefix,
  // and takes the time from the one and the files from the other.
  if (isPseudoVersion(text)) return null;
  return { version, isExact: version === text };
}

/** In ascending order. */
export interface TaggedVersions {
  readonly compatible: readonly string[];
  /** Those that can only be versions with the suffix `+incompatible`; they do not have it here. */
  readonly incompatible: readonly string[];
}

/** The versions that the tags name. Whether the incompatible ones count depends on the files of their commits. */
export function taggedVersions(refs: Refs, layout: Layout): TaggedVersions {
  const compatible: string[] = [];
  const incompatible: string[] = [];
  // gopkg.in takes vN tags for the stable path alone.
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
 * The state of all tags that may decide which version a commit of the module is, as `Origin.TagPrefix` and `TagSum`.
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
    // A version, perhaps with build metadata. The quotes are Go's %q: git allows neither control characters nor
    // backslashes in names, which are what JSON writes in another way.
    if (versionOfTag(text, "") !== null) digest.update(`${JSON.stringify(tag)} ${hash}\n`);
  }
  return { tagPrefix: prefix, tagSum: `t1:${digest.digest("base64")}` };
}
