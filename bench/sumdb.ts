/**
 * `deno task bench sumdb`: what lazy publishing is worth. A real module graph through this server
 * with an empty cache, from an upstream on this machine: with zips that are fetched when somebody
 * asks for them ("ours"), with all of them at once ("eager"), and straight from the upstream.
 *
 * The client is the `go` command with empty caches and a complete go.sum.
 */
import { Contestant } from "./contestants.ts";
import { graphClient, type RealGraph, realGraph, run } from "./real_graph.ts";
import { type Goal, type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const CONTESTANTS = ["ours", "eager", "straight"] as const;

const WORKS = [
  { what: "cold `go list -m all`", args: ["list", "-m", "all"] },
  { what: "cold `go mod download all`", args: ["mod", "download", "all"] },
] as const;

const GOALS: readonly Goal[] = [{ of: ["eager"], atMost: 1.05 }];

export async function benchSumdb({ longRounds: rounds, say }: BenchOptions): Promise<Report> {
  say("having the real modules");
  const graph = await realGraph();
  await using upstream = await Upstream.start([graph.folder]);
  const samples = new Samples();
  for (const work of WORKS) {
    for (let round = 0; round < rounds; round++) {
      for (const name of round % 2 === 0 ? CONTESTANTS : CONTESTANTS.toReversed()) {
        say(`${work.what}, round ${round + 1} of ${rounds}: ${name}`);
        await bench(name, work, { graph, upstream, samples });
      }
    }
  }
  return {
    suite: "sumdb",
    notes: [
      '"ours" fetches zips when somebody asks for them, "eager" with the rest; "straight" is without a proxy in between.',
    ],
    rows: samples.rows(),
  };
}

async function bench(
  name: typeof CONTESTANTS[number],
  { what, args }: typeof WORKS[number],
  { graph, upstream, samples }: { graph: RealGraph; upstream: Upstream; samples: Samples },
) {
  const zips = name === "eager" ? "eager" : "lazy";
  await using contestant = name === "straight"
    ? null
    : await Contestant.start("ours", { upstream, zips });
  await using go = await graphClient(graph, contestant?.url ?? upstream.url);
  const requestsBefore = await upstream.requests();
  const startMs = performance.now();
  await run(go, ...args);
  samples.add({ name: what, unit: "ms", goals: GOALS }, name, performance.now() - startMs);
  const row = { name: `${what}: asked of the upstream`, unit: "requests" as const, goals: [] };
  samples.add(row, name, await upstream.requests() - requestsBefore);
}
