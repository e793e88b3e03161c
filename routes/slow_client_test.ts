import assert from "node:assert/strict";
import { cutOffSlowClient } from "./slow_client.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const NEVER = { timeoutMs: 60_000, onCutOff: () => assert.fail("nobody is slow here") };

/** A body that nobody reads is cut off after `timeoutMs`. */
async function unread(timeoutMs: number): Promise<ReadableStream<Bytes>> {
  const cut = Promise.withResolvers<void>();
  const body = cutOffSlowClient(new Blob(["x"]).stream(), { timeoutMs, onCutOff: cut.resolve });
  await cut.promise;
  return body;
}

Deno.test("cutOffSlowClient() gives the bytes of any stream", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const chunks = () => ReadableStream.from([bytes.subarray(0, 1000), bytes.subarray(1000)]);
  for (const body of [new Blob([bytes]).stream(), chunks()]) {
    assert.deepEqual(await new Response(cutOffSlowClient(body, NEVER)).bytes(), bytes);
  }
});

Deno.test("cutOffSlowClient() gives the bytes of a file, in large pieces", async () => {
  const file = await Deno.makeTempFile();
  try {
    const bytes = new Uint8Array(1_000_000).fill(7);
    await Deno.writeFile(file, bytes);
    const body = cutOffSlowClient((await Deno.open(file)).readable, NEVER);
    const sizes: number[] = [];
    for await (const chunk of body) sizes.push(chunk.length);
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), bytes.length);
    assert.ok(sizes.length <= 8, `${sizes.length} pieces`);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("cutOffSlowClient() fails the body that nobody reads", async () => {
  const body = await unread(1);
  await assert.rejects(new Response(body).bytes(), /took nothing for 0\.001 s/);
});

Deno.test("cutOffSlowClient() cancels what it read from", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const source = new ReadableStream<Bytes>({ cancel: cancelled.resolve });
  cutOffSlowClient(source, { timeoutMs: 1, onCutOff: () => {} });
  assert.match(String(await cancelled.promise), /took nothing/);
});

Deno.test("cutOffSlowClient() passes on that the client has gone", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const source = new ReadableStream<Bytes>({ cancel: cancelled.resolve });
  await cutOffSlowClient(source, NEVER).cancel("gone");
  assert.equal(await cancelled.promise, "gone");
});

Deno.test("cutOffSlowClient() is patient with a slow source", async () => {
  const gate = Promise.withResolvers<void>();
  const source = new ReadableStream<Bytes>({
    async pull(controller) {
      await gate.promise;
      controller.enqueue(new Uint8Array(3));
      controller.close();
    },
  });
  const onCutOff = () => assert.fail("it is the source that is slow");
  const body = cutOffSlowClient(source, { timeoutMs: 5, onCutOff });
  const bytes = new Response(body).bytes();
  // Longer than this body's own time.
  await unread(20);
  gate.resolve();
  assert.equal((await bytes).length, 3);
});

Deno.test("cutOffSlowClient() passes on that the source fails", async () => {
  const source = new ReadableStream<Bytes>({ pull: () => Promise.reject(new Error("disk")) });
  await assert.rejects(new Response(cutOffSlowClient(source, NEVER)).bytes(), /disk/);
});
