import assert from "node:assert/strict";
import { fakeEntry } from "../../tests/fakes/vulndb.ts";
import { GrowingSet, readEntry, storedEntry } from "./entry_set.ts";
import { InvalidAdvisoryError, MAX_ENTRY_BYTES } from "./osv.ts";

const read = (entry: unknown) =>
  readEntry(new TextEncoder().encode(JSON.stringify(entry, null, 2)), { nowMs: 0 });
const servedOf = (entry: unknown) => JSON.parse(new TextDecoder().decode(read(entry).json));

Deno.test("readEntry() keeps an entry as it is, as compact JSON", () => {
  const entry = { ...fakeEntry("A"), extra: { deep: [1, null, "ü"] }, database_specific: { x: 1 } };
  assert.deepEqual(read(entry).json, new TextEncoder().encode(JSON.stringify(entry)));
});

Deno.test("readEntry() adds what govulncheck cannot do without", () => {
  const bare = { ...fakeEntry("A"), database_specific: undefined };
  assert.deepEqual(servedOf(bare).database_specific, {});
  const references = [{ type: "WEB", url: "https://example.com/a" }];
  assert.deepEqual(servedOf({ ...bare, references }).database_specific, {
    url: "https://example.com/a",
  });
  assert.deepEqual(servedOf({ ...bare, database_specific: null }).database_specific, {});
});

Deno.test("storedEntry() is the same entry", () => {
  const entry = read(fakeEntry("A", { aliases: ["CVE-1"] }));
  assert.deepEqual(storedEntry(entry.json, entry.digest), entry);
});

Deno.test("readEntry() and GrowingSet refuse what is too much", () => {
  const large = { ...fakeEntry("A"), details: "x".repeat(MAX_ENTRY_BYTES) };
  assert.throws(() => read(large), InvalidAdvisoryError);
  const set = new GrowingSet();
  set.add(read(fakeEntry("A")));
  assert.throws(() => set.add(read(fakeEntry("A"))), /two have the id "A"/);
  assert.throws(() => readEntry(new Uint8Array([0x22, 0xff, 0x22]), { nowMs: 0 }), /not UTF-8/);
});
