/** The rules of a policy, compiled. */
import { LRUCache } from "lru-cache";
import { TOOLCHAIN_MODULE } from "../module/go_version.ts";
import type { ModulePath } from "../module/path.ts";
import {
  type FactCondition,
  factConditions,
  type Held,
  pathCondition,
  plainCondition,
  type Question,
} from "./conditions.ts";
import { type PolicyConfig, type RuleConfig, TOOLCHAINS_RULE } from "./config.ts";
import { type FactName, type Facts, UnknownFactError } from "./facts.ts";
import { goVersionOf } from "./toolchain.ts";
import { parseSpanMs } from "./time_text.ts";
import type { Action } from "./verdict.ts";
import { VersionRange } from "./version_range.ts";

/** Each takes some 200 bytes, and saves matching the globs of all rules. */
const MAX_REMEMBERED_PATHS = 20_000;

export interface Rule {
  readonly name: string;
  readonly action: Action;
  readonly isEnforced: boolean;
  /** What it asks for. */
  readonly facts: readonly FactName[];
  /** Whether an unknown fact is an error. If not, the rule does not apply. */
  readonly needsFacts: boolean;
  /** Null: what the condition that holds says. */
  readonly reason: string | null;
  isAbout(path: ModulePath): boolean;
  /**
   * Null where it does not apply.
   *
   * @throws {UnknownFactError}
   */
  test(asked: Question, facts: Facts): Promise<Held | null> | Held | null;
}

export class Rules {
  readonly #rules: readonly Rule[];
  readonly #byPath = new LRUCache<ModulePath, readonly Rule[]>({ max: MAX_REMEMBERED_PATHS });
  /** Whether clients may get different verdicts. */
  readonly dependOnIdentity: boolean;
  /** The facts without which nothing can be decided. */
  readonly neededFacts: ReadonlySet<FactName>;
  /** How old a version must be for no rule to hold it because of its age. */
  readonly maxMinAgeMs: number;

  constructor(policy: PolicyConfig) {
    const { rules, toolchains, mode } = policy;
    this.#rules = [
      ...toolchains === undefined ? [] : [toolchainsRule(toolchains, mode === "enforce")],
      ...rules.map((rule) => compile(rule, mode)),
    ];
    this.neededFacts = new Set(
      this.#rules.flatMap(({ facts, needsFacts }) => needsFacts ? facts : []),
    );
    this.dependOnIdentity = rules.some(({ identities }) => identities !== undefined);
    this.maxMinAgeMs = Math.max(0, ...rules.map(({ minAge = "0h" }) => parseSpanMs(minAge)));
  }

  /** Those that are about modules of a path, in their order. */
  about(path: ModulePath): readonly Rule[] {
    const known = this.#byPath.get(path);
    if (known !== undefined) return known;
    const about = this.#rules.filter((rule) => rule.isAbout(path));
    this.#byPath.set(path, about);
    return about;
  }
}

function compile(config: RuleConfig, mode: PolicyConfig["mode"]): Rule {
  const { name, action, reason = null, unknown } = config;
  const isEnforced = (config.mode ?? mode) === "enforce";
  // In audit mode, nothing fails.
  const needsFacts = isEnforced && unknown === "deny";
  const plain = plainCondition(config);
  const conditions = factConditions(config);
  return {
    name,
    action,
    reason,
    isEnforced,
    facts: factsOf(config),
    needsFacts,
    isAbout: pathCondition(config),
    test: (asked, facts) => {
      if (!plain(asked, () => facts.isPrivate(asked.module.path))) return null;
      if (conditions.length === 0) return { because: "" };
      return testAll(conditions, { asked, facts, needsFacts });
    },
  };
}

function factsOf(
  { advisories, licences, retracted, deprecated, minAge, moduleMinAge, fastLane }: RuleConfig,
): FactName[] {
  const asked: Readonly<Record<FactName, unknown>> = {
    age: minAge,
    moduleAge: moduleMinAge,
    fix: fastLane,
    advisories,
    licences,
    status: retracted ?? deprecated,
  };
  return (Object.keys(asked) as FactName[]).filter((name) => asked[name] !== undefined);
}

async function testAll(
  conditions: readonly FactCondition[],
  { asked, facts, needsFacts }: {
    asked: Question;
    facts: Facts;
    needsFacts: boolean;
  },
): Promise<Held | null> {
  const reasons: string[] = [];
  let untilMs = Infinity;
  for (const condition of conditions) {
    try {
      const held = await condition(asked, facts);
      if (held === null) return null;
      reasons.push(held.because);
      untilMs = Math.min(untilMs, held.untilMs ?? Infinity);
    } catch (error) {
      if (!(error instanceof UnknownFactError) || needsFacts) throw error;
      return null;
    }
  }
  const because = reasons.join("; ");
  return untilMs === Infinity ? { because } : { because, untilMs };
}

/** Denies toolchains of other versions of Go. */
function toolchainsRule(text: string, isEnforced: boolean): Rule {
  const range = new VersionRange(text);
  return {
    name: TOOLCHAINS_RULE,
    action: "deny",
    isEnforced,
    facts: [],
    needsFacts: false,
    reason: null,
    isAbout: (path) => path === TOOLCHAIN_MODULE,
    test: ({ module }) => {
      const version = goVersionOf(module);
      if (version !== null && range.has(version)) return null;
      return { because: `toolchains must be ${text}` };
    },
  };
}
