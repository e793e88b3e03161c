/**
 * No step of reading advisories holds the thread for long, with more than twice as many entries as
 * the Go database has: when a source is read for the first time, when it is read again, and when
 * another replica finds them in the store.
 */
import { Advisories } from "../lib/advisories/advisories.ts";
import { Mirror } from "../lib/advisories/mirror.ts";
import { OsvFeed } from "../lib/advisories/osv_feed.ts";
import { createLogger } from "../lib/log/log.ts";
import { NO_METRICS } from "../lib/log/metrics.ts";
import { fakeEntry } from "./fakes/vulndb.ts";
import { MemoryStore } from "./fakes/memory_store.ts";
import { testLongestSteps } from "./suites/longest_step_suite.ts";
import { buildZip } from "./support/module_zip.ts";

const ENTRIES = 10_000;
const MODULES = 2_500;
const DETAILS = "x".repeat(1000);
const { signal } = new AbortController();

const ZIP = await buildZip(
  Array.from({ length: ENTRIES }, (_, i) => {
    const entry = fakeEntry(`GO-${i}`, { name: `example.com/m${i % MODULES}`, details: DETAILS });
    return [`${entry.id}.json`, JSON.stringify(entry)] as const;
  }),
);

const file = await Deno.makeTempFile({ suffix: ".zip" });
await Deno.writeFile(file, ZIP);
Deno.test.afterAll(() => Deno.remove(file));

function withReplicas(count: number): readonly Advisories[] {
  const options = {
    now: Date.now,
    log: createLogger("error", { write: () => {} }),
    metrics: NO_METRICS,
  };
  const mirrorOptions = {
    ...options,
    name: "go",
    feed: new OsvFeed({ file }),
    store: new MemoryStore(),
    maxStaleMs: 72 * 3_600_000,
    maxLossPercent: 10,
  };
  return Array.from({ length: count }, () =>
    new Advisories({
      ...options,
      mirrors: [new Mirror(mirrorOptions)],
      refreshEveryMs: 3_600_000,
      isPrivate: () => false,
    }));
}

testLongestSteps([
  {
    name: "advisories are read for the first time",
    prepare: () => {
      const [one] = withReplicas(1);
      return () => one?.refresh(signal);
    },
  },
  {
    name: "advisories are read again",
    prepare: async () => {
      const [one] = withReplicas(1);
      await one?.refresh(signal);
      return () => one?.refresh(signal);
    },
  },
  {
    name: "advisories are read from the store",
    prepare: async () => {
      const [one, other] = withReplicas(2);
      await one?.refresh(signal);
      return () => other?.load(signal);
    },
  },
]);
