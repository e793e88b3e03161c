/**
 * Looks through a module zip that came from elsewhere: is it one that the `go` command would
 * accept, what is its h1, and what is its go.mod. Nothing is unpacked. Each entry is inflated once;
 * memory does not grow with the zip, but for some hundred bytes for each entry and the go.mod.
 */
import { createHash } from "node:crypto";
import type { H1 } from "../module/h1.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import { quoted } from "../module/quoted.ts";
import { type Archive, type ArchiveEntry, openArchive } from "./archive.ts";
import { type HashedEntry, hashSteps } from "./hash.ts";
import { atPace, Pace } from "../async/pace.ts";
import { Contents, entryPrefix, nameCost, ZipError } from "./rules.ts";

export { ZipError };

export interface ZipSummary {
  readonly h1: H1;
  /** Of the zip file. */
  readonly sizeBytes: number;
  /** The content of the go.mod in the root, null if there is none. */
  readonly goMod: Uint8Array<ArrayBuffer> | null;
}

export interface InspectOptions {
  readonly module: ModuleVersion;
  readonly signal?: AbortSignal;
}

/** {@linkcode inspectZip}, or what has it done elsewhere. */
export type InspectZip = (file: string, options: InspectOptions) => Promise<ZipSummary>;

/**
 * Checks the zip of a module version and summarizes it.
 *
 * @throws {ZipError} when it is not a zip, is damaged, or is anything that a module zip must not be
 * (rules.ts)
 * @throws the signal's reason when it is aborted
 */
export async function inspectZip(file: string, options: InspectOptions): Promise<ZipSummary> {
  const prefix = entryPrefix(options.module);
  const pace = new Pace(options.signal);
  using handle = await Deno.open(file);
  const archive = await openArchive(handle, pace);
  // All names before any content: no time is spent on what must not be.
  await checkEntries(archive.entries, { prefix, pace });
  const hashed: HashedEntry[] = [];
  let goMod: Uint8Array<ArrayBuffer> | null = null;
  for (const entry of archive.entries) {
    const copy = entry.name === `${prefix}go.mod` ? new Uint8Array(entry.sizeBytes) : null;
    hashed.push({ name: entry.name, sha256: await hashContent(archive, { entry, copy }) });
    goMod ??= copy;
  }
  const h1 = await atPace(hashSteps(hashed), pace);
  return { h1, sizeBytes: archive.sizeBytes, goMod };
}

async function checkEntries(
  entries: readonly ArchiveEntry[],
  { prefix, pace }: { prefix: string; pace: Pace },
): Promise<void> {
  const contents = new Contents();
  for (const { name, sizeBytes } of entries) {
    await pace.spend(nameCost(name));
    const fault = name.startsWith(prefix)
      ? addEntry(contents, { name: name.slice(prefix.length), sizeBytes })
      : `${quoted(name)} is not in ${quoted(prefix)}`;
    if (fault !== null) throw new ZipError(`Cannot read zip: ${fault}`);
  }
}

/** An entry for the module's directory itself has no name left and breaks no rule. */
function addEntry(contents: Contents, entry: { name: string; sizeBytes: number }): string | null {
  if (entry.name === "") return null;
  if (entry.name.endsWith("/")) return contents.addDirectory(entry.name.slice(0, -1));
  return contents.addFile(entry.name, entry.sizeBytes);
}

/**
 * The SHA-256 of an entry's content, in hex; the content itself goes to `copy`, which has the
 * entry's size.
 */
async function hashContent(
  archive: Archive,
  { entry, copy }: { entry: ArchiveEntry; copy: Uint8Array | null },
): Promise<string> {
  const hash = createHash("sha256");
  let copiedBytes = 0;
  await archive.read(entry, (chunk) => {
    hash.update(chunk);
    copy?.set(chunk, copiedBytes);
    copiedBytes += chunk.length;
  });
  return hash.digest("hex");
}
