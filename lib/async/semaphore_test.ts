import assert from "node:assert/strict";
import { OverloadedError } from "../errors.ts";
import { workFor } from "./owner.ts";
import { type Permit, Semaphore, type SemaphoreOptions } from "./semaphore.ts";

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

/** Asks for many permits for a client, and says who gets one. */
function ask(turns: Semaphore, { client, count, order }: {
  client: string;
  count: number;
  order: string[];
}): Promise<Permit>[] {
  return Array.from({ length: count }, () =>
    workFor(client, async () => {
      const permit = await turns.acquire();
      order.push(client);
      return permit;
    }));
}

Deno.test("Semaphore.acquire() keeps permits for clients that have none", async () => {
  const turns = semaphore({ permits: 30, maxWaiting: 100 });
  const order: string[] = [];
  const greedy = ask(turns, { client: "greedy", count: 32, order });
  await Promise.all([greedy[0], ...ask(turns, { client: "modest", count: 1, order })]);
  assert.equal(order.at(-1), "modest");
  assert.equal(turns.waitingOwners, 1);
  assert.equal(turns.longestLine, turns.waiting);
  assert.equal(turns.held + turns.waiting, 33);
});

Deno.test("Semaphore.acquire() goes round among the clients that wait", async () => {
  const turns = semaphore({ maxWaiting: 100 });
  const order: string[] = [];
  const first = await turns.acquire();
  const all = [
    ...ask(turns, { client: "a", count: 3, order }),
    ...ask(turns, { client: "b", count: 2, order }),
    ...ask(turns, { client: "c", count: 1, order }),
  ].map((asked) => asked.then((permit) => permit[Symbol.dispose]()));
  first[Symbol.dispose]();
  await Promise.all(all);
  assert.deepEqual(order, ["a", "b", "c", "a", "b", "a"]);
});

Deno.test("Semaphore.acquire() makes room in a full queue for a client that has less in it", async () => {
  const turns = semaphore({ maxWaiting: 3 });
  const order: string[] = [];
  const first = await turns.acquire();
  const greedy = ask(turns, { client: "greedy", count: 3, order });
  const modest = ask(turns, { client: "modest", count: 1, order });
  await assert.rejects(Promise.all(greedy.slice(2)), OverloadedError);
  await assert.rejects(
    Promise.all(ask(turns, { client: "greedy", count: 1, order })),
    OverloadedError,
  );
  first[Symbol.dispose]();
  for (const asked of [greedy[0], modest[0], greedy[1]]) (await asked)?.[Symbol.dispose]();
  assert.deepEqual(order, ["greedy", "modest", "greedy"]);
});

Deno.test("Semaphore.reserved hands out what nobody else gets", async () => {
  const turns = semaphore({ permits: 3, reservedPermits: 1, maxWaitMs: 1 });
  const common = [await turns.acquire(), await turns.acquire()];
  await assert.rejects(turns.acquire(), OverloadedError);
  const reserved = await turns.reserved.acquire();
  await assert.rejects(turns.reserved.acquire(), OverloadedError);
  common[0]?.[Symbol.dispose]();
  using _second = await turns.reserved.acquire();
  await assert.rejects(turns.acquire(), OverloadedError);
  reserved[Symbol.dispose]();
  using _third = await turns.acquire();
  assert.equal(turns.held, 3);
});
