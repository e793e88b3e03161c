/**
 * `deno task bench policy`: the cost of a policy, measured with cached files, the cheapest
 * requests.
 *
 * One server has no policy, one has a hundred rules of which none is about what is asked for, and
 * one has a hundred rules that are all about it and do not hold. All run all the time, and one at a
 * time is asked. The audit is of a go.sum file with 1,000 lines.
 */
import { Contestant } from "./contestants.ts";
import { load } from "./load.ts";
import { fileOf, listOf, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { treeCpuMs } from "./process_tree.ts";
import { type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const CONNECTIONS = 32;
/** What is compiled as it runs is compiled before it is measured, on each thread. */
const HEAT_UP_SECONDS = 5;
const NONE = "without a policy";
const OTHERS = "100 rules about others";
const OURS = "ours";
const RULES = 100;
/** Issue 19: at most 2 µs a request, of some 25. */
const MOST_OF_THE_WORK = 1.1;
const AUDITED_LINES = 1000;
const MOST_AUDIT_MS = 1000;
const H1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

const FILES: Readonly<Record<string, readonly string[]>> = {
  ".info": SMALL_MODULES.map((module) => fileOf(module, "info")),
  "@v/list": SMALL_MODULES.map(listOf),
  "zip": SMALL_MODULES.map((module) => fileOf(module, "zip")),
};

export async function benchPolicy({ rounds, seconds, say }: BenchOptions): Promise<Report> {
  const files = await madeModules([]);
  await using upstream = await Upstream.start([files]);
  await using none = await Contestant.start("ours", { upstream });
  await using others = await Contestant.start("ours", {
    upstream,
    policy: { rules: rulesAbout("other.example.com/*") },
  });
  await using ours = await Contestant.start("ours", {
    upstream,
    policy: { rules: rulesAbout("bench.example.com/*") },
  });
  const sides = [[NONE, none], [OTHERS, others], [OURS, ours]] as const;
  for (const [side, { url }] of sides) {
    say(`${side}: until all is compiled`);
    await warm(url);
    for (const paths of Object.values(FILES)) {
      await load({ url, paths, connections: CONNECTIONS, seconds: HEAT_UP_SECONDS });
    }
  }
  const samples = new Samples();
  for (let round = 0; round < rounds; round++) {
    for (const [what, paths] of Object.entries(FILES)) {
      say(`round ${round + 1} of ${rounds}: ${what}`);
      const turns = round % 2 === 1 ? sides.toReversed() : sides;
      for (const [side, { url, pid }] of turns) {
        const before = await treeCpuMs(pid);
        const served = await load({ url, paths, connections: CONNECTIONS, seconds });
        const after = await treeCpuMs(pid);
        samples.add(
          {
            name: `warm \`${what}\`: work`,
            unit: "CPU µs/request",
            goals: [{ of: [NONE], atMost: MOST_OF_THE_WORK }],
          },
          side,
          before === null || after === null ? null : (after - before) * 1000 / served.requests,
        );
      }
    }
    samples.add(
      {
        name: `audit of ${AUDITED_LINES} lines`,
        unit: "ms",
        goals: [{ atMost: MOST_AUDIT_MS }],
      },
      OURS,
      await audit(ours.url),
    );
  }
  return {
    suite: "policy",
    notes: [
      `${CONNECTIONS} connections, ${SMALL_MODULES.length} modules; ${RULES} rules by module and version.`,
    ],
    rows: samples.rows(),
  };
}

/** They are about a module and each of its versions, and none of them holds. */
function rulesAbout(modules: string): object[] {
  return Array.from({ length: RULES }, (_, i) => ({
    name: `rule-${i}`,
    modules: [modules],
    versions: `>=7.${i}.0 <7.${i}.1`,
    action: "deny",
  }));
}

async function warm(url: string): Promise<void> {
  for (const path of Object.values(FILES).flat()) {
    const response = await fetch(`${url}/${path}`);
    await response.bytes();
    if (!response.ok) throw new Error(`${path} is answered with ${response.status}`);
  }
}

/** Milliseconds. */
async function audit(url: string): Promise<number> {
  const lines = Array.from({ length: AUDITED_LINES }, (_, i) => {
    const { path } = SMALL_MODULES[i % SMALL_MODULES.length] ?? { path: "" };
    return `${path} v1.${Math.floor(i / SMALL_MODULES.length)}.0 ${H1}\n`;
  });
  const start = performance.now();
  const response = await fetch(`${url}/-/audit`, { method: "POST", body: lines.join("") });
  const { verdicts } = await response.json();
  if (verdicts.length !== AUDITED_LINES) throw new Error(`${verdicts.length} verdicts`);
  return performance.now() - start;
}
