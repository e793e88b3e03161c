/**
 * The decision: may this client use this version. The first rule that applies decides; if none
 * does, the version is allowed. An exception makes a rule not apply.
 *
 * A verdict changes only when a fact, a rule or an exception does, or when the moment passes that
 * it names (`changesAtMs`): every replica and thread that has the same facts has the same verdict.
 */
import { Pace } from "../async/pace.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { Version } from "../module/version.ts";
import type { Question } from "./conditions.ts";
import type { PolicyConfig } from "./config.ts";
import { audited } from "./audit.ts";
import { explainFact, explainRule, type PolicyPart } from "./explain.ts";
import type { Exceptions } from "./exceptions.ts";
import type { FactName, Facts } from "./facts.ts";
import type { Hook } from "./hook.ts";
import { type Rule, Rules } from "./rules.ts";
import { earlier, isDenied, NO_RULE_APPLIED, type Verdict } from "./verdict.ts";

/** For how many versions of a list facts are looked up at once. */
const PARALLEL_LINES = 16;
/** What the decision about a version of a list costs, in the unit of {@linkcode Pace.spend}. */
const VERSION_COST_BYTES = 4096;

export interface PolicyOptions {
  readonly config: PolicyConfig;
  readonly facts: Facts;
  readonly exceptions: () => Exceptions;
  readonly hook: Hook | null;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Who asks, and for how long. */
export interface Asking {
  readonly identity: string | null;
  readonly signal: AbortSignal;
}

/** A list of versions as a policy leaves it. */
export interface FilteredList {
  readonly versions: readonly Version[];
  /** When it may change although nothing else does; null where it cannot. */
  readonly changesAtMs: number | null;
}

export class Policy {
  readonly #rules: Rules;
  readonly #options: PolicyOptions;

  constructor(options: PolicyOptions) {
    this.#rules = new Rules(options.config);
    this.#options = options;
  }

  /** Whether clients may get different verdicts. */
  get dependsOnIdentity(): boolean {
    const { config } = this.#options;
    return this.#rules.dependOnIdentity || config.hook?.kind === "opa";
  }

  /** Whether nothing can be decided without a fact. */
  needs(fact: FactName): boolean {
    return this.#rules.neededFacts.has(fact);
  }

  /**
   * The verdict about a version.
   *
   * @throws {UnknownFactError} when a fact that decides cannot be determined
   */
  async decide(module: ModuleVersion, { identity, signal }: Asking): Promise<Verdict> {
    const nowMs = this.#options.now();
    const asked = { module, identity, signal, nowMs, forList: false, isKnownOld: false };
    const verdict = await this.#byRules(asked);
    const { hook } = this.#options;
    if (hook === null || verdict.rule !== null) return verdict;
    return await hook.decide(module, { identity, signal });
  }

  /**
   * The versions of a list that are not withheld. The age of a version is looked up only where it
   * could be chosen: from the top of each minor line down to one that is old enough. Licences count
   * where they are known already. The zip of each version is decided by {@linkcode decide}.
   *
   * @param versions lowest first. The same array is returned where nothing is withheld
   * @throws {UnknownFactError}
   */
  async filter(
    path: ModulePath,
    { versions, identity, signal }: Asking & { readonly versions: readonly Version[] },
  ): Promise<FilteredList> {
    const rules = this.#rules.about(path);
    if (rules.length === 0) return { versions, changesAtMs: null };
    const nowMs = this.#options.now();
    const pace = new Pace(signal);
    const withheld = new Set<Version>();
    const facts = askedOnce(this.#options.facts);
    let changesAtMs = this.#options.exceptions().nextEndMs(nowMs);
    const decideLine = async (line: readonly Version[]) => {
      let isKnownOld = false;
      for (const version of line) {
        await pace.spend(VERSION_COST_BYTES);
        const module = { path, version };
        const asked = { module, identity, signal, nowMs, forList: true, isKnownOld };
        const verdict = await this.#byRules(asked, { rules, facts });
        if (isDenied(verdict)) withheld.add(version);
        changesAtMs = earlier(changesAtMs, verdict.changesAtMs);
        isKnownOld ||= await this.#isOld(asked, rules);
      }
    };
    const lines = minorLines(versions);
    for (let i = 0; i < lines.length; i += PARALLEL_LINES) {
      await Promise.all(lines.slice(i, i + PARALLEL_LINES).map(decideLine));
    }
    return {
      versions: withheld.size === 0 ? versions : versions.filter((one) => !withheld.has(one)),
      changesAtMs,
    };
  }

  /** What each rule about the module says, and the facts that they ask for. */
  async explain(module: ModuleVersion, asking: Asking): Promise<PolicyPart> {
    const { facts, exceptions, now } = this.#options;
    const nowMs = now();
    const asked = { module, ...asking, nowMs, forList: false, isKnownOld: false };
    const rules = this.#rules.about(module.path);
    const names = new Set(rules.flatMap((rule) => rule.facts));
    return {
      verdict: await audited(module, () => this.decide(module, asking)),
      rules: await Promise.all(rules.map((rule) =>
        explainRule(rule, {
          asked,
          facts,
          exception: exceptions().find(module, { rule: rule.name, nowMs }),
        })
      )),
      facts: await Promise.all([...names].map((name) => explainFact(name, { asked, facts }))),
    };
  }

  async #byRules(
    asked: Question,
    { rules = this.#rules.about(asked.module.path), facts = this.#options.facts }: {
      readonly rules?: readonly Rule[];
      readonly facts?: Facts;
    } = {},
  ): Promise<Verdict> {
    const { exceptions } = this.#options;
    let used: string | null = null;
    let changesAtMs: number | null = null;
    for (const rule of rules) {
      // Most rules need no facts, and a list has many versions: nothing is awaited for those.
      const tested = rule.test(asked, facts);
      const held = tested instanceof Promise ? await tested : tested;
      if (held === null) continue;
      changesAtMs = earlier(changesAtMs, held.untilMs ?? null);
      const exception = exceptions().find(asked.module, { rule: rule.name, nowMs: asked.nowMs });
      if (exception !== null) {
        used ??= exception.text;
        changesAtMs = earlier(changesAtMs, exception.untilMs);
        continue;
      }
      const untilMs = rule.action === "hold" ? held.untilMs ?? null : null;
      return {
        action: rule.action,
        isEnforced: rule.isEnforced,
        rule: rule.name,
        reason: [rule.reason ?? "", held.because].filter((part) => part !== "").join(": "),
        untilMs,
        changesAtMs,
        exception: used,
      };
    }
    return used === null ? NO_RULE_APPLIED : { ...NO_RULE_APPLIED, exception: used, changesAtMs };
  }

  /** Whether the versions below it in its minor line need not be proven to be old. */
  async #isOld(asked: Question, rules: readonly Rule[]): Promise<boolean> {
    const { maxMinAgeMs } = this.#rules;
    if (maxMinAgeMs === 0 || this.#options.facts.isPrivate(asked.module.path)) return true;
    if (!rules.some((rule) => rule.facts.includes("age"))) return true;
    const age = await this.#options.facts.age(asked.module, asked.signal).catch(() => null);
    const provenAtMs = age?.provenAtMs ?? null;
    return provenAtMs !== null && asked.nowMs - provenAtMs >= maxMinAgeMs;
  }
}

/** For the versions of one module: what is known of the module is looked up once. */
function askedOnce(facts: Facts): Facts {
  let status: ReturnType<Facts["status"]> | null = null;
  let moduleAge: ReturnType<Facts["moduleAge"]> | null = null;
  return {
    ...facts,
    status: (path, signal) => status ??= facts.status(path, signal),
    moduleAge: (module, signal) => moduleAge ??= facts.moduleAge(module, signal),
  };
}

/** The versions by `vMAJOR.MINOR`, each line with its highest first. */
function minorLines(versions: readonly Version[]): readonly (readonly Version[])[] {
  const lines = new Map<string, Version[]>();
  for (const version of versions.toReversed()) {
    const [line = version] = /^v\d+\.\d+/.exec(version) ?? [];
    const known = lines.get(line);
    if (known === undefined) lines.set(line, [version]);
    else known.push(version);
  }
  return [...lines.values()];
}
