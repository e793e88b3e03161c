import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { buffer } from "node:stream/consumers";
// @ts-types="npm:@types/tar-stream@3.1.5"
import { type Headers, pack } from "tar-stream";
import { readTar } from "./tar.ts";

/** What one read of the archive brings, as from a pipe. */
const CHUNK_BYTES = 700;

async function makeTar(
  entries: readonly (Headers & { content?: string })[],
): Promise<Uint8Array<ArrayBuffer>> {
  const tar = pack();
  for (const { content = "", ...headers } of entries) tar.entry(headers, content);
  tar.finalize();
  return new Uint8Array(await buffer(tar));
}

/** A stream of `bytes`, which then ends or fails, and whether it was cancelled. */
function archiveOf(bytes: Uint8Array<ArrayBuffer>, failure?: Error) {
  let offset = 0;
  const state = { isCancelled: false, readBytes: 0 };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const chunk = bytes.slice(offset, offset += CHUNK_BYTES);
      state.readBytes += chunk.length;
      if (chunk.length > 0) return controller.enqueue(chunk);
      if (failure === undefined) controller.close();
      else controller.error(failure);
    },
    cancel() {
      state.isCancelled = true;
    },
  });
  return { stream, state };
}

async function readAll(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const files: { name: string; sizeBytes: number; text: string }[] = [];
  for await (const { name, sizeBytes, content } of readTar(stream)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    files.push({ name, sizeBytes, text: Buffer.concat(chunks).toString() });
  }
  return files;
}

Deno.test("readTar() gives the regular files", async () => {
  const long = `${"directory/".repeat(30)}über.go`;
  const text = "x".repeat(5000);
  const { stream } = archiveOf(
    await makeTar([
      { name: "a/", type: "directory" },
      { name: "a/empty" },
      { name: "a/run.sh", mode: 0o755, content: "#!/bin/sh\n" },
      { name: "a/link", type: "symlink", linkname: "empty" },
      { name: "long.go", content: text },
      { name: long, content: "package long\n" },
    ]),
  );
  assert.deepEqual(await readAll(stream), [
    { name: "a/empty", sizeBytes: 0, text: "" },
    { name: "a/run.sh", sizeBytes: 10, text: "#!/bin/sh\n" },
    { name: "long.go", sizeBytes: 5000, text },
    { name: long, sizeBytes: 13, text: "package long\n" },
  ]);
});

Deno.test("readTar() skips content that nobody reads", async () => {
  const files = Array.from(
    { length: 5 },
    (_, i) => ({ name: `${i}`, content: "x".repeat(i * 999) }),
  );
  const { stream } = archiveOf(await makeTar(files));
  const names = [];
  for await (const { name, sizeBytes, content } of readTar(stream)) {
    names.push(name);
    if (sizeBytes !== 999) continue;
    for await (const chunk of content) assert.match(Buffer.from(chunk).toString(), /^x+$/);
  }
  assert.deepEqual(names, ["0", "1", "2", "3", "4"]);
});

Deno.test("readTar() reads names that are not UTF-8 as U+FFFD", async () => {
  const tar = await makeTar([{ name: "a?b", content: "x" }]);
  tar[1] = 0xff;
  let sum = 0;
  for (let i = 0; i < 512; i++) sum += 148 <= i && i < 156 ? 0x20 : tar[i] ?? 0;
  tar.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  assert.deepEqual((await readAll(archiveOf(tar).stream)).map(({ name }) => name), ["a\ufffdb"]);
});

Deno.test("readTar() throws what the archive throws", async () => {
  const tar = await makeTar([{ name: "a", content: "x".repeat(3000) }]);
  const failure = new Error("git ended with 128");
  for (const sizeBytes of [0, 100, 512, 2000, tar.length]) {
    await assert.rejects(
      readAll(archiveOf(tar.slice(0, sizeBytes), failure).stream),
      (error) => error === failure,
      `after ${sizeBytes} bytes`,
    );
  }
});

Deno.test("readTar() refuses what is cut off or no tar", async () => {
  const tar = await makeTar([{ name: "a", content: "x".repeat(3000) }]);
  await assert.rejects(readAll(archiveOf(tar.slice(0, 2000)).stream));
  await assert.rejects(readAll(archiveOf(new Uint8Array(2000).fill(0x41)).stream));
});

Deno.test("readTar() cancels the archive when its caller stops", async () => {
  const { stream, state } = archiveOf(
    await makeTar([{ name: "a", content: "x" }, { name: "b", content: "x".repeat(5_000_000) }]),
  );
  for await (const { name } of readTar(stream)) {
    if (name === "b") break;
  }
  assert.equal(state.isCancelled, true);
  assert.ok(state.readBytes < 1_000_000, `${state.readBytes} bytes were read`);
});

Deno.test("readTar() cancels the archive when it cannot be read", async () => {
  const { stream, state } = archiveOf(new Uint8Array(5_000_000).fill(0x41));
  await assert.rejects(readAll(stream));
  assert.equal(state.isCancelled, true);
});
