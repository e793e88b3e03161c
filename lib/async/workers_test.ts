import assert from "node:assert/strict";
import { forEach } from "./workers.ts";

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield await Promise.resolve(i);
}

Deno.test("forEach() works on each item once, with as many hands as it may", async () => {
  const done: number[] = [];
  let underWay = 0;
  let most = 0;
  const three = Promise.withResolvers<void>();
  await forEach(numbers(20), {
    workers: 3,
    work: async (item) => {
      most = Math.max(most, ++underWay);
      if (underWay === 3) three.resolve();
      await three.promise;
      underWay--;
      done.push(item);
    },
  });
  assert.deepEqual(done.sort((a, b) => a - b), Array.from({ length: 20 }, (_, i) => i));
  assert.equal(most, 3);
});

Deno.test("forEach() of nothing is done at once", async () => {
  await forEach(numbers(0), { workers: 3, work: () => assert.fail() });
});

Deno.test("forEach() ends with the first failure, when all that is under way has ended", async () => {
  const failure = new Error("the third");
  const gate = Promise.withResolvers<void>();
  const ended: number[] = [];
  let isSettled = false;
  const all = forEach(numbers(1000), {
    workers: 2,
    work: async (item) => {
      if (item === 2) throw failure;
      if (item === 1) await gate.promise;
      ended.push(item);
    },
  });
  const settled = all.catch((error) => {
    isSettled = true;
    return error;
  });
  // Long enough for everything that does not wait for the gate.
  for (let i = 0; i < 100; i++) await Promise.resolve();
  assert.equal(isSettled, false);
  gate.resolve();
  assert.equal(await settled, failure);
  assert.deepEqual(ended, [0, 1]);
});

Deno.test("forEach() ends with a failure of the items", async () => {
  const failure = new Error("no more");
  async function* failing() {
    yield* numbers(2);
    throw failure;
  }
  await assert.rejects(
    forEach(failing(), { workers: 2, work: () => Promise.resolve() }),
    failure,
  );
});
