/**
 * `import <kind> <directory>`: imports modules from other proxies and caches into the configured
 * store (lib/import/), with a line for each version that is refused:
 *
 * ```text
 * refused example.com/hello/@v/v1.0.0: its zip has h1:…, and h1:… is published
 * 7 versions: 4 imported, 1 known, 1 without a zip, 1 refused
 * ```
 */
import { Argument, type Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, type Loaded } from "./load_config.ts";
import { type CommonFlags, configFileOption, logLevelOption, scratchDirOption } from "./options.ts";
import { InvalidRequestError } from "../lib/errors.ts";
import { athens } from "../lib/import/athens.ts";
import type { FoundVersion } from "../lib/import/import_entry.ts";
import { goModCache } from "../lib/import/gomodcache.ts";
import { importVersions } from "../lib/import/import.ts";
import { original, parseTimes } from "../lib/import/original.ts";
import { Parts } from "../lib/open/parts.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";
import { plural } from "./print.ts";
import { openProgress } from "./progress.ts";

interface ImportFlags extends CommonFlags {
  readonly times?: string;
}

export function define(command: Command, context: CommandContext): void {
  command
    .addArgument(
      new Argument("<kind>", "what the directory holds").choices([
        "gomodcache",
        "athens",
        "original",
      ]),
    )
    .argument(
      "<directory>",
      "GOMODCACHE/cache/download, Athens's disk storage, or a copy of the original's bucket",
    )
    .addOption(configFileOption())
    .option(
      "--times <file>",
      'for original: a file of lines "gomod/<module>@<version> <RFC 3339 time>"',
    )
    .addOption(scratchDirOption())
    .addOption(logLevelOption("error"))
    .addHelpText(
      "after",
      `
Every version is verified before it is stored, and stored versions are kept. Each line on standard output is a version
that is refused, and why; the last line is a summary. A second run changes nothing.

Examples:
  go-mod-proxy import gomodcache "$(go env GOMODCACHE)/cache/download"
  go-mod-proxy import athens /var/lib/athens --config-file config.yaml
  go-mod-proxy import original ./bucket --times times.txt --config-file config.yaml`,
    )
    .action(
      context.action(async (kind: ImportKind, directory: string, flags: ImportFlags) => {
        const command = await load(flags, context);
        const isFine = await runImport({ ...command, kind, directory, timesFile: flags.times });
        return isFine ? 0 : 1;
      }),
    );
}

export type ImportKind = "gomodcache" | "athens" | "original";

export interface RunImportOptions extends Loaded {
  readonly kind: ImportKind;
  readonly directory: string;
  /** The file with the times of the original's objects, if any. */
  readonly timesFile: string | undefined;
}

/** Whether nothing was refused. */
export async function runImport(options: RunImportOptions): Promise<boolean> {
  const { kind, signal } = options;
  const versions = await openVersions(options);
  await using parts = new Parts(await openSurroundings(options));
  await parts.probedStore();
  using progress = await openProgress(() => count(versions()));
  // Public modules are verified as by the server.
  const databases = await parts.databases();
  const summary = await importVersions({
    versions: versions(),
    kind,
    copies: await parts.copies(),
    databaseFor: (path) => databases.databaseFor(path),
    scratchDirectory: (await parts.scratch()).directory,
    onRefused: (name, reason) => progress.print(`refused ${name}: ${reason}`),
    onDone: (name) => progress.advance(name),
    signal,
  });
  await (await parts.index())?.drain();
  const { imported, known, incomplete, refused } = summary;
  const total = plural(imported + known + incomplete + refused, "version");
  progress.print(
    `${total}: ${imported} imported, ${known} known, ${incomplete} without a zip, ${refused} refused`,
  );
  return refused === 0;
}

async function openVersions(
  { kind, directory, timesFile }: RunImportOptions,
): Promise<() => AsyncIterable<FoundVersion>> {
  await assertDirectory(directory);
  if (timesFile !== undefined && kind !== "original") {
    throw new InvalidRequestError(
      `Cannot use a file of times for ${kind}: its .info files have them`,
    );
  }
  switch (kind) {
    case "gomodcache":
      return () => goModCache(directory);
    case "athens":
      return () => athens(directory);
    case "original": {
      const times = parseTimes(timesFile === undefined ? "" : await Deno.readTextFile(timesFile));
      return () => original(directory, times);
    }
  }
}

/**
 * @throws {InvalidRequestError} when there is no such directory, which would otherwise count as
 * empty
 */
async function assertDirectory(directory: string): Promise<void> {
  try {
    for await (const _ of Deno.readDir(directory)) break;
  } catch (cause) {
    throw new InvalidRequestError(`Cannot import from "${directory}"`, { cause });
  }
}

async function count(things: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of things) count++;
  return count;
}
