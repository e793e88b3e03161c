/** `doctor`: finds settings of a `go` command that lead around the proxy. */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import {
  checkGoEnvironment,
  type EnvironmentFault,
  parseGoEnvironment,
  vendorFaults,
} from "../lib/client/go_environment.ts";
import { InvalidRequestError } from "../lib/errors.ts";
import { readFileIfThere, readInput } from "./input.ts";
import { printLine } from "./print.ts";

const MAX_INPUT_BYTES = 1024 * 1024;

interface Flags {
  readonly proxy?: string;
  readonly dir?: string;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option("--proxy <url>", "URL of the proxy that modules must come from")
    .option("--dir <directory>", "also check the vendor directory of this module")
    .addHelpText(
      "after",
      `
Reads the output of "go env -json" from standard input. Exits with 1 if modules can come from
elsewhere.

Example:
  go env -json | go-mod-proxy doctor --proxy https://proxy.example.com`,
    )
    .action(context.action((flags: Flags) => doctor(flags)));
}

async function doctor({ proxy, dir }: Flags): Promise<number> {
  const env = parseGoEnvironment(
    await readInput(Deno.stdin.readable, {
      maxBytes: MAX_INPUT_BYTES,
      tooLong: () => new InvalidRequestError("Cannot read the environment: it is too long"),
    }),
  );
  const faults = [
    ...checkGoEnvironment(env, proxy ?? null),
    ...dir === undefined ? [] : await checkVendor(dir),
  ];
  for (const fault of faults) printLine(lineOf(fault));
  if (faults.length === 0) printLine("ok: all modules come from the proxy");
  return faults.some(({ severity }) => severity === "error") ? 1 : 0;
}

function lineOf({ severity, name, message, remedy }: EnvironmentFault): string {
  return `${severity}: ${name}: ${message}${remedy === null ? "" : ` (${remedy})`}`;
}

async function checkVendor(dir: string): Promise<EnvironmentFault[]> {
  const modules = await readFileIfThere(`${dir}/vendor/modules.txt`);
  return modules === null
    ? []
    : vendorFaults(modules, await readFileIfThere(`${dir}/go.sum`) ?? "");
}
