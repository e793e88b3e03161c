import assert from "node:assert/strict";
import fc from "fast-check";
import { parseModulePath } from "../module/path.ts";
import { parseVersion, type Version } from "../module/version.ts";
import { policy as schema } from "./config.ts";
import { Exceptions } from "./exceptions.ts";
import { policyLines } from "./explain.ts";
import { type Advisory, type Facts, UnknownFactError } from "./facts.ts";
import { Policy } from "./policy.ts";
import { isDenied } from "./verdict.ts";

const NOW = Date.UTC(2026, 10, 29, 12);
const DAY = 86_400_000;
const PATH = parseModulePath("example.com/a");
const asking = { identity: null, signal: new AbortController().signal };

const module = (version: string, path = PATH) => ({ path, version: parseVersion(path, version) });

const MALWARE: Advisory = {
  id: "MAL-2026-1",
  aliases: [],
  summary: "steals credentials",
  isReviewed: false,
  isMalicious: true,
  severity: null,
  fixed: [],
  source: "test",
};

/** Facts that a test does not give are unknown. */
function factsWith(known: Partial<Facts>): Facts {
  const unknown = (fact: string) => () => {
    throw new UnknownFactError(fact, "the test has none");
  };
  return {
    isPrivate: () => false,
    advisories: unknown("advisories"),
    age: unknown("age"),
    moduleAge: unknown("age"),
    licences: unknown("licences"),
    status: unknown("status"),
    fix: unknown("fixes"),
    ...known,
  };
}

function open(config: unknown, facts: Partial<Facts> = {}, now = NOW): Policy {
  const parsed = schema.parse(config);
  const exceptions = new Exceptions(parsed.exceptions);
  return new Policy({
    config: parsed,
    facts: factsWith(facts),
    exceptions: () => exceptions,
    hook: null,
    now: () => now,
  });
}

Deno.test("the first rule that applies decides, and no rule allows", async () => {
  const policy = open({
    rules: [
      { name: "pinned", modules: ["example.com/a"], versions: "1.0.0", action: "allow" },
      {
        name: "old",
        modules: ["example.com/a"],
        versions: "<2",
        action: "deny",
        reason: "too old",
      },
      { name: "rest", modules: ["example.com/*"], kinds: ["prerelease"], action: "warn" },
    ],
  });
  const ruleOf = async (version: string) => {
    const { rule, action } = await policy.decide(module(version), asking);
    return [rule, action];
  };
  assert.deepEqual(await ruleOf("v1.0.0"), ["pinned", "allow"]);
  assert.deepEqual(await ruleOf("v1.1.0"), ["old", "deny"]);
  const other = parseModulePath("example.com/b");
  const rest = await policy.decide(module("v1.0.0-rc.1", other), asking);
  assert.deepEqual([rest.rule, rest.action], ["rest", "warn"]);
  assert.equal((await policy.decide(module("v1.0.0", other), asking)).rule, null);
});

Deno.test("a rule that denies is about every spelling of the path, one that allows about one", async () => {
  const policy = open({
    rules: [
      { name: "mine", modules: ["example.com/x/y"], action: "allow" },
      { name: "theirs", modules: ["example.com/x"], action: "deny" },
    ],
  });
  const ruleOf = async (text: string) =>
    (await policy.decide(module("v1.0.0", parseModulePath(text)), asking)).rule;
  assert.equal(await ruleOf("example.com/x/y"), "mine");
  assert.equal(await ruleOf("example.com/X/y"), "theirs");
  assert.equal(await ruleOf("example.com/x.git/z"), "theirs");
  assert.equal(await ruleOf("example.com/xy"), null);
  // A negated class is no way around it either.
  const negated = open({
    rules: [{ name: "others", modules: ["example.com/[^A]*"], action: "deny" }],
  });
  const other = module("v1.0.0", parseModulePath("example.com/Abc"));
  assert.equal((await negated.decide(other, asking)).rule, "others");
});

Deno.test("a young version is held until it is old enough; a private one is not", async () => {
  const config = { rules: [{ name: "cool-down", minAge: "7d", action: "hold" }] };
  const age = { provenAtMs: NOW - 2 * DAY, basis: "test" };
  const facts = { age: () => Promise.resolve(age) };
  const held = await open(config, facts).decide(module("v1.0.0"), asking);
  assert.ok(isDenied(held));
  assert.equal(held.untilMs, NOW + 5 * DAY);
  assert.equal(held.changesAtMs, NOW + 5 * DAY);
  assert.match(held.reason, /known for 48 hours|known for 2 days/);
  const later = await open(config, facts, NOW + 5 * DAY).decide(module("v1.0.0"), asking);
  assert.equal(later.rule, null);
  const own = open(config, { ...facts, isPrivate: () => true });
  assert.equal((await own.decide(module("v1.0.0"), asking)).rule, null);
});

Deno.test("an exception keeps a rule from applying until it ends, and later rules apply", async () => {
  const config = {
    rules: [
      { name: "cool-down", minAge: "7d", action: "hold" },
      { name: "malware", advisories: { malicious: true }, action: "deny" },
    ],
    exceptions: [{
      modules: ["example.com/a"],
      versions: "1.0.0",
      rules: ["cool-down"],
      reason: "an outage",
      until: "2026-11-30",
      by: "alice",
    }],
  };
  const facts = {
    age: () => Promise.resolve({ provenAtMs: NOW, basis: "test" }),
    advisories: () => [] as Advisory[],
  };
  const policy = open(config, facts);
  const excepted = await policy.decide(module("v1.0.0"), asking);
  assert.equal(excepted.rule, null);
  assert.match(excepted.exception ?? "", /an outage \(alice, until 2026-11-30\)/);
  assert.equal(excepted.changesAtMs, Date.UTC(2026, 11, 1));
  assert.equal((await policy.decide(module("v1.0.1"), asking)).rule, "cool-down");
  const malicious = open(config, { ...facts, advisories: () => [MALWARE] });
  assert.equal((await malicious.decide(module("v1.0.0"), asking)).rule, "malware");
  const ended = open(config, facts, Date.UTC(2026, 11, 1));
  assert.equal((await ended.decide(module("v1.0.0"), asking)).rule, "cool-down");
});

Deno.test("a verdict changes when the first of the exceptions ends that it depends on", async () => {
  const exception = (rule: string, until: string) => ({
    modules: ["example.com/a"],
    rules: [rule],
    reason: "an outage",
    until,
    by: "alice",
  });
  const policy = open({
    rules: [{ name: "one", action: "deny" }, { name: "two", action: "deny" }],
    exceptions: [exception("one", "2026-12-31"), exception("two", "2026-11-30")],
  });
  const verdict = await policy.decide(module("v1.0.0"), asking);
  assert.equal(verdict.action, "allow");
  assert.equal(verdict.changesAtMs, Date.UTC(2026, 11, 1));
});

Deno.test("in audit mode the verdict is the same, and is not enforced", async () => {
  const rules = [
    { name: "one", modules: ["example.com/a"], action: "deny", mode: "enforce" },
    { name: "two", action: "deny" },
  ];
  const policy = open({ mode: "audit", rules });
  assert.ok(isDenied(await policy.decide(module("v1.0.0"), asking)));
  const other = await policy.decide(module("v1.0.0", parseModulePath("example.com/b")), asking);
  assert.deepEqual([other.rule, other.action, other.isEnforced], ["two", "deny", false]);
});

Deno.test("an unknown fact is an error, unless the rule says otherwise", async () => {
  const rule = { name: "malware", advisories: { malicious: true }, action: "deny" };
  await assert.rejects(
    open({ rules: [rule] }).decide(module("v1.0.0"), asking),
    (error) => error instanceof UnknownFactError && error.fact === "advisories",
  );
  const tolerant = open({ rules: [{ ...rule, unknown: "allow" }] });
  assert.equal((await tolerant.decide(module("v1.0.0"), asking)).rule, null);
  const audited = open({ mode: "audit", rules: [rule] });
  assert.equal((await audited.decide(module("v1.0.0"), asking)).rule, null);
  assert.deepEqual(
    [open({ rules: [rule] }), tolerant, audited].map((one) => one.needs("advisories")),
    [
      true,
      false,
      false,
    ],
  );
});

Deno.test("conditions by facts", async (t) => {
  const rows: {
    name: string;
    rule: Record<string, unknown>;
    facts: Partial<Facts>;
    reason: RegExp | null;
  }[] = [
    {
      name: "an unreviewed advisory does not count",
      rule: { advisories: {} },
      facts: { advisories: () => [{ ...MALWARE, isMalicious: false }] },
      reason: null,
    },
    {
      name: "unless it may",
      rule: { advisories: { reviewed: false } },
      facts: { advisories: () => [{ ...MALWARE, id: "GO-1", isMalicious: false }] },
      reason: /^GO-1: steals credentials$/,
    },
    {
      name: "a low severity is below the least one",
      rule: { advisories: { severity: "high" } },
      facts: {
        advisories: () => [{ ...MALWARE, isMalicious: false, isReviewed: true, severity: "low" }],
      },
      reason: null,
    },
    {
      name: "an unrated advisory counts as high",
      rule: { advisories: { severity: "high" } },
      facts: { advisories: () => [{ ...MALWARE, isMalicious: false, isReviewed: true }] },
      reason: /MAL-2026-1/,
    },
    {
      name: "an alias is an id",
      rule: { advisories: { ids: ["CVE-1"] } },
      facts: { advisories: () => [{ ...MALWARE, aliases: ["CVE-1"] }, MALWARE] },
      reason: /MAL-2026-1/,
    },
    {
      name: "a retracted version",
      rule: { retracted: true },
      facts: {
        status: () =>
          Promise.resolve({
            retractions: [{ low: "v1.0.0", high: "v1.0.5", rationale: "panics" }],
            deprecation: null,
            version: "v1.1.0",
          }),
      },
      reason: /^its author has retracted it in v1\.1\.0: panics$/,
    },
    {
      name: "a deprecated module",
      rule: { deprecated: true },
      facts: {
        status: () => Promise.resolve({ retractions: [], deprecation: "use b", version: "v1.1.0" }),
      },
      reason: /^the module is deprecated: use b$/,
    },
    {
      name: "a licence that is denied",
      rule: { licences: { deny: ["AGPL-3.0-only", "UNKNOWN"] } },
      facts: { licences: () => Promise.resolve({ found: ["MIT", "UNKNOWN"], basis: "LICENSE" }) },
      reason: /^its licence is UNKNOWN \(LICENSE\)$/,
    },
    {
      name: "licences that are all allowed",
      rule: { licences: { allow: ["MIT", "BSD-3-Clause"] } },
      facts: { licences: () => Promise.resolve({ found: ["MIT"], basis: "LICENSE" }) },
      reason: null,
    },
    {
      name: "all conditions must hold",
      rule: { advisories: { malicious: true }, licences: { deny: ["MIT"] } },
      facts: {
        advisories: () => [MALWARE],
        licences: () => Promise.resolve({ found: ["MIT"], basis: "LICENSE" }),
      },
      reason: /^MAL-2026-1: .+; its licence is MIT/,
    },
  ];
  for (const { name, rule, facts, reason } of rows) {
    await t.step(name, async () => {
      const policy = open({ rules: [{ name: "rule", action: "deny", ...rule }] }, facts);
      const verdict = await policy.decide(module("v1.0.1"), asking);
      assert.equal(verdict.rule, reason === null ? null : "rule");
      if (reason !== null) assert.match(verdict.reason, reason);
    });
  }
});

Deno.test("toolchains of other Go versions are denied", async () => {
  const policy = open({ toolchains: ">=1.26.5" });
  const path = parseModulePath("golang.org/toolchain");
  const verdictOf = async (go: string) =>
    (await policy.decide(module(`v0.0.1-go${go}.linux-amd64`, path), asking)).action;
  assert.equal(await verdictOf("1.26.4"), "deny");
  assert.equal(await verdictOf("1.26.5"), "allow");
  assert.equal(await verdictOf("1.27rc1"), "allow");
});

Deno.test("filter() is the list without what decide() denies", async () => {
  const version = fc.tuple(
    fc.nat({ max: 2 }),
    fc.nat({ max: 3 }),
    fc.nat({ max: 3 }),
    fc.constantFrom("", "-rc.1"),
  ).map(([major, minor, patch, pre]) => `v${major % 2}.${minor}.${patch}${pre}`);
  await fc.assert(fc.asyncProperty(
    fc.uniqueArray(version, { maxLength: 20 }),
    fc.uniqueArray(version, { maxLength: 8 }),
    async (all, malicious) => {
      const versions = all.map((text) => parseVersion(PATH, text))
        .sort((a, b) => a < b ? -1 : 1);
      const policy = open({
        rules: [
          { name: "malware", advisories: { malicious: true }, action: "deny" },
          { name: "pre", kinds: ["prerelease"], action: "deny" },
        ],
      }, { advisories: (asked) => malicious.includes(asked.version) ? [MALWARE] : [] });
      const allowed: Version[] = [];
      for (const one of versions) {
        const verdict = await policy.decide({ path: PATH, version: one }, asking);
        if (!isDenied(verdict)) allowed.push(one);
      }
      assert.deepEqual((await policy.filter(PATH, { versions, ...asking })).versions, allowed);
    },
  ));
});

Deno.test("filter() looks up ages from the top of each minor line to the first old one", async () => {
  const asked: string[] = [];
  const young = new Set(["v1.2.2", "v1.2.1", "v1.1.9"]);
  const policy = open({ rules: [{ name: "cool-down", minAge: "7d", action: "hold" }] }, {
    age: ({ version }) => {
      asked.push(version);
      const provenAtMs = young.has(version) ? NOW - DAY : NOW - 100 * DAY;
      return Promise.resolve({ provenAtMs, basis: "test" });
    },
  });
  const versions = ["v1.1.0", "v1.1.8", "v1.1.9", "v1.2.0", "v1.2.1", "v1.2.2"]
    .map((text) => parseVersion(PATH, text));
  const list = await policy.filter(PATH, { versions, ...asking });
  assert.deepEqual(list.versions, ["v1.1.0", "v1.1.8", "v1.2.0"]);
  assert.equal(list.changesAtMs, NOW + 6 * DAY);
  assert.ok(!asked.includes("v1.1.0"), asked.join());
});

Deno.test("filter() gives the same array back where nothing is withheld", async () => {
  const versions = [parseVersion(PATH, "v1.0.0")];
  const policy = open({ rules: [{ name: "x", modules: ["example.com/b"], action: "deny" }] });
  assert.equal((await policy.filter(PATH, { versions, ...asking })).versions, versions);
});

Deno.test("explain() shows each rule and each fact that they ask for", async () => {
  const policy = open({
    rules: [
      { name: "elsewhere", modules: ["example.com/b"], action: "deny" },
      { name: "malware", advisories: { malicious: true }, action: "deny" },
      { name: "cool-down", minAge: "7d", action: "hold", mode: "audit" },
      { name: "licences", licences: { deny: ["MIT"] }, action: "deny" },
    ],
    exceptions: [{
      modules: ["example.com/a"],
      rules: ["cool-down"],
      reason: "an outage",
      until: "2026-12-31",
      by: "alice",
    }],
  }, {
    advisories: () => [],
    age: () => Promise.resolve({ provenAtMs: NOW - DAY, basis: "sum.test had it" }),
  });
  const lines = policyLines(await policy.explain(module("v1.0.0"), asking));
  assert.deepEqual(lines, [
    ["policy", "unknown, no rule applies"],
    ["rule malware", "does not apply"],
    [
      "rule cool-down",
      "applies (hold, audit): it is known for 24 hours, and 7 days are required " +
      "(sum.test had it); exception: an outage (alice, until 2026-12-31)",
    ],
    [
      "rule licences",
      "unknown: Cannot determine the licences that the policy asks for: the test has none",
    ],
    ["advisories", "none"],
    ["age", "24 hours (sum.test had it)"],
    [
      "licences",
      "unknown: Cannot determine the licences that the policy asks for: the test has none",
    ],
  ]);
});
