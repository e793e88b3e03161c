/**
 * `deno task bench memory`: the peak memory of all processes of a server, idle and under the
 * heaviest load.
 *
 * Each figure is of a server of its own, because memory that was taken once may never be given
 * back.
 */
import { Contestant, get, installed, type Name, PEERS } from "./contestants.ts";
import { load } from "./load.ts";
import { fileOf, largeModule, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { MemoryPeak } from "./process_tree.ts";
import { type Goal, type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const PULLING_CLIENTS = 64;
const HUGE_BYTES = 500_000_000;
/**
 * As many bytes as the huge one: until V8 has seen some hundred megabytes of buffers it collects
 * few of them.
 */
const MANY_BYTES = Array.from({ length: 7 }, (_, i) => 70_000_000 + i * 500_000);
const HUGE_ZIP = largeModule(HUGE_BYTES);
const MANY_ZIPS = MANY_BYTES.map(largeModule);
const ZIP = largeModule(70_000_000);
/** What it may be more and still count as equal. */
const EQUAL = 1.1;
/** To become idle after the start. */
const SETTLE_MS = 1000;

interface Case {
  readonly what: string;
  readonly goals: readonly Goal[];
  readonly prepare?: (url: string) => Promise<unknown>;
  readonly work: (url: string, seconds: number) => Promise<unknown>;
}

/** The contestant in the row of the huge zip that it is to be equal to. */
const MANY = "ours, seven of 70 MB";

const FILL: Case = {
  what: "cold fill of a 70 MB zip",
  goals: [{ atMost: 350 }],
  work: (url) => get(`${url}/${fileOf(ZIP, "zip")}`),
};
const HUGE_FILL: Case = {
  what: "cold fill of a 500 MB zip",
  goals: [{ atMost: 350 }, { of: [MANY], atMost: EQUAL }],
  work: (url) => get(`${url}/${fileOf(HUGE_ZIP, "zip")}`),
};
const MANY_FILL: Case = {
  what: "cold fill of seven zips of 70 MB",
  goals: [],
  work: async (url) => {
    for (const zip of MANY_ZIPS) await get(`${url}/${fileOf(zip, "zip")}`);
  },
};
const CASES: readonly Case[] = [
  {
    what: "idle",
    goals: [{ atMost: 200 }],
    prepare: (url) => get(`${url}/${fileOf(SMALL_MODULES[0] ?? ZIP, "info")}`),
    work: () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS)),
  },
  {
    what: `${PULLING_CLIENTS} clients pulling 70 MB zips`,
    goals: [{ atMost: 350 }],
    prepare: (url) => get(`${url}/${fileOf(ZIP, "zip")}`),
    work: (url, seconds) =>
      load({ url, paths: [fileOf(ZIP, "zip")], connections: PULLING_CLIENTS, seconds }),
  },
  FILL,
  MANY_FILL,
  HUGE_FILL,
];

export async function benchMemory(
  { longRounds: rounds, seconds, say }: BenchOptions,
): Promise<Report> {
  say("making the modules");
  await using upstream = await Upstream.start([await madeModules([...MANY_BYTES, HUGE_BYTES])]);
  const samples = new Samples();
  for (let round = 0; round < rounds; round++) {
    for (const name of installed(["ours", ...PEERS])) {
      say(`round ${round + 1} of ${rounds}: ${name}`);
      for (const one of CASES) await bench(name, one, { upstream, seconds, samples });
    }
  }
  return {
    suite: "memory",
    notes: ["Proportional set sizes of all processes together, looked at ten times a second."],
    rows: samples.rows(),
  };
}

interface World {
  readonly upstream: Upstream;
  readonly seconds: number;
  readonly samples: Samples;
}

async function bench(name: Name, one: Case, { upstream, seconds, samples }: World) {
  await using contestant = await Contestant.start(name, { upstream });
  await one.prepare?.(contestant.url);
  await using peak = new MemoryPeak(contestant.pid);
  const startMs = performance.now();
  await one.work(contestant.url, seconds);
  const ms = performance.now() - startMs;
  const peakMb = await peak.stop() / 1e6;
  samples.add(rowOf(one), name, peakMb);
  // To be compared with.
  if (one === MANY_FILL && name === "ours") samples.add(rowOf(HUGE_FILL), MANY, peakMb);
  if (one === FILL || one === HUGE_FILL) {
    samples.add({ name: `${one.what}: time`, unit: "ms", goals: [] }, name, ms);
  }
}

function rowOf({ what, goals }: Case) {
  return { name: `peak memory: ${what}`, unit: "MB", goals } as const;
}
