/**
 * Zips that were made before, from which the zip of another version of the same module takes what
 * is in both: content that is deflated and hashed already. Of a module with a thousand files, few
 * are read and deflated again.
 *
 * ```text
 * <folder>/<32 hex digits of the SHA-256 of a module's directory>   the index
 * <folder>/<32 hex digits>-<UUID>.zip                               the zip that this index names
 * ```
 *
 * An index is two lines: the SHA-256 of the second one in hex, and JSON:
 *
 * ```json
 * {"format":1,"zip":"<its name>","conversion":"…",
 *  "files":[["a/b.go","<blob>","<SHA-256 of the content>",<its CRC-32>,<its size>,
 *    <offset>,<deflated size>,<deflated CRC-32>]]}
 * ```
 *
 * A seed may be lost at any time and saves work only; what it gives is checked, so that a damaged
 * one is noticed. It is replaced by the rename of a new index. A reader that has the old one open
 * reads it to its end; one that opens its zip too late finds none.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { LRUCache } from "lru-cache";
import { type Permit, Semaphore } from "../async/semaphore.ts";
import { removeIfThere } from "../scratch/folders.ts";
import type { DeflatedFile, WrittenEntry } from "./zip_writer.ts";

/** A file of a seed, without its deflated content. */
export interface SeedFile extends Omit<DeflatedFile, "chunks"> {
  /** Of the deflated content, in the seed. */
  readonly offset: number;
  readonly deflatedBytes: number;
  readonly deflatedCrc32: number;
}

/** A zip that was made, as a seed for others. */
export interface NewSeed {
  /** The zip, on the file system of the seeds; it gets another name there. */
  readonly file: string;
  /**
   * Says what besides a blob and its path decides about a file's content: only seeds of the same
   * conversion help.
   */
  readonly conversion: string;
  /** By their names in the module, with the blob that each was made of. */
  readonly files: Iterable<
    { readonly name: string; readonly blob: string; readonly entry: WrittenEntry }
  >;
}

/** What the seed says and what is in it differ. */
export class DamagedSeedError extends Error {
  override readonly name = "DamagedSeedError";
}

/** Modules of more files have no seed: their index takes too long to read in one go. */
const MAX_FILES = 20_000;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
/** Modules of one repository that have a seed; those that were made longest ago lose it. */
const MAX_SEEDS = 64;
/** One zip after the other of one module, because each finds the one before. */
const MAX_WAITING = 1000;
const MAX_WAIT_MS = 10 * 60_000;
/** What one read of a seed brings. */
const WINDOW_BYTES = 1024 * 1024;
const FORMAT = 1;

type FileRow = [
  name: string,
  blob: string,
  sha256: string,
  crc32: number,
  sizeBytes: number,
  offset: number,
  deflatedBytes: number,
  deflatedCrc32: number,
];

interface Index {
  readonly format: typeof FORMAT;
  readonly zip: string;
  readonly conversion: string;
  readonly files: readonly FileRow[];
}

/** The seeds of one repository's modules. */
export class Seeds {
  readonly #folder: string;
  readonly #turns = new LRUCache<string, Semaphore>({ max: MAX_SEEDS });

  /** @param folder for seeds only, made when needed. It may be removed by others */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * The right to make a zip of the module in a directory, while others wait for what they can use
   * of it.
   *
   * @throws {OverloadedError} when it did not come in time
   */
  async turn(dir: string, signal: AbortSignal): Promise<Permit> {
    const turns = this.#turns.get(dir) ?? new Semaphore({
      what: "make a zip",
      permits: 1,
      maxWaiting: MAX_WAITING,
      maxWaitMs: MAX_WAIT_MS,
    });
    this.#turns.set(dir, turns);
    return await turns.acquire(signal);
  }

  /** The seed for the module in a directory; null if there is none that is sound and fits. */
  async open(dir: string, conversion: string): Promise<Seed | null> {
    try {
      const index = parseIndex(await Deno.readTextFile(`${this.#folder}/${indexOf(dir)}`));
      if (index?.conversion !== conversion) return null;
      return new Seed(await Deno.open(`${this.#folder}/${index.zip}`), index.files);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  /**
   * Takes a zip for the seed of the module in a directory, in place of another one. Never rejects.
   */
  async keep(dir: string, seed: NewSeed): Promise<void> {
    try {
      await this.#keep(dir, seed);
    } catch {
      // Whatever kept it from being written, the zip is made, and the next one will be made without
      // its help.
    }
  }

  async #keep(dir: string, { file, conversion, files }: NewSeed): Promise<void> {
    const rows: FileRow[] = [];
    for (const { name, blob, entry } of files) {
      rows.push([
        ...[name, blob, entry.sha256] as const,
        ...[entry.crc32, entry.sizeBytes, entry.contentOffset] as const,
        ...[entry.compressedBytes, entry.compressedCrc32] as const,
      ]);
      if (rows.length > MAX_FILES) return;
    }
    const index = indexOf(dir);
    const zip = `${index}-${crypto.randomUUID()}.zip`;
    const text = formatIndex({ format: FORMAT, zip, conversion, files: rows });
    if (text.length > MAX_INDEX_BYTES) return;
    await Deno.mkdir(this.#folder, { recursive: true });
    await Deno.link(file, `${this.#folder}/${zip}`);
    const fresh = `${this.#folder}/${zip}.new`;
    await Deno.writeTextFile(fresh, text);
    await Deno.rename(fresh, `${this.#folder}/${index}`);
    await this.#tidy(index, zip);
  }

  /** Removes what an index named before, and the indexes that are too many, with their zips. */
  async #tidy(index: string, zip: string): Promise<void> {
    const names = (await Array.fromAsync(Deno.readDir(this.#folder))).map(({ name }) => name);
    const indexes = names.filter((name) => /^[0-9a-f]{32}$/.test(name));
    const unused = names.filter((name) => name.startsWith(`${index}-`) && name !== zip);
    if (indexes.length > MAX_SEEDS) {
      const old = await this.#oldest(indexes, indexes.length - MAX_SEEDS);
      unused.push(...names.filter((name) => old.some((index) => name.startsWith(index))));
    }
    for (const name of unused) await removeIfThere(`${this.#folder}/${name}`);
  }

  async #oldest(indexes: readonly string[], count: number): Promise<string[]> {
    const made = await Promise.all(indexes.map(async (index) => {
      const { mtime } = await Deno.stat(`${this.#folder}/${index}`);
      return { index, atMs: mtime?.getTime() ?? 0 };
    }));
    return made.sort((a, b) => a.atMs - b.atMs).slice(0, count).map(({ index }) => index);
  }
}

function indexOf(dir: string): string {
  return createHash("sha256").update(dir).digest("hex").slice(0, 32);
}

/** A seed that is open. */
export class Seed implements Disposable {
  readonly #zip: Deno.FsFile;
  readonly #rows: ReadonlyMap<string, FileRow>;
  #window = new Uint8Array(0);
  #windowOffset = 0;

  constructor(zip: Deno.FsFile, rows: readonly FileRow[]) {
    this.#zip = zip;
    this.#rows = new Map(rows.map((row) => [row[0], row]));
  }

  /** The file of this name, if it was made of this blob. */
  find(name: string, blob: string): SeedFile | null {
    const row = this.#rows.get(name);
    if (row === undefined || row[1] !== blob) return null;
    const [, , sha256, crc32, sizeBytes, offset, deflatedBytes, deflatedCrc32] = row;
    return { sha256, crc32, sizeBytes, offset, deflatedBytes, deflatedCrc32 };
  }

  /**
   * The deflated content of a file. In the order of their offsets, files are read fastest.
   *
   * @throws {DamagedSeedError} at its end at the latest, when it is not what was kept
   */
  async *read({ offset, deflatedBytes, deflatedCrc32 }: SeedFile): AsyncGenerator<Uint8Array> {
    const end = offset + deflatedBytes;
    let checksum = 0;
    for (let at = offset; at < end;) {
      const chunk = await this.#bytes(at, Math.min(end - at, WINDOW_BYTES));
      checksum = crc32(chunk, checksum);
      at += chunk.length;
      yield chunk;
    }
    if (checksum !== deflatedCrc32) throw new DamagedSeedError("a file in it has changed");
  }

  [Symbol.dispose](): void {
    this.#zip.close();
  }

  async #bytes(offset: number, lengthBytes: number): Promise<Uint8Array> {
    let start = offset - this.#windowOffset;
    if (start < 0 || start + lengthBytes > this.#window.length) {
      this.#window = await this.#load(offset);
      this.#windowOffset = offset;
      start = 0;
    }
    if (start + lengthBytes > this.#window.length) throw new DamagedSeedError("it is cut off");
    return this.#window.subarray(start, start + lengthBytes);
  }

  async #load(offset: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(WINDOW_BYTES);
    await this.#zip.seek(offset, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < bytes.length) {
      const read = await this.#zip.read(bytes.subarray(filled));
      if (read === null) break;
      filled += read;
    }
    return bytes.subarray(0, filled);
  }
}

function formatIndex(index: Index): string {
  const json = JSON.stringify(index);
  return `${digestOf(json)}\n${json}`;
}

/** Null for what {@linkcode formatIndex} has not written. */
function parseIndex(text: string): Index | null {
  const newline = text.indexOf("\n");
  const json = text.slice(newline + 1);
  if (newline < 0 || text.slice(0, newline) !== digestOf(json)) return null;
  const index: Index = JSON.parse(json);
  return index.format === FORMAT ? index : null;
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
