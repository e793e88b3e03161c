import assert from "node:assert/strict";
import { pathText } from "../schema/fault.ts";
import { type FactSources, policy as schema, policyFaults, policyWarnings } from "./config.ts";

const SOURCES: FactSources = { hasSumDatabase: true, index: "private", hasPrivateModules: true };
const NOW = Date.UTC(2026, 10, 29);

const deny = (conditions: Record<string, unknown>) => ({ action: "deny", ...conditions });

const WARNINGS: {
  name: string;
  rules: readonly Record<string, unknown>[];
  sources?: Partial<FactSources>;
  /** `place: message`; null: there is none. */
  want: RegExp | null;
}[] = [
  {
    name: "a rule after one without conditions",
    rules: [deny({}), deny({ modules: ["a.com"] })],
    want: /^rules\[1\]: neither it nor a later rule can apply: "r0" applies to everything$/,
  },
  {
    name: "the same conditions again",
    rules: [deny({ versions: ">=2", kinds: ["release"] }), {
      ...deny({ versions: ">=2", kinds: ["release"], retracted: true }),
      action: "warn",
    }],
    want: /^rules\[1\]: it can never apply: "r0" applies to all that it applies to$/,
  },
  {
    name: "other versions",
    rules: [deny({ versions: ">=2" }), deny({ versions: ">=1" })],
    want: null,
  },
  {
    name: "a module below an earlier one",
    rules: [deny({ modules: ["a.com/x", "b.com"] }), deny({ modules: ["b.com/*/z"] })],
    want: /^rules\[1\]: it can never apply/,
  },
  {
    name: "a module beside an earlier one",
    rules: [deny({ modules: ["a.com/x"] }), deny({ modules: ["a.com/xy"] })],
    want: null,
  },
  {
    name: "fewer kinds and identities",
    rules: [
      deny({ kinds: ["release", "pseudo"], identities: ["a", "b"] }),
      deny({ kinds: ["pseudo"], identities: ["b"] }),
    ],
    want: /^rules\[1\]: it can never apply/,
  },
  {
    name: "a shorter age",
    rules: [deny({ minAge: "2w" }), deny({ minAge: "7d" })],
    want: /^rules\[1\]: it can never apply/,
  },
  { name: "a longer age", rules: [deny({ minAge: "7d" }), deny({ minAge: "2w" })], want: null },
  {
    name: "the age of private modules after that of public ones",
    rules: [deny({ minAge: "2w" }), deny({ minAge: "7d", source: "private" })],
    want: null,
  },
  {
    name: "what an earlier rule lets through on the fast lane",
    rules: [deny({ minAge: "2w", fastLane: true }), deny({ minAge: "7d" })],
    want: null,
  },
  {
    name: "more severe advisories",
    rules: [
      deny({ advisories: { severity: "medium" } }),
      deny({ advisories: { severity: "high" } }),
    ],
    want: /^rules\[1\]: it can never apply/,
  },
  {
    name: "all advisories after those of malware",
    rules: [deny({ advisories: { malicious: true } }), deny({ advisories: {} })],
    want: null,
  },
  {
    name: "malware after all advisories",
    rules: [deny({ advisories: {} }), deny({ advisories: { malicious: true } })],
    want: /^rules\[1\]: it can never apply/,
  },
  {
    name: "bounds that contradict each other",
    rules: [deny({ versions: ">=2 <1" })],
    want: /^rules\[0\]\.versions: it can never apply: no version is in this range$/,
  },
  {
    name: "private modules where there are none",
    rules: [deny({ source: "private" })],
    sources: { hasPrivateModules: false },
    want: /^rules\[0\]\.source: it can never apply: privateModules is empty$/,
  },
  {
    name: "an age without evidence",
    rules: [deny({ minAge: "7d" })],
    sources: { hasSumDatabase: false },
    want: /^rules\[0\]\.minAge: it applies to every version: /,
  },
  {
    name: "the age of a module without evidence",
    rules: [deny({ moduleMinAge: "7d" })],
    sources: { hasSumDatabase: false, index: "off" },
    want: /^rules\[0\]\.moduleMinAge: it applies to every version: /,
  },
  {
    name: "an age by the index",
    rules: [deny({ minAge: "7d" }), deny({ minAge: "1d", source: "private" })],
    sources: { hasSumDatabase: false, index: "all" },
    want: null,
  },
  {
    name: "the age of private modules without an index",
    rules: [deny({ minAge: "7d", source: "private" })],
    sources: { index: "off" },
    want: /^rules\[0\]\.minAge: it applies to every version: /,
  },
  {
    name: "a module with its version",
    rules: [deny({ modules: ["a.com", "b.com/x@v1.0.0"] })],
    want: /^rules\[0\]\.modules\[1\]: no module path is like "b\.com\/x@v1\.0\.0"/,
  },
  {
    name: "a URL",
    rules: [deny({ modules: ["https://a.com/x"] })],
    want: /^rules\[0\]\.modules\[0\]: no module path is like "https:/,
  },
  { name: "globs", rules: [deny({ modules: ["*.corp.example", "a.com/[a-c]?~x"] })], want: null },
];

Deno.test("policyWarnings() finds rules that never or always apply", async (t) => {
  for (const { name, rules, sources, want } of WARNINGS) {
    await t.step(name, () => {
      const policy = schema.parse({ rules: rules.map((rule, i) => ({ name: `r${i}`, ...rule })) });
      const found = policyWarnings(policy, { ...SOURCES, ...sources, nowMs: NOW })
        .map(({ path, message }) => `${pathText(path.slice(1))}: ${message}`);
      assert.equal(found.length, want === null ? 0 : 1, found.join("\n"));
      if (want !== null) assert.match(found[0] ?? "", want);
    });
  }
});

Deno.test("policyWarnings() finds exceptions that have ended, and for no module", () => {
  const exception = { modules: ["a.com/x@v1"], reason: "x", until: "2026-11-28", by: "alice" };
  const policy = schema.parse({ exceptions: [exception] });
  const found = policyWarnings(policy, { ...SOURCES, nowMs: NOW }).map(({ path }) =>
    pathText(path)
  );
  assert.deepEqual(found, ["policy.exceptions[0].until", "policy.exceptions[0].modules[0]"]);
});

Deno.test("policyFaults() finds rules about advisories that nobody has", () => {
  const rules = [
    { name: "malware", advisories: { malicious: true }, action: "deny" },
    { name: "cool-down", minAge: "7d", fastLane: true, action: "hold" },
  ];
  const found = policyFaults({ policy: { rules } }).map(({ path }) => pathText(path));
  assert.deepEqual(found, ["policy.rules[0].advisories", "policy.rules[1].fastLane"]);
  const advisories = { sources: [{ name: "own", directory: "./advisories" }] };
  assert.deepEqual(policyFaults({ policy: { rules }, advisories }), []);
});

Deno.test("a fast lane without an age is refused", () => {
  const rule = { name: "x", fastLane: true, action: "deny" };
  assert.match(
    schema.safeParse({ rules: [rule] }).error?.message ?? "",
    /minAge, which is missing/,
  );
});
