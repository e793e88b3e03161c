/**
 * Which commit a revision's name means, according to the refs of the repository (`Stat` of
 * `gitRepo` in cmd/go/internal/modfetch/codehost; https://go.dev/ref/mod#version-queries).
 *
 * A tag takes precedence over a branch of the same name, and both over a commit. A commit is named
 * by its hash or by at least 7 digits of it, in lower case, if HEAD, a branch or a tag leads to it.
 * Other revisions of git (`main~1`, `@{u}`, `refs/pull/1/head`) are not supported.
 */
import type { Hash, Refs } from "../git/refs.ts";
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { parseSemver } from "../module/semver.ts";

/** Fewer digits count as a name. */
const MIN_HASH_DIGITS = 7;

/**
 * - `ref`: found by a ref. `ref` is the value of `Origin.Ref`: null for HEAD, which is fetched by
 *   its hash.
 * - `digits`: perhaps the beginning of a commit's hash; the history decides.
 * - `ambiguous`: the beginning of several hashes.
 * - `unknown`: nothing.
 */
export type RevisionMatch =
  | { readonly kind: "ref"; readonly hash: Hash; readonly ref: string | null }
  | { readonly kind: "digits" | "ambiguous" | "unknown" };

export function matchRevision(refs: Refs, revision: string): RevisionMatch {
  for (const ref of [`refs/tags/${revision}`, `refs/heads/${revision}`]) {
    const hash = refs.get(ref);
    if (hash !== undefined) return { kind: "ref", hash, ref };
  }
  const head = revision === "HEAD" ? refs.get(revision) : undefined;
  return head === undefined ? matchHash(refs, revision) : { kind: "ref", hash: head, ref: null };
}

function matchHash(refs: Refs, digits: string): RevisionMatch {
  const [anyHash] = refs.values();
  const maxDigits = anyHash?.length ?? 0;
  if (!/^[0-9a-f]+$/.test(digits)) return { kind: "unknown" };
  if (digits.length < MIN_HASH_DIGITS || digits.length > maxDigits) return { kind: "unknown" };
  const matches = [...refs].filter(([, hash]) => hash.startsWith(digits));
  const [first] = matches;
  if (first === undefined) return { kind: "digits" };
  const [, hash] = first;
  if (matches.some(([, other]) => other !== hash)) return { kind: "ambiguous" };
  const [ref = null] = matches.map(([ref]) => ref).sort();
  return { kind: "ref", hash, ref: ref === "HEAD" ? null : ref };
}

/**
 * The revision in the repository that a module version or query asks for: the digits at the end of
 * a pseudo-version, the tag of a version, any other name as it is.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(revisionName("v2.0.0+incompatible", ""), "v2.0.0");
 * assert.equal(revisionName("v1.2.3", "kit/"), "kit/v1.2.3");
 * assert.equal(revisionName("v0.0.0-20260102030405-abcdef123456", "kit/"), "abcdef123456");
 * assert.equal(revisionName("main", "kit/"), "main");
 * ```
 */
export function revisionName(query: string, tagPrefix: string): string {
  const semver = parseSemver(query);
  if (semver === null) return query;
  if (isPseudoVersion(query)) return pseudoRevision(query);
  return tagPrefix + (semver.build === "+incompatible" ? withoutIncompatible(query) : query);
}

/** The digits at the end of a pseudo-version, even of one that is otherwise invalid. */
export function pseudoRevision(version: string): string {
  return version.replace(/\+.*$/, "").replace(/^.*-/, "");
}

export function withoutIncompatible(version: string): string {
  return version.replace(/\+incompatible$/, "");
}
