/**
 * Files of the disk store that are checked whenever they are read. Beside a file lie its checksums
 * (block_sums.ts):
 *
 * ```text
 * z1/example.com/hello/@v/v1.0.0/703a2594…           the object
 * z1/example.com/hello/@v/v1.0.0/.703a2594….sums     its checksums
 * z1/example.com/hello/@v/v1.0.0/.703a2594….damaged  the last damaged file
 * ```
 *
 * Keys have no leading dots, so no list, no walk and no older version of this program sees the last
 * two. The object stays as it is: a copy of the store's directory, and a program that knows nothing
 * of sums, have the zip itself.
 *
 * Every block is compared with its sum before it leaves. A file of another size than its sums say
 * is not opened.
 *
 * **The hash decides, the sums only save hashing.** Where there are no sums (the store is older
 * than they are, or a process was killed after it had created the object), and where a file
 * contradicts them, the file is judged by {@linkcode ObjectCheck}: if it is intact it gets new
 * sums, else it is set aside. So sums that are lost, late or of another file never make a good
 * object a bad one, and nothing about them needs to be atomic, synced or agreed upon between
 * processes.
 *
 * While a file that contradicts its sums is judged, it has none, and another time: whoever opens it
 * from then on, in whichever thread or process, waits for the judgment before anything is sent. So
 * damage breaks only transfers that had begun when it was found.
 *
 * A file that is set aside is renamed, and its name is free: whoever asks next finds no object,
 * fetches it anew, and creates it as if it had never been there. That happens to covered objects
 * alone, whose keys say what they must contain.
 *
 * Limits: of a body of more than a block, damage shows when the blocks before it have been sent.
 * The stream fails then, once the file has been judged and set aside: whoever asks again gets the
 * repaired one. A file that is changed back and forth
 * between its judgment and its reading is beyond this.
 */
import { LRUCache } from "lru-cache";
import { Semaphore } from "../async/semaphore.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { StorageError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import { readExactly, writeAll } from "../scratch/files.ts";
import { removeIfThere } from "../scratch/folders.ts";
import { blockBody } from "./block_body.ts";
import { BLOCK_BYTES, BlockSums } from "./block_sums.ts";
import type { ObjectCheck } from "./object_check.ts";
import { assertRange, type ByteRange, ObjectInMemory, type StoredObject } from "./object_store.ts";

export interface CheckedFilesOptions {
  readonly check: ObjectCheck;
  /** Where files are written before they get their names, on the same file system. */
  readonly temporaries: string;
  /** Whether sums are written and damaged files set aside. If not, a damaged file is an error. */
  readonly mayChange: boolean;
  readonly log: Pick<Logger, "warn" | "error">;
  readonly metrics: Metrics;
}

/** An open file, and what was known of it then. */
export interface OpenedFile {
  readonly key: string;
  readonly path: string;
  readonly file: Deno.FsFile;
  readonly info: Deno.FileInfo;
}

/** Inflating and hashing takes a processor each. */
const MAX_JUDGMENTS = 2;
const MAX_WAITING_JUDGMENTS = 1000;
const MAX_JUDGMENT_WAIT_MS = 10 * 60_000;
/** They take 200 bytes each, and 8 kB for a zip of 500 MiB. */
const MAX_REMEMBERED_SUMS = 4096;
/** Enough for any file that this program stores. */
const MAX_SUMS_FILE_BYTES = 64 * 1024;

interface RememberedSums {
  readonly info: Deno.FileInfo;
  readonly sums: BlockSums;
}

export class CheckedFiles {
  readonly #options: CheckedFilesOptions;
  /** Sums of files that are as they were. */
  readonly #remembered = new LRUCache<string, RememberedSums>({ max: MAX_REMEMBERED_SUMS });
  /** Keys of files that contradict their sums, while they are judged. */
  readonly #distrusted = new Set<string>();
  readonly #judgments = new SingleFlight<BlockSums | null>(MAX_WAITING_JUDGMENTS);
  readonly #permits = new Semaphore({
    what: "check a stored file",
    permits: MAX_JUDGMENTS,
    maxWaiting: MAX_WAITING_JUDGMENTS,
    maxWaitMs: MAX_JUDGMENT_WAIT_MS,
  });

  constructor(options: CheckedFilesOptions) {
    this.#options = options;
  }

  covers(key: string): boolean {
    return this.#options.check.covers(key);
  }

  /**
   * The object in an open file, which is closed with the object's body; null where it was damaged
   * and has been set aside.
   *
   * @throws {StorageError} when it is damaged and must stay where it is, or lacks part of the range
   */
  async open(
    opened: OpenedFile,
    { range, signal }: { readonly range: ByteRange | undefined; signal: AbortSignal | undefined },
  ): Promise<StoredObject | null> {
    let isTaken = false;
    try {
      const sums = await this.#sumsOf(opened) ?? await this.#judge(opened, signal);
      if (sums === null) return null;
      if (range !== undefined) assertRange(range, sums.sizeBytes);
      if (sums.sizeBytes === 0) return new ObjectInMemory(new Uint8Array(), range);
      if (sums.sizeBytes > BLOCK_BYTES) {
        isTaken = true;
        return { sizeBytes: sums.sizeBytes, body: this.#bodyOf(opened, { sums, range }) };
      }
      const bytes = await this.#readBlock(opened, { sums, index: 0 });
      if (bytes === null) return null;
      return new ObjectInMemory(bytes, range);
    } finally {
      if (!isTaken) opened.file.close();
    }
  }

  /**
   * Whether a file, which stays open, is one to hand to another program: it has sums and the size
   * that they say, or has been judged now. Its blocks are not compared. False where it was damaged
   * and has been set aside.
   *
   * @throws {StorageError} when it is damaged and must stay where it is
   */
  async isWhole(opened: OpenedFile, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.#sumsOf(opened) ?? await this.#judge(opened, signal)) !== null;
  }

  /** Whether what is in the place of an object is the file that {@linkcode isWhole} was true of. */
  isKnown(key: string, info: Deno.FileInfo): boolean {
    const known = this.#remembered.get(key);
    return known !== undefined && info.isFile && isSameFile(known.info, info);
  }

  /** The sums of a file that is about to get its name. */
  async sumsOfNew(path: string): Promise<BlockSums> {
    using file = await Deno.open(path);
    return await sumUp(file);
  }

  /** Stores the sums of a file, in the place of those of another one. */
  async keep(path: string, sums: BlockSums): Promise<void> {
    const temporary = `${this.#options.temporaries}/${crypto.randomUUID()}`;
    try {
      using file = await Deno.open(temporary, { createNew: true, write: true, mode: 0o600 });
      await writeAll(file, sums.encode(nameOf(path)));
      await Deno.rename(temporary, sumsPath(path));
    } catch (error) {
      // Harmless: a file without sums is judged by its hash. But where that happens each time, it
      // costs.
      await removeIfThere(temporary).catch(() => {});
      this.#options.log.warn({ path, err: error }, "cannot store the checksums of a file");
    }
  }

  /**
   * Frees the name of a damaged file.
   *
   * @throws {StorageError} when nothing may be changed
   */
  async setAside({ key, path }: Pick<OpenedFile, "key" | "path">, reason: string): Promise<void> {
    const { log, metrics, mayChange } = this.#options;
    const aside = besides(path, "damaged");
    // Another thread or process may have judged it at the same time, and renamed it.
    if (mayChange && !await renameIfThere(path, aside)) return;
    metrics.add("gomodproxy_store_damaged_objects_total", {});
    if (!mayChange) throw damaged(key, reason);
    await removeIfThere(sumsPath(path));
    this.#remembered.delete(key);
    log.error(
      { key, reason, file: aside },
      "a stored zip is damaged and was set aside; the next request fetches it from its source",
    );
  }

  async #sumsOf({ key, path, info }: OpenedFile): Promise<BlockSums | null> {
    const known = this.#remembered.get(key);
    if (known !== undefined && isSameFile(known.info, info)) return known.sums;
    const sums = await readSums(path);
    if (sums?.sizeBytes !== info.size) return null;
    this.#remembered.set(key, { info, sums });
    return sums;
  }

  /**
   * The right sums of a file that has none, or contradicts them; null where it has been set aside.
   */
  #judge(
    { key, path }: Pick<OpenedFile, "key" | "path">,
    signal?: AbortSignal,
  ): Promise<BlockSums | null> {
    return this.#judgments.run(key, async () => {
      using _permit = await this.#permits.acquire();
      using file = await openIfThere(path);
      if (file === null) return null;
      const info = await file.stat();
      const fault = await this.#options.check.findFault(key, path);
      if (fault === null) return await this.#giveSums({ key, path, file, info });
      // Another process may have judged it too, and somebody may have fetched it anew since.
      const now = await lstatIfThere(path);
      if (now !== null && isSameFile(now, info)) await this.setAside({ key, path }, fault);
      return null;
    }, signal);
  }

  /** Takes the sums of a file from all that know them. */
  async #distrust({ key, path, info }: OpenedFile): Promise<void> {
    this.#remembered.delete(key);
    this.#distrusted.add(key);
    const now = await lstatIfThere(path);
    if (!this.#options.mayChange || now === null || !isSameFile(now, info)) return;
    try {
      await removeIfThere(sumsPath(path));
      // Those who remember the sums go by the file's time, in milliseconds.
      await Deno.utime(path, new Date(), new Date((info.mtime?.getTime() ?? 0) + 1));
    } catch (error) {
      // It was set aside meanwhile.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #giveSums({ key, path, file, info }: OpenedFile): Promise<BlockSums> {
    const { log, mayChange } = this.#options;
    const hadSums = this.#distrusted.has(key) || await lstatIfThere(sumsPath(path)) !== null;
    const sums = await sumUp(file);
    this.#remembered.set(key, { info, sums });
    if (hadSums) log.warn({ key }, "the checksums of a stored file were wrong; its hash is right");
    if (mayChange) await this.keep(path, sums);
    return sums;
  }

  /**
   * The bytes of a block at which the file stands, by sums that are replaced if they are wrong;
   * null where the file was damaged and has been set aside.
   */
  async #readBlock(
    opened: OpenedFile,
    reading: { sums: BlockSums; readonly index: number },
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const { sums, index } = reading;
    const block = await sums.read(opened.file, index);
    if (block !== null) return block;
    const right = await this.#judgeDistrusted(opened);
    if (right === null) return null;
    await opened.file.seek(index * BLOCK_BYTES, Deno.SeekMode.Start);
    const again = right.sizeBytes === sums.sizeBytes ? await right.read(opened.file, index) : null;
    if (again === null) throw damaged(opened.key, "it changes");
    reading.sums = right;
    return again;
  }

  /** As {@linkcode #judge}, of a file that contradicts its sums. */
  async #judgeDistrusted(opened: OpenedFile): Promise<BlockSums | null> {
    await this.#distrust(opened);
    try {
      return await this.#judge(opened);
    } finally {
      this.#distrusted.delete(opened.key);
    }
  }

  #bodyOf(
    opened: OpenedFile,
    { sums, range }: { readonly sums: BlockSums; readonly range: ByteRange | undefined },
  ): StoredObject["body"] {
    const { key, file } = opened;
    const reading = { sums, index: 0 };
    return blockBody(file, {
      what: key,
      range: range ?? { start: 0, end: sums.sizeBytes },
      offset: 0,
      read: async (index) => {
        reading.index = index;
        const block = await this.#readBlock(opened, reading);
        if (block === null) throw damaged(key, `block ${index} contradicts its checksum`);
        return block;
      },
    });
  }
}

function damaged(key: string, reason: string): StorageError {
  return new StorageError(`Cannot use "${key}": it is damaged: ${reason}`);
}

async function sumUp(file: Deno.FsFile): Promise<BlockSums> {
  const sums = await BlockSums.of(file, (await file.stat()).size);
  if (sums === null) throw new Error("the file has become shorter");
  return sums;
}

function sumsPath(path: string): string {
  return besides(path, "sums");
}

function besides(path: string, suffix: string): string {
  return `${path.slice(0, path.lastIndexOf("/"))}/.${nameOf(path)}.${suffix}`;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Null for what is none, is damaged, or is not a plain file. */
async function readSums(objectPath: string): Promise<BlockSums | null> {
  const path = sumsPath(objectPath);
  try {
    const { isFile, size } = await Deno.lstat(path);
    if (!isFile || size > MAX_SUMS_FILE_BYTES) return null;
    using file = await Deno.open(path);
    const bytes = await readExactly(file, size);
    return bytes === null ? null : BlockSums.decode(bytes, nameOf(objectPath));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function openIfThere(path: string): Promise<Deno.FsFile | null> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whether it was there. */
async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await Deno.rename(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function lstatIfThere(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function isSameFile(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size &&
    a.mtime?.getTime() === b.mtime?.getTime();
}
