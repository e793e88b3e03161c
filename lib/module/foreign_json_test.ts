import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_JSON_VALUES, parseForeignJson } from "./foreign_json.ts";

Deno.test("parseForeignJson() reads what JSON.stringify() writes", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify(value);
    assert.deepEqual(parseForeignJson(text), JSON.parse(text));
  }));
});

Deno.test("parseForeignJson() counts values", async (t) => {
  const max = MAX_JSON_VALUES;
  const texts: Record<string, (count: number) => string> = {
    "a list": (count) => `[${Array(count).fill(1).join(",")}]`,
    "lists in lists": (count) => "[".repeat(count) + "]".repeat(count),
    "an object": (count) => `{${Array.from({ length: count }, (_, i) => `"${i}":1`).join(",")}}`,
  };
  for (const [name, text] of Object.entries(texts)) {
    await t.step(name, () => {
      assert.doesNotThrow(() => parseForeignJson(text(max)));
      assert.throws(() => parseForeignJson(text(max + 1)), {
        name: "SyntaxError",
        message: `the JSON has more than ${max} values`,
      });
    });
  }
});

Deno.test("parseForeignJson() does not count what is in strings", () => {
  for (const part of ["[", ",", "{", '\\",', "\\\\"]) {
    const text = JSON.stringify(part.repeat(MAX_JSON_VALUES + 1));
    assert.equal(parseForeignJson(text), part.repeat(MAX_JSON_VALUES + 1));
  }
});

Deno.test("parseForeignJson() refuses what is not JSON", () => {
  for (const text of ["", "[", '"', '"\\', "{a:1}", "1,2"]) {
    assert.throws(() => parseForeignJson(text), SyntaxError);
  }
});
