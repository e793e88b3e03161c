/** `import-policy`: prints the section `policy` that does what another proxy's file does. */
import { Argument, type Command } from "commander";
import { stringify } from "yaml";
import type { CommandContext } from "./command.ts";
import { importAthensFilter } from "../lib/policy/athens_filter.ts";
import { readFile } from "./input.ts";
import { printLine } from "./print.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .addArgument(new Argument("<kind>", "what the file is").choices(["athens-filter"]))
    .argument("<file>", "the file to read")
    .addHelpText(
      "after",
      `
The section goes into the configuration file. What has no equal is printed as a comment.

Example:
  go-mod-proxy import-policy athens-filter filter.conf >> config.yaml`,
    )
    .action(context.action((_kind: string, file: string) => importPolicy(file)));
}

/** @throws {InvalidRequestError} when the file cannot be read */
async function importPolicy(file: string): Promise<void> {
  const { rules, notes } = importAthensFilter(await readFile(file));
  for (const note of notes) printLine(`# ${note}`);
  printLine(stringify({ policy: { rules } }).trimEnd());
}
