import assert from "node:assert/strict";
import { OverloadedError } from "../errors.ts";
import { Semaphore, type SemaphoreOptions } from "./semaphore.ts";

function semaphore(options: Partial<SemaphoreOptions> = {}): Semaphore {
  return new Semaphore({
    what: "start git",
    permits: 1,
    maxWaiting: 8,
    maxWaitMs: 60_000,
    ...options,
  });
}

Deno.test("Semaphore.acquire() hands out permits in the order of asking", async () => {
  const turns = semaphore();
  const order: number[] = [];
  const first = await turns.acquire();
  const others = [1, 2, 3].map(async (n) => {
    using _permit = await turns.acquire();
    order.push(n);
  });
  assert.equal(turns.waiting, 3);
  assert.deepEqual(order, []);
  first[Symbol.dispose]();
  await Promise.all(others);
  assert.deepEqual(order, [1, 2, 3]);
});

Deno.test("Semaphore.acquire() lets no more in than there are permits", async () => {
  const turns = semaphore({ permits: 3, maxWaiting: 100 });
  let inside = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 50 }, async () => {
    using _permit = await turns.acquire();
    most = Math.max(most, ++inside);
    await Promise.resolve();
    inside--;
  }));
  assert.equal(most, 3);
  assert.equal(turns.waiting, 0);
});

Deno.test("Semaphore.acquire() refuses when the queue is full", async () => {
  const turns = semaphore({ maxWaiting: 1 });
  const first = await turns.acquire();
  const second = turns.acquire();
  await assert.rejects(turns.acquire(), OverloadedError);
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
});

Deno.test("Semaphore.acquire() gives up after the longest wait, and loses no permit by it", async () => {
  const turns = semaphore({ maxWaitMs: 1 });
  const first = await turns.acquire();
  await assert.rejects(turns.acquire(), OverloadedError);
  first[Symbol.dispose]();
  (await turns.acquire())[Symbol.dispose]();
});

Deno.test("Semaphore.acquire() loses no permit that comes free in the moment a waiter leaves", async () => {
  const turns = semaphore();
  const first = await turns.acquire();
  const leaver = new AbortController();
  const left = assert.rejects(turns.acquire(leaver.signal), /client went away/);
  const patient = turns.acquire();
  leaver.abort(new Error("client went away"));
  first[Symbol.dispose]();
  await left;
  (await patient)[Symbol.dispose]();
});

Deno.test("Semaphore.acquire() takes an aborted signal for an answer", async () => {
  const turns = semaphore();
  await assert.rejects(turns.acquire(AbortSignal.abort(new Error("gone"))), /gone/);
  (await turns.acquire())[Symbol.dispose]();
});

Deno.test("Semaphore permits count once however often they are given back", async () => {
  const turns = semaphore({ maxWaitMs: 1 });
  const permit = await turns.acquire();
  permit[Symbol.dispose]();
  permit[Symbol.dispose]();
  using _held = await turns.acquire();
  await assert.rejects(turns.acquire(), OverloadedError);
});
