import assert from "node:assert/strict";
import { openReader } from "./body_reader.ts";

const CONTENT = crypto.getRandomValues(new Uint8Array(60_000));

const BODIES: { name: string; body: () => ReadableStream<Uint8Array<ArrayBuffer>> }[] = [
  { name: "a stream of bytes", body: () => new Blob([CONTENT]).stream() },
  {
    name: "a stream of chunks",
    body: () => ReadableStream.from([CONTENT.subarray(0, 1000), CONTENT.subarray(1000)]),
  },
];

Deno.test("openReader() gives the bytes of any stream, whether or not memory is used again", async (t) => {
  for (const { name, body } of BODIES) {
    for (const recycles of [false, true]) {
      await t.step(`${name}${recycles ? ", recycled" : ""}`, async () => {
        const reader = openReader(body(), { recycles });
        const found: number[] = [];
        for (let piece; (piece = await reader.read()) !== null;) found.push(...piece);
        assert.deepEqual(new Uint8Array(found), CONTENT);
        assert.equal(await reader.read(), null);
      });
    }
  }
});

Deno.test("openReader() uses the same memory for all pieces of a file when it recycles", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, new Uint8Array(1_000_000));
    for (const recycles of [false, true]) {
      const reader = openReader((await Deno.open(file)).readable, { recycles });
      const first = await reader.read();
      assert.ok(first !== null);
      await reader.read();
      // A buffer that was handed on again has no bytes here any more.
      assert.equal(first.length === 0, recycles);
      await reader.cancel(null);
    }
  } finally {
    await Deno.remove(file);
  }
});
