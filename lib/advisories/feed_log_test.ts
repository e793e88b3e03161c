import assert from "node:assert/strict";
import { atOnce } from "../async/pace.ts";
import fc from "fast-check";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { fakeEntry } from "../../tests/fakes/vulndb.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { StorageError } from "../errors.ts";
import { bytesContent, type ObjectStore, readSmall } from "../store/object_store.ts";
import { type EntrySet, GrowingSet, readEntry } from "./entry_set.ts";
import { FeedLog, type FeedState, MAX_PACKS, NO_STATE } from "./feed_log.ts";

const { signal } = new AbortController();
const FACTS = {
  checkedAtMs: Date.UTC(2026, 0, 1),
  modified: "2026-01-01T00:00:00Z",
  validator: null,
};

/** Entries by id; the value is the version that fixes each. */
function setOf(fixes: Record<string, string>): EntrySet {
  const set = new GrowingSet();
  for (const [id, fixed] of Object.entries(fixes)) {
    const bytes = new TextEncoder().encode(JSON.stringify(fakeEntry(id, { fixed })));
    set.add(readEntry(bytes, { nowMs: 0 }));
  }
  return atOnce(set.sortSteps());
}

function fixesOf({ entries }: FeedState): Record<string, string> {
  return Object.fromEntries(
    [...entries].map(([id, { advisory }]) => [
      id,
      advisory.affected[0]?.ranges[0]?.replace(">=0 <", "") ?? "",
    ]),
  );
}

const append = (store: ObjectStore, known: FeedState, fixes: Record<string, string>) =>
  new FeedLog(store, "go").append(known, { ...FACTS, entries: setOf(fixes) }, signal);
const follow = (store: ObjectStore, known = NO_STATE) =>
  new FeedLog(store, "go").follow(known, signal);

Deno.test("FeedLog.follow() reads what was appended, by changes or at once", async () => {
  const store = new MemoryStore();
  assert.deepEqual(await follow(store), NO_STATE);
  const one = await append(store, NO_STATE, { A: "1.0.0", B: "1.0.0", C: "1.0.0" });
  const two = await append(store, one, { A: "1.0.0", C: "2.0.0" });
  const three = await append(store, two, { A: "1.0.0", C: "2.0.0", AA: "1.0.0" });
  const want = { A: "1.0.0", AA: "1.0.0", C: "2.0.0" };
  for (const known of [NO_STATE, one, two, three]) {
    const state = await follow(store, known);
    assert.deepEqual(fixesOf(state), want);
    assert.deepEqual([...state.entries.keys()], ["A", "AA", "C"]);
    assert.deepEqual(state.record, { ...FACTS, listed: 3 });
    assert.equal(state.count, 3);
  }
  // The bytes that are served are those of the source.
  assert.deepEqual(
    (await follow(store)).entries.get("A")?.json,
    new TextEncoder().encode(JSON.stringify(fakeEntry("A", { fixed: "1.0.0" }))),
  );
});

Deno.test("FeedLog.append() writes only what has changed, until everything is shorter", async () => {
  const store = new MemoryStore();
  const fixes = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`GO-${i}`, "1.0.0"]));
  let state = await append(store, NO_STATE, fixes);
  for (let n = 1; n <= MAX_PACKS; n++) {
    state = await append(store, state, { ...fixes, "GO-0": `${n}.1.0` });
    assert.deepEqual(
      state.packs.map(({ lines }) => lines),
      n === MAX_PACKS ? [100] : [100, ...Array(n).fill(1)],
    );
  }
  const half = Object.fromEntries(Object.keys(fixes).map((id) => [id, "9.0.0"]));
  state = await append(store, state, half);
  assert.deepEqual(state.packs.map(({ lines }) => lines), [100, 100]);
  state = await append(store, state, { ...half, "GO-1": "9.1.0" });
  assert.deepEqual(state.packs.map(({ lines }) => lines), [100]);
  assert.deepEqual(fixesOf(await follow(store)), { ...half, "GO-1": "9.1.0" });
});

Deno.test("FeedLog.append() of nothing new is a record without a pack", async () => {
  const store = new MemoryStore();
  const one = await append(store, NO_STATE, { A: "1.0.0" });
  const two = await append(store, one, { A: "1.0.0" });
  assert.deepEqual([two.count, two.packs], [2, one.packs]);
});

Deno.test("of two replicas that append, the first one's state is everybody's", async () => {
  const store = new MemoryStore();
  const base = await append(store, NO_STATE, { A: "1.0.0" });
  const [first, second] = await Promise.all([
    append(store, base, { A: "1.0.0", B: "1.0.0" }),
    append(store, base, { A: "1.0.0", C: "1.0.0" }),
  ]);
  assert.deepEqual(fixesOf(first), fixesOf(second));
  assert.deepEqual(fixesOf(await follow(store)), fixesOf(first));
});

Deno.test("FeedLog.append() that fails and took effect is found by follow()", async () => {
  const memory = new MemoryStore();
  const base = await append(memory, NO_STATE, { A: "1.0.0" });
  for (const fault of ["fail", "fail-but-done"] as const) {
    const store = new FaultyStore(
      memory,
      ({ method, key }) => method === "create" && key.includes("/log/") ? fault : null,
    );
    await assert.rejects(append(store, base, { A: "2.0.0" }), StorageError);
    const state = await follow(memory, base);
    assert.deepEqual(fixesOf(state), { A: fault === "fail" ? "1.0.0" : "2.0.0" });
  }
});

Deno.test("FeedLog.follow() refuses what is damaged", async (t) => {
  const good = new MemoryStore();
  const { packs } = await append(good, NO_STATE, { A: "1.0.0" });
  const key = `v1/go/packs/${packs[0]?.sha256}`;
  const pack = await readSmall(good, key, { limitBytes: 10_000 }) ?? new Uint8Array();
  const record = await readSmall(good, "v1/go/log/000000000000", { limitBytes: 10_000 });
  const text = new TextDecoder().decode(record ?? new Uint8Array());
  const rows = [
    { name: "no record", record: "x", pack, want: /log\/0{12}": it is not JSON/ },
    {
      name: "a later format",
      record: text.replace('"format":1', '"format":2'),
      pack,
      want: /unknown format/,
    },
    { name: "no pack", record: text, pack: null, want: /is missing/ },
    { name: "another pack", record: text, pack: pack.slice(1), want: /is damaged/ },
    {
      name: "an entry less",
      record: text.replace('"entries":1', '"entries":2'),
      pack,
      want: /1 entries and not 2/,
    },
  ];
  for (const { name, record, pack, want } of rows) {
    await t.step(name, async () => {
      const store = new MemoryStore();
      const bytes = new TextEncoder().encode(record);
      await store.create("v1/go/log/000000000000", bytesContent(bytes));
      if (pack !== null) await store.create(key, bytesContent(pack));
      await assert.rejects(follow(store), (error) => {
        assert.ok(error instanceof StorageError);
        assert.match(error.message, want);
        return true;
      });
    });
  }
});

Deno.test("the records of sources do not meet", async () => {
  const store = new MemoryStore();
  await append(store, NO_STATE, { A: "1.0.0" });
  assert.deepEqual(await new FeedLog(store, "own").follow(NO_STATE, signal), NO_STATE);
});

/** Entries by number; the value is what differs. */
type Fixes = Readonly<Record<string, number>>;

function setOfNumbers(fixes: Fixes): EntrySet {
  const set = new GrowingSet();
  for (const [id, fixed] of Object.entries(fixes)) {
    const entry = fakeEntry(`GO-${id}`, { fixed: `1.${fixed}.0` });
    set.add(readEntry(new TextEncoder().encode(JSON.stringify(entry)), { nowMs: 0 }));
  }
  return atOnce(set.sortSteps());
}

function textOf(entries: EntrySet): string {
  return [...entries].map(([id, { digest }]) => `${id} ${digest}`).join("\n");
}

const fixes = fc.dictionary(fc.constantFrom("1", "2", "3", "4", "5", "6"), fc.nat(3));
const step = fc.oneof(
  fc.record({ kind: fc.constant("follow" as const), replica: fc.nat(2) }),
  fc.record({ kind: fc.constant("append" as const), replica: fc.nat(2), fixes }),
);

Deno.test("every replica that follows has what was appended last", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const store = new MemoryStore();
      const log = new FeedLog(store, "go");
      const states: FeedState[] = [NO_STATE, NO_STATE, NO_STATE];
      let last: EntrySet = new Map();
      let count = 0;
      for (const step of steps) {
        const known = states[step.replica] ?? NO_STATE;
        if (step.kind === "append") {
          const entries = setOfNumbers(step.fixes);
          const facts = { checkedAtMs: 0, modified: null, validator: null };
          const state = await log.append(known, { ...facts, entries }, signal);
          // One that lags behind gets what it has not read, and nothing is appended.
          if (known.count === count) {
            count++;
            last = entries;
          }
          states[step.replica] = state;
        } else {
          states[step.replica] = await log.follow(known, signal);
        }
        const state = states[step.replica];
        assert.equal(state?.count, count);
        assert.equal(textOf(state?.entries ?? new Map()), textOf(last));
      }
      const fresh = await log.follow(NO_STATE, signal);
      assert.equal(textOf(fresh.entries), textOf(last));
      // Lines that no longer count are written again at most once.
      const lines = fresh.packs.reduce((sum, pack) => sum + pack.lines, 0);
      assert.ok(lines <= Math.max(2 * last.size, 6), `${lines} lines of ${last.size} entries`);
    }),
    { numRuns: 100 },
  );
});
