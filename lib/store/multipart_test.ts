import assert from "node:assert/strict";
import fc from "fast-check";
import { crc32c, crc32cText } from "./crc32c.ts";
import type { Content } from "./object_store.ts";
import { crc32cOf, partsOf } from "./multipart.ts";
import { within } from "../../tests/support/eventually.ts";

function contentOf(chunks: readonly Uint8Array[]): Content {
  return {
    sizeBytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    open: () => ReadableStream.from(chunks.map((chunk) => chunk.slice())),
  };
}

Deno.test("partsOf() cuts content into parts of a size, however it comes", async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(chunks, fc.integer({ min: 1, max: 40 }), async (chunks, partSizeBytes) => {
      const content = contentOf(chunks);
      const parts = await Array.fromAsync(partsOf(content, { partSizeBytes }));
      const whole = await new Response(content.open()).bytes();
      assert.deepEqual(await new Blob(parts).bytes(), whole);
      assert.equal(parts.length, Math.ceil(whole.length / partSizeBytes));
      for (const part of parts.slice(0, -1)) assert.equal(part.length, partSizeBytes);
      assert.equal(await crc32cOf(content), crc32cText(crc32c(whole)));
    }),
  );
});

Deno.test("partsOf() refuses content that has not the size it says", async (t) => {
  for (const sizeBytes of [0, 2, 4, 100]) {
    await t.step(`3 bytes that say they are ${sizeBytes}`, async () => {
      const content = { ...contentOf([new Uint8Array(3)]), sizeBytes };
      await assert.rejects(
        Array.fromAsync(partsOf(content, { partSizeBytes: 2 })),
        /does not have/,
      );
      await assert.rejects(crc32cOf(content), /does not have/);
    });
  }
});

Deno.test("partsOf() ends, and lets go of the content, when it is told to", async (t) => {
  const reason = new Error("gone");
  const endless = (cancelled: () => void): Content => ({
    sizeBytes: 1e9,
    open: () =>
      new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array(10)),
        pull: () => new Promise(() => {}),
        cancel: cancelled,
      }),
  });
  const ways = {
    partsOf: (content: Content, signal: AbortSignal) =>
      Array.fromAsync(partsOf(content, { partSizeBytes: 10, signal })),
    crc32cOf,
  };
  for (const [name, run] of Object.entries(ways)) {
    await t.step(name, async () => {
      const cancelled = Promise.withResolvers<void>();
      const controller = new AbortController();
      const running = run(endless(cancelled.resolve), controller.signal);
      controller.abort(reason);
      await assert.rejects(running, reason);
      await within("the content to be cancelled", cancelled.promise);
    });
  }
  await t.step("a reader that leaves", async () => {
    const cancelled = Promise.withResolvers<void>();
    for await (const part of partsOf(endless(cancelled.resolve), { partSizeBytes: 10 })) {
      assert.equal(part.length, 10);
      break;
    }
    await within("the content to be cancelled", cancelled.promise);
  });
});
