import assert from "node:assert/strict";
import { atOnce } from "../async/pace.ts";
import { goOfSemver } from "../module/go_version.ts";
import { type Advisory, parseEntry } from "./osv.ts";
import { compileSteps, Matcher } from "./table.ts";

const NOW_MS = Date.UTC(2026, 0, 1);

function advisory(id: string, modules: Record<string, string[]>, changes: Partial<Advisory> = {}) {
  return {
    id,
    aliases: [],
    summary: `about ${id}`,
    modified: "2025-01-01T00:00:00Z",
    withdrawnMs: null,
    isReviewed: true,
    isMalicious: false,
    severity: null,
    url: null,
    affected: Object.entries(modules).flatMap(([path, ranges]) =>
      ranges.map((range) => ({
        path,
        ranges: [range],
        versions: [],
        isRangeUnknown: false,
        lastFix: "",
      }))
    ),
    ...changes,
  };
}

function matcher(...sources: Advisory[][]): Matcher {
  const table = atOnce(compileSteps(
    sources.map((advisories, i) => ({ source: `s${i}`, state: "1", advisories })),
    7,
  ));
  // As on another thread.
  return new Matcher(structuredClone(table), () => NOW_MS);
}

const idsOf = (findings: readonly { id: string }[]) => findings.map(({ id }) => id);

Deno.test("Matcher.match() finds the advisories of a version", () => {
  const m = matcher(
    [
      advisory("A-1", { "example.com/m": [">=0 <1.2.0"], "example.com/m/v2": [">=0 <2.1.0"] }),
      advisory("A-2", { "example.com/m": [">=1.0.0 <1.1.0", ">=1.5.0 <1.6.0"] }, { severity: 9.8 }),
    ],
    [advisory("A-3", { "example.com/m": [">=0"] }, { isReviewed: false, aliases: ["CVE-1"] })],
  );
  assert.deepEqual(idsOf(m.match("example.com/m", "v1.0.5")), ["A-1", "A-2", "A-3"]);
  assert.deepEqual(idsOf(m.match("example.com/m", "v1.1.0")), ["A-1", "A-3"]);
  assert.deepEqual(idsOf(m.match("example.com/m", "v1.5.1")), ["A-2", "A-3"]);
  assert.deepEqual(idsOf(m.match("example.com/m/v2", "v2.0.0")), ["A-1"]);
  // Paths below and above are other modules.
  assert.deepEqual(m.match("example.com/m/sub", "v1.0.0"), []);
  assert.deepEqual(m.match("example.com", "v1.0.0"), []);
  assert.deepEqual(m.match("example.com/m", "v1.0.5")[1], {
    id: "A-2",
    aliases: [],
    summary: "about A-2",
    isReviewed: true,
    isMalicious: false,
    severity: 9.8,
    isRangeUnknown: false,
    fixed: ["v1.1.0", "v1.6.0"],
    source: "s0",
    url: null,
  });
  assert.deepEqual([m.table.generation, m.table.state], [7, "s0:1 s1:1"]);
});

Deno.test("Matcher.match() knows nothing of what is no version", () => {
  const m = matcher([advisory("A-1", { "example.com/m": [">=0"] })]);
  for (const version of ["", "(devel)"]) assert.deepEqual(m.match("example.com/m", version), []);
});

Deno.test("Matcher leaves out what is withdrawn", () => {
  const m = matcher([
    advisory("A-1", { "example.com/m": [">=0"] }, { withdrawnMs: NOW_MS - 1 }),
    advisory("A-2", { "example.com/m": [">=0"] }, { withdrawnMs: NOW_MS + 1 }),
  ]);
  assert.deepEqual(idsOf(m.match("example.com/m", "v1.0.0")), ["A-2"]);
  assert.deepEqual(m.forModule("example.com/m").map(({ advisory: { id } }) => id), ["A-2"]);
});

Deno.test("of two entries with one id, the first source's counts", () => {
  const m = matcher(
    [advisory("A-1", { "example.com/m": [">=0 <1.0.0"] })],
    [advisory("A-1", { "example.com/m": [">=0"], "example.com/other": [">=0"] })],
  );
  assert.deepEqual(m.match("example.com/m", "v1.0.0"), []);
  assert.deepEqual(m.match("example.com/other", "v1.0.0"), []);
});

Deno.test("a range is unknown where no part that can be compared is about the version", () => {
  const unknown = {
    path: "example.com/m",
    ranges: [">=0"],
    versions: [],
    isRangeUnknown: true,
    lastFix: "",
  };
  const known = { ...unknown, ranges: [">=0 <1.0.0"], isRangeUnknown: false };
  const m = matcher([advisory("A-1", {}, { affected: [unknown, known] })]);
  const isUnknown = (version: string) =>
    m.match("example.com/m", version).map(({ isRangeUnknown }) => isRangeUnknown);
  assert.deepEqual(isUnknown("v0.9.0"), [false]);
  assert.deepEqual(isUnknown("v1.0.0"), [true]);
});

Deno.test("toolchains are judged as the standard library and the go command", async (t) => {
  const m = matcher([
    advisory("STD", { stdlib: [">=0 <1.21.11 >=1.22.0-0 <1.22.4"] }),
    advisory("CMD", { toolchain: [">=0 <1.22.3"] }),
    advisory("OWN", { "golang.org/toolchain": [">=0 <0.0.1-go1.22"] }),
  ]);
  const rows = [
    { path: "stdlib", version: "go1.22.3", want: { STD: ["go1.22.4"] } },
    { path: "stdlib", version: "v1.22.3", want: { STD: ["go1.22.4"] } },
    { path: "stdlib", version: "1.20.0", want: { STD: ["go1.21.11", "go1.22.4"] } },
    { path: "stdlib", version: "go1.22rc1", want: { STD: ["go1.22.4"] } },
    { path: "stdlib", version: "go1.21.11", want: {} },
    { path: "toolchain", version: "go1.22.2", want: { CMD: ["go1.22.3"] } },
    {
      path: "golang.org/toolchain",
      version: "v0.0.1-go1.22.2.linux-amd64",
      want: { STD: ["go1.22.4"], CMD: ["go1.22.3"] },
    },
    { path: "golang.org/toolchain", version: "v0.0.1-go1.22.4.linux-amd64", want: {} },
    {
      path: "golang.org/toolchain",
      version: "v0.0.1-go1.21.13.linux-amd64",
      want: { OWN: ["v0.0.1-go1.22"], CMD: ["go1.22.3"] },
    },
    { path: "golang.org/toolchain", version: "v0.0.1-go1.22.9x.linux-amd64", want: {} },
  ];
  for (const { path, version, want } of rows) {
    await t.step(`${path} ${version}`, () => {
      const found = m.match(path, version).map(({ id, fixed }) => [id, fixed]);
      assert.deepEqual(Object.fromEntries(found), want);
    });
  }
  assert.equal(m.forModule("golang.org/toolchain").length, 3);
});

/** Where govulncheck names another fix: one that another part of the same advisory affects. */
const OTHER_FIXES = new Set(["stdlib@v1.18.0 GO-2023-2185"]);

Deno.test("Matcher.match() finds what govulncheck finds", async (t) => {
  const linesOf = async (name: string) => {
    const url = new URL(`../../tests/testdata/advisories/${name}`, import.meta.url);
    return (await Deno.readTextFile(url)).trim().split("\n");
  };
  const advisories = (await linesOf("entries.jsonl")).map((line) => parseEntry(line).advisory);
  const m = matcher(advisories);
  let count = 0;
  for (const line of await linesOf("verdicts.jsonl")) {
    const { path, version, found }: {
      path: string;
      version: string;
      found: Record<string, string>;
    } = JSON.parse(line);
    const name = `${path}@${version}`;
    await t.step(name, () => {
      const findings = m.match(path, version);
      assert.deepEqual(idsOf(findings).sort(), Object.keys(found).sort());
      for (const { id, fixed: [fixed = ""] } of findings) {
        const want = found[id] ?? "";
        const isGo = path === "stdlib" || path === "toolchain";
        if (OTHER_FIXES.has(`${name} ${id}`)) assert.notEqual(fixed, want);
        else assert.equal(fixed, isGo && want !== "" ? goOfSemver(want) : want, id);
      }
      count += findings.length;
    });
  }
  assert.ok(count > 500, `${count} findings`);
  // A toolchain is both.
  const toolchain = "v0.0.1-go1.25.4.linux-amd64";
  assert.deepEqual(
    new Set(idsOf(m.match("golang.org/toolchain", toolchain))),
    new Set(["stdlib", "toolchain"].flatMap((name) => idsOf(m.match(name, "go1.25.4")))),
  );
});
