import assert from "node:assert/strict";
import fc from "fast-check";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { StorageError } from "../errors.ts";
import { AppendLog, READ_AHEAD } from "./append_log.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import type { ObjectStore } from "./object_store.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function openLog(store: ObjectStore = new MemoryStore()): AppendLog {
  return new AppendLog({ store, folder: "i1", maxBatchBytes: 100 });
}

async function textsOf(log: AppendLog, from = 0): Promise<string[]> {
  return (await Array.fromAsync(log.read(from))).map(decode);
}

Deno.test("AppendLog.read() gives what was appended, from anywhere to the end", async () => {
  const log = openLog();
  assert.deepEqual(await textsOf(log), []);
  const count = 3 * READ_AHEAD;
  for (let n = 0; n < count; n++) {
    assert.equal(await log.append(n, encode(`batch ${n}`)), "created");
  }
  const all = Array.from({ length: count }, (_, n) => `batch ${n}`);
  for (const from of [0, 1, READ_AHEAD, count - 1, count]) {
    assert.deepEqual(await textsOf(log, from), all.slice(from));
  }
  assert.equal(await log.get(count), null);
});

Deno.test("AppendLog.append() leaves a batch that is there as it is", async () => {
  const log = openLog();
  assert.equal(await log.append(0, encode("one")), "created");
  assert.equal(await log.append(0, encode("other")), "exists");
  assert.deepEqual(await textsOf(log), ["one"]);
});

Deno.test("AppendLog keys sort as their numbers do", () => {
  const log = openLog();
  assert.equal(log.keyOf(0), "i1/000000000000");
  assert.equal(log.keyOf(1234), "i1/000000001234");
  assert.ok(log.keyOf(9) < log.keyOf(10));
});

Deno.test("AppendLog.read() stops before a gap, which is a batch that comes just now", async () => {
  const log = openLog();
  await log.append(0, encode("a"));
  await log.append(2, encode("c"));
  assert.deepEqual(await textsOf(log), ["a"]);
  await log.append(1, encode("b"));
  assert.deepEqual(await textsOf(log), ["a", "b", "c"]);
});

Deno.test("AppendLog refuses what is too large, in both directions", async () => {
  const store = new MemoryStore();
  const small = new AppendLog({ store, folder: "i1", maxBatchBytes: 3 });
  await assert.rejects(small.append(0, encode("four")), /a batch has 3 at most/);
  assert.equal(await openLog(store).append(0, encode("four")), "created");
  await assert.rejects(small.get(0), StorageError);
});

Deno.test("AppendLog: processes that append at once, over a failing store, make one log", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.infiniteStream(fc.constantFrom(null, null, "fail", "fail-but-done", "fail-then-done")),
      async (faults) => {
        const shared = new MemoryStore();
        const views: string[][] = [];
        await Promise.all(["a", "b", "c"].map(async (name) => {
          const store = new FaultyStore(
            shared,
            ({ method }) => method === "create" ? faults.next().value ?? null : null,
          );
          const log = openLog(store);
          const seen: string[] = [];
          const pending = new Set([`${name}1`, `${name}2`, `${name}3`]);
          for (let tries = 0; pending.size > 0 && tries < 100; tries++) {
            for await (const batch of log.read(seen.length)) {
              seen.push(decode(batch));
              pending.delete(decode(batch));
            }
            const [next] = pending;
            if (next === undefined) break;
            await log.append(seen.length, encode(next)).catch(() => {});
            if (tries % 3 === 0) await store.land();
          }
          assert.equal(pending.size, 0);
          await store.land();
          views.push(seen);
        }));
        const log = await textsOf(openLog(shared));
        for (const seen of views) assert.deepEqual(seen, log.slice(0, seen.length));
        // Each thing that was not in the log when it was appended is there once.
        assert.deepEqual(log.toSorted(), ["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3"]);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("AppendLog.count() finds the end with few reads", async (t) => {
  const store = new MemoryStore();
  const faulty = new FaultyStore(store);
  const log = openLog(faulty);
  const counts = [0, 1, 2, 3, 4, 7, 8, 31, 100];
  for (let n = 0, at = 0; at < counts.length; n++) {
    for (; counts[at] === n; at++) {
      await t.step(`${n} batches`, async () => {
        for (const from of new Set([0, Math.floor(n / 2), n])) {
          faulty.calls.length = 0;
          assert.equal(await log.count(from), n);
          assert.ok(faulty.calls.length <= 2 * Math.ceil(Math.log2(n + 2)) + 1);
        }
      });
    }
    await log.append(n, encode("x"));
  }
});
