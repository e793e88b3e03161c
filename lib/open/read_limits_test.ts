import assert from "node:assert/strict";
import { READ_LIMITS, readLimitsTable } from "./read_limits.ts";

/** The cells of a table in Markdown: how they are aligned does not count. */
function cellsOf(table: string): string[][] {
  const lines = table.split("\n").filter((line) => !/^\|[ -]*-[ -|]*$/.test(line));
  return lines.map((line) => line.split("|").map((cell) => cell.trim()));
}

Deno.test("docs/operating.md has the table of all limits", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/operating.md", import.meta.url));
  const start = text.indexOf("\n| limit ") + 1;
  assert.ok(start > 0, "it has the table");
  const table = text.slice(start, text.indexOf("\n\n", start));
  assert.deepEqual(cellsOf(table), cellsOf(readLimitsTable()));
});

Deno.test("every limit has a name of its own", () => {
  const names = READ_LIMITS.map(({ limits }) => limits.name);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("every reader's limits are in the list", async () => {
  const listed = new Set(READ_LIMITS.map(({ limits }) => limits.name));
  const root = new URL("..", import.meta.url);
  for (
    const folder of ["advisories", "auth", "credentials", "git", "http", "source", "store", "sumdb"]
  ) {
    for await (const { name: file } of Deno.readDir(new URL(`${folder}/`, root))) {
      if (!file.endsWith(".ts") || file.endsWith("_test.ts")) continue;
      const code = await Deno.readTextFile(new URL(`${folder}/${file}`, root));
      // A literal that is of the shape of limits.
      for (const [, name = ""] of code.matchAll(/name: "([^"]+)",\s*(?:maxBytes|limitBytes)/g)) {
        assert.ok(listed.has(name), `${folder}/${file}: "${name}" is in the list`);
      }
    }
  }
});
