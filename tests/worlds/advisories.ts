/** Advisories that need no source: what a replica finds in its store. */
import { Advisories } from "../../lib/advisories/advisories.ts";
import { GrowingSet, readEntry } from "../../lib/advisories/entry_set.ts";
import type { Feed } from "../../lib/advisories/feed.ts";
import { atOnce } from "../../lib/async/pace.ts";
import { Mirror } from "../../lib/advisories/mirror.ts";
import { createLogger } from "../../lib/log/log.ts";
import { NO_METRICS } from "../../lib/log/metrics.ts";
import type { FakeEntry } from "../fakes/vulndb.ts";
import { MemoryStore } from "../fakes/memory_store.ts";

export interface AdvisoriesOptions {
  readonly isPrivate?: (path: string) => boolean;
  /** The time in milliseconds since 1970. Default: the clock. */
  readonly now?: () => number;
}

/** @param entries null: the source has never been read */
export async function advisoriesOf(
  entries: readonly FakeEntry[] | null,
  { isPrivate = () => false, now = Date.now }: AdvisoriesOptions = {},
): Promise<Advisories> {
  const set = new GrowingSet();
  for (const entry of entries ?? []) {
    set.add(readEntry(new TextEncoder().encode(JSON.stringify(entry)), { nowMs: now() }));
  }
  const feed: Feed = {
    description: "a test",
    read: () =>
      Promise.resolve({ entries: atOnce(set.sortSteps()), modified: null, validator: null }),
  };
  const options = {
    now,
    log: createLogger("error", { write: () => {} }),
    metrics: NO_METRICS,
  };
  const mirror = new Mirror({
    ...options,
    name: "test",
    feed,
    store: new MemoryStore(),
    maxStaleMs: 72 * 3_600_000,
    maxLossPercent: 10,
  });
  const advisories = new Advisories({
    ...options,
    mirrors: [mirror],
    refreshEveryMs: 3_600_000,
    isPrivate,
  });
  if (entries !== null) await advisories.refresh(new AbortController().signal);
  return advisories;
}
