import assert from "node:assert/strict";
import fc from "fast-check";
import { Budget } from "../async/budget.ts";
import { LimitExceededError, UpstreamError } from "../errors.ts";
import { parseTree } from "./tree.ts";

const HASH = "a".repeat(40);

async function* chunks(text: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let start = 0; start < bytes.length; start += sizeBytes) {
    yield bytes.subarray(start, start + sizeBytes);
  }
}

async function parse(text: string, maxItems = 100, chunkBytes = 64) {
  const limits = { name: "tree", maxBytes: 1e6, maxItems, items: "entries", timeoutMs: null };
  const budget = new Budget(limits, { what: "it" });
  return await Array.fromAsync(parseTree(chunks(text, chunkBytes), budget));
}

Deno.test("parseTree()", async (t) => {
  const rows = [
    { input: "", want: [] },
    { input: `100644 blob ${HASH}     178\tgo.mod\0`, want: [["file", 178, "go.mod"]] },
    { input: `100664 blob ${HASH}       0\told\0`, want: [["file", 0, "old"]] },
    { input: `100755 blob ${HASH}    9999999\trun\0`, want: [["executable", 9_999_999, "run"]] },
    { input: `120000 blob ${HASH}       4\tlink\0`, want: [["symlink", 4, "link"]] },
    { input: `160000 commit ${HASH}       -\tsub\0`, want: [["submodule", 0, "sub"]] },
    { input: `040000 tree ${HASH}       -\tdir\0`, want: [] },
    { input: `100644 blob ${HASH}       1\ta\tb\nc d\0`, want: [["file", 1, "a\tb\nc d"]] },
    { input: `100644 blob ${HASH}       1\t\ufeffa.go\0`, want: [["file", 1, "\ufeffa.go"]] },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), async () => {
      const entries = await parse(input);
      assert.deepEqual(entries.map(({ kind, sizeBytes, path }) => [kind, sizeBytes, path]), want);
      assert.ok(entries.every(({ hash }) => hash === HASH));
    });
  }
});

Deno.test("parseTree() refuses", async (t) => {
  const rows = [
    { what: "an unknown mode", input: `100600 blob ${HASH} 1\ta\0`, want: UpstreamError },
    { what: "no hash", input: `100644 blob abc 1\ta\0`, want: UpstreamError },
    { what: "no size", input: `100644 blob ${HASH} x\ta\0`, want: UpstreamError },
    { what: "no tab", input: `100644 blob ${HASH} 1\0`, want: UpstreamError },
    { what: "an end in the middle", input: `100644 blob ${HASH} 1\ta`, want: UpstreamError },
    {
      what: "a mode that objects have",
      input: `toString blob ${HASH} 1\ta\0`,
      want: UpstreamError,
    },
    { what: "a very long path", input: "x".repeat(100_000), want: LimitExceededError },
    {
      what: "too many entries",
      input: `100644 blob ${HASH} 1\ta\0`.repeat(101),
      want: LimitExceededError,
    },
  ];
  for (const { what, input, want } of rows) {
    await t.step(what, () => assert.rejects(parse(input), want));
  }
});

Deno.test("parseTree() does not mind where its input is cut", async () => {
  const path = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !text.includes("\0"));
  await fc.assert(
    fc.asyncProperty(fc.array(path), fc.integer({ min: 1, max: 70 }), async (paths, n) => {
      const input = paths.map((path, i) =>
        `100644 blob ${HASH} ${String(i).padStart(7)}\t${path}\0`
      );
      const entries = await parse(input.join(""), 1000, n);
      assert.deepEqual(entries.map(({ path }) => path), paths);
      assert.deepEqual(entries.map(({ sizeBytes }) => sizeBytes), paths.map((_, i) => i));
    }),
  );
});
