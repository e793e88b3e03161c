/**
 * Maps tokens to identities by patterns for claims.
 *
 * ```yaml
 * claims:
 *   repository: my-org/*                          # one pattern
 *   ref: [refs/heads/main, refs/tags/*]           # one of several
 *   kubernetes.io: { namespace: ci }              # a claim that is an object
 * ```
 *
 * All claims must be present and match. A pattern is a glob (glob.ts) for the whole value, so `*`
 * does not match a slash: `my-org/*` matches neither `my-org/a/b` nor `not-my-org/a`. Numbers and
 * booleans are compared in their JSON form. Of a claim that is a list, one entry must match.
 */
import { RE2JS } from "re2js";
import { globSource } from "../module/glob.ts";

export type ClaimPatterns = { readonly [claim: string]: readonly string[] | ClaimPatterns };

export type Claims = Readonly<Record<string, unknown>>;

/**
 * @throws {GlobError} when a pattern is invalid
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const matches = claimsMatcher({ repository: ["my-org/*"] });
 * assert.equal(matches({ repository: "my-org/lib", ref: "refs/heads/main" }), true);
 * assert.equal(matches({ repository: "not-my-org/lib" }), false);
 * ```
 */
export function claimsMatcher(patterns: ClaimPatterns): (claims: Claims) => boolean {
  const matchers = Object.entries(patterns).map(([claim, wanted]) => {
    const matches = isList(wanted) ? valueMatcher(wanted) : objectMatcher(wanted);
    return (claims: Claims) => Object.hasOwn(claims, claim) && matches(claims[claim]);
  });
  return (claims) => matchers.every((matches) => matches(claims));
}

/** Matches the value of a claim that fits any of these patterns. */
export function valueMatcher(globs: readonly string[]): (value: unknown) => boolean {
  const pattern = RE2JS.compile(`^(?:${globs.map(globSource).join("|")})$`, RE2JS.DOTALL);
  return (value) =>
    (Array.isArray(value) ? value : [value]).some((entry) =>
      SCALARS.has(typeof entry) && pattern.test(String(entry))
    );
}

const SCALARS: ReadonlySet<string> = new Set(["string", "number", "boolean"]);

function objectMatcher(patterns: ClaimPatterns): (value: unknown) => boolean {
  const matches = claimsMatcher(patterns);
  return (value) => typeof value === "object" && value !== null && matches({ ...value });
}

function isList(wanted: readonly string[] | ClaimPatterns): wanted is readonly string[] {
  return Array.isArray(wanted);
}
