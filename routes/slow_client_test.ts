import assert from "node:assert/strict";
import type { Answer, AnswerBody } from "./answer.ts";
import { cutOffSlowClient, type Sending, SlowClients } from "./slow_client.ts";
import { within } from "../tests/support/eventually.ts";

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
  await assert.rejects(new Response(cutOffSlowClient(source, NEVER)).bytes(), /disk/);
});

const LARGE_BYTES = 2 * 1024 * 1024;

function large(body: AnswerBody): Answer {
  return { status: 200, headers: {}, body, sizeBytes: LARGE_BYTES };
}

/** What gives bytes as files do. */
function largeFile(): Answer {
  return large(new ReadableStream({ type: "bytes" }));
}

async function cancel({ body }: Answer): Promise<void> {
  if (body instanceof ReadableStream) await body.cancel();
}

function sending(overrides: Partial<Sending> = {}): Sending {
  return {
    completed: new Promise(() => {}),
    onSlow: () => {},
    onHungUp: () => {},
    onOverdue: () => assert.fail("nobody is overdue here"),
    onCutOff: () => assert.fail("nobody is to be cut off here"),
    ...overrides,
  };
}

Deno.test("SlowClients leaves a few files to the runtime, as they are", async (t) => {
  const clients = new SlowClients({ timeoutMs: 60_000, maxUnwatched: 1 });
  const first = Promise.withResolvers<void>();
  const answers = [largeFile(), largeFile()];
  const guarded = answers.map((answer) =>
    clients.guard(answer, sending({ completed: first.promise }))
  );
  await t.step("the first", () => assert.equal(guarded[0]?.body, answers[0]?.body));
  await t.step("no more at once", () => assert.notEqual(guarded[1]?.body, answers[1]?.body));
  await t.step("the next when the first has failed", async () => {
    first.reject(new Error("the client has gone"));
    await first.promise.catch(() => {});
    const next = largeFile();
    const { body } = clients.guard(next, sending({ completed: Promise.resolve() }));
    assert.equal(body, next.body);
  });
  for (const answer of guarded.slice(1)) await cancel(answer);
});

Deno.test("SlowClients tells when a file has taken too long for its size", async () => {
  const clients = new SlowClients({ timeoutMs: 1, minBytesPerSecond: 1e12 });
  const slow = Promise.withResolvers<void>();
  const overdue = Promise.withResolvers<void>();
  clients.guard(largeFile(), sending({ onSlow: slow.resolve, onOverdue: overdue.resolve }));
  await slow.promise;
  await overdue.promise;
});

Deno.test("SlowClients watches what is no file, and what nobody can tell the end of", async (t) => {
  const clients = new SlowClients({ timeoutMs: 60_000 });
  const rows = [
    { name: "no stream of bytes", answer: large(new ReadableStream()) },
    { name: "no end is told", answer: largeFile(), completed: undefined },
  ];
  for (const { name, answer, ...rest } of rows) {
    await t.step(name, async () => {
      const guarded = clients.guard(answer, sending(rest));
      assert.notEqual(guarded.body, answer.body);
      await cancel(guarded);
    });
  }
});

Deno.test("SlowClients gives the bytes of a large body in memory", async () => {
  const bytes = new Uint8Array(LARGE_BYTES).fill(7);
  for (const maxUnwatched of [0, 1]) {
    const clients = new SlowClients({ timeoutMs: 60_000, maxUnwatched });
    const { body } = clients.guard(large(bytes), sending({ completed: Promise.resolve() }));
    assert.deepEqual(await new Response(body).bytes(), bytes);
  }
});

Deno.test("SlowClients leaves small bodies alone", () => {
  const clients = new SlowClients({ timeoutMs: 1, maxUnwatched: 0 });
  const answer = { ...largeFile(), sizeBytes: 5 };
  assert.equal(clients.guard(answer, sending()).body, answer.body);
});

Deno.test("SlowClients tells when an unwatched body takes long", async () => {
  const clients = new SlowClients({ timeoutMs: 1 });
  const slow = Promise.withResolvers<void>();
  const completed = Promise.withResolvers<void>();
  clients.guard(largeFile(), sending({ completed: completed.promise, onSlow: slow.resolve }));
  await within("the client to be found slow", slow.promise);
  completed.resolve();
});

Deno.test("SlowClients cuts off a watched body", async () => {
  const clients = new SlowClients({ timeoutMs: 1, maxUnwatched: 0 });
  const cut = Promise.withResolvers<void>();
  const { body } = clients.guard(largeFile(), sending({ onCutOff: cut.resolve }));
  await within("the body to be cut off", cut.promise);
  await assert.rejects(new Response(body).bytes(), /read nothing/);
});
