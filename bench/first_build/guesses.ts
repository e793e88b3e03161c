/**
 * What a server that walks ahead of its clients fetches in vain: for each of 20 real programs, the
 * go.mod files that the upstream was asked for through this server, and that the same `go list -m
 * all` straight to the upstream does not ask for.
 */
import { goCommand } from "../../tests/support/go_command.ts";
import { Contestant } from "../contestants.ts";
import { type Program, realPrograms } from "../programs.ts";
import { run } from "../real_graph.ts";
import { Upstream } from "../upstream.ts";
import { DELAY_MS, OTHER_RECORDS, type PartOptions } from "./part.ts";

/** The upstream has nothing to do for so long when nobody walks any more. */
const QUIET_MS = 1000;
const QUIET_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 100;

export async function benchGuesses({ say, samples }: PartOptions): Promise<string[]> {
  say("having the go.mod files of real programs");
  const { programs, folder } = await realPrograms();
  await using near = await Upstream.start([folder]);
  const options = { delayMs: DELAY_MS, otherRecords: OTHER_RECORDS };
  await using far = await Upstream.start([folder], options);
  const totals = { fetched: 0, useless: 0 };
  const metrics = new Map<string, number>();
  const each: string[] = [];
  for (const program of programs) {
    const needed = await walk(program, near.url, near);
    await using ours = await Contestant.start("ours", { upstream: far });
    const fetched = await walk(program, ours.url, far);
    await addMetrics(metrics, ours);
    const missed = needed.difference(fetched);
    if (missed.size > 0) throw new Error(`Not fetched: ${[...missed].join(" ")}`);
    const useless = fetched.difference(needed).size;
    totals.fetched += fetched.size;
    totals.useless += useless;
    each.push(`${program.name} ${useless} of ${fetched.size}`);
    say(`useless \`.mod\` fetches: ${each.at(-1)}`);
  }
  const name = `${programs.length} real programs: useless \`.mod\` fetches`;
  const share = 100 * totals.useless / totals.fetched;
  samples.add({ name, unit: "%", goals: [{ atMost: 10 }] }, "ours", share);
  return [
    `Useless \`.mod\` fetches, upstream at ${DELAY_MS} ms: ${totals.useless} of ${totals.fetched}; ${
      each.join(", ")
    }.`,
    ...metrics.size === 0 ? [] : [
      `Our own metrics about them: ${
        [...metrics].map(([name, value]) => `${name} ${value}`).join(", ")
      }.`,
    ],
  ];
}

/**
 * Walks the graph as a client with empty caches, and waits until nothing is asked of the upstream
 * any more. Returns the paths of the go.mod files that it was asked for.
 */
async function walk({ goMod, goSum }: Program, proxy: string, upstream: Upstream) {
  const files = { "go.mod": goMod, "go.sum": goSum };
  await using go = await goCommand({ proxy, files });
  const before = await upstream.requests();
  await run(go, "list", "-m", "all");
  await untilQuiet(upstream);
  const requested = await upstream.requested(before);
  return new Set(requested.filter((path) => path.endsWith(".mod")));
}

/** @throws {Error} when it is still asked after {@linkcode QUIET_TIMEOUT_MS} */
async function untilQuiet(upstream: Upstream): Promise<void> {
  const deadlineMs = performance.now() + QUIET_TIMEOUT_MS;
  let quietSinceMs = performance.now();
  for (let seen = -1; performance.now() - quietSinceMs < QUIET_MS;) {
    if (performance.now() > deadlineMs) throw new Error("Somebody still asks the upstream");
    const requests = await upstream.requests();
    if (requests !== seen) quietSinceMs = performance.now();
    seen = requests;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

/** The sums of all lines of our metrics that are about walking ahead, by name and labels. */
async function addMetrics(sums: Map<string, number>, { url }: Contestant): Promise<void> {
  const text = await (await fetch(`${url}/metrics`)).text();
  for (const [, name = "", value] of text.matchAll(/^(\w*ahead\w*(?:\{.*\})?) (\S+)$/gm)) {
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
}
