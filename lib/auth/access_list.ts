/**
 * The access control list: which identities may read which modules, by the module's path alone.
 *
 * ```yaml
 * acl:
 *   - { identities: [ci], modules: ["github.com/my-org/*"] }    # access: allow is the default
 *   - { moduleRegexp: "^github\\.com/my-org/", access: deny }
 *   - { access: allow }
 * ```
 *
 * The first rule that applies decides; if none does, access is denied. A rule without identities
 * applies to every identity, one without modules to every module. `moduleRegexp` is searched for
 * anywhere in the unescaped module path, in the syntax of Go (https://pkg.go.dev/regexp/syntax) and
 * in linear time. `modules` are globs as in `GOPRIVATE`: each covers the paths whose first elements
 * it matches, and all below them.
 *
 * **Upper and lower case.** Many hosts, GitHub among them, serve one repository under every
 * spelling, and it is unknown which hosts do. A rule that denies therefore applies to every
 * spelling of what it matches, and a rule that allows only to the one that is written. No spelling
 * is a way around a denial; what is allowed under one spelling is denied under the others unless a
 * later rule allows them and no rule denies them.
 */
import { LRUCache } from "lru-cache";
import { RE2JS } from "re2js";
import type { ModulePath } from "../module/path.ts";
import type { AccessRule } from "./config.ts";
import { modulesSource } from "./module_pattern.ts";

export interface Decision {
  readonly isAllowed: boolean;
  /** The index of the rule that decided, from 0. Null if none applies. */
  readonly rule: number | null;
}

const NO_RULE: Decision = { isAllowed: false, rule: null };

/** Each takes about 200 bytes. Ten rules with expressions take 15 us, a fifth of a warm answer. */
const MAX_REMEMBERED = 20_000;

export class AccessList {
  readonly #rules: readonly CompiledRule[];
  /** By identity and path; the name of an identity has no colon. */
  readonly #decisions = new LRUCache<string, Decision>({ max: MAX_REMEMBERED });

  /** @throws {Error} when a pattern does not compile, with the reason */
  constructor(rules: readonly AccessRule[]) {
    this.#rules = rules.map(compile);
  }

  decide(identity: string, path: ModulePath): Decision {
    const key = `${identity}:${path}`;
    const known = this.#decisions.get(key);
    if (known !== undefined) return known;
    const rule = this.#rules.find(({ identities, covers }) =>
      (identities === null || identities.has(identity)) && covers(path)
    );
    const decision = rule?.decision ?? NO_RULE;
    this.#decisions.set(key, decision);
    return decision;
  }
}

interface CompiledRule {
  readonly decision: Decision;
  /** Null: all of them. */
  readonly identities: ReadonlySet<string> | null;
  covers(path: ModulePath): boolean;
}

function compile({ access, identities, moduleRegexp, modules }: AccessRule, rule: number) {
  const sources = [
    ...(moduleRegexp === undefined ? [] : [moduleRegexp]),
    ...(modules === undefined ? [] : [modulesSource(modules)]),
  ];
  return {
    decision: { isAllowed: access === "allow", rule },
    identities: identities === undefined ? null : new Set(identities),
    covers: both(sources.map((source) => matcher(source, access))),
  };
}

type Matcher = (path: string) => boolean;

function both(matchers: readonly Matcher[]): Matcher {
  return (path) => matchers.every((matches) => matches(path));
}

/**
 * A denial matches both: "whatever the case" alone would cover less than what is written when a
 * class is negated, as in `[^a]`.
 */
function matcher(source: string, access: AccessRule["access"]): Matcher {
  const exact = RE2JS.compile(source);
  if (access === "allow") return (path) => exact.test(path);
  const anyCase = RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
  return (path) => exact.test(path) || anyCase.test(path);
}
