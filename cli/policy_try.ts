/**
 * `policy try`: what a changed policy would decide otherwise, about the versions that are used or
 * that go.sum files name.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, loadConfig, type Loaded } from "./load_config.ts";
import {
  type CommonFlags,
  configFileOption,
  logLevelOption,
  scratchDirOption,
  sinceOption,
} from "./options.ts";
import { readFile } from "./input.ts";
import { printLine } from "./print.ts";
import { type ModuleVersion, moduleVersion, nameOf } from "../lib/module/module_version.ts";
import { Parts } from "../lib/open/parts.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";
import { audit, type Audited, isBad, modulesOf, whyText } from "../lib/policy/audit.ts";
import type { PolicyConfig } from "../lib/policy/config.ts";
import { readUsage } from "../lib/usage/usage_log.ts";

interface Flags extends CommonFlags {
  readonly against: readonly string[];
  readonly since: number;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument("<file>", "configuration with the changed policy")
    .option("--against <what...>", '"usage", or go.sum files', ["usage"])
    .addOption(configFileOption())
    .addOption(sinceOption("7d"))
    .addOption(scratchDirOption())
    .addOption(logLevelOption("error"))
    .addHelpText(
      "after",
      `
Decides about each version by the policy of --config-file and by that of the file, and prints what differs. Exits with 1
if a version that is used would newly be denied.

Examples:
  go-mod-proxy policy try new.yaml --config-file config.yaml
  go-mod-proxy policy try new.yaml --config-file config.yaml --against */go.sum`,
    )
    .action(context.action(async (file: string, { against, since, ...flags }: Flags) => {
      const changed = await loadConfig(file, context.environment);
      return await runTry({
        ...await load(flags, context),
        changed: changed.config.policy,
        against,
        sinceMs: Date.now() - since,
      });
    }));
}

interface TryOptions extends Loaded {
  readonly changed: PolicyConfig;
  readonly against: readonly string[];
  readonly sinceMs: number;
}

async function runTry(options: TryOptions): Promise<number> {
  const { config, changed, against, signal } = options;
  await using parts = new Parts(await openSurroundings(options));
  const used = against.length === 1 && against[0] === "usage"
    ? await usedModules(parts, options)
    : await modulesOfFiles(against);
  const modules = [...used.values()].map(({ module }) => module);
  const decideBy = async (policy: PolicyConfig): Promise<Audited[]> => {
    const opened = await parts.newPolicy(policy);
    return await audit(modules, {
      identity: null,
      signal,
      decide: (module, asking) => opened.decide(module, asking),
    });
  };
  const [before, after] = [await decideBy(config.policy), await decideBy(changed)];
  let newlyBad = 0;
  for (const [i, now] of after.entries()) {
    const was = before[i];
    if (was === undefined || isBad(was) === isBad(now)) continue;
    if (isBad(now)) newlyBad++;
    const by = used.get(`${now.module}@${now.version}`)?.identities ?? new Set();
    printLine(differenceText(now, { was, identities: [...by].sort() }));
  }
  printLine(`${modules.length} versions: ${newlyBad} newly denied`);
  return newlyBad > 0 ? 1 : 0;
}

function differenceText(
  now: Audited,
  { was, identities }: { was: Audited; identities: readonly string[] },
): string {
  const name = `${now.module}@${now.version}`;
  const by = identities.length === 0 ? "" : `, used by ${identities.join(", ")}`;
  return isBad(now)
    ? `newly denied: ${name}: ${whyText(now)}${by}`
    : `newly allowed: ${name}: no longer denied by ${was.rule ?? was.action}${by}`;
}

interface Used {
  readonly module: ModuleVersion;
  readonly identities: Set<string>;
}

async function usedModules(
  parts: Parts,
  { sinceMs, signal }: TryOptions,
): Promise<Map<string, Used>> {
  const used = new Map<string, Used>();
  const rows = readUsage(await parts.store(), { sinceMs, nowMs: Date.now(), signal });
  for await (const { module, version, kind, identity } of rows) {
    if (kind !== "zip") continue;
    const name = `${module}@${version}`;
    const known = used.get(name) ??
      { module: moduleVersion(module, version), identities: new Set<string>() };
    if (identity !== null) known.identities.add(identity);
    used.set(name, known);
  }
  return used;
}

async function modulesOfFiles(files: readonly string[]): Promise<Map<string, Used>> {
  const used = new Map<string, Used>();
  for (const file of files) {
    for (const module of await modulesOf(await readFile(file))) {
      used.set(nameOf(module), { module, identities: new Set() });
    }
  }
  return used;
}
