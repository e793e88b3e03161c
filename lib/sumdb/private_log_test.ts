/**
 * The log under every fault of a store and every end of a replica. Whatever happens, the check of
 * the log (which recomputes everything) finds no fault, and every record that was answered is in
 * its place.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Call, FAULTS, FaultyStore } from "../../tests/fakes/faulty_store.ts";
import {
  appendTo,
  assertSoundLog,
  LOG_NAME,
  privateLog,
  testModule,
  walkLog,
} from "../../tests/worlds/private_log.ts";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { OverloadedError, StorageError } from "../errors.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type ObjectStore, readAll } from "../store/object_store.ts";
import { batchName, logFolder, type PrivateLog } from "./private_log.ts";
import { formatTilePath } from "./tile.ts";

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("PrivateLog.append() gives a version one number, on every replica and after a restart", async () => {
  const store = new MemoryStore();
  const [a, b] = [privateLog(store), privateLog(store)];
  assert.equal(await appendTo(a, 0), 0);
  assert.equal(await appendTo(b, 1), 1);
  assert.equal(await appendTo(a, 2), 2);
  for (const log of [a, b, privateLog(store)]) {
    assert.deepEqual(await Promise.all([2, 1, 0].map((i) => appendTo(log, i))), [2, 1, 0]);
    const record = await log.find(testModule(1).module);
    assert.equal(record?.id, 1);
    assert.equal(await log.find(testModule(3).module), null);
  }
  assert.equal((await assertSoundLog(store, new Map([[0, 0], [1, 1], [2, 2]]))).batches, 3);
});

Deno.test("PrivateLog.append() keeps the hashes that were first", async () => {
  const store = new MemoryStore();
  const { module, hashes } = testModule(0);
  await privateLog(store).append(module, hashes);
  const moved = testModule(1).hashes;
  const { zipH1, goModH1 } = await privateLog(store).append(module, moved);
  assert.deepEqual({ zipH1, goModH1 }, hashes);
});

Deno.test("PrivateLog.append() appends in one batch what came while another was under way", async () => {
  const store = new FaultyStore(new MemoryStore());
  const log = privateLog(store);
  const ids = await Promise.all(range(600).map((i) => appendTo(log, i)));
  const { batches } = await assertSoundLog(store, new Map(ids.map((id, i) => [i, id])));
  assert.equal(batches, 4);
});

Deno.test("PrivateLog.append() asks for one record once, however many want it", async () => {
  const store = new MemoryStore();
  const log = privateLog(store);
  assert.deepEqual(await Promise.all(range(50).map(() => appendTo(log, 7))), range(50).fill(0));
  await assertSoundLog(store, new Map([[7, 0]]));
});

Deno.test("PrivateLog.append() refuses more than may wait", async () => {
  const log = privateLog(new MemoryStore(), { maxWaiting: 2 });
  const results = await Promise.allSettled(range(4).map((i) => appendTo(log, i)));
  const refused = results.filter((result) => result.status === "rejected");
  assert.ok(refused.length > 0);
  for (const { reason } of refused) assert.ok(reason instanceof OverloadedError);
});

/** 254 records, the last in a batch of its own: three more fill tiles. */
async function longLog(): Promise<() => Promise<MemoryStore>> {
  const store = new MemoryStore();
  const log = privateLog(store);
  await Promise.all(range(253).map((i) => appendTo(log, i)));
  await appendTo(log, 253);
  const objects: [string, Uint8Array<ArrayBuffer>][] = [];
  for await (const key of store.walk()) objects.push([key, await bytesOf(store, key)]);
  return async () => {
    const copy = new MemoryStore();
    for (const [key, bytes] of objects) await copy.create(key, bytesContent(bytes));
    return copy;
  };
}

/** Every call counts in CI; otherwise one of each kind, because all take 20 seconds. */
const ALL = Deno.env.get("CI") === "true";

/** Every call that one append makes, disturbed in each way, and what comes after it. */
Deno.test("a fault at any store call loses nothing and makes nothing twice", async (t) => {
  const setUp = await longLog();
  const wanted = [1000, 1001, 1002];
  const calls = new FaultyStore(await setUp());
  const undisturbed = privateLog(calls);
  await Promise.all(wanted.map((i) => appendTo(undisturbed, i)));
  const kindOf = ({ method, key }: Call) => `${method} ${key.split("/")[2]}`;
  const kinds = new Map(calls.calls.map((call) => [kindOf(call), call]));
  assert.deepEqual(
    new Set(kinds.keys()),
    new Set(["list log", "get log", "create lookup", "get lookup", "create log", "create tile"]),
  );
  for (const { index, method, key } of ALL ? calls.calls : kinds.values()) {
    await t.step(`${method} ${key}`, async () => {
      for (const fault of method === "create" ? FAULTS : ["fail" as const]) {
        for (const goesOn of ["same replica", "other replica"] as const) {
          const store = await setUp();
          const faulty = new FaultyStore(store, (call) => call.index === index ? fault : null);
          const first = privateLog(faulty);
          const answered = new Map<number, number>();
          const appendAll = async (log: PrivateLog) =>
            await Promise.allSettled(
              wanted.map(async (i) => answered.set(i, await appendTo(log, i))),
            );
          await appendAll(first);
          const log = goesOn === "same replica" ? first : privateLog(store);
          answered.set(1003, await appendTo(log, 1003));
          await faulty.land();
          const results = await appendAll(log);
          assert.deepEqual(results.filter(({ status }) => status !== "fulfilled"), []);
          assert.equal((await assertSoundLog(store, answered)).tree.size, 258);
        }
      }
    });
  }
});

Deno.test("a replica that ends at any store call leaves a log that others go on with", async (t) => {
  const setUp = await longLog();
  const wanted = range(4).map((i) => 1000 + i);
  const calls = new FaultyStore(await setUp());
  const whole = privateLog(calls);
  await Promise.all(wanted.map((i) => appendTo(whole, i)));
  await t.step(`of ${calls.calls.length}`, async () => {
    for (const { index } of calls.calls) {
      const store = await setUp();
      // Nothing that it requests from then on arrives.
      const dying = new FaultyStore(store, (call) => call.index < index ? null : "fail");
      const dead = privateLog(dying);
      const answered = new Map<number, number>();
      await Promise.allSettled(
        wanted.map(async (i) => answered.set(i, await appendTo(dead, i))),
      );
      const log = privateLog(store);
      for (const i of [1003, 2000, 1000]) answered.set(i, await appendTo(log, i));
      await assertSoundLog(store, answered);
    }
  });
});

Deno.test("replicas that append at once, over a store that fails, make one log", async () => {
  const faults = fc.array(fc.constantFrom(null, null, null, ...FAULTS), {
    minLength: 60,
    maxLength: 60,
  });
  const plans = fc.record({ faults, wants: fc.array(fc.nat(8), { minLength: 3, maxLength: 12 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(plans, { minLength: 2, maxLength: 3 }),
      async (s, plans) => {
        const store = new MemoryStore();
        const answered = new Map<number, number>();
        const stores: FaultyStore[] = [];
        const replicas = plans.map(async ({ faults, wants }, r) => {
          const faulty = new FaultyStore(store, async ({ index, method }) => {
            await s.schedule(Promise.resolve(), `replica ${r}: ${method}`);
            return faults[index] ?? null;
          });
          stores.push(faulty);
          const log = privateLog(faulty);
          await Promise.all(wants.map(async (i) => {
            for (;;) {
              try {
                const id = await appendTo(log, i);
                assert.equal(answered.get(i) ?? id, id);
                answered.set(i, id);
                return;
              } catch (error) {
                if (!(error instanceof StorageError)) throw error;
              }
            }
          }));
        });
        await s.waitFor(Promise.all(replicas));
        for (const faulty of stores) await faulty.land();
        // The newest batch may lack what follows from it until the log is read.
        await privateLog(store).head();
        await assertSoundLog(store, answered);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("PrivateLog.refresh() goes on to the newest batch, past any number of others", async () => {
  const store = new FaultyStore(new MemoryStore());
  const idle = privateLog(store);
  await appendTo(idle, 0);
  const busy = privateLog(store);
  for (const i of range(20)) await appendTo(busy, i);
  const before = store.calls.length;
  assert.equal((await idle.refresh()).tree.size, 20);
  const asked = store.calls.slice(before).filter(({ key }) => key.includes("/log"));
  assert.equal(asked.length, 3);
  assert.equal(await appendTo(idle, 20), 20);
});

Deno.test("PrivateLog.tile() answers each tile as another implementation does", async (t) => {
  const store = new MemoryStore();
  const writer = privateLog(store);
  const remote = new Sumdb();
  for (const size of [1, 255, 256, 257, 700]) {
    for (let i = remote.size; i < size; i++) {
      const { module, hashes: { zipH1: h1, goModH1 } } = testModule(i);
      remote.append({ ...module, h1, goModH1 });
    }
    const ids = await Promise.all(range(size).map((i) => appendTo(writer, i)));
    assert.deepEqual(ids, range(size));
    const reader = privateLog(store);
    await t.step(`of ${size} records`, async () => {
      for (const level of [0, 1, 2, "data"] as const) {
        for (const number of range(4)) {
          for (const width of [1, 2, 44, 187, 188, 189, 255, 256]) {
            const path = formatTilePath({ level, number, width });
            const want = remote.answer(`/${path}`);
            const bytes = await reader.tile({ level, number, width });
            assert.equal(bytes === null ? 404 : 200, want.status, path);
            if (bytes !== null) assert.deepEqual(new Uint8Array(bytes), await want.bytes(), path);
            else await want.body?.cancel();
          }
        }
      }
    });
  }
});

/** A store that can lose and replace objects, as no real store may. */
class TamperedStore extends FaultyStore {
  readonly objects = new Map<string, Uint8Array<ArrayBuffer> | null>();

  override async get(key: string) {
    const bytes = this.objects.get(key);
    if (bytes === undefined) return await super.get(key);
    if (bytes === null) return null;
    const { sizeBytes, open } = bytesContent(bytes);
    return { sizeBytes, body: open() };
  }
}

async function bytesOf(store: ObjectStore, key: string): Promise<Uint8Array<ArrayBuffer>> {
  return await readAll(await store.get(key) ?? assert.fail(key));
}

Deno.test("PrivateLog refuses a store that was tampered with, and signs nothing more", async (t) => {
  const key = (name: string) => `${logFolder(LOG_NAME)}/${name}`;
  const other = new MemoryStore();
  const another = privateLog(other);
  for (const i of range(10)) await appendTo(another, 500 + i);
  const rows = [
    {
      what: "the next batch is of another log",
      batches: 4,
      name: batchName(4),
      bytes: await bytesOf(other, key(batchName(4))),
    },
    {
      what: "the next batch is damaged",
      batches: 4,
      name: batchName(4),
      bytes: new Uint8Array(10),
    },
    {
      what: "a later batch is of another log",
      batches: 5,
      name: batchName(5),
      bytes: await bytesOf(other, key(batchName(5))),
    },
    { what: "a later batch is lost", batches: 5, name: batchName(5), bytes: null },
  ];
  for (const { what, batches, name, bytes } of rows) {
    await t.step(what, async () => {
      const store = new TamperedStore(new MemoryStore());
      const [idle, busy] = [privateLog(store), privateLog(store)];
      for (const i of range(3)) await appendTo(idle, i);
      for (const i of range(batches)) await appendTo(busy, i);
      store.objects.set(key(name), bytes);
      const { tree } = await idle.head();
      await assert.rejects(idle.refresh(), StorageError);
      await assert.rejects(appendTo(idle, 9), StorageError);
      assert.deepEqual((await idle.head()).tree, tree);
      assert.notDeepEqual((await walkLog(store)).faults, []);
    });
  }
});
