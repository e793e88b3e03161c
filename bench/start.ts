/** `deno task bench start`: from the start of the process to its first answer. */
import { Contestant, installed, type Name, PEERS } from "./contestants.ts";
import { fileOf, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

/** What answers without asking anybody. */
const HEALTH: Readonly<Record<Name, string>> = {
  "ours": "readyz",
  "goproxy": "healthz",
  "athens": "healthz",
  "goproxy.io": "metrics",
  "nginx": "",
};

export async function benchStart({ rounds, say }: BenchOptions): Promise<Report> {
  const files = await madeModules([]);
  await using upstream = await Upstream.start([files]);
  const samples = new Samples();
  for (let round = 0; round < rounds; round++) {
    for (const name of installed(["ours", ...PEERS])) {
      say(`round ${round + 1} of ${rounds}: ${name}`);
      const goals = [{ atMost: 500 }, { of: ["athens"], atMost: 1 }];
      const [module] = SMALL_MODULES;
      const info = module === undefined ? "" : fileOf(module, "info");
      const row = { unit: "ms" as const };
      samples.add(
        { ...row, name: "start to the first answer about its health", goals },
        name,
        await startMs(name, upstream, HEALTH[name]),
      );
      samples.add(
        { ...row, name: "start to the first `.info`, through an empty cache", goals: [] },
        name,
        await startMs(name, upstream, info),
      );
    }
  }
  return { suite: "start", notes: [], rows: samples.rows() };
}

async function startMs(name: Name, upstream: Upstream, untilAnswers: string): Promise<number> {
  await using contestant = await Contestant.start(name, { upstream, untilAnswers });
  return contestant.startMs;
}
