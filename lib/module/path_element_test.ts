import assert from "node:assert/strict";
import characters from "../../tests/testdata/golden/characters.json" with { type: "json" };
import { elementFault, pathFault } from "./path_element.ts";

const ASCII = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));

function allowed(isFine: (character: string) => boolean): string {
  return ASCII.filter(isFine).join("");
}

/** The characters of ranges such as `aa-aa b5-ba`. */
function* charactersIn(ranges: string): Generator<string, void> {
  for (const range of ranges.split(" ")) {
    const [first = NaN, last = NaN] = range.split("-").map((hex) => parseInt(hex, 16));
    for (let code = first; code <= last; code++) yield String.fromCodePoint(code);
  }
}

Deno.test("pathFault() allows the ASCII characters that Go allows", async (t) => {
  await t.step("in a module path", () => {
    const got = allowed((c) => pathFault(`x.y/a${c}z`, "module") === null);
    assert.equal(got, characters.inPathElement);
  });
  await t.step("in a file name", () => {
    assert.equal(allowed((c) => pathFault(`a${c}z`, "file") === null), characters.inFileName);
  });
});

Deno.test("elementFault() allows a file name every letter that Go knows", () => {
  for (const character of charactersIn(characters.letters)) {
    assert.equal(elementFault(character, "file"), null);
  }
});

Deno.test("elementFault() allows a file name no other character that Go knows", () => {
  for (const character of charactersIn(characters.others)) {
    assert.notEqual(elementFault(character, "file"), null, `U+${character.codePointAt(0)}`);
  }
});

Deno.test("elementFault() allows a module path no letter beyond ASCII", () => {
  for (const character of charactersIn(characters.letters)) {
    assert.notEqual(elementFault(character, "module"), null, `U+${character.codePointAt(0)}`);
  }
});
