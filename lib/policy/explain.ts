/** What rules and facts say about a version, for whoever wonders about a verdict. */
import type { Audited } from "./audit.ts";
import type { Question } from "./conditions.ts";
import type { Exception } from "./exceptions.ts";
import { type Age, type FactName, type Facts, UnknownFactError } from "./facts.ts";
import type { Rule } from "./rules.ts";
import { spanText } from "./time_text.ts";

export interface ExplainedRule {
  readonly rule: string;
  readonly action: string;
  readonly mode: "enforce" | "audit";
  /** Null where a fact that it asks for is unknown. */
  readonly applies: boolean | null;
  readonly reason: string;
  /** The exception that keeps it from applying; null if there is none. */
  readonly exception: string | null;
}

export interface ExplainedFact {
  readonly fact: FactName;
  /** With its source and time; or why it is unknown. */
  readonly text: string;
}

export interface PolicyPart {
  readonly verdict: Audited;
  /** Those that are about the module, in their order. */
  readonly rules: readonly ExplainedRule[];
  readonly facts: readonly ExplainedFact[];
}

export interface Explaining {
  readonly asked: Question;
  readonly facts: Facts;
}

export async function explainRule(
  rule: Rule,
  { asked, facts, exception }: Explaining & { readonly exception: Exception | null },
): Promise<ExplainedRule> {
  const explained = {
    rule: rule.name,
    action: rule.action,
    mode: rule.isEnforced ? "enforce" : "audit",
    exception: exception?.text ?? null,
  } as const;
  const told = await orUnknown(async () => {
    const held = await rule.test(asked, facts);
    return { applies: held !== null, reason: held?.because ?? "" };
  });
  return typeof told === "string"
    ? { ...explained, applies: null, reason: told }
    : { ...explained, ...told };
}

export async function explainFact(
  fact: FactName,
  { asked, facts }: Explaining,
): Promise<ExplainedFact> {
  const { module, nowMs, signal } = asked;
  const ageText = ({ provenAtMs, basis }: Age) =>
    provenAtMs === null ? basis : `${spanText(Math.max(0, nowMs - provenAtMs))} (${basis})`;
  const texts: Readonly<Record<FactName, () => string | Promise<string>>> = {
    age: async () => ageText(await facts.age(module, signal)),
    moduleAge: async () => ageText(await facts.moduleAge(module, signal)),
    advisories: () =>
      facts.advisories(module).map(({ id, source, summary }) => `${id} (${source}): ${summary}`)
        .join("; ") || "none",
    fix: async () => {
      const fix = await facts.fix(module, signal);
      if (fix === null) return "no advisory names it as the fix of a version that is used here";
      return `${fix.advisory} names it as the fix of ${fix.of}, which is used here`;
    },
    licences: async () => {
      // Nothing is fetched for an explanation.
      const known = await facts.licences(module, { onlyKnown: true, signal });
      return known === null ? "not detected yet" : `${known.found.join(", ")} (${known.basis})`;
    },
    status: async () => {
      const { retractions, deprecation, version } = await facts.status(module.path, signal);
      const taken = `${retractions.length} retractions`;
      const state = deprecation === null ? taken : `${taken}; deprecated: ${deprecation}`;
      return `${state} (go.mod of ${version ?? "no version"})`;
    },
  };
  const text = await orUnknown(async () => ({ text: await texts[fact]() }));
  return { fact, text: typeof text === "string" ? `unknown: ${text}` : text.text };
}

/** The message where a fact is unknown. */
async function orUnknown<T extends object>(work: () => Promise<T>): Promise<T | string> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UnknownFactError) return error.message;
    throw error;
  }
}

/** A line each, with what it is about. */
export function policyLines({ verdict, rules, facts }: PolicyPart): [name: string, text: string][] {
  const { action, isEnforced, rule, until, exception } = verdict;
  const by = rule === null ? "no rule applies" : `by rule "${rule}"`;
  return [
    [
      "policy",
      `${action}, ${by}` + (isEnforced ? "" : ", in audit mode") +
      (until === null ? "" : `, until ${until}`) +
      (exception === null ? "" : `; exception: ${exception}`),
    ],
    ...rules.map((one): [string, string] => [
      `rule ${one.rule}`,
      `${appliesText(one)}${one.reason === "" ? "" : `: ${one.reason}`}` +
      (one.exception === null ? "" : `; exception: ${one.exception}`),
    ]),
    ...facts.map(({ fact, text }): [string, string] => [FACT_NAMES[fact], text]),
  ];
}

const FACT_NAMES: Readonly<Record<FactName, string>> = {
  age: "age",
  moduleAge: "age of the module",
  advisories: "advisories",
  fix: "fast lane",
  licences: "licences",
  status: "retractions",
};

function appliesText({ applies, action, mode }: ExplainedRule): string {
  if (applies === null) return "unknown";
  return applies ? `applies (${action}${mode === "audit" ? ", audit" : ""})` : "does not apply";
}
