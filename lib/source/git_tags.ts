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
import { LimitExceededError } from "../errors.ts";
import { createHash } from "node:crypto";
import { eachStep, sortSteps, type Steps } from "../async/pace.ts";
import type { Hash, Refs } from "../git/refs.ts";
import { matchesPathMajor } from "../module/path.ts";
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { canonicalSemver, formatCanonical, majorOf } from "../module/semver.ts";
import { compareParsedVersions, type ParsedVersion, parsedVersion } from "../module/version.ts";
import type { Layout } from "./layout.ts";

const TAGS = "refs/tags/";

/** A tag and the commit that it leads to. */
export type Tag = readonly [name: string, hash: Hash];

/** All tags, sorted by name. There may be 200,000, so they are read in steps (async/pace.ts). */
export function* tagsOf(refs: Refs): Steps<readonly Tag[]> {
  const tags: Tag[] = [];
  yield* eachStep(refs, ([ref, hash]) => {
    if (ref.startsWith(TAGS)) tags.push([ref.slice(TAGS.length), hash]);
  });
  return yield* sortSteps(tags, ([a], [b]) => a < b ? -1 : 1);
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

/** How many versions a module may have. The largest known modules have some thousands. */
export const MAX_VERSIONS = 20_000;

/**
 * The versions that the tags name, in steps. Whether the incompatible ones count depends on the
 * files of their commits.
 *
 * @throws {LimitExceededError} when there are more than {@linkcode MAX_VERSIONS}
 */
export function* taggedVersions(tags: readonly Tag[], layout: Layout): Steps<TaggedVersions> {
  const compatible: ParsedVersion<string>[] = [];
  const incompatible: ParsedVersion<string>[] = [];
  // gopkg.in uses vN tags only for the stable path.
  const hasVersions = !(layout.path.startsWith("gopkg.in/") && layout.path.endsWith("-unstable"));
  yield* eachStep(hasVersions ? tags : [], ([tag]) => {
    if (!tag.startsWith(layout.tagPrefix)) return;
    const version = parsedVersion(tag.slice(layout.tagPrefix.length));
    const { text, parsed } = version;
    if (parsed === null || formatCanonical(parsed) !== text || isPseudoVersion(text)) return;
    if (matchesPathMajor(text, layout.pathMajor)) compatible.push(version);
    else if (layout.codeDir === "" && layout.pathMajor === "") incompatible.push(version);
    if (compatible.length + incompatible.length <= MAX_VERSIONS) return;
    throw new LimitExceededError(
      `Cannot list ${layout.path}: its repository tags more than ${MAX_VERSIONS} versions of it`,
    );
  });
  return { compatible: yield* sorted(compatible), incompatible: yield* sorted(incompatible) };
}

function* sorted(versions: readonly ParsedVersion<string>[]): Steps<string[]> {
  return (yield* sortSteps(versions, compareParsedVersions)).map(({ text }) => text);
}

/** The versions of each major version, of a list in ascending order. */
export function byMajor(versions: readonly string[]): Map<string, readonly string[]> {
  return Map.groupBy(versions, (version) => majorOf(version) ?? "");
}

/**
 * The state of all tags that may decide which version a commit of the module is, as
 * `Origin.TagPrefix` and `TagSum`.
 *
 * In steps.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { atOnce } from "../async/pace.ts";
 * assert.deepEqual(atOnce(tagState([], { tagPrefix: "", pathMajor: "" })), {
 *   tagPrefix: "",
 *   tagSum: "t1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
 * });
 * ```
 */
export function* tagState(
  tags: readonly Tag[],
  { tagPrefix, pathMajor }: Pick<Layout, "tagPrefix" | "pathMajor">,
): Steps<{ readonly tagPrefix: string; readonly tagSum: string }> {
  const prefix = pathMajor === "" ? tagPrefix : `${tagPrefix}${pathMajor.slice(1)}.`;
  const digest = createHash("sha256");
  yield* eachStep(tags, ([tag, hash]) => {
    if (!tag.startsWith(prefix)) return;
    const text = tag.slice(tagPrefix.length);
    // A version, perhaps with build metadata. The quotes are Go's %q: git allows neither control
    // characters nor backslashes in names, which are what JSON writes in another way.
    if (versionOfTag(text, "") !== null) digest.update(`${JSON.stringify(tag)} ${hash}\n`);
  });
  return { tagPrefix: prefix, tagSum: `t1:${digest.digest("base64")}` };
}
