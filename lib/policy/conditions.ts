/**
 * The conditions of a rule. Those that need no facts are tested first: a rule about another module
 * costs nothing, and reveals nothing to the databases that facts come from.
 */
import { globsMatcher } from "../module/module_matcher.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { namesOfPath } from "../module/repository_identity.ts";
import { retractedBy } from "../module/retraction.ts";
import { LicenceCheck } from "../spdx/expression.ts";
import { type RuleConfig, sideOf } from "./config.ts";
import { type Advisory, type Age, type Facts, SEVERITIES } from "./facts.ts";
import { parseSpanMs, spanText } from "./time_text.ts";
import { goVersionOf } from "./toolchain.ts";
import { kindsOf } from "./version_kind.ts";
import { VersionRange } from "./version_range.ts";

/** What is asked: may this client use this version. */
export interface Question {
  readonly module: ModuleVersion;
  /** Null without client authentication. */
  readonly identity: string | null;
  readonly nowMs: number;
  readonly signal: AbortSignal;
  /**
   * For a list: nothing is fetched for it, and a version below one of its minor line that is old
   * enough counts as old enough.
   */
  readonly forList: boolean;
  /** With `forList`: a higher version of the minor line is old enough for every rule. */
  readonly isKnownOld: boolean;
}

/** A condition holds. */
export interface Held {
  /** Why, as a sentence without its full stop; empty where there is nothing to explain. */
  readonly because: string;
  /** Until when, in milliseconds since 1970; absent: no end is known. */
  readonly untilMs?: number;
}

/** Null: it does not hold. */
export type FactCondition = (asked: Question, facts: Facts) => Held | null | Promise<Held | null>;

/**
 * Whether a rule is about modules of this path. A rule that withholds is about every spelling of
 * the path, as a denial of the access list is.
 */
export function pathCondition({ modules, action }: RuleConfig): (path: ModulePath) => boolean {
  if (modules === undefined) return () => true;
  const isDenial = action === "hold" || action === "deny";
  const { matchesPath, matchesName } = globsMatcher(modules, { isDenial });
  return isDenial
    ? (path) => matchesPath(path) || namesOfPath(path).some(matchesName)
    : matchesPath;
}

/** What can be decided by the question alone. */
export function plainCondition(
  rule: RuleConfig,
): (asked: Pick<Question, "module" | "identity">, isPrivate: () => boolean) => boolean {
  const { versions, kinds, identities } = rule;
  const range = versions === undefined ? null : new VersionRange(versions);

  const side = sideOf(rule);
  return ({ module, identity }, isPrivate) => {
    if (side !== undefined && isPrivate() !== (side === "private")) return false;
    if (identities !== undefined && (identity === null || !identities.includes(identity))) {
      return false;
    }
    if (kinds !== undefined && !kindsOf(module.version).some((kind) => kinds.includes(kind))) {
      return false;
    }
    return range === null || range.has(goVersionOf(module) ?? module.version);
  };
}

/** What needs facts, the cheapest first. */
export function factConditions(rule: RuleConfig): readonly FactCondition[] {
  const conditions: FactCondition[] = [];
  if (rule.advisories !== undefined) conditions.push(affected(rule.advisories));
  if (rule.retracted) conditions.push(retracted);
  if (rule.deprecated) conditions.push(deprecated);
  if (rule.minAge !== undefined) {
    conditions.push(younger(parseSpanMs(rule.minAge), rule.fastLane === true));
  }
  if (rule.moduleMinAge !== undefined) {
    conditions.push(moduleYounger(parseSpanMs(rule.moduleMinAge)));
  }
  if (rule.licences !== undefined) conditions.push(licensed(rule.licences));
  return conditions;
}

function affected(
  { ids, malicious, reviewed, severity }: NonNullable<RuleConfig["advisories"]>,
): FactCondition {
  const least = severity === undefined ? 0 : SEVERITIES.indexOf(severity);
  const counts = (advisory: Advisory) =>
    (ids === undefined || [advisory.id, ...advisory.aliases].some((id) => ids.includes(id))) &&
    (!malicious || advisory.isMalicious) &&
    (!reviewed || advisory.isReviewed || advisory.isMalicious) &&
    (advisory.isMalicious || SEVERITIES.indexOf(advisory.severity ?? "high") >= least);
  return ({ module }, facts) => {
    const found = facts.advisories(module).filter(counts);
    const [first] = found;
    if (first === undefined) return null;
    const more = found.length === 1 ? "" : ` (and ${found.length - 1} more)`;
    return { because: `${first.id}: ${first.summary}${more}` };
  };
}

async function retracted(
  { module, signal }: Question,
  facts: Facts,
): Promise<Held | null> {
  const { retractions, version } = await facts.status(module.path, signal);
  const by = retractions.find((retraction) => retractedBy([retraction])(module.version));
  if (by === undefined) return null;
  const rationale = by.rationale === undefined || by.rationale === "" ? "" : `: ${by.rationale}`;
  return { because: `its author has retracted it in ${version}${rationale}` };
}

async function deprecated({ module, signal }: Question, facts: Facts): Promise<Held | null> {
  const { deprecation } = await facts.status(module.path, signal);
  return deprecation === null ? null : { because: `the module is deprecated: ${deprecation}` };
}

function younger(minAgeMs: number, hasFastLane: boolean): FactCondition {
  return async ({ module, nowMs, signal, isKnownOld }, facts) => {
    if (isKnownOld) return null;
    const age = await facts.age(module, signal);
    const held = heldByAge({ age, minAgeMs, nowMs, what: "it" });
    if (held === null || !hasFastLane) return held;
    return await facts.fix(module, signal) === null ? held : null;
  };
}

function moduleYounger(minAgeMs: number): FactCondition {
  return async ({ module, nowMs, signal }, facts) => {
    const age = await facts.moduleAge(module, signal);
    return heldByAge({ age, minAgeMs, nowMs, what: "the module" });
  };
}

function heldByAge(
  { age, minAgeMs, nowMs, what }: { age: Age; minAgeMs: number; nowMs: number; what: string },
): Held | null {
  if (age.provenAtMs === null) {
    return { because: `${spanText(minAgeMs)} are required, and ${age.basis}` };
  }
  const untilMs = age.provenAtMs + minAgeMs;
  if (untilMs <= nowMs) return null;
  const known = spanText(Math.max(0, nowMs - age.provenAtMs));
  return {
    because: `${what} is known for ${known}, and ${spanText(minAgeMs)} are required (${age.basis})`,
    untilMs,
  };
}

function licensed(licences: NonNullable<RuleConfig["licences"]>): FactCondition {
  const check = new LicenceCheck(licences);
  return async ({ module, signal, forList }, facts) => {
    const known = await facts.licences(module, { onlyKnown: forList, signal });
    if (known === null) return null;
    const unwanted = check.unwanted(known.found);
    return unwanted.length === 0
      ? null
      : { because: `its licence is ${unwanted.join(", ")} (${known.basis})` };
  };
}
