/**
 * `export <directory>`: writes the modules of the configured store to files, in the layout that the
 * `go` command itself uses below `GOMODCACHE/cache/download` and reads from a file system proxy
 * (https://go.dev/ref/mod#goproxy-protocol):
 *
 * ```text
 * example.com/!hello/@latest               the best version's .info
 * example.com/!hello/@v/list               the tagged versions
 * example.com/!hello/@v/v1.0.0.info
 * example.com/!hello/@v/v1.0.0.mod
 * example.com/!hello/@v/v1.0.0.zip
 * example.com/!hello/@v/v1.0.0.ziphash     the zip's h1
 * ```
 *
 * The directory is a proxy (`GOPROXY=file:///directory`), any web server can serve it, and
 * `import gomodcache` imports it into another store. A version whose zip has not been requested yet
 * is written without it; `fsck --repair` fetches such zips.
 *
 * Files appear complete or not at all, and existing files are not written again, except `list` and
 * `@latest`: the next run continues an interrupted one. Limits: checksum databases are not
 * exported.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, type Loaded } from "./load_config.ts";
import { type CommonFlags, configFileOption, logLevelOption } from "./options.ts";
import { forEach } from "../lib/async/workers.ts";
import { describeError, NotFoundError } from "../lib/errors.ts";
import { escapePath, escapeVersion } from "../lib/module/escape.ts";
import type { ModulePath } from "../lib/module/path.ts";
import { infoText, listText } from "../lib/service/protocol_text.ts";
import { ModuleService } from "../lib/service/service.ts";
import type { ServiceOptions } from "../lib/service/stored_modules.ts";
import { SourceList } from "../lib/source/source_list.ts";
import type { Copies } from "../lib/store/copies.ts";
import { parseCopyKey } from "../lib/store/keys.ts";
import { type Copy, InvalidManifestError } from "../lib/store/manifest.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { Parts } from "../lib/open/parts.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";
import { plural } from "./print.ts";
import { openProgress } from "./progress.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .argument("<directory>", "the directory to write to; it is created if it does not exist")
    .addOption(configFileOption())
    .addOption(logLevelOption("error"))
    .addHelpText(
      "after",
      `
The go command reads the directory (GOPROXY=file:///…), any web server can serve it, and "import gomodcache" imports it
into another store. Files that exist are kept; a second run adds what is new.

Examples:
  go-mod-proxy export ./modules
  go-mod-proxy export /mnt/usb/modules --config-file config.yaml`,
    )
    .action(context.action(async (directory: string, flags: CommonFlags) => {
      return await runExport({ ...await load(flags, context), directory }) ? 0 : 1;
    }));
}

/** On a bucket, most of the time is spent waiting. */
export const WORKERS = 8;

export interface ExportOptions extends Loaded {
  /** It is created if it does not exist. */
  readonly directory: string;
}

/** Whether everything in the store could be written. */
export async function runExport(options: ExportOptions): Promise<boolean> {
  const { log, signal, directory } = options;
  await using parts = new Parts(await openSurroundings(options), { isReadOnly: true });
  const store = await parts.store();
  const copies = await parts.copies();
  const paths = new Set<ModulePath>();
  const counts = { complete: 0, withoutZip: 0, failed: 0 };
  using progress = await openProgress(() => countVersions(store, signal));
  await forEach(versionsIn(store, signal), {
    workers: WORKERS,
    work: async ({ key, ...module }) => {
      signal.throwIfAborted();
      try {
        const copy = await copies.read(module, { signal });
        // A walk may list an object before it can be read; the next export has it.
        if (copy === null) return;
        const hasZip = await writeVersion(`${directory}/${escapePath(module.path)}/@v`, {
          copy,
          copies,
          signal,
        });
        counts[hasZip ? "complete" : "withoutZip"]++;
        paths.add(module.path);
      } catch (error) {
        if (!(error instanceof InvalidManifestError)) throw error;
        counts.failed++;
        progress.print(`failed ${key}: ${describeError(error)}`);
      }
      progress.advance(key);
    },
  });
  const service = new ModuleService({ copies, source: NO_SOURCE, publisher: NO_PUBLISHER, log });
  for (const path of paths) {
    await writeLists(`${directory}/${escapePath(path)}`, { path, service, signal });
  }
  const { complete, withoutZip, failed } = counts;
  progress.print(
    `${plural(complete + withoutZip + failed, "version")}: ${complete} with a zip, ` +
      `${withoutZip} without, ${failed} failed`,
  );
  return failed === 0;
}

async function* versionsIn(store: ObjectStore, signal: AbortSignal) {
  for await (const key of store.walk({ signal })) {
    const parsed = parseCopyKey(key);
    if (parsed?.kind === "manifest") yield { ...parsed, key };
  }
}

async function countVersions(store: ObjectStore, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const _ of versionsIn(store, signal)) count++;
  return count;
}

interface WriteOptions {
  readonly copy: Copy;
  readonly copies: Copies;
  readonly signal: AbortSignal;
}

/** Whether the store has its zip. */
async function writeVersion(
  folder: string,
  { copy, copies, signal }: WriteOptions,
): Promise<boolean> {
  const { manifest, goMod } = copy;
  const stem = `${folder}/${escapeVersion(manifest.version)}`;
  await Deno.mkdir(folder, { recursive: true });
  await writeFile(`${stem}.mod`, goMod);
  await writeFile(`${stem}.info`, infoText(copy));
  if (await exists(`${stem}.zip`)) return true;
  const zip = await copies.openZip(copy, { signal });
  if (zip === null) return false;
  await writeFile(`${stem}.ziphash`, manifest.zip.h1);
  await writeFile(`${stem}.zip`, zip.body);
  return true;
}

async function writeLists(
  folder: string,
  { path, service, signal }: { path: ModulePath; service: ModuleService; signal: AbortSignal },
): Promise<void> {
  const options: ServiceOptions = { mayFetch: false, signal, facts: {} };
  const { versions } = await service.list(path, options);
  const { copy } = await service.latest(path, options);
  await replaceFile(`${folder}/@v/list`, listText(versions));
  await replaceFile(`${folder}/@latest`, infoText(copy));
}

type FileContent = string | Uint8Array | ReadableStream<Uint8Array>;

/** Writes a file unless it exists. */
async function writeFile(file: string, content: FileContent): Promise<void> {
  if (!await exists(file)) await replaceFile(file, content);
}

async function replaceFile(file: string, content: FileContent): Promise<void> {
  const unfinished = `${file}.${crypto.randomUUID()}.tmp`;
  try {
    if (typeof content === "string") await Deno.writeTextFile(unfinished, content);
    else await Deno.writeFile(unfinished, content);
    await Deno.rename(unfinished, file);
  } catch (error) {
    await Deno.remove(unfinished).catch(() => {
      // It was never created, or already has its name; the original error is thrown below.
    });
    throw error;
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    return (await Deno.stat(file)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** An export reads what the store has and fetches nothing. */
const NO_SOURCE = new SourceList([]);

function publish(): never {
  throw new NotFoundError("Cannot publish: an export fetches nothing");
}

const NO_PUBLISHER = {
  publish,
  publishAhead: publish,
  restoreZip: publish,
  restoreZipAhead: publish,
};
