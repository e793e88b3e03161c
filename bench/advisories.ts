/**
 * `deno task bench advisories`: mirroring the Go team's database of vulnerabilities, and matching
 * with it. The database is served by this process over loopback; the store is on the disk.
 *
 * With `VULNDB=FOLDER`, the `data/osv` of a checkout of golang/vulndb, it has the real entries,
 * otherwise as many made ones of the same size.
 */
import { type FakeEntry, fakeEntry, FakeVulndb } from "../tests/fakes/vulndb.ts";
import { Advisories } from "../lib/advisories/advisories.ts";
import { Mirror } from "../lib/advisories/mirror.ts";
import { Matcher } from "../lib/advisories/table.ts";
import { VulndbFeed } from "../lib/advisories/vulndb_feed.ts";
import { createFetch } from "../lib/http/client.ts";
import { createLogger } from "../lib/log/log.ts";
import { NO_METRICS } from "../lib/log/metrics.ts";
import { DiskStore } from "../lib/store/disk.ts";
import { buildZip } from "../tests/support/module_zip.ts";
import { type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";

/** As many as the Go database has in November 2026, and about modules as many. */
const ENTRIES = 4_291;
const MODULES = 1_373;
const DETAILS_LENGTH = 1_300;
const CHANGED = 10;
const LOOKUPS = 100_000;

const { signal } = new AbortController();

export async function benchAdvisories({ longRounds: rounds, say }: BenchOptions): Promise<Report> {
  const samples = new Samples();
  const entries = await readEntries();
  for (let round = 0; round < rounds; round++) {
    for (const hasZip of [false, true]) {
      say(`round ${round + 1} of ${rounds}${hasZip ? ", with vulndb.zip" : ""}`);
      await bench(entries, { hasZip, samples });
    }
  }
  return {
    suite: "advisories",
    notes: [
      `${entries.length} entries. The database is served by the same process, whose time is included.`,
      "The longest wait is that of a timer while the work goes on: what a request might wait.",
    ],
    rows: samples.rows(),
  };
}

async function readEntries(): Promise<FakeEntry[]> {
  const folder = Deno.env.get("VULNDB");
  if (folder === undefined) {
    return Array.from({ length: ENTRIES }, (_, i) =>
      fakeEntry(`GO-2026-${i}`, {
        name: `example.com/module-${i % MODULES}`,
        details: "x".repeat(DETAILS_LENGTH),
      }));
  }
  const entries: FakeEntry[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const entry = JSON.parse(await Deno.readTextFile(`${folder}/${name}`));
    // The repository has no times.
    entries.push({ ...entry, modified: entry.published ?? "2026-01-01T00:00:00Z" });
  }
  return entries;
}

async function bench(
  entries: readonly FakeEntry[],
  { hasZip, samples }: { readonly hasZip: boolean; readonly samples: Samples },
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "bench-advisories-" });
  await using vulndb = new FakeVulndb(entries);
  if (hasZip) {
    vulndb.setFile(
      "vulndb.zip",
      await buildZip(
        entries.map((entry) => [`ID/${entry.id}.json`, JSON.stringify(entry)] as const),
      ),
    );
  }
  const add = (name: string, value: number) =>
    samples.add(
      { name: name + (hasZip ? ", vulndb.zip" : ""), unit: "ms", goals: [] },
      "ours",
      value,
    );
  try {
    const store = await DiskStore.open({ path: `${directory}/store` });
    const open = () => {
      const options = { now: Date.now, log: createLogger("error"), metrics: NO_METRICS };
      const fetch = createFetch({ userAgent: "bench", via: "1.1 bench" });
      const mirror = new Mirror({
        ...options,
        name: "go",
        feed: new VulndbFeed({
          url: new URL(vulndb.url),
          fetch,
          scratchDirectory: () => Promise.resolve(directory),
        }),
        store,
        maxStaleMs: 72 * 3_600_000,
        maxLossPercent: 10,
      });
      const mirrors = [mirror];
      return new Advisories({
        ...options,
        mirrors,
        refreshEveryMs: 3_600_000,
        isPrivate: () => false,
      });
    };
    const advisories = open();
    const full = await measured(() => advisories.refresh(signal));
    const [fault] = advisories.status.sources.map(({ fault }) => fault);
    if (fault !== null) throw new Error(fault);
    add("full refresh", full.ms);
    add("full refresh: longest wait", full.longestMs);
    add("refresh without a change", (await measured(() => advisories.refresh(signal))).ms);
    const later = "2099-01-01T00:00:00Z";
    vulndb.set(entries.map((entry, i) => i < CHANGED ? { ...entry, modified: later } : entry));
    const partial = await measured(() => advisories.refresh(signal));
    add(`refresh with ${CHANGED} changed entries`, partial.ms);
    add(`refresh with ${CHANGED} changed entries: longest wait`, partial.longestMs);
    if (hasZip) return;
    const restarted = open();
    const start = await measured(() => restarted.load(signal));
    add("start: reading the store", start.ms);
    add("start: longest wait", start.longestMs);
    benchMatching(restarted, samples);
    await benchTable(restarted, samples);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function benchMatching({ table }: Advisories, samples: Samples): void {
  const matcher = new Matcher(table, Date.now);
  const paths = [...table.modules.keys(), ...Array.from({ length: 10_000 }, (_, i) => `x.y/${i}`)];
  const startMs = performance.now();
  for (let i = 0; i < LOOKUPS; i++) matcher.match(paths[i % paths.length] ?? "", "v1.2.3");
  const us = (performance.now() - startMs) * 1000 / LOOKUPS;
  samples.add({ name: "matching a version", unit: "CPU µs/request", goals: [] }, "ours", us);
}

async function benchTable({ table }: Advisories, samples: Samples): Promise<void> {
  const startMs = performance.now();
  structuredClone(table);
  const row = { name: "structured clone of the table", unit: "ms" as const, goals: [] };
  samples.add(row, "ours", performance.now() - startMs);
  // What other threads hold of it: serialized, it has no spare room.
  const { serialize } = await import("node:v8");
  const bytes = serialize(table).length;
  samples.add({ name: "table, serialized", unit: "MB", goals: [] }, "ours", bytes / 1e6);
}

/** How long it takes, and how long a timer had to wait meanwhile. */
async function measured(work: () => Promise<unknown>): Promise<{ ms: number; longestMs: number }> {
  let longestMs = 0;
  const startMs = performance.now();
  let lastMs = startMs;
  const look = () => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const probe = setInterval(look, 1);
  await work();
  look();
  clearInterval(probe);
  return { ms: performance.now() - startMs, longestMs };
}
