import assert from "node:assert/strict";
import { caseFold } from "./case_fold.ts";
import golden from "../../tests/testdata/zips/fold.json" with { type: "json" };

const classes = golden.classes.split(" ").map((text) => [...text]);
const unassigned = golden.unassigned.split(" ").map((range) =>
  range.split("-").map((hex) => parseInt(hex, 16))
);

/** In the Unicode that this Go knows. */
function isUnassigned(character: string): boolean {
  const codePoint = character.codePointAt(0) ?? 0;
  return unassigned.some(([first = 0, last = 0]) => first <= codePoint && codePoint <= last);
}

function* allCharacters(): Generator<string> {
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
    const character = String.fromCodePoint(codePoint);
    if (character.isWellFormed()) yield character;
  }
}

Deno.test("caseFold() takes every class of strings.EqualFold for one", () => {
  assert.ok(classes.length > 1000);
  for (const [first = "", ...others] of classes) {
    for (const other of others) assert.equal(caseFold(other), caseFold(first), `${first} ${other}`);
  }
});

Deno.test("caseFold() takes no two characters for one that strings.EqualFold does not", () => {
  const classOf = new Map(classes.flatMap((members) => members.map((c) => [c, members])));
  for (const character of allCharacters()) {
    const key = caseFold(character);
    if (key === character || classOf.get(character)?.includes(key)) continue;
    const isNewer = isUnassigned(character) || isUnassigned(key);
    assert.ok(isNewer, `${character} has the key ${key}`);
  }
});

const PAIRS: { a: string; b: string; want: boolean }[] = [
  { a: "README", b: "readme", want: true },
  { a: "mask", b: "ma\u017f\u212a", want: true },
  { a: "\u1e9e", b: "\u00df", want: true },
  { a: "stra\u00dfe", b: "strasse", want: false },
  { a: "I", b: "\u0131", want: false },
  { a: "i", b: "\u0130", want: false },
  { a: "\u03a3", b: "\u03c2", want: true },
  { a: "\u0390", b: "\u1fd3", want: false }, // equal since Unicode 15.1, so not in Go 1.26
  { a: "\u{10400}", b: "\u{10428}", want: true },
  { a: "\u00e9", b: "e\u0301", want: false }, // no normalization
];

Deno.test("caseFold() of names", async (t) => {
  for (const { a, b, want } of PAIRS) {
    await t.step(`${a} and ${b}`, () => assert.equal(caseFold(a) === caseFold(b), want));
  }
});
