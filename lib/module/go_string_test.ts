import assert from "node:assert/strict";
import fc from "fast-check";
import { unquoteGo } from "./go_string.ts";

const TABLE: { input: string; want: string | null }[] = [
  { input: '""', want: "" },
  { input: '"a"', want: "a" },
  { input: '"a\'b`c"', want: "a'b`c" },
  { input: '"\\a\\b\\f\\n\\r\\t\\v\\\\\\""', want: '\x07\b\f\n\r\t\v\\"' },
  { input: '"\\x41\\101\\u0041\\U00000041"', want: "AAAA" },
  { input: '"\\xc3\\xa9"', want: "\u00e9" },
  { input: '"\\377"', want: "\ufffd" },
  { input: '"\\U0001f600\u00e9"', want: "\u{1f600}\u00e9" },
  { input: "``", want: "" },
  { input: '`a\\x41"b`', want: 'a\\x41"b' },
  { input: "`a\r\nb`", want: "a\nb" },
  { input: "", want: null },
  { input: "a", want: null },
  { input: '"', want: null },
  { input: "`", want: null },
  { input: '"a', want: null },
  { input: '"a`', want: null },
  { input: '"a"b"', want: null },
  { input: '"a\nb"', want: null },
  { input: '"a\\"', want: null },
  { input: '"\\\'"', want: null },
  { input: '"\\q"', want: null },
  { input: '"\\400"', want: null },
  { input: '"\\08"', want: null },
  { input: '"\\x4"', want: null },
  { input: '"\\u004"', want: null },
  { input: '"\\ud800"', want: null },
  { input: '"\\U00110000"', want: null },
  { input: "`a`b`", want: null },
  { input: "'a'", want: null },
  { input: ' "a"', want: null },
];

Deno.test("unquoteGo() reads Go's string literals", async (t) => {
  for (const { input, want } of TABLE) {
    await t.step(JSON.stringify(input), () => assert.equal(unquoteGo(input), want));
  }
});

Deno.test("unquoteGo() reads the string literals of JSON that Go has too", () => {
  const text = fc.string({ unit: "grapheme" }).filter((text) => text.isWellFormed());
  fc.assert(fc.property(text, (text) => {
    assert.equal(unquoteGo(JSON.stringify(text)), text);
  }));
});
