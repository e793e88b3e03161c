/**
 * `prefetch go.sum…`: fetches all versions that go.sum files name into the configured store, as
 * requests for them would, with a line for each that fails:
 *
 * ```text
 * failed example.com/hello@v1.0.0: its zip has h1:…, and go.sum h1:…
 * 7 versions: 4 fetched, 2 known, 1 failed
 * ```
 *
 * A version of which go.sum has only the go.mod is published without its zip, if the checksum
 * database allows that. A zip that contradicts go.sum is not published: for versions that no
 * checksum database knows, go.sum is authoritative. A version that is already published is left
 * alone, and compared.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, type Loaded } from "./load_config.ts";
import { type CommonFlags, configFileOption, logLevelOption, scratchDirOption } from "./options.ts";
import { each, forEach } from "../lib/async/workers.ts";
import { describeError, InvalidRequestError, ProxyError, StorageError } from "../lib/errors.ts";
import { type GoSumEntry, MAX_GO_SUM_SIZE_BYTES, parseGoSums } from "../lib/module/go_sum.ts";
import type { H1 } from "../lib/module/h1.ts";
import { type RecordedHashes, unrecordedError } from "../lib/module/hash_database.ts";
import { nameOf } from "../lib/module/module_version.ts";
import type { Publisher } from "../lib/service/publisher.ts";
import { type Copy, InvalidManifestError } from "../lib/store/manifest.ts";
import { Parts } from "../lib/open/parts.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";
import { plural } from "./print.ts";
import { openProgress, type Progress } from "./progress.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .argument("<go.sum...>", "go.sum files")
    .addOption(configFileOption())
    .addOption(scratchDirOption())
    .addOption(logLevelOption("error"))
    .addHelpText(
      "after",
      `
Nothing is stored that contradicts go.sum or the checksum database. Each line on standard output is a version that
cannot be fetched, and why; the last line is a summary. A second run fetches what is missing.

Examples:
  go-mod-proxy prefetch go.sum
  go-mod-proxy prefetch --config-file config.yaml */go.sum`,
    )
    .action(context.action(async (files: string[], flags: CommonFlags) => {
      return await runPrefetch({ ...await load(flags, context), files }) ? 0 : 1;
    }));
}

/** A load that sources bear; each worker may have a zip in the scratch directory. */
export const WORKERS = 8;

export interface PrefetchOptions extends Loaded {
  /** go.sum files. */
  readonly files: readonly string[];
}

/** Whether every version is in the store now. */
export async function runPrefetch(options: PrefetchOptions): Promise<boolean> {
  const { signal } = options;
  const entries = parseGoSums(await Promise.all(options.files.map(readGoSum)));
  await using parts = new Parts(await openSurroundings(options));
  await parts.probedStore();
  using progress = await openProgress(() => Promise.resolve(entries.length));
  const isComplete = await new Prefetch(parts, { progress, signal }).run(entries);
  await (await parts.index())?.drain();
  return isComplete;
}

interface PrefetchContext {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

class Prefetch {
  readonly #parts: Parts;
  readonly #context: PrefetchContext;

  constructor(parts: Parts, context: PrefetchContext) {
    this.#parts = parts;
    this.#context = context;
  }

  async run(entries: readonly GoSumEntry[]): Promise<boolean> {
    const { progress, signal } = this.#context;
    const counts = { fetched: 0, known: 0, failed: 0 };
    await forEach(each(entries), {
      workers: WORKERS,
      work: async (entry) => {
        signal.throwIfAborted();
        const name = nameOf(entry);
        try {
          counts[await this.#bring(entry)]++;
        } catch (error) {
          signal.throwIfAborted();
          if (!isAboutOne(error)) throw error;
          counts.failed++;
          progress.print(`failed ${name}: ${describeError(error)}`);
        }
        progress.advance(name);
      },
    });
    const { fetched, known, failed } = counts;
    progress.print(
      `${plural(entries.length, "version")}: ${fetched} fetched, ${known} known, ${failed} failed`,
    );
    return failed === 0;
  }

  async #bring(entry: GoSumEntry): Promise<"fetched" | "known"> {
    const { signal } = this.#context;
    const copies = await this.#parts.copies();
    const published = await copies.read(entry, { signal });
    const copy = published ?? await this.#publish(entry);
    compare(entry, copy);
    if (entry.zipH1 === null) return published === null ? "fetched" : "known";
    const zip = await copies.openZip(copy, { signal });
    await zip?.body.cancel();
    if (zip === null) await (await this.#parts.publisher()).restoreZip(copy);
    return published === null || zip === null ? "fetched" : "known";
  }

  async #publish(entry: GoSumEntry): Promise<Copy> {
    const { signal } = this.#context;
    const databases = await this.#parts.databases();
    const { path, version, zipH1, goModH1 } = entry;
    const database = databases.databaseFor(path);
    const recorded = await database?.find({ path, version }, signal) ?? null;
    if (recorded === "unrecorded") throw unrecordedError(entry, database?.name ?? "");
    if (recorded !== null) {
      compareHashes(entry, { zip: recorded.zipH1, goMod: recorded.goModH1 });
      const { zips } = this.#parts.surroundings.config.publicModules;
      return await (await this.#publisher({ hashes: recorded, zips })).publish({ path, version });
    }
    const hashes = zipH1 === null || goModH1 === null ? null : { zipH1, goModH1 };
    return await (await this.#publisher({ hashes, zips: "eager" })).publish({ path, version });
  }

  /** A publisher that verifies with go.sum's hashes of one version only. */
  #publisher(
    { hashes, zips }: { hashes: RecordedHashes | null; zips: "lazy" | "eager" },
  ): Promise<Publisher> {
    return this.#parts.newPublisher({
      databaseFor: () => hashes && { name: "go.sum", find: () => Promise.resolve(hashes) },
      zips,
      isEager: () => false,
    });
  }
}

/** @throws {InvalidRequestError} when the copy differs from go.sum */
function compare(entry: GoSumEntry, { manifest: { zip, goMod } }: Copy): void {
  compareHashes(entry, { zip: zip.h1, goMod: goMod.h1 });
}

function compareHashes(entry: GoSumEntry, found: { zip: H1; goMod: H1 }): void {
  const { zipH1, goModH1 } = entry;
  if (zipH1 !== null && zipH1 !== found.zip) {
    throw new InvalidRequestError(`its zip has ${found.zip}, and go.sum ${zipH1}`);
  }
  if (goModH1 !== null && goModH1 !== found.goMod) {
    throw new InvalidRequestError(`its go.mod has ${found.goMod}, and go.sum ${goModH1}`);
  }
}

/** Whether an error is about one version, and not about the store. */
function isAboutOne(error: unknown): boolean {
  return error instanceof ProxyError && !(error instanceof StorageError) ||
    error instanceof InvalidManifestError;
}

async function readGoSum(file: string): Promise<string> {
  try {
    const { size } = await Deno.stat(file);
    if (size <= MAX_GO_SUM_SIZE_BYTES) return await Deno.readTextFile(file);
  } catch (cause) {
    throw new InvalidRequestError(`Cannot read "${file}"`, { cause });
  }
  throw new InvalidRequestError(
    `Cannot read "${file}": it is larger than ${MAX_GO_SUM_SIZE_BYTES} bytes`,
  );
}
