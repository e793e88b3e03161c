import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_QUOTED_CHARACTERS, quoted } from "./quoted.ts";

const TABLE: { input: string; want: string }[] = [
  { input: "", want: '""' },
  { input: "example.com/m@v1.0.0", want: '"example.com/m@v1.0.0"' },
  { input: 'a"b\\c', want: '"a\\"b\\\\c"' },
  { input: "a\tb\u001b[31m\x7f", want: '"a\\u{9}b\\u{1b}[31m\\u{7f}"' },
  { input: "\u00e9\u{1f600}", want: '"\\u{e9}\\u{1f600}"' },
  { input: "\ud800", want: '"\\u{d800}"' },
  { input: "a".repeat(128), want: `"${"a".repeat(128)}"` },
  { input: "a".repeat(129), want: `"${"a".repeat(128)}"...` },
  { input: "a".repeat(127) + "\n", want: `"${"a".repeat(127)}"...` }, // An escape is never cut.
];

Deno.test("quoted() escapes and cuts", async (t) => {
  for (const { input, want } of TABLE) {
    await t.step(want, () => assert.equal(quoted(input), want));
  }
});

Deno.test("quoted() answers short printable ASCII whatever it is given", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 500 }), (text) => {
    assert.match(quoted(text), /^"[ -~]*"(?:\.\.\.)?$/);
    assert.ok(quoted(text).length <= MAX_QUOTED_CHARACTERS + 5);
  }));
});
