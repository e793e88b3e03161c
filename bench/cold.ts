/**
 * `deno task bench cold`: a real module graph through servers whose caches are empty, from an
 * upstream on this machine.
 *
 * The client is the `go` command, with caches as empty. Straight to the upstream it shows what the
 * client alone takes.
 */
import { Contestant, installed, type Name, PEERS } from "./contestants.ts";
import { treeCpuMs, treeHighWaterBytes } from "./process_tree.ts";
import { graphClient, type RealGraph, realGraph, run } from "./real_graph.ts";
import { type Goal, type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const STRAIGHT = "straight";
const MIN_MODULES = 200;

interface Work {
  readonly what: string;
  readonly args: readonly string[];
  readonly goals: readonly Goal[];
}

const WORKS: readonly Work[] = [
  {
    what: "cold `go list -m all`",
    args: ["list", "-m", "all"],
    goals: [{ of: PEERS, atMost: 0.5 }],
  },
  {
    what: "cold `go mod download all`",
    args: ["mod", "download", "all"],
    goals: [{ of: PEERS, atMost: 1 }, { of: [STRAIGHT], atMost: 1.25 }],
  },
];

export async function benchCold({ longRounds: rounds, say }: BenchOptions): Promise<Report> {
  say("having the real modules");
  const graph = await realGraph();
  await using upstream = await Upstream.start([graph.folder]);
  const samples = new Samples();
  const contestants = [STRAIGHT, ...installed(["ours", ...PEERS])] as const;
  const count = await countModules(graph, upstream);
  for (const work of WORKS) {
    for (let round = 0; round < rounds; round++) {
      const turns = round % 2 === 0 ? contestants : contestants.toReversed();
      for (const name of turns) {
        say(`${work.what}, round ${round + 1} of ${rounds}: ${name}`);
        await bench(name, work, { graph, upstream, samples });
      }
    }
  }
  return {
    suite: "cold",
    notes: [
      `${count} modules; "${STRAIGHT}" is without a proxy in between.`,
      "goproxy.io passes on what the upstream says; all others verify it by the checksum database.",
    ],
    rows: samples.rows(),
  };
}

interface World {
  readonly graph: RealGraph;
  readonly upstream: Upstream;
  readonly samples: Samples;
}

async function bench(
  name: Name | typeof STRAIGHT,
  work: Work,
  { graph, upstream, samples }: World,
) {
  const { what, args, goals } = work;
  await using contestant = name === STRAIGHT ? null : await Contestant.start(name, { upstream });
  await using go = await graphClient(graph, contestant?.url ?? upstream.url);
  const before = contestant && await treeCpuMs(contestant.pid);
  const requestsBefore = await upstream.requests();
  const startMs = performance.now();
  await run(go, ...args);
  samples.add({ name: what, unit: "ms", goals }, name, performance.now() - startMs);
  const requests = await upstream.requests() - requestsBefore;
  const row = { name: `${what}: asked of the upstream`, unit: "requests" as const, goals: [] };
  samples.add(row, name, requests);
  const after = contestant && await treeCpuMs(contestant.pid);
  const cpuMs = before === null || after === null ? null : after - before;
  samples.add({ name: `${what}: work`, unit: "CPU ms", goals: [] }, name, cpuMs);
  const bytes = contestant && await treeHighWaterBytes(contestant.pid);
  const memory = { name: `${what}: most memory`, unit: "MB" as const, goals: [] };
  samples.add(memory, name, bytes === null ? null : bytes / 1e6);
}

async function countModules(graph: RealGraph, upstream: Upstream): Promise<number> {
  await using go = await graphClient(graph, upstream.url);
  const count = (await run(go, "list", "-m", "all")).trim().split("\n").length;
  if (count < MIN_MODULES) throw new Error(`Cannot measure a graph of ${count} modules`);
  return count;
}
