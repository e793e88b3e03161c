/**
 * A directory with copies of objects that never change, which any number of processes and threads
 * of one machine may share, and which may be emptied, or damaged, at any time: what is not found in
 * it, or is not whole, is fetched again.
 *
 * ```text
 * <path>/<2 hex>/<62 hex>   an object, by the SHA-256 of its name
 * <path>/.tmp/<random>      one that is being written
 * ```
 *
 * A file has a head of {@linkcode HEAD_BYTES} bytes, then the object, then the checksums of its
 * blocks (block_sums.ts), which are sealed with the file's name: `gmpc`, the format 2 (32 bits),
 * the object's size (64 bits), 8 bytes of nothing; the highest byte first. It is written under
 * another name and gets its own by rename(2) when it is complete, so a reader sees all of it or
 * nothing. A file of another length than its head says is dropped before a byte of it is used, and
 * each block is compared before it is used: an object of one block before it is answered; of a
 * larger one, the stream fails, and the file is dropped. Files of format 1 count as missing.
 *
 * A file's modification time says when it was last used, give or take
 * {@linkcode TOUCH_INTERVAL_MS}. Where there is too much, what was not used for longest is removed,
 * down to nine tenths. Open files can still be read.
 *
 * Failures of the directory do not reach the caller: they are logged, at most once a minute, and
 * the directory is then as empty.
 *
 * Limits: other processes are heard of when the directory is looked through, so each of them may
 * exceed the size by a sixteenth. Looking through it holds the names of all files in memory. A file
 * system that hangs is not noticed; the directory is to be on a disk of this machine.
 */
import { createHash } from "node:crypto";
import { describeError, StorageError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { readExactly, writeAll } from "../scratch/files.ts";
import { removeIfThere } from "../scratch/folders.ts";
import { blockBody } from "./block_body.ts";
import { BLOCK_BYTES, BlockSummer, BlockSums, encodedBytes } from "./block_sums.ts";
import { assertRange, type ByteRange, ObjectInMemory, type StoredObject } from "./object_store.ts";

export interface CacheFolderOptions {
  /** The directory. It is made when there is something to put into it, for the owner only. */
  readonly path: string;
  /** What all files together may take. One object may take a quarter. */
  readonly maxBytes: number;
  readonly log: Pick<Logger, "warn">;
  /** The time in milliseconds since 1970, as files' times have it. */
  readonly now?: () => number;
}

export const HEAD_BYTES = 24;
/** What is read whole, and compared with its checksum, before it is used. */
export const MAX_SMALL_BYTES = BLOCK_BYTES;
export const TOUCH_INTERVAL_MS = 10 * 60_000;
/** Longer than it takes to fetch any object. */
const MAX_TEMPORARY_AGE_MS = 60 * 60_000;
const LOG_INTERVAL_MS = 60_000;
/** What a file takes at least, whatever its size. */
const MIN_FILE_BYTES = 4096;
const MAGIC = 0x676d7063;
const FORMAT = 2;
/** Of versions before 0.2. */
const OLD_FORMAT = 1;

export interface ReadOptions {
  readonly range?: ByteRange | undefined;
  /** Called when the file turns out to be damaged, perhaps only while the body is read. */
  readonly onDamage?: () => void;
}

export class CacheFolder {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #log: Pick<Logger, "warn">;
  readonly #now: () => number;
  /** What is being written by us: a second one at the same time brings nothing. */
  readonly #filling = new Set<string>();
  /**
   * What was there when the directory was looked through; it has not been yet where that is not
   * known.
   */
  #foundBytes: number | null = null;
  #addedBytes = 0;
  #tidying: Promise<void> | null = null;
  #loggedMs = -Infinity;

  constructor({ path, maxBytes, log, now = Date.now }: CacheFolderOptions) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#log = log;
    this.#now = now;
  }

  /**
   * The object of that name, or null.
   *
   * @throws {StorageError} when it has not all of the range
   */
  async read(name: string, options: ReadOptions = {}): Promise<StoredObject | null> {
    const path = this.#pathOf(name);
    try {
      return await this.#open(path, options);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      // That is about the range.
      if (error instanceof StorageError) throw error;
      this.#report(error);
      return null;
    }
  }

  /** Begins to write an object; null where it is better not to. */
  async fill(name: string, sizeBytes: number): Promise<Filling | null> {
    if (sizeBytes > this.#maxBytes / 4 || this.#filling.has(name)) return null;
    this.#filling.add(name);
    const temporaries = `${this.#path}/.tmp`;
    const temporary = `${temporaries}/${crypto.randomUUID()}`;
    try {
      const open = () => Deno.open(temporary, { createNew: true, write: true, mode: 0o600 });
      const file = await open().catch(async (error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        await Deno.mkdir(temporaries, { recursive: true, mode: 0o700 });
        return await open();
      });
      return new Filling({ file, temporary, path: this.#pathOf(name), sizeBytes }, (end) => {
        this.#filling.delete(name);
        if (end.outcome === "failed") this.#report(end.error);
        if (end.outcome === "complete") this.#added(chargeOf(fileBytes(sizeBytes)));
      });
    } catch (error) {
      this.#filling.delete(name);
      this.#report(error);
      return null;
    }
  }

  /** Resolves when no removal is under way, so that tests see the directory in its final state. */
  async settled(): Promise<void> {
    while (this.#tidying !== null) await this.#tidying;
  }

  #pathOf(name: string): string {
    const hex = createHash("sha256").update(name).digest("hex");
    return `${this.#path}/${hex.slice(0, 2)}/${hex.slice(2)}`;
  }

  async #open(path: string, { range, onDamage }: ReadOptions): Promise<StoredObject | null> {
    const file = await Deno.open(path);
    let isTaken = false;
    try {
      const drop = async () => {
        onDamage?.();
        this.#report(new Error(`${path} was damaged`));
        await removeIfThere(path);
      };
      const { size, mtime } = await file.stat();
      const head = await readHead(file);
      if (head === "old") return null;
      const sums = head === null || size !== fileBytes(head)
        ? null
        : await readSums(file, { sizeBytes: head, name: nameOf(path) });
      if (sums === null) {
        await drop();
        return null;
      }
      const { sizeBytes } = sums;
      if (range !== undefined) assertRange(range, sizeBytes);
      const nowMs = this.#now();
      if (nowMs - (mtime?.getTime() ?? 0) > TOUCH_INTERVAL_MS) {
        await file.utime(nowMs / 1000, nowMs / 1000);
      }
      if (sizeBytes <= MAX_SMALL_BYTES) {
        await file.seek(HEAD_BYTES, Deno.SeekMode.Start);
        const bytes = sizeBytes === 0 ? new Uint8Array() : await sums.read(file, 0);
        if (bytes !== null) return new ObjectInMemory(bytes, range);
        await drop();
        return null;
      }
      isTaken = true;
      const body = blockBody(file, {
        what: "an object in storage.cache",
        range: range ?? { start: 0, end: sizeBytes },
        offset: HEAD_BYTES,
        read: async (index) => {
          const block = await sums.read(file, index);
          if (block !== null) return block;
          await drop();
          throw new StorageError("Cannot read an object from storage.cache: it was damaged");
        },
      });
      return { sizeBytes, body };
    } finally {
      if (!isTaken) file.close();
    }
  }

  #added(bytes: number): void {
    this.#addedBytes += bytes;
    const isFull = this.#foundBytes === null ||
      this.#foundBytes + this.#addedBytes > this.#maxBytes ||
      this.#addedBytes > this.#maxBytes / 16;
    if (!isFull || this.#tidying !== null) return;
    this.#tidying = this.#tidy()
      .catch((error) => this.#report(error))
      .finally(() => this.#tidying = null);
  }

  async #tidy(): Promise<void> {
    // What is added from now on may be found or not; counted twice, it is removed a little early.
    this.#addedBytes = 0;
    const files = (await this.#files()).sort((a, b) => a.usedMs - b.usedMs);
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const goal = bytes > this.#maxBytes ? this.#maxBytes * 0.9 : this.#maxBytes;
    for (const file of files) {
      if (bytes <= goal) break;
      await removeIfThere(file.path);
      bytes -= file.bytes;
    }
    this.#foundBytes = bytes;
    await this.#sweep(this.#now() - MAX_TEMPORARY_AGE_MS);
  }

  async #files(): Promise<CachedFile[]> {
    const files: CachedFile[] = [];
    // Others' files are not ours to remove.
    for (const folder of await namesIn(this.#path, /^[0-9a-f]{2}$/)) {
      for (const name of await namesIn(`${this.#path}/${folder}`, /^[0-9a-f]{62}$/)) {
        const path = `${this.#path}/${folder}/${name}`;
        const info = await infoOf(path);
        if (info === null) continue;
        files.push({ path, bytes: chargeOf(info.size), usedMs: info.mtime?.getTime() ?? 0 });
      }
    }
    return files;
  }

  /** Removes what processes that were killed were writing. */
  async #sweep(beforeMs: number): Promise<void> {
    const folder = `${this.#path}/.tmp`;
    for (const name of await namesIn(folder, /^[0-9a-f-]{36}$/)) {
      const info = await infoOf(`${folder}/${name}`);
      if (info?.mtime && info.mtime.getTime() < beforeMs) await removeIfThere(`${folder}/${name}`);
    }
  }

  #report(error: unknown): void {
    const nowMs = this.#now();
    if (nowMs - this.#loggedMs < LOG_INTERVAL_MS) return;
    this.#loggedMs = nowMs;
    this.#log.warn(
      { path: this.#path, error: describeError(error) },
      "cannot use storage.cache; reading from the bucket",
    );
  }
}

interface CachedFile {
  readonly path: string;
  readonly bytes: number;
  readonly usedMs: number;
}

type End =
  | { readonly outcome: "complete" | "abandoned" }
  | { readonly outcome: "failed"; readonly error: unknown };

interface Target {
  readonly file: Deno.FsFile;
  readonly temporary: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/** An object that is being written. No call fails; after a disk error they do nothing. */
export class Filling {
  readonly #target: Target;
  readonly #onEnd: (end: End) => void;
  readonly #sums = new BlockSummer();
  #sizeBytes = 0;
  #isOpen = true;

  constructor(target: Target, onEnd: (end: End) => void) {
    this.#target = target;
    this.#onEnd = onEnd;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (!this.#isOpen) return;
    try {
      if (this.#sizeBytes === 0) await this.#target.file.seek(HEAD_BYTES, Deno.SeekMode.Start);
      await writeAll(this.#target.file, chunk);
      this.#sizeBytes += chunk.length;
      this.#sums.add(chunk);
    } catch (error) {
      await this.#end({ outcome: "failed", error });
    }
  }

  /** Gives the object its name, if all of it was written. */
  async finish(): Promise<void> {
    if (!this.#isOpen) return;
    const { file, temporary, path, sizeBytes } = this.#target;
    if (this.#sizeBytes !== sizeBytes) return await this.abandon();
    try {
      await file.seek(HEAD_BYTES + sizeBytes, Deno.SeekMode.Start);
      await writeAll(file, this.#sums.finish().encode(nameOf(path)));
      await file.seek(0, Deno.SeekMode.Start);
      await writeAll(file, encodeHead(sizeBytes));
      await Deno.rename(temporary, path).catch(async (error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
        await Deno.rename(temporary, path);
      });
      await this.#end({ outcome: "complete" });
    } catch (error) {
      await this.#end({ outcome: "failed", error });
    }
  }

  async abandon(): Promise<void> {
    await this.#end({ outcome: "abandoned" });
  }

  async #end(end: End): Promise<void> {
    // It may be abandoned while it is written to, which then fails.
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#target.file.close();
    try {
      if (end.outcome !== "complete") await removeIfThere(this.#target.temporary);
    } catch {
      // Harmless: it is swept some time, and `end` says already what the trouble is.
    }
    this.#onEnd(end);
  }
}

function encodeHead(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, FORMAT);
  view.setBigUint64(8, BigInt(sizeBytes));
  return bytes;
}

/** The size of the object; null for what is no head. */
async function readHead(file: Deno.FsFile): Promise<number | "old" | null> {
  const bytes = await readExactly(file, HEAD_BYTES);
  if (bytes === null) return null;
  const view = new DataView(bytes.buffer);
  if (view.getUint32(0) !== MAGIC) return null;
  if (view.getUint32(4) === OLD_FORMAT) return "old";
  return view.getUint32(4) === FORMAT ? Number(view.getBigUint64(8)) : null;
}

async function readSums(
  file: Deno.FsFile,
  { sizeBytes, name }: { readonly sizeBytes: number; readonly name: string },
): Promise<BlockSums | null> {
  await file.seek(HEAD_BYTES + sizeBytes, Deno.SeekMode.Start);
  const bytes = await readExactly(file, encodedBytes(sizeBytes));
  const sums = bytes === null ? null : BlockSums.decode(bytes, name);
  return sums?.sizeBytes === sizeBytes ? sums : null;
}

/** All of a file. */
function fileBytes(sizeBytes: number): number {
  return HEAD_BYTES + sizeBytes + encodedBytes(sizeBytes);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function chargeOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / MIN_FILE_BYTES) * MIN_FILE_BYTES;
}

async function namesIn(folder: string, pattern: RegExp): Promise<string[]> {
  return await unlessAbsent(async () => {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.map(({ name }) => name).filter((name) => pattern.test(name));
  }) ?? [];
}

async function infoOf(path: string): Promise<Deno.FileInfo | null> {
  return await unlessAbsent(() => Deno.lstat(path));
}

async function unlessAbsent<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
