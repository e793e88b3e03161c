import assert from "node:assert/strict";
import { characterOf } from "./code_point.ts";

const rows: readonly { input: number; want: string | null }[] = [
  { input: 0, want: "\0" },
  { input: 0x61, want: "a" },
  { input: 0xd7ff, want: "\ud7ff" },
  { input: 0xd800, want: null },
  { input: 0xdfff, want: null },
  { input: 0xe000, want: "\ue000" },
  { input: 0x10ffff, want: "\u{10ffff}" },
  { input: 0x110000, want: null },
  { input: Number.MAX_SAFE_INTEGER, want: null },
  { input: Infinity, want: null },
  { input: -1, want: null },
  { input: 1.5, want: null },
  { input: NaN, want: null },
];

Deno.test("characterOf() takes Unicode scalar values and nothing else", async (t) => {
  for (const { input, want } of rows) {
    await t.step(`${input}`, () => assert.equal(characterOf(input), want));
  }
});
