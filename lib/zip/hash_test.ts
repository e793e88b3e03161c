import assert from "node:assert/strict";
import fc from "fast-check";
import { h1OfFiles } from "../../tests/support/module_zip.ts";
import { type HashedEntry, hashEntries, hashGoMod } from "./hash.ts";

/** The SHA-256 of nothing. */
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

function emptyEntries(names: readonly string[]): HashedEntry[] {
  return names.map((name) => ({ name, sha256: EMPTY }));
}

Deno.test("hashEntries() has the lines in the order of the names' bytes", async (t) => {
  const tables: string[][] = [
    ["b", "a"],
    ["a/b", "a-b", "a.b", "a"],
    ["a", "B", "\u00e9", "e"],
    ["\u{10400}", "\uff21", "\ud7fb", "\ue000", "\uffff", "z"],
    ["x\u{1f600}", "x\uff21", "x"],
  ];
  for (const names of tables) {
    await t.step(names.join(" "), () => {
      assert.equal(hashEntries(emptyEntries(names)), h1OfFiles(names.map((name) => [name, ""])));
    });
  }
});

Deno.test("hashEntries() sorts any names as their bytes", () => {
  const unit = fc.constantFrom(
    "a",
    "B",
    "/",
    "\u00e9",
    "\ud7fb",
    "\ue000",
    "\uffff",
    "\u{10000}",
    "\u{10ffff}",
  );
  const names = fc.uniqueArray(fc.string({ unit, maxLength: 4 }), { maxLength: 20 });
  fc.assert(fc.property(names, (names) => {
    assert.equal(hashEntries(emptyEntries(names)), h1OfFiles(names.map((name) => [name, ""])));
  }));
});

Deno.test("hashEntries() counts an entry as often as it is there", () => {
  assert.notEqual(hashEntries(emptyEntries(["a/", "a/"])), hashEntries(emptyEntries(["a/"])));
});

Deno.test("hashEntries() leaves the list as it was", () => {
  const entries = emptyEntries(["b", "a"]);
  hashEntries(entries);
  assert.deepEqual(entries.map(({ name }) => name), ["b", "a"]);
});

Deno.test("hashEntries() refuses a newline, which could stand for another entry", () => {
  const forged = `a\n${EMPTY}  b`;
  assert.throws(() => hashEntries(emptyEntries([forged])), /newline in "a\\ne3b0c4/);
});

Deno.test("hashGoMod() is what go.sum files have", () => {
  const goMod = new TextEncoder().encode("module github.com/pkg/errors\n");
  assert.equal(hashGoMod(goMod), "h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=");
});
