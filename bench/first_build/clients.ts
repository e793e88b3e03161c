/**
 * Fifty CI jobs that start at once with empty caches: what each of them waits for, and what the
 * upstream is asked.
 *
 * Fifty `go` commands would need fifty machines, so light clients (bench/replay.ts) ask what one
 * `go` command has asked: the go.mod files of the real graph, then the `.info` and `.zip` of its
 * smallest modules, over as many connections as `go` works on modules at a time. Between an answer
 * and the next request they wait as long as `go` did, by its time straight from an upstream without
 * delay.
 */
import { join } from "node:path";
import { Contestant } from "../contestants.ts";
import { graphClient, type RealGraph, realGraph, run } from "../real_graph.ts";
import { replay } from "../replay.ts";
import type { Goal } from "../report.ts";
import { Upstream } from "../upstream.ts";
import {
  DELAY_MS,
  OTHER_RECORDS,
  type PartOptions,
  STRAIGHT,
  takeTurns,
  type Way,
} from "./part.ts";

const CLIENTS = 50;
const ZIPS = 100;
const ONE_CLIENT = "ours, one client";
const TIME_GOALS: readonly Goal[] = [{ of: [ONE_CLIENT], atMost: 1.5 }];
const TIMEOUT_MS = 120_000;

/** What one `go` command does. */
interface Job {
  /** In order. */
  readonly paths: readonly string[];
  readonly connections: number;
  readonly thinkMs: number;
}

export async function benchClients(options: PartOptions): Promise<string[]> {
  const { longRounds: rounds, ways, say, samples } = options;
  say("having the real modules");
  const graph = await realGraph();
  const job = await record(graph);
  await using upstream = await Upstream.start([graph.folder], {
    delayMs: DELAY_MS,
    otherRecords: OTHER_RECORDS,
  });
  const late = new Set<Way>();
  const measure = async (
    url: string,
    { clients, state, way }: { clients: number; state: "cold" | "warm"; way: Way },
  ): Promise<boolean> => {
    const before = await upstream.requests();
    const times = await replay({ url, ...job, clients }, { timeoutMs: TIMEOUT_MS });
    if (times === null) {
      late.add(way);
      return false;
    }
    const name = `${CLIENTS} clients at once, proxy ${state}`;
    const contestant = clients === 1 ? ONE_CLIENT : way;
    samples.add({ name: `${name}: p95`, unit: "ms", goals: TIME_GOALS }, contestant, p95(times));
    if (clients === 1) return true;
    const most = mostForOneFile(await upstream.requested(before));
    samples.add(
      {
        name: `${name}: upstream requests for the file that is requested most often`,
        unit: "requests",
        goals: [{ atMost: state === "cold" ? 1 : 0 }],
      },
      contestant,
      most,
    );
    return true;
  };
  const what = `${CLIENTS} clients at once`;
  await takeTurns(what, { rounds, ways, say }, async (way) => {
    if (way === STRAIGHT) {
      await measure(upstream.url, { clients: CLIENTS, state: "cold", way });
      return;
    }
    for (const clients of way === "ours" ? [1, CLIENTS] : [CLIENTS]) {
      await using contestant = await Contestant.start(way, { upstream });
      const { url } = contestant;
      if (!await measure(url, { clients, state: "cold", way })) return;
      await measure(url, { clients, state: "warm", way });
    }
  });
  const { paths, connections, thinkMs } = job;
  return [
    `A client of "${CLIENTS} clients" is no go command, but asks for the ${paths.length} files that one asked for, over ${connections} connections, and waits ${
      thinkMs.toFixed(1)
    } ms between an answer and the next request, as the go command did; upstream at ${DELAY_MS} ms.`,
    ...[...late].map((way) =>
      `With ${way}, ${CLIENTS} clients had not ended after ${TIMEOUT_MS / 1000} s.`
    ),
  ];
}

/** By a `go` command straight to an upstream without delay. */
async function record(graph: RealGraph): Promise<Job> {
  await using upstream = await Upstream.start([graph.folder]);
  await using go = await graphClient(graph, upstream.url);
  const modules = await smallest(graph);
  const startMs = performance.now();
  await run(go, "list", "-m", "all");
  await run(go, "mod", "download", ...modules);
  const tookMs = performance.now() - startMs;
  const paths = await upstream.requested();
  // The go command works on so many modules at a time.
  const connections = navigator.hardwareConcurrency;
  return { paths, connections, thinkMs: tookMs * connections / paths.length };
}

/** `<path>@<version>` of the modules with the smallest zips. */
async function smallest(graph: RealGraph): Promise<string[]> {
  const zips: { module: string; sizeBytes: number }[] = [];
  for (const line of graph.goSum.split("\n")) {
    const [path = "", version = ""] = line.split(" ");
    if (path === "" || version.endsWith("/go.mod")) continue;
    const escape = (text: string) => text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
    const file = join(graph.folder, escape(path), "@v", `${escape(version)}.zip`);
    zips.push({ module: `${path}@${version}`, sizeBytes: (await Deno.stat(file)).size });
  }
  zips.sort((a, b) => a.sizeBytes - b.sizeBytes);
  return zips.slice(0, ZIPS).map(({ module }) => module);
}

/** Of the files of modules and the records of the checksum database, which do not change. */
function mostForOneFile(paths: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const isFile = /\/@v\/.*\.(info|mod|zip)$|^\/sumdb\/.*\/lookup\//.test(path);
    if (isFile) counts.set(path, (counts.get(path) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}

function p95(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? NaN;
}
