/**
 * The section `policy`: which versions of modules may be used.
 *
 * ```yaml
 * policy:
 *   mode: enforce                 # or audit: nothing is denied, what would be is recorded
 *   contact: "#go-platform"
 *   toolchains: ">=1.26.5"
 *   rules:                        # the first one that applies decides; otherwise allow
 *     - { name: malware, advisories: { malicious: true }, action: deny }
 *     - { name: cool-down, minAge: 7d, action: hold }
 *     - { name: copyleft, licences: { deny: [AGPL-3.0-only] }, action: deny }
 *   exceptions:
 *     - { modules: [example.com/x], rules: [cool-down], reason: fixes an outage,
 *         until: 2026-12-31, by: alice }
 * ```
 *
 * All conditions of a rule must hold for it to apply.
 */
import { RE2JS } from "re2js";
import { z } from "zod";
import { modulesSource } from "../module/glob.ts";
import { duplicateFaults, type Fault, type Path } from "../schema/fault.ts";
import { expected, faultOf, httpUrl, messageOf, nonEmpty, textFor } from "../schema/fields.ts";
import { parseDurationMs } from "../schema/duration.ts";
import { textsAt, valuesAt } from "../schema/query.ts";
import { didYouMean } from "../schema/suggestion.ts";
import { licenceFault } from "../spdx/expression.ts";
import { SEVERITIES } from "./facts.ts";
import { parseEndMs, parseSpanMs } from "./time_text.ts";
import { VERSION_KINDS } from "./version_kind.ts";
import { VersionRange } from "./version_range.ts";

/** Rules that the server adds; no rule of the configuration has their names. */
export const TOOLCHAINS_RULE = "toolchains";
export const HOOK_RULE = "hook";

const MAX_RULES = 1000;
const MAX_EXCEPTIONS = 10_000;

/** It is shown in terminals, and is the value of a label and of a header. */
const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;

const modules = z.array(
  nonEmpty.check(faultOf((glob: string) => {
    if (glob.includes(",")) return "write each pattern as an entry of the list, without commas";
    return messageOf(() => RE2JS.compile(modulesSource([glob])));
  })),
).min(1).readonly();

const versions = textFor((text) => new VersionRange(text));
const span = textFor(parseSpanMs);
const end = textFor(parseEndMs);
const name = z.string().regex(
  NAME,
  "a name has lower-case letters, digits and hyphens, at most 40",
);
const reason = z.string().trim().min(1).max(200);

const advisories = z.strictObject({
  /** Only these advisories, or their aliases. Default: any. */
  ids: z.array(nonEmpty).min(1).readonly().exactOptional(),
  /** Only of malware. */
  malicious: z.boolean().default(false),
  /** Only those that a person has reviewed; malware is exempt from this. */
  reviewed: z.boolean().default(true),
  /** Only at least this severe; what nobody has rated counts as high. Default: any. */
  severity: z.enum(SEVERITIES).exactOptional(),
});

/** SPDX identifiers, beginnings of them with `*`, `UNKNOWN` and `NONE`. */
const licence = nonEmpty.superRefine((entry, context) => {
  const message = licenceFault(entry);
  if (message !== null) context.addIssue({ code: "custom", message });
});
const licences = z.union([
  z.strictObject({ allow: z.array(licence).min(1).readonly() }),
  z.strictObject({ deny: z.array(licence).min(1).readonly() }),
], expected("expected {allow: […]} or {deny: […]}"));

const rule = z.strictObject({
  name,
  action: z.enum(["allow", "warn", "hold", "deny"]),
  /** Globs as in GOPRIVATE. Default: every module. */
  modules: modules.exactOptional(),
  /** A range. Default: every version. */
  versions: versions.exactOptional(),
  kinds: z.array(z.enum(VERSION_KINDS)).min(1).readonly().exactOptional(),
  /** Default: every client. */
  identities: z.array(nonEmpty).min(1).readonly().exactOptional(),
  /** Private modules, or public ones. Default: both; with `minAge` or `moduleMinAge`, public. */
  source: z.enum(["private", "public"]).exactOptional(),
  /** Versions whose existence is proven for less than this. */
  minAge: span.exactOptional(),
  /** Modules whose first version is proven to exist for less than this. */
  moduleMinAge: span.exactOptional(),
  /** Versions that an advisory names as the fix of one that was published here need no minAge. */
  fastLane: z.literal(true).exactOptional(),
  advisories: advisories.exactOptional(),
  licences: licences.exactOptional(),
  retracted: z.literal(true).exactOptional(),
  deprecated: z.literal(true).exactOptional(),
  /** What happens where a fact is unknown: 503, or the rule does not apply. */
  unknown: z.enum(["deny", "allow"]).default("deny"),
  /** Default: that of the policy. */
  mode: z.enum(["enforce", "audit"]).exactOptional(),
  /** Shown to whoever meets this rule. */
  reason: reason.exactOptional(),
}).refine(({ action, minAge, moduleMinAge }) => {
  return action !== "hold" || minAge !== undefined || moduleMinAge !== undefined;
}, {
  path: ["action"],
  message: "hold needs minAge or moduleMinAge, which says until when; otherwise, use deny",
}).refine(({ minAge, fastLane }) => fastLane === undefined || minAge !== undefined, {
  path: ["fastLane"],
  message: "it is an exception from minAge, which is missing",
});

const exception = z.strictObject({
  modules,
  versions: versions.exactOptional(),
  /** Names of rules. Default: every rule. */
  rules: z.array(name).min(1).readonly().exactOptional(),
  reason,
  /** The day after which it ends, or the moment at which it ends. */
  until: end,
  /** Who is responsible for it. */
  by: nonEmpty.max(100),
  ticket: nonEmpty.max(200).exactOptional(),
});

const duration = textFor(parseDurationMs);

const hook = z.strictObject({
  /** The protocol: the validation hook of Athens, or the data API of Open Policy Agent. */
  kind: z.enum(["athens", "opa"]),
  /** For opa, of the document: `https://opa.example.com/v1/data/gomod/allow`. */
  url: httpUrl,
  timeout: duration.default("5s"),
  /** How long an answer is kept. */
  ttl: duration.default("1h"),
  onError: z.enum(["deny", "allow"]).default("deny"),
});

export const policy = z.strictObject({
  mode: z.enum(["enforce", "audit"]).default("enforce"),
  /** What a denial withholds: the zip, or `.info` and `.mod` as well. */
  gate: z.enum(["zip", "all"]).default("zip"),
  /** Where to ask; shown with each denial. */
  contact: z.string().trim().min(1).max(70).exactOptional(),
  /** The Go versions whose toolchains may be downloaded. Default: every one. */
  toolchains: versions.exactOptional(),
  rules: z.array(rule).max(MAX_RULES).default([]),
  exceptions: z.array(exception).max(MAX_EXCEPTIONS).default([]),
  /** Identities that may record exceptions over HTTP. Default: none. */
  approvers: z.array(nonEmpty).default([]),
  hook: hook.exactOptional(),
});

export type PolicyConfig = z.output<typeof policy>;
export type RuleConfig = z.output<typeof rule>;
export type ExceptionConfig = z.output<typeof exception>;
export type HookConfig = z.output<typeof hook>;

export const exceptionSchema = exception;

/** Whether there is nothing that a policy could deny. */
export function isEmptyPolicy({ rules, toolchains, hook }: PolicyConfig): boolean {
  return rules.length === 0 && toolchains === undefined && hook === undefined;
}

/** Reports contradictory settings. @param config anything */
export function policyFaults(config: unknown): Fault[] {
  const names = textsAt(config, "policy.rules.*.name");
  const known = new Set([...names.map(({ value }) => value), TOOLCHAINS_RULE, HOOK_RULE]);
  const identities = new Set(
    textsAt(config, "clientAuth.identities.*.name").map(({ value }) => value),
  );
  const wanted = ["policy.rules.*.identities.*", "policy.approvers.*"]
    .flatMap((pattern) => textsAt(config, pattern));
  const hasAdvisories = valuesAt(config, "advisories.sources.*").length > 0;
  const aboutAdvisories = ["policy.rules.*.advisories", "policy.rules.*.fastLane"]
    .flatMap((pattern) => valuesAt(config, pattern));
  return [
    ...duplicateFaults(names),
    ...aboutAdvisories.filter(() => !hasAdvisories).map(({ path }) => ({
      path,
      message: "there are no advisories: advisories.sources is empty",
    })),
    ...names.filter(({ value }) => value === TOOLCHAINS_RULE || value === HOOK_RULE)
      .map(({ path, value }) => ({
        path,
        message: `"${value}" is the name of a rule of the server`,
      })),
    ...textsAt(config, "policy.exceptions.*.rules.*").filter(({ value }) => !known.has(value))
      .map(({ path, value }) => ({
        path,
        message: `there is no rule "${value}"${didYouMean(value, known)}`,
      })),
    ...wanted.filter(({ value }) => !identities.has(value)).map(({ path, value }) => ({
      path,
      message: `there is no identity "${value}"${didYouMean(value, identities)}`,
    })),
  ];
}

/** What the rest of the configuration says about facts. */
export interface FactSources {
  /** Whether a checksum database says how old public modules are. */
  readonly hasSumDatabase: boolean;
  /** Which modules the index has, which says when they were first published here. */
  readonly index: "private" | "all" | "off";
  readonly hasPrivateModules: boolean;
}

/** Reports rules that can never apply, or always do, and exceptions that have ended. */
export function policyWarnings(
  policy: PolicyConfig,
  { nowMs = Date.now(), ...sources }: FactSources & { readonly nowMs?: number },
): Fault[] {
  const { rules, exceptions } = policy;
  const final = rules.findIndex((rule) => isUnconditional(rule));
  const warnings: Fault[] = [];
  if (final >= 0 && final < rules.length - 1) {
    warnings.push({
      path: ["policy", "rules", final + 1],
      message: `neither it nor a later rule can apply: "${
        rules[final]?.name
      }" applies to everything`,
      see: ["policy", "rules", final],
    });
  }
  for (const [i, rule] of rules.entries()) {
    const shadowing = rules.slice(0, i).findIndex((earlier) => covers(earlier, rule));
    if (shadowing >= 0 && (final < 0 || i <= final)) {
      warnings.push({
        path: ["policy", "rules", i],
        message: `it can never apply: "${
          rules[shadowing]?.name
        }" applies to all that it applies to`,
        see: ["policy", "rules", shadowing],
      });
    }
    for (const [key, message] of faultyConditions(rule, sources)) {
      warnings.push({ path: ["policy", "rules", i, key], message });
    }
    warnings.push(...impossibleModules(rule.modules, ["policy", "rules", i, "modules"]));
  }
  for (const [i, { until, modules }] of exceptions.entries()) {
    const path = ["policy", "exceptions", i];
    if (parseEndMs(until) <= nowMs) {
      warnings.push({ path: [...path, "until"], message: "it has ended" });
    }
    warnings.push(...impossibleModules(modules, [...path, "modules"]));
  }
  return warnings;
}

function* faultyConditions(
  rule: RuleConfig,
  { hasSumDatabase, index, hasPrivateModules }: FactSources,
): Iterable<[key: string, message: string]> {
  const { versions, source, minAge } = rule;
  if (versions !== undefined && new VersionRange(versions).isEmpty) {
    yield ["versions", "it can never apply: no version is in this range"];
  }
  if (source === "private" && !hasPrivateModules) {
    yield ["source", "it can never apply: privateModules is empty"];
  }
  if (!isAboutAge(rule)) return;
  const isProven = sideOf(rule) === "private" ? index !== "off" : hasSumDatabase || index === "all";
  if (isProven) return;
  yield [
    minAge === undefined ? "moduleMinAge" : "minAge",
    "it applies to every version: without a checksum database and an index of these modules, " +
    "nothing proves how old a version is",
  ];
}

/** What a glob and a module path may have. */
const MODULE_GLOB = /^[-A-Za-z0-9._~/*?[\]^\\]+$/;

function impossibleModules(modules: readonly string[] | undefined, path: Path): Fault[] {
  return (modules ?? []).flatMap((pattern, i) =>
    MODULE_GLOB.test(pattern) ? [] : [{
      path: [...path, i],
      message: `no module path is like "${pattern}": it is a path, without scheme and version`,
    }]
  );
}

const CONDITIONS = [
  "modules",
  "versions",
  "kinds",
  "identities",
  "source",
  "minAge",
  "moduleMinAge",
  "advisories",
  "licences",
  "retracted",
  "deprecated",
] as const;

type Condition = typeof CONDITIONS[number];

function isUnconditional(rule: RuleConfig): boolean {
  return CONDITIONS.every((condition) => rule[condition] === undefined);
}

function isAboutAge({ minAge, moduleMinAge }: RuleConfig): boolean {
  return minAge !== undefined || moduleMinAge !== undefined;
}

/** Which modules a rule is about; undefined: both. */
export function sideOf(rule: RuleConfig): RuleConfig["source"] {
  return rule.source ?? (isAboutAge(rule) ? "public" : undefined);
}

/** Whether the earlier rule applies wherever the later one does, as far as that is plain. */
function covers(earlier: RuleConfig, later: RuleConfig): boolean {
  if (isUnconditional(earlier) || earlier.fastLane === true && later.fastLane !== true) {
    return false;
  }
  const sides = [sideOf(earlier), sideOf(later)];
  if (sides[0] !== undefined && sides[0] !== sides[1]) return false;
  return CONDITIONS.every((condition) => {
    if (condition === "source" || earlier[condition] === undefined) return true;
    return later[condition] !== undefined && CONTAINS[condition](earlier, later);
  });
}

type Contains = (earlier: RuleConfig, later: RuleConfig) => boolean;

/** For rules that both have the condition: whether the later one is within the earlier. */
const CONTAINS: Readonly<Record<Exclude<Condition, "source">, Contains>> = {
  modules: (earlier, later) =>
    (later.modules ?? []).every((one) => (earlier.modules ?? []).some((all) => isWithin(one, all))),
  versions: (earlier, later) => earlier.versions === later.versions,
  kinds: (earlier, later) => isSubset(later.kinds, earlier.kinds),
  identities: (earlier, later) => isSubset(later.identities, earlier.identities),
  minAge: (earlier, later) => spanOf(earlier.minAge) >= spanOf(later.minAge),
  moduleMinAge: (earlier, later) => spanOf(earlier.moduleMinAge) >= spanOf(later.moduleMinAge),
  advisories: (earlier, later) =>
    earlier.advisories !== undefined && later.advisories !== undefined &&
    coversAdvisories(earlier.advisories, later.advisories),
  licences: (earlier, later) => JSON.stringify(earlier.licences) === JSON.stringify(later.licences),
  retracted: () => true,
  deprecated: () => true,
};

/** Whether a glob matches only what another one does: the same, or what is below it. */
function isWithin(glob: string, other: string): boolean {
  return glob === other || other === "*" || !/[*?[\\]/.test(other) && glob.startsWith(`${other}/`);
}

function isSubset<T>(some: readonly T[] | undefined, all: readonly T[] | undefined): boolean {
  return (some ?? []).every((one) => all?.includes(one));
}

function spanOf(span: string | undefined): number {
  return span === undefined ? 0 : parseSpanMs(span);
}

function coversAdvisories(
  earlier: NonNullable<RuleConfig["advisories"]>,
  later: NonNullable<RuleConfig["advisories"]>,
): boolean {
  const rank = ({ severity }: typeof later) =>
    severity === undefined ? -1 : SEVERITIES.indexOf(severity);
  return (earlier.ids === undefined ||
    later.ids !== undefined && isSubset(later.ids, earlier.ids)) &&
    (!earlier.malicious || later.malicious) &&
    (!earlier.reviewed || later.reviewed || later.malicious) &&
    (rank(earlier) <= rank(later) || later.malicious);
}
