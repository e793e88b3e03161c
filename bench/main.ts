/**
 * Benchmarks of the product as users start it, against what else does the same work.
 *
 * ```text
 * deno task bench git                         measures, and prints a table and all figures
 * deno task bench git --rounds 9 --out FOLDER and writes them to FOLDER/git.md and FOLDER/git.json
 * ```
 *
 * Other work on the machine makes all times longer; what counts is the ratio.
 */
import { Argument, Command, InvalidArgumentError } from "commander";
import { cpus } from "node:os";
import { join } from "node:path";
import { benchGit, type BenchOptions } from "./git.ts";
import { type Facts, type Report, toJson, toMarkdown } from "./report.ts";

type Suite = (options: BenchOptions) => Promise<Report>;

const SUITES: ReadonlyMap<string, Suite> = new Map([["git", benchGit]]);

interface Flags {
  rounds: number;
  out?: string;
}

await new Command("deno task bench")
  .addArgument(new Argument("<suite...>", "what to measure").choices([...SUITES.keys()]))
  .option("--rounds <n>", "how often; medians count", parseRounds, 3)
  .option("--out <folder>", "where to write <suite>.md and <suite>.json")
  .action(async (names: string[], { rounds, out }: Flags) => {
    for (const name of names) {
      const report = await SUITES.get(name)?.({ rounds, say: (text) => console.error(text) });
      if (report !== undefined) await print(report, { facts: facts(rounds), out });
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

function facts(rounds: number): Facts {
  const [cpu] = cpus();
  const [load = 0] = Deno.loadavg();
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} cores of ${cpu?.model ?? "an unknown kind"}, load ${
      load.toFixed(1)
    }`,
    versions: `Deno ${Deno.version.deno}, ${versionOf("go")}, ${versionOf("git")}`,
    rounds: String(rounds),
  };
}

function versionOf(program: string): string {
  const { stdout } = new Deno.Command(program, { args: ["version"] }).outputSync();
  return new TextDecoder().decode(stdout).trim();
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (Number.isSafeInteger(rounds) && rounds > 0) return rounds;
  throw new InvalidArgumentError("It must be a whole number above 0.");
}
