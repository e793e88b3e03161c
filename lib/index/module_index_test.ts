import assert from "node:assert/strict";
import fc from "fast-check";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { createLogger } from "../log/log.ts";
import { type ModulePath, parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { AppendLog } from "../store/append_log.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type ObjectStore } from "../store/object_store.ts";
import { formatEntries, type IndexEntry, InvalidIndexError } from "./entry.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import {
  ENTRY_STEP_MS,
  INDEX_FOLDER,
  ModuleIndex,
  type ModuleIndexOptions,
} from "./module_index.ts";
import { eventually } from "../../tests/support/eventually.ts";

const PATH = parseModulePath("example.com/hello");

function moduleVersion(patch: number, path: ModulePath = PATH): ModuleVersion {
  return { path, version: parseVersion(path, `v1.0.${patch}`) };
}

interface Opened {
  readonly index: ModuleIndex;
  readonly warnings: string[];
}

function open(store: ObjectStore, options: Partial<ModuleIndexOptions> = {}): Opened {
  const warnings: string[] = [];
  const log = createLogger("warn", { write: (line) => void warnings.push(JSON.parse(line).msg) });
  const index = new ModuleIndex({
    store,
    isListed: () => true,
    now: () => Date.UTC(2026, 0, 1),
    pause: () => Promise.resolve(),
    log,
    ...options,
  });
  return { index, warnings };
}

const all = (index: ModuleIndex) => index.read({ sinceMs: 0, limit: Infinity });
const namesOf = (entries: readonly IndexEntry[]) => entries.map(nameOf);

Deno.test("ModuleIndex.add() makes one entry of a version, however often and wherever it is seen", async () => {
  const store = new MemoryStore();
  const [one, other] = [open(store).index, open(store).index];
  for (const index of [one, other, one]) {
    for (const patch of [1, 2, 3]) index.add(moduleVersion(patch));
  }
  await Promise.all([one.drain(), other.drain()]);
  const entries = await all(other);
  assert.deepEqual(await all(one), entries);
  assert.deepEqual(namesOf(entries).sort(), [1, 2, 3].map((patch) => `${PATH}@v1.0.${patch}`));
  const { index: third } = open(store);
  await third.follow();
  third.add(moduleVersion(2));
  await third.drain();
  assert.deepEqual(await all(third), entries);
});

Deno.test("ModuleIndex times ascend, also where a clock is behind", async () => {
  const store = new MemoryStore();
  const ahead = open(store, { now: () => 5_000 }).index;
  ahead.add(moduleVersion(1));
  ahead.add(moduleVersion(2));
  await ahead.drain();
  const behind = open(store, { now: () => 1_000 }).index;
  behind.add(moduleVersion(3));
  await behind.drain();
  const times = (await all(ahead)).map(({ timeMs }) => timeMs);
  assert.deepEqual(times, [5_000, 5_000 + ENTRY_STEP_MS, 5_000 + 2 * ENTRY_STEP_MS]);
});

Deno.test("ModuleIndex.read() gives the entries from a time on, it included, up to a limit", async () => {
  const { index } = open(new MemoryStore(), { now: () => 1_000 });
  for (let patch = 0; patch < 10; patch++) index.add(moduleVersion(patch));
  await index.drain();
  const rows = [
    { sinceMs: 0, limit: 3, want: [0, 1, 2] },
    { sinceMs: 1_000 + 7 * ENTRY_STEP_MS, limit: 5, want: [7, 8, 9] },
    { sinceMs: 1_001 + 7 * ENTRY_STEP_MS, limit: 5, want: [8, 9] },
    { sinceMs: 10_000, limit: 5, want: [] },
  ];
  for (const { want, ...options } of rows) {
    const names = namesOf(await index.read(options));
    assert.deepEqual(names, want.map((patch) => `${PATH}@v1.0.${patch}`));
  }
});

Deno.test("ModuleIndex leaves out what is not listed, and what was listed once", async () => {
  const store = new MemoryStore();
  const secret = parseModulePath("example.com/secret");
  const open1 = open(store, { isListed: (path) => path === PATH }).index;
  for (const path of [secret, PATH]) open1.add(moduleVersion(1, path));
  await open1.drain();
  assert.deepEqual(namesOf(await all(open(store).index)), [`${PATH}@v1.0.1`]);
  assert.deepEqual(await all(open(store, { isListed: (path) => path === secret }).index), []);
  assert.deepEqual([open1.lacks(moduleVersion(1)), open1.lacks(moduleVersion(2))], [false, true]);
  assert.equal(open1.lacks(moduleVersion(2, secret)), false);
});

Deno.test("ModuleIndex.timeOf() reads the store once for what is not listed", async () => {
  const store = new MemoryStore();
  const { index: first } = open(store);
  first.add(moduleVersion(1));
  await first.drain();
  let reads = 0;
  const counting: ObjectStore = {
    description: store.description,
    get: (key, options) => {
      reads++;
      return store.get(key, options);
    },
    create: (key, content, options) => store.create(key, content, options),
    list: (prefix, options) => store.list(prefix, options),
    walk: (options) => store.walk(options),
  };
  const { index } = open(counting, { isListed: () => false });
  assert.equal(await index.timeOf(moduleVersion(2)), null);
  const readOnce = reads;
  assert.equal(await index.timeOf(moduleVersion(1)), Date.UTC(2026, 0, 1));
  assert.equal(await index.timeOf(moduleVersion(3)), null);
  assert.equal(reads, readOnce);
});

Deno.test("ModuleIndex writes many entries in few batches", async () => {
  const store = new MemoryStore();
  const { index } = open(store);
  for (let patch = 0; patch < 1200; patch++) index.add(moduleVersion(patch));
  await index.drain();
  assert.equal((await store.list(INDEX_FOLDER)).length, 3);
  assert.equal((await all(open(store).index)).length, 1200);
});

Deno.test("ModuleIndex goes on after a failure of the store, and says what it has left undone", async () => {
  const store = new MemoryStore();
  let isFailing = true;
  const failing = new FaultyStore(store, () => isFailing ? "fail" : null);
  const paused = Promise.withResolvers<void>();
  let pauses = 0;
  const { index, warnings } = open(failing, {
    // The first is for gathering, the second after the failure.
    pause: () => (++pauses === 2 ? paused.promise : Promise.resolve()),
  });
  index.add(moduleVersion(1));
  await eventually("the pause after the failure", () => pauses === 2);
  assert.deepEqual(warnings, ["cannot write to the index"]);
  isFailing = false;
  paused.resolve();
  await index.drain();
  assert.deepEqual(namesOf(await all(index)), [`${PATH}@v1.0.1`]);
  isFailing = true;
  index.add(moduleVersion(2));
  await index.drain();
  assert.match(warnings.at(-1) ?? "", /are left to the next/);
});

Deno.test("ModuleIndex serves nothing behind a batch that is damaged", async () => {
  const store = new MemoryStore();
  await store.create(
    `${INDEX_FOLDER}/000000000000`,
    bytesContent(new TextEncoder().encode("{}\n")),
  );
  const { index } = open(store);
  await assert.rejects(all(index), InvalidIndexError);
  index.add(moduleVersion(1));
  await index.drain();
  assert.deepEqual(await store.list(INDEX_FOLDER), ["000000000000"]);
});

/**
 * As pkgsite's worker does: asks from the last time that it has, cut to seconds, and keeps what it
 * does not know yet.
 */
class Follower {
  readonly names: string[] = [];
  #lastMs = 0;

  /** Whether there was anything new. */
  async poll(index: ModuleIndex, limit: number): Promise<boolean> {
    const sinceMs = Math.floor(this.#lastMs / 1000) * 1000;
    const entries = await index.read({ sinceMs, limit });
    const news = namesOf(entries).filter((name) => !this.names.includes(name));
    this.names.push(...news);
    this.#lastMs = Math.max(this.#lastMs, entries.at(-1)?.timeMs ?? 0);
    return news.length > 0;
  }
}

Deno.test("ModuleIndex: followers of replicas with different clocks and a failing store miss nothing", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          replica: fc.nat(2),
          patch: fc.nat(30),
          clockMs: fc.integer({ min: 1_000_000, max: 1_020_000 }),
          fault: fc.constantFrom(null, null, "fail", "fail-but-done", "fail-then-done"),
          polls: fc.boolean(),
        }),
        { minLength: 10, maxLength: 60 },
      ),
      async (steps) => {
        const shared = new MemoryStore();
        let fault: "fail" | "fail-but-done" | "fail-then-done" | null = null;
        let clockMs = 0;
        const stores = [0, 1, 2].map(() =>
          new FaultyStore(shared, ({ method }) => {
            if (method !== "create") return null;
            const now = fault;
            fault = null;
            return now;
          })
        );
        const replicas = stores.map((store) => open(store, { now: () => clockMs }).index);
        const [one, other] = [new Follower(), new Follower()];
        for (const [i, step] of steps.entries()) {
          ({ clockMs, fault } = step);
          const replica = replicas[step.replica];
          assert.ok(replica !== undefined);
          replica.add(moduleVersion(step.patch));
          if (!step.polls) continue;
          await (i % 2 === 0 ? one : other).poll(replica, 101);
          await stores[step.replica]?.land();
        }
        fault = null;
        await Promise.all(replicas.map((replica) => replica.drain()));
        for (const store of stores) await store.land();
        const last = open(shared).index;
        for (const follower of [one, other]) while (await follower.poll(last, 101));
        const wanted = [...new Set(steps.map(({ patch }) => `${PATH}@v1.0.${patch}`))].sort();
        const log = namesOf(await all(last));
        assert.deepEqual(log.toSorted(), wanted);
        assert.deepEqual(one.names, log);
        assert.deepEqual(other.names, log);
        const times = (await all(last)).map(({ timeMs }) => timeMs);
        for (const [i, timeMs] of times.slice(1).entries()) {
          assert.ok(timeMs >= (times[i] ?? 0) + ENTRY_STEP_MS);
        }
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("a batch of the longest entries fits", async () => {
  const path = parseModulePath(
    `example.com/${"a".repeat(200)}/${"b".repeat(200)}/${"c".repeat(200)}`,
  );
  const entries = Array.from({ length: 500 }, (_, i) => ({
    path,
    version: parseVersion(path, `v1.0.0-${"x".repeat(150)}.${1000 + i}`),
    timeMs: 0,
  }));
  const log = new AppendLog({ store: new MemoryStore(), folder: "i1", maxBatchBytes: 500 * 1024 });
  assert.equal(await log.append(0, new TextEncoder().encode(formatEntries(entries))), "created");
});
