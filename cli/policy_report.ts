/** `policy report`: what the rules of the policy have decided, from the usage in the store. */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, type Loaded } from "./load_config.ts";
import {
  type CommonFlags,
  configFileOption,
  logLevelOption,
  scratchDirOption,
  sinceOption,
} from "./options.ts";
import { printLine } from "./print.ts";
import { Parts } from "../lib/open/parts.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";
import { BypassReport, bypassText, type SuspectedBypass } from "../lib/usage/bypass_report.ts";
import { PolicyReport, type ReportedRule, reportText } from "../lib/usage/policy_report.ts";
import { readUsage } from "../lib/usage/usage_log.ts";

interface Flags extends CommonFlags {
  readonly since: number;
  readonly json: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .addOption(configFileOption())
    .addOption(sinceOption("30d"))
    .option("--json", "print JSON", false)
    .addOption(scratchDirOption())
    .addOption(logLevelOption("error"))
    .addHelpText(
      "after",
      `
Reads the usage that the servers have recorded (usage: identities in the configuration). With a policy in audit mode, it
shows what enforcing the policy would deny, and to whom. It also names clients that seem to download modules elsewhere.

Example:
  go-mod-proxy policy report --config-file config.yaml --since 7d`,
    )
    .action(context.action(async ({ since, json, ...flags }: Flags) => {
      const found = await runReport({ ...await load(flags, context), sinceMs: Date.now() - since });
      if (json) return printLine(JSON.stringify(found, null, 2));
      for (const line of [...reportText(found), ...bypassText(found.suspected)]) printLine(line);
    }));
}

interface Report {
  readonly rules: readonly ReportedRule[];
  /** All zips that were requested. */
  readonly requests: number;
  readonly suspected: readonly SuspectedBypass[];
}

async function runReport(options: Loaded & { readonly sinceMs: number }): Promise<Report> {
  const { signal, sinceMs } = options;
  await using parts = new Parts(await openSurroundings(options), { isReadOnly: true });
  const [report, bypasses] = [new PolicyReport(), new BypassReport()];
  const rows = readUsage(await parts.store(), { sinceMs, nowMs: Date.now(), signal });
  for await (const row of rows) {
    report.add(row);
    bypasses.add(row);
  }
  return {
    rules: report.rules(),
    requests: report.requests,
    suspected: bypasses.suspected(),
  };
}
