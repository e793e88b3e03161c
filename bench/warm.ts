/**
 * `deno task bench warm`: what is in the cache already, which is nearly all that a proxy is asked
 * for.
 *
 * Small files of a hundred modules in turns, zips, and small files while others pull zips. All
 * servers run all the time, and one at a time is asked. What is left of the machine is the load's,
 * so that requests per second are those of a machine that is shared; CPU per request is the
 * server's alone.
 */
import { Contestant, installed, PEERS } from "./contestants.ts";
import { load } from "./load.ts";
import { fileOf, largeModule, listOf, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { treeCpuMs, treeHighWaterBytes } from "./process_tree.ts";
import { type Goal, type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const CONNECTIONS = 32;
const PULLING_CLIENTS = 8;
const HEAT_UP_SECONDS = 3;
const ZIP_BYTES = [100_000, 5_000_000, 70_000_000];
const LARGEST = largeModule(Math.max(...ZIP_BYTES));

const BEST_PEER_OR_BETTER: Goal = { of: PEERS, atLeast: 1 };
const SMALL_FILES: Readonly<Record<string, readonly string[]>> = {
  ".info": SMALL_MODULES.map((module) => fileOf(module, "info")),
  ".mod": SMALL_MODULES.map((module) => fileOf(module, "mod")),
  "@v/list": SMALL_MODULES.map(listOf),
};

export async function benchWarm({ rounds, seconds, say }: BenchOptions): Promise<Report> {
  say("making the modules");
  const files = await madeModules(ZIP_BYTES);
  await using upstream = await Upstream.start([files]);
  await using stack = new AsyncDisposableStack();
  const contestants: Contestant[] = [];
  for (const name of installed(["ours", ...PEERS, "nginx"])) {
    say(`starting ${name}`);
    const contestant = stack.use(await Contestant.start(name, { upstream, files }));
    await contestant.warm([
      ...Object.values(SMALL_FILES).flat(),
      ...ZIP_BYTES.map((sizeBytes) => fileOf(largeModule(sizeBytes), "zip")),
    ]);
    await heatUp(contestant);
    contestants.push(contestant);
  }
  const samples = new Samples();
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    // Not always in the same order.
    contestants.push(...contestants.splice(0, 1));
    for (const contestant of contestants) await benchSmall(contestant, { seconds, samples });
    for (const contestant of contestants) await benchZips(contestant, { seconds, samples });
    for (const contestant of contestants) await benchMixed(contestant, { seconds, samples });
  }
  for (const { name, pid } of contestants) {
    const row = { name: "most memory in all of this", unit: "MB" as const, goals: [] };
    samples.add(row, name, megabytes(await treeHighWaterBytes(pid)));
  }
  return {
    suite: "warm",
    notes: [
      "nginx serves the upstream's files by sendfile; it is no module proxy.",
      `${CONNECTIONS} connections for small files of ${SMALL_MODULES.length} modules, ${PULLING_CLIENTS} for zips.`,
    ],
    rows: samples.rows(),
  };
}

/**
 * A server is asked for a while before it is measured, so that what is compiled as it runs is
 * compiled.
 */
async function heatUp({ url }: Contestant): Promise<void> {
  const paths = [...SMALL_FILES[".info"] ?? [], ...SMALL_FILES[".mod"] ?? []];
  await load({ url, paths, connections: CONNECTIONS, seconds: HEAT_UP_SECONDS });
}

interface Measuring {
  readonly seconds: number;
  readonly samples: Samples;
}

async function benchSmall({ name, url, pid }: Contestant, { seconds, samples }: Measuring) {
  for (const [what, paths] of Object.entries(SMALL_FILES)) {
    const before = await treeCpuMs(pid);
    const served = await load({ url, paths, connections: CONNECTIONS, seconds });
    const after = await treeCpuMs(pid);
    samples.add(
      { name: `warm \`${what}\``, unit: "requests/s", goals: [BEST_PEER_OR_BETTER] },
      name,
      served.requests / served.seconds,
    );
    samples.add(
      { name: `warm \`${what}\`: work`, unit: "CPU µs/request", goals: [{ of: PEERS, atMost: 1 }] },
      name,
      before === null || after === null ? null : (after - before) * 1000 / served.requests,
    );
  }
}

async function benchZips({ name, url, pid }: Contestant, { seconds, samples }: Measuring) {
  for (const sizeBytes of ZIP_BYTES) {
    const what = sizeOf(sizeBytes);
    const paths = [fileOf(largeModule(sizeBytes), "zip")];
    const before = await treeCpuMs(pid);
    const served = await load({ url, paths, connections: PULLING_CLIENTS, seconds });
    const after = await treeCpuMs(pid);
    samples.add(
      {
        name: `warm zip of ${what}`,
        unit: "MB/s",
        goals: [BEST_PEER_OR_BETTER, { of: ["nginx"], atLeast: 0.5 }],
      },
      name,
      served.bytes / 1e6 / served.seconds,
    );
    samples.add(
      { name: `warm zip of ${what}: work`, unit: "CPU ms/GB", goals: [] },
      name,
      before === null || after === null ? null : (after - before) * 1e9 / served.bytes,
    );
  }
}

/**
 * The goal is about the same server without the pulling clients, which stands in the row as a
 * contestant.
 */
async function benchMixed({ name, url }: Contestant, { seconds, samples }: Measuring) {
  if (name === "nginx") return;
  const info = { url, paths: SMALL_FILES[".info"] ?? [], connections: 1, seconds };
  const alone = await load(info);
  const [, beside] = await Promise.all([
    load({ url, paths: [fileOf(LARGEST, "zip")], connections: PULLING_CLIENTS, seconds }),
    load(info),
  ]);
  const what = `p99 of warm \`.info\` while ${PULLING_CLIENTS} clients pull zips of 70 MB`;
  const row = {
    name: what,
    unit: "ms" as const,
    goals: [{ of: ["ours, without them"], atMost: 3 }],
  };
  samples.add(row, name, beside.p99Ms);
  if (name === "ours") samples.add(row, "ours, without them", alone.p99Ms);
  samples.add(
    { name: "p99 of warm `.info` without them", unit: "ms", goals: [] },
    name,
    alone.p99Ms,
  );
}

function megabytes(bytes: number | null): number | null {
  return bytes === null ? null : bytes / 1e6;
}

function sizeOf(bytes: number): string {
  return bytes < 1e6 ? `${bytes / 1e3} kB` : `${bytes / 1e6} MB`;
}
