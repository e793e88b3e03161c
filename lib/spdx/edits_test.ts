import assert from "node:assert/strict";
import fc from "fast-check";
import { atOnce } from "../async/pace.ts";
import { type Edit, hunksOf, isFaithful, MAX_INSERTED_WORDS, MAX_REMOVED_WORDS } from "./edits.ts";

const words = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 30 })
  .map((numbers) => Uint16Array.from(numbers));

/** The least number of edits, by a table of all pairs. */
function distance(a: Uint16Array, b: Uint16Array): number {
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const word of a) {
    const row = [(last[0] ?? 0) + 1];
    for (const [j, other] of b.entries()) {
      row.push(
        word === other ? last[j] ?? 0 : 1 + Math.min(last[j + 1] ?? 0, row[j] ?? 0),
      );
    }
    last = row;
  }
  return last.at(-1) ?? 0;
}

Deno.test("hunksOf() finds the fewest edits, and they make one text of the other", () => {
  fc.assert(fc.property(words, words, (licence, text) => {
    const hunks = atOnce(hunksOf({ licence, text, maxEdits: 100 }));
    assert.ok(hunks !== null);
    const made: number[] = [];
    let at = 0;
    let edits = 0;
    for (const { licence: [from, to], text: [first, last] } of hunks) {
      made.push(...licence.subarray(at, from), ...text.subarray(first, last));
      edits += to - from + last - first;
      at = to;
    }
    made.push(...licence.subarray(at));
    assert.deepEqual(made, [...text]);
    assert.equal(edits, distance(licence, text));
  }));
});

Deno.test("hunksOf() gives up past the limit", () => {
  const [licence, text] = [Uint16Array.from([1, 2, 3]), Uint16Array.from([1, 4, 3])];
  assert.equal(atOnce(hunksOf({ licence, text, maxEdits: 1 })), null);
  assert.deepEqual(atOnce(hunksOf({ licence, text, maxEdits: 2 })), [
    { licence: [1, 2], text: [1, 2] },
  ]);
});

function edit(removed: string, inserted: string): Edit {
  const split = (text: string) => text.split(" ").filter((word) => word !== "");
  return { removed: split(removed), inserted: split(inserted) };
}

const HARMLESS: Edit[] = [
  edit("copyright holder", "go gopher inc"),
  edit("its", "their"),
  edit("", "the software"),
  edit("and associated documentation files", ""),
  edit("without restriction", ""),
  edit("", "x ".repeat(MAX_INSERTED_WORDS)),
  edit("x ".repeat(MAX_REMOVED_WORDS), ""),
  edit("not be liable", "be not liable"),
];

const HARMFUL: Edit[] = [
  edit("", "not"),
  edit("not", ""),
  edit("shall", "may only"),
  edit("without restriction", "with restriction"),
  edit("", "for non commercial use"),
  edit("", "except as noted below"),
  edit("", "x ".repeat(MAX_INSERTED_WORDS + 1)),
  edit("x ".repeat(MAX_REMOVED_WORDS + 1), ""),
];

Deno.test("isFaithful() allows names and lesser changes", async (t) => {
  for (const edit of HARMLESS) {
    await t.step(JSON.stringify(edit), () => assert.ok(isFaithful([edit], "text")));
  }
});

Deno.test("isFaithful() allows no new condition", async (t) => {
  for (const bad of HARMFUL) {
    await t.step(JSON.stringify(bad), () => {
      assert.ok(!isFaithful([edit("its", "their"), bad], "text"));
    });
  }
});

Deno.test("isFaithful() wants a notice to name the same licence in the same version", () => {
  for (
    const bad of [edit("2", "3"), edit("general", "lesser general"), edit("apache", "mozilla")]
  ) {
    assert.ok(!isFaithful([bad], "notice"), JSON.stringify(bad));
    assert.ok(isFaithful([bad], "text"), JSON.stringify(bad));
  }
  assert.ok(isFaithful([edit("program", "gopherprog")], "notice"));
});
