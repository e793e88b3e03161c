/**
 * `explain <module>@<version>`: what is published of a version, what its sources and the checksum
 * database currently have, and which identities may read it. Publishes nothing.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, type Loaded } from "./load_config.ts";
import { explanationText } from "../lib/service/explain_text.ts";
import { type CommonFlags, configFileOption, logLevelOption, scratchDirOption } from "./options.ts";
import { printLine } from "./print.ts";
import { parseModuleVersion } from "../lib/module/module_version.ts";
import type { Explanation } from "../lib/service/explainer.ts";
import { Parts } from "../lib/open/parts.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";

interface ExplainFlags extends CommonFlags {
  readonly json: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument("<module@version>", "such as github.com/my-org/lib@v1.2.3")
    .addOption(configFileOption())
    .option("--json", "print JSON", false)
    .addOption(scratchDirOption())
    .addOption(logLevelOption("error"))
    .addHelpText(
      "after",
      `
Nothing is published. A running server gives the same answer at /explain/<module>@<version>.

Examples:
  go-mod-proxy explain --config-file config.yaml github.com/my-org/lib@v1.2.3
  go-mod-proxy explain --json golang.org/x/mod@v0.20.0`,
    )
    .action(context.action(async (module: string, flags: ExplainFlags) => {
      const explanation = await runExplain({ ...await load(flags, context), module });
      const text = flags.json ? JSON.stringify(explanation, null, 2) : explanationText(explanation);
      printLine(text.trimEnd());
    }));
}

export interface ExplainOptions extends Loaded {
  /** `<module>@<version>`. */
  readonly module: string;
}

/** @throws {InvalidRequestError} when `module` is not a module version */
export async function runExplain(options: ExplainOptions): Promise<Explanation> {
  const { config, signal } = options;
  const module = parseModuleVersion(options.module);
  await using parts = new Parts(await openSurroundings(options), { isReadOnly: true });
  const explainer = await parts.explainer();
  const identities = config.clientAuth.identities.map(({ name }) => name);
  return await explainer.explain(module, { identities, signal });
}
