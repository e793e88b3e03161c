import assert from "node:assert/strict";
import { GatheredLines, MAX_GATHERED_BYTES } from "./buffered_lines.ts";
import { within } from "../../tests/support/eventually.ts";

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function gather() {
  const written: string[] = [];
  return { written, lines: new GatheredLines((bytes) => void written.push(textOf(bytes))) };
}

Deno.test("GatheredLines writes lines together, in their order, after a while", async () => {
  const { written, lines } = gather();
  const done = Promise.withResolvers<void>();
  const late = new GatheredLines((bytes) => {
    written.push(textOf(bytes));
    done.resolve();
  });
  late.write("one\n");
  late.write("two\n");
  assert.deepEqual(written, []);
  await within("the lines to be written", done.promise);
  assert.deepEqual(written, ["one\ntwo\n"]);
  lines.flush();
  assert.equal(written.length, 1);
});

Deno.test("GatheredLines.flush() writes what there is, once", () => {
  const { written, lines } = gather();
  lines.write("one\n");
  lines.flush();
  lines.flush();
  assert.deepEqual(written, ["one\n"]);
});

Deno.test("GatheredLines.end() writes what there is, and what comes later at once", () => {
  const { written, lines } = gather();
  lines.write("one\n");
  lines.end();
  lines.write("two\n");
  assert.deepEqual(written, ["one\n", "two\n"]);
});

Deno.test("GatheredLines writes no more in one piece than a pipe takes in one piece", async (t) => {
  for (const [name, letter] of [["ASCII", "x"], ["three bytes each", "\u20ac"]] as const) {
    await t.step(name, () => {
      const { written, lines } = gather();
      const all = Array.from({ length: 500 }, (_, i) => `${i} ${letter.repeat(i % 90)}\n`);
      for (const line of all) lines.write(line);
      lines.flush();
      assert.equal(written.join(""), all.join(""));
      const sizes = written.map((text) => new TextEncoder().encode(text).length);
      assert.ok(Math.max(...sizes) <= MAX_GATHERED_BYTES);
      assert.ok(written.length < all.length / 10);
      assert.ok(written.every((text) => text.endsWith("\n")));
    });
  }
});

Deno.test("GatheredLines writes a line by itself that is longer than that", () => {
  const { written, lines } = gather();
  const long = `${"x".repeat(MAX_GATHERED_BYTES)}\n`;
  for (const line of ["one\n", long, "two\n"]) lines.write(line);
  lines.flush();
  assert.deepEqual(written, ["one\n", long, "two\n"]);
});
