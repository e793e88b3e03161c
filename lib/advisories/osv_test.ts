import assert from "node:assert/strict";
import fc from "fast-check";
import { InvalidAdvisoryError, parseEntry } from "./osv.ts";

const ENTRY = {
  schema_version: "1.3.1",
  id: "GO-2021-0113",
  modified: "2024-05-20T16:03:47Z",
  published: "2021-10-06T17:51:21Z",
  aliases: ["CVE-2021-38561"],
  summary: "Out-of-bounds read",
  details: "…",
  affected: [{
    package: { name: "golang.org/x/text", ecosystem: "Go" },
    ranges: [{ type: "SEMVER", events: [{ introduced: "0" }, { fixed: "0.3.7" }] }],
    ecosystem_specific: { imports: [{ path: "golang.org/x/text/language", symbols: ["Parse"] }] },
  }],
  references: [{ type: "FIX", url: "https://go.dev/cl/340830" }],
  database_specific: { url: "https://pkg.go.dev/vuln/GO-2021-0113", review_status: "REVIEWED" },
};

function advisoryOf(changes: Record<string, unknown> = {}) {
  return parseEntry(JSON.stringify({ ...ENTRY, ...changes })).advisory;
}

Deno.test("parseEntry() takes what is used, and keeps the rest in the value", () => {
  const { advisory, value } = parseEntry(JSON.stringify(ENTRY));
  assert.deepEqual(advisory, {
    id: "GO-2021-0113",
    aliases: ["CVE-2021-38561"],
    summary: "Out-of-bounds read",
    modified: "2024-05-20T16:03:47Z",
    withdrawnMs: null,
    isReviewed: true,
    isMalicious: false,
    severity: null,
    url: "https://pkg.go.dev/vuln/GO-2021-0113",
    affected: [{
      path: "golang.org/x/text",
      ranges: [">=0 <0.3.7"],
      versions: [],
      isRangeUnknown: false,
      lastFix: "0.3.7",
    }],
  });
  assert.deepEqual(value, ENTRY);
});

Deno.test("parseEntry() reads what databases say of an entry", async (t) => {
  const semver = { type: "SEMVER", events: [{ introduced: "0" }] };
  const go = { ecosystem: "Go", name: "example.com/m" };
  const rows = [
    {
      name: "unreviewed",
      changes: { database_specific: { review_status: "UNREVIEWED" } },
      want: {
        isReviewed: false,
      },
    },
    {
      name: "GitHub, unreviewed",
      changes: { database_specific: { github_reviewed: false } },
      want: {
        isReviewed: false,
      },
    },
    {
      name: "no word of a review",
      changes: { database_specific: null },
      want: {
        isReviewed: true,
        url: "https://go.dev/cl/340830",
      },
    },
    {
      name: "withdrawn",
      changes: { withdrawn: "2024-01-01T00:00:00Z" },
      want: {
        withdrawnMs: Date.UTC(2024, 0, 1),
      },
    },
    { name: "malicious", changes: { id: "MAL-2025-2545" }, want: { isMalicious: true } },
    {
      name: "nothing optional",
      changes: { affected: null, aliases: null, references: null, summary: null },
      want: {
        affected: [],
        aliases: [],
        summary: "",
      },
    },
    {
      name: "control characters",
      changes: { summary: "a\u0000b\nc\u001b[31m" },
      want: {
        summary: "a b c [31m",
      },
    },
    {
      name: "a score",
      changes: {
        severity: [
          {
            type: "CVSS_V4",
            score: "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
          },
          { type: "CVSS_V3", score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H" },
        ],
        database_specific: { severity: "CRITICAL" },
      },
      want: { severity: 7.5 },
    },
    {
      name: "a rating",
      changes: { database_specific: { severity: "CRITICAL" } },
      want: {
        severity: 9,
      },
    },
    {
      name: "another ecosystem",
      changes: { affected: [{ package: { ecosystem: "npm", name: "m" }, ranges: [semver] }] },
      want: { affected: [] },
    },
    {
      name: "only commits",
      changes: { affected: [{ ranges: [{ type: "GIT", events: [{ introduced: "0" }] }] }] },
      want: { affected: [] },
    },
  ];
  for (const { name, changes, want } of rows) {
    await t.step(name, () => {
      const advisory: Record<string, unknown> = { ...advisoryOf(changes) };
      for (const [key, value] of Object.entries(want)) assert.deepEqual(advisory[key], value, key);
    });
  }
  const affected = (one: Record<string, unknown>) =>
    advisoryOf({ affected: [{ package: go, ...one }] }).affected[0];
  const ecosystem = { type: "ECOSYSTEM", events: [{ introduced: "0" }, { fixed: "7" }] };
  const all = {
    path: "example.com/m",
    ranges: [],
    versions: [],
    isRangeUnknown: false,
    lastFix: "",
  };
  await t.step("no range", () => assert.deepEqual(affected({ versions: [] }), all));
  await t.step("only versions", () => {
    assert.deepEqual(affected({ versions: ["v1.0.0"] }), { ...all, versions: ["v1.0.0"] });
  });
  await t.step("versions that cannot be compared", () => {
    assert.deepEqual(affected({ versions: ["1.0.0", "newest"] }), { ...all, isRangeUnknown: true });
  });
  await t.step("ranges that cannot be compared", () => {
    assert.deepEqual(affected({ ranges: [ecosystem] }), { ...all, isRangeUnknown: true });
  });
  await t.step("one that can be compared", () => {
    assert.deepEqual(affected({ ranges: [ecosystem, semver] }), { ...all, ranges: [">=0"] });
  });
  await t.step("custom ranges", () => {
    const specific = { custom_ranges: [ecosystem] };
    assert.deepEqual(affected({ ranges: [semver], ecosystem_specific: specific }), {
      ...all,
      ranges: [">=0"],
      isRangeUnknown: true,
    });
  });
});

Deno.test("parseEntry() says what is wrong", async (t) => {
  const affected = (one: unknown) => ({ affected: [one] });
  const events = (...events: unknown[]) =>
    affected({ package: { ecosystem: "Go", name: "m" }, ranges: [{ type: "SEMVER", events }] });
  const rows: { name: string; input: unknown; want: RegExp }[] = [
    { name: "a list", input: [ENTRY], want: /expected object/ },
    { name: "null", input: null, want: /expected object/ },
    { name: "no id", input: { ...ENTRY, id: undefined }, want: /id: / },
    { name: "an id that is a path", input: { ...ENTRY, id: "../x" }, want: /id: not the id/ },
    { name: "no time", input: { ...ENTRY, modified: "yesterday" }, want: /modified: not a time/ },
    {
      name: "no such day",
      input: { ...ENTRY, modified: "2024-13-01T00:00:00Z" },
      want: /not a time/,
    },
    { name: "schema 2", input: { ...ENTRY, schema_version: "2.0.0" }, want: /schema_version/ },
    {
      name: "two bounds",
      input: { ...ENTRY, ...events({ introduced: "0", fixed: "1" }) },
      want: /events.0: an event has/,
    },
    { name: "no bound", input: { ...ENTRY, ...events({}) }, want: /an event has exactly one/ },
    {
      name: "a space",
      input: { ...ENTRY, ...events({ introduced: "0 <1" }) },
      want: /not a version/,
    },
    {
      name: "a number",
      input: { ...ENTRY, ...events({ introduced: 0 }) },
      want: /expected string/,
    },
    {
      name: "a name",
      input: { ...ENTRY, ...affected({ package: { ecosystem: "Go", name: "a b" } }) },
      want: /unusable name/,
    },
    { name: "too many", input: { ...ENTRY, aliases: Array(1001).fill("x") }, want: /aliases: / },
  ];
  for (const { name, input, want } of rows) {
    await t.step(name, () => {
      assert.throws(() => parseEntry(JSON.stringify(input)), (error) => {
        assert.ok(error instanceof InvalidAdvisoryError);
        assert.match(error.message, want);
        return true;
      });
    });
  }
  await t.step("no JSON", () => assert.throws(() => parseEntry("{"), InvalidAdvisoryError));
});

Deno.test("parseEntry() throws nothing but its error", () => {
  const value = fc.oneof(
    fc.json(),
    fc.jsonValue().map((part) =>
      JSON.stringify({ ...ENTRY, affected: part, severity: part, database_specific: part })
    ),
  );
  fc.assert(fc.property(value, (text) => {
    try {
      parseEntry(text);
    } catch (error) {
      assert.ok(error instanceof InvalidAdvisoryError);
    }
  }));
});
