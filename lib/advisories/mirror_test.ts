import assert from "node:assert/strict";
import { atOnce } from "../async/pace.ts";
import { fakeEntry } from "../../tests/fakes/vulndb.ts";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { UpstreamError } from "../errors.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { GrowingSet, readEntry } from "./entry_set.ts";
import type { Feed, FeedReading } from "./feed.ts";
import type { FeedState } from "./feed_log.ts";
import { Mirror } from "./mirror.ts";
import { InvalidAdvisoryError } from "./osv.ts";

const { signal } = new AbortController();
const HOUR_MS = 3_600_000;

/** A source whose next answer the test decides. */
class FakeFeed implements Feed {
  readonly description = "a fake";
  next: FeedReading | Error = "unchanged";
  known: FeedState | null = null;

  read(known: FeedState): Promise<FeedReading> {
    this.known = known;
    return this.next instanceof Error ? Promise.reject(this.next) : Promise.resolve(this.next);
  }

  has(count: number, changes: Record<string, unknown> = {}): void {
    const set = new GrowingSet();
    for (let i = 0; i < count; i++) {
      const entry = { ...fakeEntry(`GO-${i}`), ...changes };
      set.add(readEntry(new TextEncoder().encode(JSON.stringify(entry)), { nowMs: 0 }));
    }
    this.next = { entries: atOnce(set.sortSteps()), modified: `${count}`, validator: null };
  }
}

class World {
  readonly feed = new FakeFeed();
  readonly lines: { level: string; msg: string; facts: Record<string, unknown> }[] = [];
  readonly outcomes: string[] = [];
  nowMs = Date.UTC(2026, 0, 1);
  readonly store: ObjectStore;

  constructor(store: ObjectStore = new MemoryStore()) {
    this.store = store;
  }

  /** A replica. */
  open({ maxLossPercent = 10 }: { maxLossPercent?: number } = {}): Mirror {
    const line = (level: string) => (facts: object, msg: string) =>
      void this.lines.push({ level, msg, facts: { ...facts } });
    const metrics: Metrics = {
      ...NO_METRICS,
      add: (_name, labels) => void this.outcomes.push(Object.values<string>(labels).join()),
    };
    return new Mirror({
      name: "go",
      feed: this.feed,
      store: this.store,
      maxStaleMs: 72 * HOUR_MS,
      maxLossPercent,
      now: () => this.nowMs,
      log: { info: line("info"), warn: line("warn"), error: line("error") } as never,
      metrics,
    });
  }

  async records(): Promise<number> {
    return (await this.store.list("v1/go/log")).length;
  }
}

Deno.test("Mirror.refresh() takes over what the source has", async () => {
  const world = new World();
  const mirror = world.open();
  assert.ok(mirror.isStale);
  world.feed.has(20);
  assert.equal(await mirror.refresh(signal), true);
  assert.deepEqual([mirror.entries.size, mirror.succeededMs, mirror.isStale, mirror.fault], [
    20,
    world.nowMs,
    false,
    null,
  ]);
  world.feed.next = "unchanged";
  world.nowMs += HOUR_MS;
  assert.equal(await mirror.refresh(signal), false);
  assert.equal(mirror.succeededMs, world.nowMs);
  assert.deepEqual(world.outcomes, ["changed", "unchanged"]);
  // Nothing is written where nothing is new.
  assert.equal(await world.records(), 1);
});

Deno.test("another replica, and a restarted one, find it in the store", async () => {
  const world = new World();
  const [one, other] = [world.open(), world.open()];
  world.feed.has(20);
  await one.refresh(signal);
  world.nowMs += HOUR_MS;
  assert.equal(await other.load(signal), true);
  assert.deepEqual([other.entries.size, other.succeededMs], [20, world.nowMs - HOUR_MS]);
  world.feed.next = new UpstreamError("Cannot reach it");
  assert.equal(await other.refresh(signal), false);
  assert.equal(other.entries.size, 20);
});

Deno.test("a source that says nothing new is recorded from time to time", async () => {
  const world = new World();
  const mirror = world.open();
  world.feed.has(20);
  await mirror.refresh(signal);
  world.feed.next = "unchanged";
  for (let hour = 0; hour < 72; hour++) {
    world.nowMs += HOUR_MS;
    await mirror.refresh(signal);
  }
  // A replica that starts now, while the source is down, knows that it is fresh.
  const restarted = world.open();
  await restarted.load(signal);
  assert.equal(restarted.isStale, false);
  const records = await world.records();
  assert.ok(records >= 4 && records <= 5, `${records} records`);
});

Deno.test("what is not read for long is stale, and stays", async () => {
  const world = new World();
  const mirror = world.open();
  world.feed.has(20);
  await mirror.refresh(signal);
  world.feed.next = new UpstreamError("Cannot reach it");
  for (const hours of [71, 2]) {
    world.nowMs += hours * HOUR_MS;
    await mirror.refresh(signal);
  }
  assert.deepEqual([mirror.isStale, mirror.entries.size], [true, 20]);
  assert.equal(mirror.fault, "Cannot reach it");
  // It is said once.
  assert.deepEqual(world.lines.filter(({ level }) => level === "warn").map(({ msg }) => msg), [
    "cannot read advisories; what is known stays",
  ]);
  world.feed.next = "unchanged";
  await mirror.refresh(signal);
  assert.deepEqual([mirror.isStale, mirror.fault], [false, null]);
});

Deno.test("Mirror.refresh() refuses a source that has lost entries", async (t) => {
  const withdrawn = { withdrawn: "2025-01-01T00:00:00Z" };
  const rows: {
    name: string;
    next: (feed: FakeFeed) => void;
    maxLossPercent?: number;
    want: RegExp | null;
  }[] = [
    { name: "a tenth", next: (feed) => feed.has(18), want: null },
    { name: "more than a tenth", next: (feed) => feed.has(17), want: /3 of 20 entries are gone/ },
    { name: "everything", next: (feed) => feed.has(0), want: /it has no entry/ },
    { name: "everything is withdrawn", next: (feed) => feed.has(20, withdrawn), want: /no entry/ },
    {
      name: "everything is about nothing",
      next: (feed) => feed.has(20, { affected: [] }),
      want: /no entry/,
    },
    { name: "as much as is allowed", next: (feed) => feed.has(10), maxLossPercent: 50, want: null },
    {
      name: "nothing is allowed",
      next: (feed) => feed.has(19),
      maxLossPercent: 0,
      want: /1 of 20/,
    },
    {
      name: "everything, and it is allowed",
      next: (feed) => feed.has(0),
      maxLossPercent: 100,
      want: /no entry/,
    },
    { name: "damaged", next: (feed) => feed.next = new InvalidAdvisoryError("bad"), want: /bad/ },
  ];
  for (const { name, next, maxLossPercent = 10, want } of rows) {
    await t.step(name, async () => {
      const world = new World();
      const mirror = world.open({ maxLossPercent });
      world.feed.has(20);
      await mirror.refresh(signal);
      next(world.feed);
      world.nowMs += HOUR_MS;
      assert.equal(await mirror.refresh(signal), want === null);
      if (want === null) return;
      assert.match(mirror.fault ?? "", want);
      assert.deepEqual([mirror.entries.size, await world.records()], [20, 1]);
      assert.equal(mirror.succeededMs, world.nowMs - HOUR_MS);
      assert.deepEqual(world.outcomes, ["changed", "refused"]);
      const alarm = world.lines.at(-1);
      assert.deepEqual([alarm?.level, alarm?.msg], [
        "error",
        "advisories are refused; what is known stays",
      ]);
    });
  }
});

Deno.test("Mirror.refresh() fails with the store, and goes on after it", async () => {
  let isDown = false;
  const world = new World(new FaultyStore(new MemoryStore(), () => isDown ? "fail" : null));
  const mirror = world.open();
  world.feed.has(20);
  await mirror.refresh(signal);
  isDown = true;
  world.feed.has(21);
  assert.equal(await mirror.refresh(signal), false);
  assert.equal(mirror.entries.size, 20);
  isDown = false;
  assert.equal(await mirror.refresh(signal), true);
  assert.equal(mirror.entries.size, 21);
  assert.deepEqual(world.outcomes, ["changed", "failed", "changed"]);
});

Deno.test("of two replicas that read different things, both have the first one's", async () => {
  const world = new World();
  const [one, other] = [world.open(), world.open()];
  world.feed.has(20);
  const first = one.refresh(signal);
  world.feed.has(21);
  await Promise.all([first, other.refresh(signal)]);
  assert.deepEqual([...one.entries.keys()], [...other.entries.keys()]);
  assert.equal(one.count, other.count);
});

Deno.test("a clock that is ahead makes nothing fresh for ever", async () => {
  const world = new World();
  world.feed.has(20);
  world.nowMs += 1000 * HOUR_MS;
  await world.open().refresh(signal);
  world.nowMs -= 1000 * HOUR_MS;
  const mirror = world.open();
  await mirror.load(signal);
  assert.equal(mirror.succeededMs, world.nowMs);
});
