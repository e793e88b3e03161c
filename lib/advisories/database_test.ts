import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { type FakeEntry, fakeEntry } from "../../tests/fakes/vulndb.ts";
import { atOnce, Pace } from "../async/pace.ts";
import { AdvisoryDatabase, type DatabaseFile, mergeSteps } from "./database.ts";
import { type EntrySet, GrowingSet, readEntry } from "./entry_set.ts";

function setOf(...entries: FakeEntry[]): EntrySet {
  const set = new GrowingSet();
  for (const entry of entries) {
    set.add(readEntry(new TextEncoder().encode(JSON.stringify(entry)), { nowMs: 0 }));
  }
  return atOnce(set.sortSteps());
}

function open(entries: EntrySet, isPrivate: (path: string) => boolean): Promise<AdvisoryDatabase> {
  return AdvisoryDatabase.open({ sets: [entries], isPrivate, pace: new Pace(undefined) });
}

const EVERYTHING = () => true;
const valueOf = ({ json }: DatabaseFile) => JSON.parse(new TextDecoder().decode(json));

const affected = (name: string, ...events: unknown[]) => ({
  package: { ecosystem: "Go", name },
  ranges: [{ type: "SEMVER", events }],
});

Deno.test("AdvisoryDatabase.index() is as the protocol has it", async () => {
  const entries = setOf(
    fakeEntry("GO-2", {
      modified: "2026-02-01T00:00:00Z",
      affected: [
        affected(
          "example.com/b",
          { introduced: "0" },
          { fixed: "1.1.0" },
          { introduced: "1.2.0" },
          { fixed: "1.2.2" },
        ),
        affected("example.com/a", { introduced: "0" }),
      ],
    }),
    fakeEntry("GO-1", { aliases: ["CVE-1", "GHSA-1"], name: "example.com/b", fixed: "0.9.0" }),
    fakeEntry("GO-3", { name: "stdlib", fixed: "1.20.1", withdrawn: "2025-01-01T00:00:00Z" }),
  );
  const database = await open(entries, () => false);
  assert.deepEqual(valueOf(database.index("db", EVERYTHING)), { modified: "2026-02-01T00:00:00Z" });
  const [early, late] = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"];
  assert.deepEqual(valueOf(database.index("modules", EVERYTHING)), [
    { path: "example.com/a", vulns: [{ id: "GO-2", modified: late }] },
    {
      path: "example.com/b",
      vulns: [
        { id: "GO-1", modified: early, fixed: "0.9.0" },
        { id: "GO-2", modified: late, fixed: "1.2.2" },
      ],
    },
    { path: "stdlib", vulns: [{ id: "GO-3", modified: early, fixed: "1.20.1" }] },
  ]);
  assert.deepEqual(valueOf(database.index("vulns", EVERYTHING)), [
    { id: "GO-1", modified: early, aliases: ["CVE-1", "GHSA-1"] },
    { id: "GO-2", modified: late },
    { id: "GO-3", modified: early },
  ]);
  const file = database.entry("GO-1", EVERYTHING);
  assert.equal(file?.modified, early);
  assert.equal(valueOf(file ?? assert.fail()).summary, "Summary of GO-1");
  assert.deepEqual(new Uint8Array(gunzipSync(file?.gzip() ?? "")), file?.json);
  assert.equal(database.entry("GO-9", EVERYTHING), null);
});

Deno.test("AdvisoryDatabase shows entries about private modules to those who may know", async () => {
  const entries = setOf(
    fakeEntry("GO-1", { name: "example.com/open" }),
    fakeEntry("ORG-1", { name: "corp.example.com/a" }),
    fakeEntry("ORG-2", {
      modified: "2026-05-01T00:00:00Z",
      affected: [
        affected("corp.example.com/b", { introduced: "0" }),
        affected("example.com/open", { introduced: "0" }),
      ],
    }),
  );
  const database = await open(entries, (path) => path.startsWith("corp.example.com/"));
  const readers = [
    { mayKnow: () => true, want: ["GO-1", "ORG-1", "ORG-2"], modified: "2026-05-01T00:00:00Z" },
    {
      mayKnow: (path: string) => path !== "corp.example.com/b",
      want: ["GO-1", "ORG-1"],
      modified: "2026-01-01T00:00:00Z",
    },
    // What is not private is everybody's.
    { mayKnow: () => false, want: ["GO-1"], modified: "2026-01-01T00:00:00Z" },
  ];
  for (const { mayKnow, want, modified } of readers) {
    const vulns: { id: string }[] = valueOf(database.index("vulns", mayKnow));
    assert.deepEqual(vulns.map(({ id }) => id), want);
    assert.deepEqual(valueOf(database.index("db", mayKnow)), { modified });
    const text = new TextDecoder().decode(database.index("modules", mayKnow).json);
    for (const id of ["ORG-1", "ORG-2"]) {
      assert.equal(text.includes(id), want.includes(id));
      assert.equal(database.entry(id, mayKnow) !== null, want.includes(id));
    }
  }
  // The same readers get the same file.
  const [first, second] = [1, 2].map(() => database.index("db", () => false));
  assert.equal(first, second);
});

Deno.test("mergeSteps() takes the first source's entry of an id", () => {
  const one = setOf(fakeEntry("B", { fixed: "1.0.0" }));
  const two = setOf(fakeEntry("A"), fakeEntry("B", { fixed: "2.0.0" }));
  const merged = atOnce(mergeSteps([one, two]));
  assert.deepEqual([...merged.keys()], ["A", "B"]);
  assert.equal(merged.get("B"), one.get("B"));
  assert.equal(atOnce(mergeSteps([one])), one);
  assert.equal(atOnce(mergeSteps([])).size, 0);
});
