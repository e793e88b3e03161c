import assert from "node:assert/strict";
import type { Answer, AnswerBody } from "./answer.ts";
import { cutOffSlowClient, type Sending, SlowClients } from "./slow_client.ts";
import { eventually, within } from "../tests/support/eventually.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const NEVER = { timeoutMs: 60_000, onCutOff: () => assert.fail("nobody is slow here") };

/** A body that nobody reads is cut off after `timeoutMs`. */
async function unread(timeoutMs: number): Promise<ReadableStream<Bytes>> {
  const cut = Promise.withResolvers<void>();
  const body = cutOffSlowClient(new Blob(["x"]).stream(), { timeoutMs, onCutOff: cut.resolve });
  await within("the body to be cut off", cut.promise);
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
  await assert.rejects(new Response(body).bytes(), /read nothing for 0\.001 s/);
});

Deno.test("cutOffSlowClient() cancels what it read from", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const source = new ReadableStream<Bytes>({ cancel: cancelled.resolve });
  cutOffSlowClient(source, { timeoutMs: 1, onCutOff: () => {} });
  assert.match(String(await within("the cancellation", cancelled.promise)), /read nothing/);
});

Deno.test("cutOffSlowClient() passes on that the client has gone", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const source = new ReadableStream<Bytes>({ cancel: cancelled.resolve });
  await cutOffSlowClient(source, NEVER).cancel("gone");
  assert.equal(await within("the cancellation", cancelled.promise), "gone");
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
  let isBroken = false;
  const body = cutOffSlowClient(source, { ...NEVER, onBroken: () => isBroken = true });
  await assert.rejects(new Response(body).bytes(), /disk/);
  assert.ok(isBroken);
});

Deno.test("cutOffSlowClient() tells when all has been read", async () => {
  let isRead = false;
  const source = new Blob([new Uint8Array(3)]).stream();
  const body = cutOffSlowClient(source, { ...NEVER, onRead: () => isRead = true });
  assert.equal(isRead, false);
  assert.equal((await new Response(body).bytes()).length, 3);
  assert.ok(isRead);
});

const LARGE_BYTES = 2 * 1024 * 1024;

function large(body: AnswerBody): Answer {
  return { status: 200, headers: {}, body, sizeBytes: LARGE_BYTES };
}

/** One that never ends. */
function largeBody(): Answer {
  return large(new ReadableStream());
}

function sending(overrides: Partial<Sending> = {}): Sending {
  return {
    completed: new Promise(() => {}),
    onSlow: () => {},
    onHungUp: () => {},
    onRead: () => {},
    onBroken: () => {},
    onOverdue: () => assert.fail("nobody is overdue here"),
    onCutOff: () => assert.fail("nobody is to be cut off here"),
    ...overrides,
  };
}

/** A client that waits for a body that never ends. */
function waiting(clients: SlowClients, sending: Sending): ReadableStreamDefaultReader<Bytes> {
  const { body } = clients.guard(largeBody(), sending);
  assert.ok(body instanceof ReadableStream);
  const reader = body.getReader();
  // Ends when the reader is cancelled.
  void reader.read();
  return reader;
}

Deno.test("SlowClients tells when a body has taken too long for its size", async () => {
  const clients = new SlowClients({ timeoutMs: 200, minBytesPerSecond: 1e12 });
  const slow = Promise.withResolvers<void>();
  let isOverdue = false;
  const { body } = clients.guard(
    large(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1)) })),
    sending({ onSlow: slow.resolve, onOverdue: () => isOverdue = true }),
  );
  assert.ok(body instanceof ReadableStream);
  const reader = body.getReader();
  await eventually("the client to be overdue", async () => {
    await reader.read();
    return isOverdue;
  });
  await within("the client to be found slow", slow.promise);
  await reader.cancel();
});

Deno.test("SlowClients lets nobody be overdue whose source is slow", async () => {
  const clients = new SlowClients({ timeoutMs: 1, minBytesPerSecond: 1e12 });
  const slow = Promise.withResolvers<void>();
  const reader = waiting(clients, sending({ onSlow: slow.resolve }));
  await within("the client to be found slow", slow.promise);
  await unread(50);
  await reader.cancel();
});

Deno.test("SlowClients has nobody slow whose body has ended", async (t) => {
  const timeoutMs = 300;
  const clients = new SlowClients({ timeoutMs });
  const onSlow = () => assert.fail("nobody is slow here");
  const untold = sending({ completed: undefined, onSlow });
  const failing = () =>
    new ReadableStream<Bytes>({ pull: () => Promise.reject(new Error("disk")) });
  const ends: Record<string, () => Promise<unknown>> = {
    "it was sent": async () => {
      const reader = waiting(clients, sending({ completed: Promise.resolve(), onSlow }));
      await unread(timeoutMs + 100);
      await reader.cancel();
    },
    "it could not be sent": async () => {
      const completed = Promise.reject(new Error("the client has gone"));
      const reader = waiting(clients, sending({ completed, onSlow }));
      await unread(timeoutMs + 100);
      await reader.cancel();
    },
    "it was read, and nobody tells its end": () =>
      new Response(clients.guard(large(new Uint8Array(LARGE_BYTES)), untold).body).bytes(),
    "its source failed, and nobody tells its end": () =>
      assert.rejects(new Response(clients.guard(large(failing()), untold).body).bytes(), /disk/),
    "the client has gone": () => waiting(clients, sending({ onSlow })).cancel(),
  };
  for (const [name, end] of Object.entries(ends)) {
    await t.step(name, async () => {
      await end();
      await unread(timeoutMs + 100);
    });
  }
});

Deno.test("SlowClients gives the bytes of a large body in memory", async () => {
  const bytes = new Uint8Array(LARGE_BYTES).fill(7);
  const clients = new SlowClients({ timeoutMs: 60_000 });
  const { body } = clients.guard(large(bytes), sending({ completed: Promise.resolve() }));
  assert.deepEqual(await new Response(body).bytes(), bytes);
});

Deno.test("SlowClients leaves small bodies alone", () => {
  const clients = new SlowClients({ timeoutMs: 1 });
  const answer = { ...largeBody(), sizeBytes: 5 };
  assert.equal(clients.guard(answer, sending()).body, answer.body);
});

Deno.test("SlowClients cuts off a body that nobody reads", async () => {
  const clients = new SlowClients({ timeoutMs: 1 });
  const cut = Promise.withResolvers<void>();
  const { body } = clients.guard(largeBody(), sending({ onCutOff: cut.resolve }));
  await within("the body to be cut off", cut.promise);
  await assert.rejects(new Response(body).bytes(), /read nothing/);
});
