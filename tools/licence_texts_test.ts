import assert from "node:assert/strict";
import { atOnce } from "../lib/async/pace.ts";
import { encodeTable, readPackedTable, unpackTable } from "../lib/spdx/table.ts";
import identifiers from "../lib/spdx/identifiers.json" with { type: "json" };
import { makeContent, makeIdentifiersFile } from "./licence_texts.ts";

Deno.test("lib/spdx/texts.json is what `deno task licences` writes", async () => {
  const content = makeContent();
  const table = atOnce(unpackTable(await readPackedTable()));
  assert.deepEqual(
    encodeTable({ words: table.spelled, texts: table.texts, sequence: table.words }),
    encodeTable(content),
    "run `deno task licences`",
  );
});

Deno.test("lib/spdx/identifiers.json is what `deno task licences` writes", () => {
  assert.deepEqual(identifiers, JSON.parse(makeIdentifiersFile()), "run `deno task licences`");
});

Deno.test("all texts of the table have identifiers of SPDX, or are references", () => {
  const known = new Set([...identifiers.current, ...identifiers.deprecated]);
  const exceptions = new Set(identifiers.exceptions);
  for (const { id } of makeContent().texts) {
    const [licence = "", exception] = id.split(" WITH ");
    assert.ok(known.has(licence) || licence.startsWith("LicenseRef-"), id);
    assert.ok(exception === undefined || exceptions.has(exception), id);
  }
});
