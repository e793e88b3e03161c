/**
 * `deno task bench sending`: what sending a zip from a disk can cost, in this runtime and in
 * nginx: the ceiling of each way (docs/design/performance.md). The ways of the runtime are bare
 * servers with one thread (sending_main.ts); "ours" is the product with its threads.
 *
 * Limits: the bytes per second are also those of wrk, which shares the processors. The CPU time is
 * that of the servers alone.
 */
import { join } from "node:path";
import { startTask } from "../tests/worlds/server.ts";
import { within } from "../tests/support/eventually.ts";
import { Contestant, installed } from "./contestants.ts";
import { load } from "./load.ts";
import { fileOf, largeModule, madeModules } from "./made_modules.ts";
import { treeCpuMs } from "./process_tree.ts";
import { type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const ZIP_BYTES = 70_000_000;
const CLIENTS = 8;
const PATH = fileOf(largeModule(ZIP_BYTES), "zip");

/** The ways of sending_main.ts, and what they are called in the report. */
const WAYS: Readonly<Record<string, string>> = {
  "own": "the file's own stream",
  "blocks": "blocks of 256 KiB",
  "compared": "blocks, compared",
  "watched": "blocks, compared and watched",
  "compared-64": "blocks of 64 KiB, compared",
  "compared-1024": "blocks of 1 MiB, compared",
  "blocking": "blocks, compared, read without waiting",
  "same-memory": "blocks, compared, in the same memory",
  "before": "compared, then the file's own stream",
  "sockets": "blocks, compared, without the HTTP server",
};

interface Server {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
}

export async function benchSending({ rounds, seconds, say }: BenchOptions): Promise<Report> {
  say("making the zip");
  const files = await madeModules([ZIP_BYTES]);
  await using upstream = await Upstream.start([files]);
  await using stack = new AsyncDisposableStack();
  const servers: Server[] = [];
  for (const name of installed(["ours", "nginx"])) {
    const contestant = stack.use(await Contestant.start(name, { upstream, files }));
    await contestant.warm([PATH]);
    servers.push(contestant);
  }
  for (const [way, name] of Object.entries(WAYS)) {
    servers.push(stack.use(await Way.start(way, { name, file: join(files, PATH) })));
  }
  const samples = new Samples();
  // The first round is for what is compiled as it runs.
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? "warming up" : `round ${round} of ${rounds}`);
    servers.push(...servers.splice(0, 1));
    for (const { name, url, pid } of servers) {
      const before = await treeCpuMs(pid);
      const served = await load({ url, paths: [PATH], connections: CLIENTS, seconds });
      const after = await treeCpuMs(pid);
      if (round === 0) continue;
      const cpuMs = before === null || after === null ? null : after - before;
      const speed = { name: "zip of 70 MB", unit: "MB/s" as const, goals: [] };
      samples.add(speed, name, served.bytes / 1e6 / served.seconds);
      const work = { name: "zip of 70 MB: work", unit: "CPU ms/GB" as const, goals: [] };
      samples.add(work, name, cpuMs === null ? null : cpuMs * 1e9 / served.bytes);
    }
  }
  return {
    suite: "sending",
    notes: [
      `${CLIENTS} connections. nginx sends by sendfile, which does not look at the bytes.`,
      "All but nginx and ours are bare servers with one thread.",
    ],
    rows: samples.rows(),
  };
}

/** A bare server that sends the file in one way. */
class Way implements AsyncDisposable, Server {
  readonly name: string;
  readonly url: string;
  readonly #process: Deno.ChildProcess;

  private constructor(process: Deno.ChildProcess, { name, url }: { name: string; url: string }) {
    this.#process = process;
    this.name = name;
    this.url = url;
  }

  static async start(way: string, { name, file }: { name: string; file: string }): Promise<Way> {
    const { env, flags } = await startTask();
    const v8Flags = flags.filter((flag) => flag.startsWith("--v8-flags"));
    const main = join(import.meta.dirname ?? "", "sending_main.ts");
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--allow-all", ...v8Flags, main, way, file],
      env,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await within(`"${way}" to start`, output.read());
    return new Way(process, { name, url: value?.trim() ?? "" });
  }

  get pid(): number {
    return this.#process.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.status;
  }
}
