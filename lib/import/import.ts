/**
 * Brings versions that others have kept into a store. Nothing of it is believed: the zip is
 * inspected (rules, prefix, h1), an h1 that was noted beside it is the same, go.mod is the zip's
 * own, and of public modules both hashes are those of the checksum database, if there is one. What
 * passes is published like a version that was fetched (store/publish.ts), with its source written
 * down as `import <kind>`.
 *
 * What is published already stays. The same copy is fine, and brings the zip where that is missing;
 * another copy is refused. So an import can be run again, also while servers use the store.
 *
 * Limits: the directory must not change during the import.
 */
import { forEach } from "../async/workers.ts";
import { DeadlineError, describeError, InvalidRequestError, UpstreamError } from "../errors.ts";
import { isGoModOfZip } from "../module/go_mod.ts";
import { InvalidInfoError } from "../module/info.ts";
import type { DatabaseFor, HashDatabase } from "../module/hash_database.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { Copies } from "../store/copies.ts";
import { type Copy, InvalidManifestError, makeCopy } from "../store/manifest.ts";
import { fileContent } from "../store/object_store.ts";
import { inspectZip, ZipError } from "../zip/read.ts";
import { type FoundFiles, type FoundVersion, ImportError } from "./import_entry.ts";

export interface ImportOptions {
  readonly versions: AsyncIterable<FoundVersion>;
  /** Where they are from, one word. */
  readonly kind: string;
  readonly copies: Copies;
  readonly databaseFor: DatabaseFor;
  /** A directory of ours alone for what has to be unpacked. */
  readonly scratchDirectory: string;
  /** Told of each version that is refused, and why. */
  readonly onRefused: (name: string, reason: string) => void;
  /** Told of each version when it is done. */
  readonly onDone: (name: string) => void;
  readonly signal: AbortSignal;
}

/** What became of a version. */
export type Outcome = "imported" | "known" | "incomplete" | "refused";

export type ImportSummary = Readonly<Record<Outcome, number>>;

/** On a bucket most of the time is waiting. */
export const WORKERS = 8;

/**
 * @throws {StorageError | DeadlineError} when the store fails; what is in it then stays
 * @throws the reason of the signal
 */
export async function importVersions(options: ImportOptions): Promise<ImportSummary> {
  const summary: Record<Outcome, number> = { imported: 0, known: 0, incomplete: 0, refused: 0 };
  await forEach(options.versions, {
    workers: WORKERS,
    work: async (found) => {
      options.signal.throwIfAborted();
      summary[await importVersion(found, options)]++;
      options.onDone(found.name);
    },
  });
  return summary;
}

async function importVersion(found: FoundVersion, options: ImportOptions): Promise<Outcome> {
  const { scratchDirectory, signal } = options;
  const directory = await Deno.makeTempDir({ dir: scratchDirectory, prefix: "import-" });
  try {
    const files = await found.read({ directory, signal });
    return files === null ? "incomplete" : await publishFiles(files, options);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    options.onRefused(found.name, describeError(error));
    return "refused";
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function publishFiles(files: FoundFiles, options: ImportOptions): Promise<Outcome> {
  const { path, version, time, origin, goMod, zip } = files;
  const { copies, kind, signal } = options;
  const { h1, sizeBytes, goMod: zipGoMod } = await inspectZip(zip.file, { module: files, signal });
  if (zip.h1 !== null && zip.h1 !== h1) {
    throw new ImportError(`its zip has ${h1}, and ${zip.h1} is noted beside it`);
  }
  if (!isGoModOfZip(goMod, { path, inZip: zipGoMod })) {
    throw new ImportError("the go.mod in its zip is another than the one beside it");
  }
  const source = `import ${kind}`;
  const facts = { path, version, time, goMod, zipH1: h1, source };
  const ours = makeCopy(origin === undefined ? facts : { ...facts, origin });
  const content = fileContent({ file: zip.file, sizeBytes });

  const known = await copies.read(files, { signal });
  if (known === null) {
    await checkKnownHashes(ours, options);
    const { copy, created } = await copies.publish({ ...ours, zip: content }, { signal });
    checkSame(copy, ours);
    return created ? "imported" : "known";
  }
  checkSame(known, ours);
  const stored = await copies.openZip(known, { signal });
  await stored?.body.cancel();
  if (stored !== null) return "known";
  await copies.storeZip(known, { h1, content }, { signal });
  return "imported";
}

/** @throws {ImportError} when the checksum database has other hashes, or cannot be asked */
async function checkKnownHashes(
  { manifest: { path, version, zip, goMod } }: Copy,
  { databaseFor, signal }: ImportOptions,
): Promise<void> {
  const database = databaseFor(path);
  if (database === null) return;
  const hashes = await findHashes(database, { module: { path, version }, signal });
  if (hashes === null) return;
  if (hashes === "unrecorded") {
    throw new ImportError(`${database.name} has no record of it; see publicModules.noSumDatabase`);
  }
  if (hashes.zipH1 !== zip.h1) {
    throw new ImportError(`its zip has ${zip.h1}, and the checksum database ${hashes.zipH1}`);
  }
  if (hashes.goModH1 !== goMod.h1) {
    throw new ImportError(
      `its go.mod has ${goMod.h1}, and the checksum database ${hashes.goModH1}`,
    );
  }
}

async function findHashes(
  database: HashDatabase,
  { module, signal }: { module: ModuleVersion; signal: AbortSignal },
): ReturnType<HashDatabase["find"]> {
  try {
    return await database.find(module, signal);
  } catch (cause) {
    if (!(cause instanceof UpstreamError || cause instanceof DeadlineError)) throw cause;
    throw new ImportError("it cannot be verified", { cause });
  }
}

/** @throws {ImportError} when the published copy is another than ours */
function checkSame({ manifest: published }: Copy, { manifest: ours }: Copy): void {
  if (published.zip.h1 !== ours.zip.h1) {
    throw new ImportError(`its zip has ${ours.zip.h1}, and ${published.zip.h1} is published`);
  }
  if (published.goMod.h1 !== ours.goMod.h1) {
    throw new ImportError(
      `its go.mod has ${ours.goMod.h1}, and ${published.goMod.h1} is published`,
    );
  }
}

/** Whether an error is about one version, and not about the store. */
function isRefusal(error: unknown): boolean {
  return error instanceof ImportError || error instanceof ZipError ||
    error instanceof InvalidRequestError || error instanceof InvalidInfoError ||
    error instanceof InvalidManifestError || error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotFound;
}
