/**
 * Properties of verdicts, over random rules, facts and exceptions: a list is what it would be
 * without the policy, less what is denied; a verdict changes only when its time has come; and what
 * remembers verdicts says what the policy says.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseModulePath } from "../module/path.ts";
import { compareVersions, parseVersion, type Version } from "../module/version.ts";
import { policy as schema, type PolicyConfig } from "./config.ts";
import { Exceptions } from "./exceptions.ts";
import { type Facts, UnknownFactError } from "./facts.ts";
import { MAX_AGE_MS, RememberingJudge } from "./judge.ts";
import { Policy } from "./policy.ts";
import { isDenied, type Verdict } from "./verdict.ts";

const NOW = Date.UTC(2026, 10, 29, 12);
const HOUR = 3_600_000;
const PATH = parseModulePath("example.com/a");
const IDENTITIES = ["alice", null];

const signal = new AbortController().signal;

/** Conditions, of which a rule has some: with more, it would hardly ever apply. */
const CONDITIONS = {
  versions: fc.constantFrom(">=1.1.0", "<1.2.0", "1.0.0 || >=1.2.1"),
  kinds: fc.constantFrom(["release"], ["prerelease"]),
  identities: fc.constant(["alice"]),
  modules: fc.constantFrom(["example.com/*"], ["example.com/b"]),
  minAge: fc.integer({ min: 1, max: 40 }).map((hours) => `${hours}h`),
  moduleMinAge: fc.integer({ min: 1, max: 40 }).map((hours) => `${hours}h`),
  advisories: fc.constantFrom({ malicious: true }, { severity: "high" }),
  licences: fc.constantFrom({ deny: ["MIT"] }, { allow: ["MIT"] }),
  retracted: fc.constant(true),
  deprecated: fc.constant(true),
};
const MAX_CONDITIONS = 2;

const RULE = fc.tuple(
  fc.record(CONDITIONS),
  fc.subarray(Object.keys(CONDITIONS), { maxLength: MAX_CONDITIONS }),
  fc.constantFrom("allow", "warn", "hold", "hold", "deny", "deny"),
  fc.record({
    unknown: fc.constantFrom("allow", "deny"),
    mode: fc.constantFrom("enforce", "audit"),
    fastLane: fc.constant(true),
  }, { requiredKeys: [] }),
).map(([conditions, chosen, action, { fastLane, ...how }]) => {
  const isAboutAge = chosen.includes("minAge") || chosen.includes("moduleMinAge");
  return {
    ...Object.fromEntries(Object.entries(conditions).filter(([key]) => chosen.includes(key))),
    ...fastLane && chosen.includes("minAge") && { fastLane },
    ...how,
    action: action === "hold" && !isAboutAge ? "deny" : action,
  };
});

const EXCEPTION = fc.record({
  rule: fc.nat({ max: 2 }),
  hours: fc.integer({ min: 1, max: 40 }),
  versions: fc.constantFrom("1.0.0", ">=1.1.0", ">=0"),
});

const CONFIG: fc.Arbitrary<PolicyConfig> = fc.tuple(
  fc.array(RULE, { minLength: 1, maxLength: 5 }),
  fc.array(EXCEPTION, { maxLength: 6 }),
).map(([rules, exceptions]) =>
  schema.parse({
    rules: rules.map((rule, i) => ({ name: `rule-${i}`, ...rule })),
    exceptions: exceptions.map(({ rule, hours, versions }) => ({
      modules: ["example.com/a"],
      rules: [`rule-${rule}`],
      versions,
      reason: "an outage",
      until: new Date(NOW + hours * HOUR).toISOString().slice(0, 16) + "Z",
      by: "alice",
    })),
  })
);

/** What is known of a version. */
const KNOWN = fc.record({
  isMalicious: fc.boolean(),
  isFix: fc.boolean(),
  licence: fc.constantFrom("MIT", "AGPL-3.0-only", null),
});

interface World {
  readonly versions: readonly Version[];
  readonly facts: Facts;
}

/** Of each minor line, a higher version is at most as old as a lower one. */
const WORLD: fc.Arbitrary<World> = fc.record({
  texts: fc.uniqueArray(
    fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 }), fc.constantFrom("", "-rc.1"))
      .map(([minor, patch, pre]) => `v1.${minor}.${patch}${pre}`),
    { minLength: 1, maxLength: 8 },
  ),
  ages: fc.array(fc.integer({ min: 0, max: 45 }), { minLength: 8, maxLength: 8 }),
  known: fc.array(KNOWN, { minLength: 8, maxLength: 8 }),
  retracted: fc.constantFrom("v1.0.0", "v1.2.0"),
  isDeprecated: fc.boolean(),
  unknown: fc.constantFrom("advisories", "licences", "status", null, null),
}).map(({ texts, ages, known, retracted, isDeprecated, unknown }) => {
  const versions = texts.map((text) => parseVersion(PATH, text)).sort(compareVersions);
  const hours = ages.toSorted((a, b) => b - a);
  const indexOf = (version: string) => versions.findIndex((one) => one === version);
  const ageOf = (version: string) => ({
    provenAtMs: NOW - (hours[indexOf(version)] ?? 0) * HOUR,
    basis: "test",
  });
  const unlessUnknown = <T>(fact: string, value: T): T => {
    if (fact === unknown) throw new UnknownFactError(fact, "the test has none");
    return value;
  };
  return {
    versions,
    facts: {
      isPrivate: () => false,
      age: ({ version }) => Promise.resolve(ageOf(version)),
      moduleAge: () => Promise.resolve(ageOf(versions[0] ?? "")),
      fix: ({ version }) =>
        Promise.resolve(known[indexOf(version)]?.isFix ? { advisory: "GO-1", of: "v1.0.0" } : null),
      advisories: ({ version }) =>
        unlessUnknown("advisories", known[indexOf(version)]?.isMalicious ? [MALWARE] : []),
      licences: ({ version }) => {
        const licence = known[indexOf(version)]?.licence ?? "NONE";
        return Promise.resolve(unlessUnknown("licences", { found: [licence], basis: "test" }));
      },
      status: () =>
        Promise.resolve(unlessUnknown("status", {
          retractions: [{ low: retracted, high: retracted }],
          deprecation: isDeprecated ? "use b" : null,
          version: "v1.2.2",
        })),
    },
  };
});

const MALWARE = {
  id: "MAL-2026-1",
  aliases: [],
  summary: "steals credentials",
  isReviewed: true,
  isMalicious: true,
  severity: null,
  fixed: [],
  source: "test",
};

function open(config: PolicyConfig, facts: Facts, clock: { ms: number }): Policy {
  const exceptions = new Exceptions(config.exceptions);
  return new Policy({
    config,
    facts,
    exceptions: () => exceptions,
    hook: null,
    now: () => clock.ms,
  });
}

/** What does not change with the age that the reason names. */
function decided({ action, rule, isEnforced }: Verdict) {
  return { action, rule, isEnforced };
}

/** Null where a fact is unknown. */
async function orUnknown<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof UnknownFactError) return null;
    throw error;
  }
}

Deno.test("a list under a policy is the list without what is denied", async () => {
  await fc.assert(
    fc.asyncProperty(
      CONFIG,
      WORLD,
      fc.constantFrom(...IDENTITIES),
      async (config, { versions, facts }, identity) => {
        const policy = open(config, facts, { ms: NOW });
        const allowed: Version[] = [];
        for (const version of versions) {
          const verdict = await orUnknown(
            policy.decide({ path: PATH, version }, { identity, signal }),
          );
          if (verdict === null) return;
          if (!isDenied(verdict)) allowed.push(version);
        }
        const list = await policy.filter(PATH, { versions, identity, signal });
        assert.deepEqual(list.versions, allowed);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("a verdict and a list change only when their time has come", async () => {
  await fc.assert(
    fc.asyncProperty(
      CONFIG,
      WORLD,
      fc.oneof(fc.constant(60 * HOUR), fc.integer({ min: 1, max: 60 * HOUR })),
      async (config, { versions, facts }, passedMs) => {
        const clock = { ms: NOW };
        const policy = open(config, facts, clock);
        const asking = { identity: null, signal };
        const later = async <T extends { readonly changesAtMs: number | null }>(
          ask: () => Promise<T>,
        ): Promise<[T, T] | null> => {
          clock.ms = NOW;
          const before = await orUnknown(ask());
          if (before === null) return null;
          // Up to the last moment before it may change.
          clock.ms = Math.min(NOW + passedMs, (before.changesAtMs ?? Infinity) - 1);
          assert.ok(clock.ms >= NOW);
          return [before, await ask()];
        };
        for (const version of versions) {
          const verdicts = await later(() => policy.decide({ path: PATH, version }, asking));
          if (verdicts !== null) assert.deepEqual(decided(verdicts[1]), decided(verdicts[0]));
        }
        const lists = await later(() => policy.filter(PATH, { versions, ...asking }));
        if (lists !== null) assert.deepEqual(lists[1].versions, lists[0].versions);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("a judge and one that asks it say what the policy says, at any time", async () => {
  await fc.assert(
    fc.asyncProperty(
      CONFIG,
      WORLD,
      fc.array(fc.constantFrom(1, MAX_AGE_MS - 1, MAX_AGE_MS, HOUR - 1, HOUR, 7 * HOUR), {
        minLength: 1,
        maxLength: 8,
      }),
      async (config, { versions, facts }, steps) => {
        const clock = { ms: NOW };
        const policy = open(config, facts, clock);
        const common = {
          gate: config.gate,
          contact: undefined,
          dependsOnIdentity: policy.dependsOnIdentity,
          now: () => clock.ms,
        };
        const main = new RememberingJudge({ ...common, decider: policy });
        const thread = new RememberingJudge({
          ...common,
          decider: {
            decide: (module, asking) => main.judgeForThread(module, asking),
            filter: (path, asking) => policy.filter(path, asking),
          },
        });
        for (const stepMs of steps) {
          for (const identity of IDENTITIES) {
            const asking = { identity, signal };
            for (const version of versions) {
              const module = { path: PATH, version };
              const right = await orUnknown(policy.decide(module, asking));
              for (const judge of [thread, main]) {
                const verdict = await orUnknown(judge.judge(module, asking));
                assert.deepEqual(verdict && decided(verdict), right && decided(right));
              }
            }
            const right = await orUnknown(policy.filter(PATH, { versions, ...asking }));
            const list = await orUnknown(thread.filter(PATH, { versions, ...asking }));
            assert.deepEqual(list?.versions, right?.versions);
          }
          clock.ms += stepMs;
        }
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("no thread goes by a fact that has changed for longer than MAX_AGE_MS", async () => {
  const clock = { ms: NOW };
  const config = schema.parse({ rules: [{ name: "left", deprecated: true, action: "deny" }] });
  let deprecation: string | null = null;
  const unasked = () => {
    throw new Error("nobody asks for it");
  };
  const policy = open(config, {
    isPrivate: () => false,
    age: unasked,
    moduleAge: unasked,
    advisories: unasked,
    fix: unasked,
    licences: unasked,
    status: () => Promise.resolve({ retractions: [], deprecation, version: "v1.0.0" }),
  }, clock);
  const common = {
    gate: config.gate,
    contact: undefined,
    dependsOnIdentity: false,
    now: () => clock.ms,
  };
  const main = new RememberingJudge({ ...common, decider: policy });
  const thread = new RememberingJudge({
    ...common,
    decider: {
      decide: (module, asking) => main.judgeForThread(module, asking),
      filter: (path, asking) => policy.filter(path, asking),
    },
  });
  const module = { path: PATH, version: parseVersion(PATH, "v1.0.0") };
  const asking = { identity: null, signal };
  await main.judge(module, asking);
  deprecation = "use b";
  clock.ms += MAX_AGE_MS - 1;
  assert.equal((await thread.judge(module, asking)).action, "allow");
  clock.ms += 1;
  assert.equal((await thread.judge(module, asking)).action, "deny");
});
