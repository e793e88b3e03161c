import assert from "node:assert/strict";
import { cutOffSlowClient, type Sending, SlowClients } from "./slow_client.ts";

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

const LARGE_BYTES = 2 * 1024 * 1024;

/** What gives bytes as files do. */
function largeFile(): Response {
  const body = new ReadableStream({ type: "bytes" });
  return new Response(body, { headers: { "Content-Length": String(LARGE_BYTES) } });
}

function sending(overrides: Partial<Sending> = {}): Sending {
  return {
    completed: new Promise(() => {}),
    onSlow: () => {},
    onCutOff: () => assert.fail("nobody is to be cut off here"),
    ...overrides,
  };
}

Deno.test("SlowClients leaves a few files to the runtime, as they are", async (t) => {
  const clients = new SlowClients({ timeoutMs: 60_000, maxUnwatched: 1 });
  const first = Promise.withResolvers<void>();
  const responses = [largeFile(), largeFile()];
  const guarded = responses.map((response) =>
    clients.guard(response, sending({ completed: first.promise }))
  );
  await t.step("the first", () => assert.equal(guarded[0], responses[0]));
  await t.step("no more at once", () => assert.notEqual(guarded[1], responses[1]));
  await t.step("the next when the first has failed", async () => {
    first.reject(new Error("the client has gone"));
    await first.promise.catch(() => {});
    const next = largeFile();
    assert.equal(clients.guard(next, sending({ completed: Promise.resolve() })), next);
  });
  await guarded[1]?.body?.cancel();
});

Deno.test("SlowClients watches what is no file, and what nobody can tell the end of", async (t) => {
  const clients = new SlowClients({ timeoutMs: 60_000 });
  const headers = { "Content-Length": String(LARGE_BYTES) };
  const rows = [
    { name: "no stream of bytes", response: new Response(new ReadableStream(), { headers }) },
    { name: "no end is told", response: largeFile(), completed: undefined },
  ];
  for (const { name, response, ...rest } of rows) {
    await t.step(name, async () => {
      const guarded = clients.guard(response, sending(rest));
      assert.notEqual(guarded, response);
      await guarded.body?.cancel();
    });
  }
});

Deno.test("SlowClients leaves small bodies alone", () => {
  const clients = new SlowClients({ timeoutMs: 1, maxUnwatched: 0 });
  const response = new Response("small", { headers: { "Content-Length": "5" } });
  assert.equal(clients.guard(response, sending()), response);
});

Deno.test("SlowClients tells when an unwatched body takes long", async () => {
  const clients = new SlowClients({ timeoutMs: 1 });
  const slow = Promise.withResolvers<void>();
  const completed = Promise.withResolvers<void>();
  clients.guard(largeFile(), sending({ completed: completed.promise, onSlow: slow.resolve }));
  await slow.promise;
  completed.resolve();
});

Deno.test("SlowClients cuts off a watched body", async () => {
  const clients = new SlowClients({ timeoutMs: 1, maxUnwatched: 0 });
  const cut = Promise.withResolvers<void>();
  const { body } = clients.guard(largeFile(), sending({ onCutOff: cut.resolve }));
  await cut.promise;
  await assert.rejects(new Response(body).bytes(), /took nothing/);
});
