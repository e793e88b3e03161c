/** `serve`: the server's flags; server/server.ts does the rest. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { serve } from "../server/server.ts";
import type { CommandContext } from "./command.ts";
import { load } from "./load_config.ts";
import {
  type CommonFlags,
  configFileOption,
  logLevelOption,
  parsePort,
  scratchDirOption,
} from "./options.ts";

interface ServeFlags extends CommonFlags {
  readonly host: string;
  readonly port: number;
  readonly workers: number;
}

export function define(command: Command, context: CommandContext): void {
  command
    .addOption(configFileOption())
    .option("--host <host>", "address to listen on", "127.0.0.1")
    .addOption(
      new Option("--port <port>", "port to listen on; 0 lets the system choose")
        .env("PORT").default(8080).argParser(parsePort),
    )
    .addOption(scratchDirOption())
    .addOption(
      new Option("--workers <n>", "number of threads that serve requests; https uses one")
        .default(defaultWorkers(), "one per core, at most 4").argParser(parseWorkers),
    )
    .addOption(logLevelOption("info"))
    .addHelpText(
      "after",
      `
Examples:
  go-mod-proxy                                  serve http://127.0.0.1:8080, store modules in ./data
  GOPROXY=https://proxy.example.com,direct go-mod-proxy serve --port 3000
  go-mod-proxy serve --host 0.0.0.0 --config-file config.yaml`,
    )
    .action(context.action(async (flags: ServeFlags) => {
      const { host, port, workers } = flags;
      await serve({ ...await load(flags, context), host, port, threads: workers });
    }));
}

const MAX_WORKERS = 64;

/**
 * A thread takes 25 MB, so the default is limited on machines of many cores. A compiled binary has
 * no module to start further threads with.
 */
function defaultWorkers(): number {
  return Deno.build.standalone ? 1 : Math.min(navigator.hardwareConcurrency, 4);
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (/^\d+$/.test(text) && workers >= 1 && workers <= MAX_WORKERS) return workers;
  throw new InvalidArgumentError(`It must be a number from 1 to ${MAX_WORKERS}.`);
}
