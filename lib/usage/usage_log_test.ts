import assert from "node:assert/strict";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { createLogger } from "../log/log.ts";
import { MAX_ROWS, UsageCounter } from "./usage_counter.ts";
import { readUsage, UsageLog } from "./usage_log.ts";
import type { UsageKey, UsageRow } from "./usage_row.ts";

const NOW = Date.UTC(2026, 10, 29, 15, 30);
const KEY: UsageKey = { module: "example.com/a", version: "v1.0.0", kind: "zip", identity: "ci" };
const signal = new AbortController().signal;

function open(store: MemoryStore, replica: string, others: UsageRow[] = []) {
  return new UsageLog({
    store,
    mode: "identities",
    replica,
    collect: () => Promise.resolve(others.splice(0)),
    now: () => NOW,
    pause: (_, signal) =>
      new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
    log: createLogger("silent"),
  });
}

Deno.test("usage of all threads and replicas is written, and read back", async () => {
  const store = new MemoryStore();
  {
    await using one = open(store, "one", [{ ...KEY, count: 2 }]);
    await using two = open(store, "two");
    one.counter.add(KEY);
    await one.flush();
    one.counter.add({ ...KEY, rule: "cool-down", action: "hold", mode: "audit" });
    two.counter.add({ ...KEY, identity: null });
  }
  const options = { sinceMs: NOW - 86_400_000, nowMs: NOW, signal };
  const rows = await Array.fromAsync(readUsage(store, options));
  assert.deepEqual(rows, [
    { ...KEY, count: 3 },
    { ...KEY, count: 1, rule: "cool-down", action: "hold", mode: "audit" },
    { ...KEY, identity: null, count: 1 },
  ]);
  const keys = await Array.fromAsync(store.walk());
  assert.deepEqual(keys, [
    "u1/2026-11-29/15-one-0",
    "u1/2026-11-29/15-one-1",
    "u1/2026-11-29/15-two-0",
  ]);
  const later = { sinceMs: NOW + 86_400_000, nowMs: NOW + 86_400_000, signal };
  assert.deepEqual(await Array.fromAsync(readUsage(store, later)), []);
});

Deno.test("UsageCounter is bounded, and says what it has not counted", () => {
  const counter = new UsageCounter("identities");
  for (let i = 0; i < MAX_ROWS + 5; i++) counter.add({ ...KEY, version: `v1.0.${i}` });
  assert.equal(counter.lost, 5);
  assert.equal(counter.take().length, MAX_ROWS);
  assert.deepEqual([counter.lost, counter.take().length], [0, 0]);
});

Deno.test("UsageCounter records no identities where none are wanted", () => {
  const counter = new UsageCounter("anonymous");
  counter.add(KEY);
  counter.add({ ...KEY, identity: "alice" });
  assert.deepEqual(counter.take(), [{ ...KEY, identity: null, count: 2 }]);
});
