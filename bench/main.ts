/**
 * Benchmarks of the product as users start it, against other programs that do the same work.
 *
 * ```text
 * deno task bench                       the usual suites, in ten minutes
 * deno task bench warm git              only these suites
 * deno task bench first-build           the one that takes half an hour, only when it is named
 * deno task bench --full --out FOLDER   longer, with FOLDER/<suite>.md and FOLDER/<suite>.json
 * ```
 *
 * It needs wrk (Debian's package `wrk`); nginx (`nginx-light`) and the other module proxies
 * (tools/install_peers) take part where they are installed. Other work on the machine makes all
 * times longer; what counts is the ratio.
 */
import { Argument, Command, InvalidArgumentError } from "commander";
import { cpus } from "node:os";
import { join } from "node:path";
import { type Name, PEERS, versionOf } from "./contestants.ts";
import { benchAdvisories } from "./advisories.ts";
import { benchAuth } from "./auth.ts";
import { benchCold } from "./cold.ts";
import { benchDelivery } from "./delivery.ts";
import { benchFirstBuild } from "./first_build.ts";
import { benchGit } from "./git.ts";
import { benchMemory } from "./memory.ts";
import { benchPolicy } from "./policy.ts";
import { benchPrivate } from "./private.ts";
import { type Facts, type Report, toJson, toMarkdown } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { benchSending } from "./sending.ts";
import { benchStart } from "./start.ts";
import { benchStorage } from "./storage.ts";
import { benchSumdb } from "./sumdb.ts";
import { benchWarm } from "./warm.ts";

type Suite = (options: BenchOptions) => Promise<Report>;

const SUITES: ReadonlyMap<string, Suite> = new Map([
  ["warm", benchWarm],
  ["auth", benchAuth],
  ["cold", benchCold],
  ["delivery", benchDelivery],
  ["first-build", benchFirstBuild],
  ["git", benchGit],
  ["memory", benchMemory],
  ["policy", benchPolicy],
  ["private", benchPrivate],
  ["sending", benchSending],
  ["start", benchStart],
  ["storage", benchStorage],
  ["sumdb", benchSumdb],
  ["advisories", benchAdvisories],
]);
/** The suites that are measured when none is named. */
const USUAL = [...SUITES.keys()].filter((name) => name !== "first-build");

const DAILY = { rounds: 3, seconds: 1 };
const FULL = { rounds: 7, seconds: 10 };
const SHORT_PER_LONG = 3;

interface Flags {
  full: boolean;
  rounds?: number;
  seconds?: number;
  parts?: string[];
  contestants?: string[];
  out?: string;
}

await new Command("deno task bench")
  .addArgument(
    new Argument("[suite...]", "what to measure; without it, all but first-build").choices([
      ...SUITES.keys(),
    ]),
  )
  .option("--full", "more rounds, each longer", false)
  .option("--rounds <n>", "how often; medians count", parseCount)
  .option("--seconds <n>", "how long a server is kept busy for one figure", parseCount)
  .option("--parts <names>", "only these parts of first-build, by commas", splitByCommas)
  .option("--contestants <names>", "only these in first-build, by commas", splitByCommas)
  .option("--out <folder>", "where to write <suite>.md and <suite>.json")
  .action(async (names: string[], { full, out, parts = [], contestants = [], ...given }: Flags) => {
    const { rounds, seconds } = { ...(full ? FULL : DAILY), ...given };
    const longRounds = Math.ceil(rounds / SHORT_PER_LONG);
    const options = { rounds, longRounds, seconds, parts, contestants };
    for (const name of names.length > 0 ? names : USUAL) {
      const report = await SUITES.get(name)?.({ ...options, say: (text) => console.error(text) });
      if (report !== undefined) await print(report, { facts: facts(options), out });
    }
  })
  .parseAsync(Deno.args, { from: "user" });

async function print(report: Report, options: { facts: Facts; out: string | undefined }) {
  const markdown = toMarkdown(report, options.facts);
  const json = toJson(report, options.facts);
  console.log(`${markdown}\n\`\`\`json\n${json}\`\`\``);
  if (options.out === undefined) return;
  await Deno.mkdir(options.out, { recursive: true });
  await Deno.writeTextFile(join(options.out, `${report.suite}.md`), markdown);
  await Deno.writeTextFile(join(options.out, `${report.suite}.json`), json);
}

function facts({ rounds, longRounds, seconds }: Omit<BenchOptions, "say">): Facts {
  const [cpu] = cpus();
  const [load = 0] = Deno.loadavg();
  const others: Name[] = [...PEERS, "nginx"];
  const versions = others.map((name) => `${name} ${versionOf(name) ?? "is not installed"}`);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} cores of ${cpu?.model ?? "an unknown kind"}, load ${
      load.toFixed(1)
    } afterwards`,
    versions: [
      outputOf("git", "rev-parse", "--short", "HEAD"),
      `Deno ${Deno.version.deno}`,
      outputOf("go", "version"),
      outputOf("git", "version"),
      ...versions,
    ].join(", "),
    rounds: `${rounds}, of what takes long ${longRounds}; ${seconds} s for what goes by time`,
  };
}

function outputOf(program: string, ...args: string[]): string {
  const { stdout } = new Deno.Command(program, { args }).outputSync();
  return new TextDecoder().decode(stdout).trim();
}

function splitByCommas(text: string): string[] {
  return text.split(",");
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new InvalidArgumentError("It must be a whole number above 0.");
}
