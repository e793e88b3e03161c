/**
 * `fsck`: checks the configured store (store/fsck.ts) and prints a line for each finding:
 *
 * ```text
 * fault    z1/example.com/hello/@v/v1.0.0/<h1 hex>: the zip is missing
 * note     z1/example.com/hello/@v/v1.1.0/<h1 hex>: an orphan: there is no manifest of this version
 * 5 objects: 2 manifests, 2 zips; 1 fault, 1 note, 0 repaired
 * ```
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, type Loaded } from "./load_config.ts";
import { type CommonFlags, configFileOption, logLevelOption, scratchDirOption } from "./options.ts";
import { describeError } from "../lib/errors.ts";
import { InvalidIndexError } from "../lib/index/entry.ts";
import type { ModuleIndex } from "../lib/index/module_index.ts";
import { type Finding, fsck, type FsckSummary } from "../lib/store/fsck.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { scrub } from "../lib/store/scrub.ts";
import { fsckLog } from "./fsck_log.ts";
import { Parts } from "../lib/open/parts.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";
import { plural } from "./print.ts";
import type { ModulePath } from "../lib/module/path.ts";
import { PrivatePrefixes } from "../lib/module/private_prefixes.ts";
import { openProgress } from "./progress.ts";

interface FsckFlags extends CommonFlags {
  readonly repair: boolean;
  readonly scrub: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .addOption(configFileOption())
    .option(
      "--repair",
      "fetch missing and damaged zips from their sources, add missing index entries",
      false,
    )
    .option(
      "--scrub",
      "read every object and compare checksums, without unpacking zips that have them",
      false,
    )
    .addOption(scratchDirOption())
    .addOption(logLevelOption("error"))
    .addHelpText(
      "after",
      `
Each line on standard output is a fault, a note or a repair, with the object's key; the last line is a summary. With
--repair, zips that no client has asked for yet are fetched too.

Examples:
  go-mod-proxy fsck --config-file config.yaml
  go-mod-proxy fsck --config-file config.yaml --repair
  go-mod-proxy fsck --config-file config.yaml --scrub --repair`,
    )
    .action(context.action(async (flags: FsckFlags) => {
      const { repair, scrub } = flags;
      const run = scrub ? runScrub : runFsck;
      const isFine = await run({ ...await load(flags, context), repair });
      return isFine ? 0 : 1;
    }));
}

export interface RunFsckOptions extends Loaded {
  /** Whether missing objects are added again. */
  readonly repair: boolean;
}

/** Whether there is no fault. */
export async function runFsck(options: RunFsckOptions): Promise<boolean> {
  const { config, repair, signal } = options;
  await using parts = new Parts(await openSurroundings(options), { isReadOnly: !repair });
  const store = repair ? await parts.probedStore() : await parts.store();
  const scratch = await parts.scratch();
  // The server's sources. The hashes are those of the manifests.
  const publisher = repair ? await parts.publisher() : null;
  const privatePrefixes = new PrivatePrefixes(config.privateModules);
  const isPrivate = (path: ModulePath) => privatePrefixes.mustHide(path);
  using progress = await openProgress(() => countObjects(store, signal));
  const index = await parts.index();
  const indexFault = await faultOf(index);
  if (indexFault !== null) progress.print(`fault    ${describeError(indexFault)}`);
  const summary = await fsck({
    store,
    scratchDirectory: scratch.directory,
    // A private module is published with its zip (publisher.ts); that of a public one is fetched on
    // the first request.
    mayLackZip: (path) => !isPrivate(path),
    restoreZip: publisher === null ? null : (copy) => publisher.restoreZip(copy),
    index: index !== null && indexFault === null
      ? {
        lacks: (manifest) => index.lacks(manifest),
        add: repair ? (manifest) => index.add(manifest) : null,
      }
      : null,
    report: (finding) => progress.print(lineOf(finding)),
    onDone: (key) => progress.advance(key),
    signal,
  });
  await index?.drain();
  const isLogFine = await fsckLog({
    config,
    store,
    isPrivate,
    report: (finding) => progress.print(lineOf(finding)),
    print: (line) => progress.print(line),
    signal,
  });
  progress.print(summaryLine(summary));
  return summary.findings.fault === 0 && indexFault === null && isLogFine;
}

/** Whether there is no fault. */
async function runScrub(options: RunFsckOptions): Promise<boolean> {
  const { repair, signal } = options;
  await using parts = new Parts(await openSurroundings(options), { isReadOnly: !repair });
  const store = repair ? await parts.probedStore() : await parts.store();
  const publisher = repair ? await parts.publisher() : null;
  using progress = await openProgress(() => countObjects(store, signal));
  const { objects, bytes, findings } = await scrub({
    store,
    restoreZip: publisher === null ? null : (copy) => publisher.restoreZip(copy),
    report: (finding) => progress.print(lineOf(finding)),
    onDone: (key) => progress.advance(key),
    signal,
  });
  progress.print(`${plural(objects, "object")} of ${plural(bytes, "byte")}: ${countsOf(findings)}`);
  return findings.fault === 0;
}

/** Reads the index. Returns the fault of one of its batches, or null. */
async function faultOf(index: ModuleIndex | null): Promise<InvalidIndexError | null> {
  try {
    await index?.follow();
    return null;
  } catch (error) {
    if (error instanceof InvalidIndexError) return error;
    throw error;
  }
}

async function countObjects(store: ObjectStore, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const _ of store.walk({ signal })) count++;
  return count;
}

function lineOf({ kind, key, text }: Finding): string {
  return `${kind.padEnd("repaired".length)} ${key}: ${text}`;
}

function summaryLine({ objects, manifests, zips, findings }: FsckSummary): string {
  const counted = `${plural(manifests, "manifest")}, ${plural(zips, "zip")}`;
  return `${plural(objects, "object")}: ${counted}; ${countsOf(findings)}`;
}

function countsOf({ fault, note, repaired }: FsckSummary["findings"]): string {
  return `${plural(fault, "fault")}, ${plural(note, "note")}, ${repaired} repaired`;
}
