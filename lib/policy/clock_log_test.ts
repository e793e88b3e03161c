import assert from "node:assert/strict";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { createLogger } from "../log/log.ts";
import { ClockLog, ENTRY_STEP_MS } from "./clock_log.ts";

const START = Date.UTC(2026, 10, 29);
const signal = new AbortController().signal;
const tree = (size: number) => ({ size, hash: new Uint8Array(32) });

/** A replica with a clock of its own. */
function replica(store: MemoryStore, clock: { ms: number }, known = []) {
  return new ClockLog({
    store,
    database: "sum.example.com/team",
    now: () => clock.ms,
    log: createLogger("silent"),
    known,
  });
}

async function see(log: ClockLog, size: number): Promise<void> {
  log.see(tree(size));
  await log.drain();
}

Deno.test("a record existed when the first tree with it was seen, on every replica", async () => {
  const [store, clock] = [new MemoryStore(), { ms: START }];
  const [one, two] = [replica(store, clock), replica(store, clock)];
  await see(one, 100);
  clock.ms += ENTRY_STEP_MS;
  await see(two, 200);
  clock.ms += ENTRY_STEP_MS;
  for (const log of [one, two, replica(store, clock)]) {
    assert.equal((await log.provenAt(99, signal))?.atMs, START);
    assert.equal((await log.provenAt(100, signal))?.atMs, START + ENTRY_STEP_MS);
    assert.equal(await log.provenAt(200, signal), null);
  }
});

Deno.test("there is an entry an hour at most, and none for a tree that has not grown", async () => {
  const [store, clock] = [new MemoryStore(), { ms: START }];
  using log = replica(store, clock);
  const entries = async () => (await Array.fromAsync(store.walk())).length;
  await see(log, 100);
  clock.ms += ENTRY_STEP_MS;
  await see(log, 100);
  assert.equal(await entries(), 1);
  await see(log, 150);
  clock.ms += ENTRY_STEP_MS - 1;
  await see(log, 200);
  assert.equal(await entries(), 2);
});

Deno.test("a replica whose clock is ahead makes nothing look older", async () => {
  const [store, clock] = [new MemoryStore(), { ms: START }];
  const ahead = { ms: START + 48 * ENTRY_STEP_MS };
  await see(replica(store, ahead), 100);
  const log = replica(store, clock);
  assert.equal(await log.provenAt(50, signal), null);
  await see(log, 120);
  clock.ms += ENTRY_STEP_MS;
  assert.equal((await replica(store, clock).provenAt(50, signal))?.atMs, START);
});

Deno.test("without a history, the table of known trees counts", async () => {
  const clock = { ms: START };
  const log = new ClockLog({
    store: new MemoryStore(),
    database: "sum.golang.org",
    now: () => clock.ms,
    log: createLogger("silent"),
  });
  const proven = await log.provenAt(17_000_000, signal);
  assert.equal(proven?.isKnown, true);
  assert.equal(proven?.atMs, Date.UTC(2023, 5, 1));
});

Deno.test("a tree that comes too early is recorded when the hour has passed", async () => {
  const [store, clock] = [new MemoryStore(), { ms: START }];
  using log = replica(store, clock);
  await see(log, 100);
  clock.ms += ENTRY_STEP_MS / 2;
  await see(log, 150);
  assert.equal(await log.provenAt(120, signal), null);
  assert.equal(log.expectedAt(120), START + ENTRY_STEP_MS);
  clock.ms = START + ENTRY_STEP_MS;
  // As the timer does, although the database has no new tree.
  await see(log, 100);
  assert.equal((await log.provenAt(120, signal))?.atMs, START + ENTRY_STEP_MS);
});

Deno.test("expectedAt() is when an entry from the future proves it", async () => {
  const [store, clock] = [new MemoryStore(), { ms: START }];
  using ahead = replica(store, { ms: START + ENTRY_STEP_MS });
  await see(ahead, 100);
  using log = replica(store, clock);
  assert.equal(await log.provenAt(50, signal), null);
  assert.equal(log.expectedAt(50), START + ENTRY_STEP_MS);
  assert.equal(log.expectedAt(100), START + 2 * ENTRY_STEP_MS);
});
