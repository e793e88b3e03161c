/**
 * Matches module paths, and the names of their repositories (repository_identity.ts), with the
 * patterns of a rule.
 *
 * A rule that grants is about paths as they are written. One that denies is about every spelling,
 * because many hosts serve a repository under several: it matches in any letter case, and names
 * without suffixes.
 */
import { RE2JS } from "re2js";
import { modulesSource } from "./glob.ts";
import { withoutSuffixes } from "./repository_identity.ts";

export type Matcher = (text: string) => boolean;

export interface ModuleMatcher {
  /** Whether a path as it is written matches. */
  readonly matchesPath: Matcher;
  /** Whether a name matches; for rules that deny. */
  readonly matchesName: Matcher;
}

/** @param globs as in `GOPRIVATE` @throws {GlobError} */
export function globsMatcher(
  globs: readonly string[],
  { isDenial }: { readonly isDenial: boolean },
): ModuleMatcher {
  return {
    matchesPath: sourceMatcher(modulesSource(globs), { isDenial }),
    matchesName: sourceMatcher(modulesSource(globs.map(withoutSuffixes)), { isDenial }),
  };
}

/**
 * A denial matches both: "whatever the case" alone would cover less than what is written when a
 * class is negated, as in `[^a]`.
 *
 * @param source a regular expression, which is searched for
 */
export function sourceMatcher(
  source: string,
  { isDenial }: { readonly isDenial: boolean },
): Matcher {
  const exact = RE2JS.compile(source);
  if (!isDenial) return (text) => exact.test(text);
  const anyCase = RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
  return (text) => exact.test(text) || anyCase.test(text);
}
