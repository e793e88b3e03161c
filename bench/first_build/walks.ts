/**
 * A real module graph through servers whose caches are empty: what the `go` command takes to walk
 * it, and to download it. The client's caches are empty too; it has a complete go.sum, as the
 * checkout of a program has.
 */
import { goCommand } from "../../tests/support/go_command.ts";
import { Contestant, type Name } from "../contestants.ts";
import { graphClient, type RealGraph, realGraph, run } from "../real_graph.ts";
import type { Goal } from "../report.ts";
import { Upstream } from "../upstream.ts";
import {
  DELAYS_MS,
  OTHER_RECORDS,
  type Part,
  type PartOptions,
  STRAIGHT,
  takeTurns,
  VERIFYING,
} from "./part.ts";

/** A client without go.sum, which compares all it gets with the checksum database itself. */
const VERIFYING_CLIENT = "straight, verifying";
const REQUEST_GOALS: readonly Goal[] = [{ of: [VERIFYING_CLIENT], atMost: 1.3 }];
const THIRD = 0.33;

interface Work {
  readonly what: string;
  readonly args: readonly string[];
  readonly goals: (delayMs: number) => readonly Goal[];
}

const WALK: Work = {
  what: "cold `go list -m all`",
  args: ["list", "-m", "all"],
  goals: (delayMs) =>
    delayMs === 0
      ? [{ of: VERIFYING, atMost: 1 }, { of: ["goproxy.io" satisfies Name], atMost: 1 }]
      : [{ of: [STRAIGHT], atMost: 0.5 }, { of: VERIFYING, atMost: THIRD }],
};

const DOWNLOAD: Work = {
  what: "cold `go mod download all`",
  args: ["mod", "download", "all"],
  goals: (delayMs) => delayMs === 0 ? [] : [{ of: [STRAIGHT], atMost: 0.83 }],
};

export const benchWalk: Part = (options) => bench(WALK, options);
export const benchDownload: Part = (options) => bench(DOWNLOAD, options);

async function bench(work: Work, { longRounds: rounds, ways, say, samples }: PartOptions) {
  say("having the real modules");
  const graph = await realGraph();
  const requestsRow = {
    name: `${work.what}: requests to the upstream`,
    unit: "requests" as const,
    goals: REQUEST_GOALS,
  };
  for (const delayMs of DELAYS_MS) {
    const options = { delayMs, otherRecords: OTHER_RECORDS };
    await using upstream = await Upstream.start([graph.folder], options);
    const what = `${work.what}, upstream at ${delayMs} ms`;
    const row = { name: what, unit: "ms" as const, goals: work.goals(delayMs) };
    await takeTurns(what, { rounds, ways, say }, async (way) => {
      await using contestant = way === STRAIGHT ? null : await Contestant.start(way, { upstream });
      await using go = await graphClient(graph, contestant?.url ?? upstream.url);
      const before = await upstream.requests();
      const startMs = performance.now();
      await run(go, ...work.args);
      samples.add(row, way, performance.now() - startMs);
      samples.add(requestsRow, way, await upstream.requests() - before);
    });
    if (delayMs === 0) {
      samples.add(requestsRow, VERIFYING_CLIENT, await verifyingRequests(work, graph, upstream));
    }
  }
  return [
    `"${STRAIGHT}" is the go command against the upstream, with a complete go.sum; "${VERIFYING_CLIENT}" is the same without go.sum, so that it asks the checksum database too.`,
  ];
}

async function verifyingRequests(
  { args }: Work,
  graph: RealGraph,
  upstream: Upstream,
): Promise<number> {
  await using go = await goCommand({
    proxy: upstream.url,
    sumdb: upstream.sumdb,
    files: { "go.mod": graph.goMod },
    env: { GOFLAGS: "-modcacherw -mod=mod" },
  });
  const before = await upstream.requests();
  await run(go, ...args);
  return await upstream.requests() - before;
}
