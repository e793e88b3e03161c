/**
 * A store in a directory, which any number of processes of one machine may share.
 *
 * ```text
 * <root>/m1/example.com/hello/@v/v1.0.0   an object, at its key
 * <root>/.tmp/<random>                    an object on its way; keys have no leading dots
 * ```
 *
 * An object is written to a file in `.tmp`, synced, and then given its name by link(2), which is
 * atomic and fails where the name is taken. (rename(2) would replace what is there.) So under its
 * name an object is whole from the first moment, whenever the process is killed, and a second name
 * for the same bytes costs nothing. The folders above the object, of which any may be new, are
 * synced before `create` answers, also with "exists": what was answered survives a power loss. Of
 * folders that are known to have been synced, the ones above are not synced again. Content in a
 * file that is the publisher's own is linked into `.tmp`, not copied, where that is on the same
 * file system.
 *
 * A process that is killed leaves files in `.tmp`. Opening the store removes those that have not
 * been written to for {@linkcode MAX_TEMPORARY_AGE_MS}. If one belonged to a process that is still
 * alive, that one's `create` fails.
 *
 * On file systems of this machine, the times of a folder tell whether anything has come into it
 * since it was listed: link(2) sets both (POSIX), all processes see them at once, and no program
 * can set the inode's back. Reading them takes 3 µs on the calling thread. Over a network it could
 * hang, so there nothing is known (C10).
 *
 * Objects whose keys say what they must contain, which are module zips, are checked whenever they
 * are read: checked_files.ts.
 *
 * Symbolic links below the directory are not followed; the directory itself may be one. An object
 * at whose place, or on whose way, there is a link cannot be used.
 *
 * Limits: the file system must have hard links and be POSIX's (no Windows, no FAT, no object
 * storage mounted as files).
 *
 * KNOWN LIMIT: an object that is read between its link and the sync of its folder may be lost by a
 * power loss in that moment.
 *
 * KNOWN LIMIT: a folder is opened only to be synced, so the fsync may miss that writing the folder
 * back failed before (as in sunlight's internal/durable/path.go). Files are synced by the handle
 * that was open while they were written.
 */
import { JointRuns } from "../async/joint_runs.ts";
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { ProxyError, StorageError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import { readExactly, writeAll } from "../scratch/files.ts";
import type { BlockSums } from "./block_sums.ts";
import { CheckedFiles } from "./checked_files.ts";
import { type ObjectCheck, ZIP_CHECK } from "./object_check.ts";
import {
  assertKey,
  assertRange,
  type Content,
  type CreateOptions,
  type FileOptions,
  type GetOptions,
  type IsUnchanged,
  keyFault,
  type ListOptions,
  ObjectInMemory,
  type ObjectStore,
  openExactly,
  type StoredObject,
  type WalkOptions,
} from "./object_store.ts";

export interface DiskStoreOptions {
  /**
   * The directory. It and those above it are made if they are not there; new ones are for the owner
   * only.
   */
  readonly path: string;
  /** The time in milliseconds since 1970, as files' times have it. */
  readonly now?: () => number;
  /** Which objects are checked when they are read, and how. Default: module zips, by their h1. */
  readonly check?: ObjectCheck;
  /**
   * Nothing is changed by reading: no checksums are written, and a damaged object is an error.
   * Default: false.
   */
  readonly isReadOnly?: boolean;
  /** Logs damaged objects. Default: they are not logged. */
  readonly log?: Pick<Logger, "warn" | "error">;
  readonly metrics?: Metrics;
}

const NO_LOG = { warn: () => {}, error: () => {} };

/** Longer than any create takes: a zip is complete on this machine before it is stored. */
export const MAX_TEMPORARY_AGE_MS = 60 * 60 * 1000;

/**
 * Up to this size, one read costs less than a stream; at 100 kB it is the other way round.
 */
const MAX_SMALL_BYTES = 16 * 1024;
/** What statfs(2) calls ext2 to ext4, XFS, btrfs and tmpfs. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xEF53,
  0x58465342,
  0x9123683E,
  0x01021994,
]);
/**
 * A change this long after a folder's times gives it other times: the system's clock goes in steps
 * of 10 ms at most, and of the inode's time Deno gives whole seconds.
 */
const MIN_AGE_MS = 2000;
/** How many folders are remembered as durable before the set is cleared. */
const MAX_LASTING_FOLDERS = 20_000;

export class DiskStore implements ObjectStore {
  readonly description: string;
  readonly #root: string;
  readonly #temporaries: string;
  /** Whether it is on a file system of this machine. */
  #isLocal = false;
  readonly #now: () => number;
  /**
   * Folders whose names, up to the root, are known to be on the disk: they were synced, and none is
   * ever removed.
   */
  readonly #lasting = new Set<string>();

  readonly #checked: CheckedFiles;
  /** Syncs of folders, and looks whether the store is there. */
  readonly #syncs = new JointRuns();
  readonly #looks = new JointRuns();

  /** @param root the directory, without symbolic links in the way */
  private constructor(root: string, options: DiskStoreOptions) {
    this.description = `disk ${options.path}`;
    this.#root = root;
    this.#temporaries = `${root}/.tmp`;
    this.#now = options.now ?? Date.now;
    this.#checked = new CheckedFiles({
      check: options.check ?? ZIP_CHECK,
      temporaries: this.#temporaries,
      mayChange: !options.isReadOnly,
      log: options.log ?? NO_LOG,
      metrics: options.metrics ?? NO_METRICS,
    });
  }

  /** @throws {StorageError} when the directory cannot be made or written to */
  static async open(options: DiskStoreOptions): Promise<DiskStore> {
    const { path } = options;
    try {
      await Deno.mkdir(`${path}/.tmp`, { recursive: true, mode: 0o700 });
      const store = new DiskStore(await Deno.realPath(path), options);
      store.#isLocal = await isLocal(path);
      await store.#sweep(store.#now() - MAX_TEMPORARY_AGE_MS);
      return store;
    } catch (cause) {
      throw new StorageError(`Cannot open disk ${path}`, { cause });
    }
  }

  async get(key: string, { range, signal }: GetOptions = {}): Promise<StoredObject | null> {
    assertKey(key);
    signal?.throwIfAborted();
    return await this.#io(`read "${key}" from`, async () => {
      const path = `${this.#root}/${key}`;
      const file = await this.#openPlain({ key, path });
      if (file === null) return null;
      let body: StoredObject["body"] | null = null;
      let isTaken = false;
      try {
        const info = await file.stat();
        const { isFile, size } = info;
        signal?.throwIfAborted();
        if (!isFile) return null;
        if (this.#checked.covers(key)) {
          isTaken = true;
          const object = await this.#checked.open({ key, path, file, info }, { range, signal });
          if (signal?.aborted) await object?.body.cancel();
          signal?.throwIfAborted();
          return object;
        }
        if (range !== undefined) {
          assertRange(range, size);
          await file.seek(range.start, Deno.SeekMode.Start);
        } else if (size <= MAX_SMALL_BYTES) {
          const bytes = await readExactly(file, size);
          if (bytes === null) throw new Error("the file has become shorter");
          signal?.throwIfAborted();
          return new ObjectInMemory(bytes);
        }
        body = range === undefined
          // Handed on as it is, because the runtime sends a file's own stream fastest.
          ? file.readable
          : file.readable.pipeThrough(firstBytes(range.end - range.start));
        return { sizeBytes: size, body };
      } finally {
        if (body === null && !isTaken) file.close();
      }
    }, signal);
  }

  async create(
    key: string,
    content: Content,
    { signal }: CreateOptions = {},
  ): Promise<"created" | "exists"> {
    assertKey(key);
    signal?.throwIfAborted();
    return await this.#io(`create "${key}" on`, async () => {
      const file = `${this.#root}/${key}`;
      const temporary = `${this.#temporaries}/${crypto.randomUUID()}`;
      try {
        // Looking first saves writing a large zip, and costs more than writing a manifest; it is
        // the link that decides.
        const isThere = content.bytes === undefined &&
          await this.#unlessAbsent(Deno.lstat(file)) !== null;
        const makeFolder = () => this.#makeLasting(folderOf(file));
        let sums: BlockSums | null = null;
        const meanwhile = async () => {
          const isCovered = this.#checked.covers(key);
          const summed = isCovered ? this.#checked.sumsOfNew(temporary) : null;
          [sums] = await Promise.all([summed, makeFolder()]);
        };
        // The folders go to the disk while the content does, once the temporary file shows that the
        // store is there.
        if (isThere) await makeFolder();
        else await writeFile(temporary, content, { signal, meanwhile });
        const outcome = isThere ? "exists" : await this.#link(temporary, file);
        if (outcome === "created" && sums !== null) await this.#checked.keep(file, sums);
        await this.#sync(folderOf(file));
        return outcome;
      } finally {
        await removeTemporary(temporary);
      }
    }, signal);
  }

  async list(folder: string, { after = "", limit, signal }: ListOptions = {}): Promise<string[]> {
    assertKey(folder);
    signal?.throwIfAborted();
    return await this.#io(`list "${folder}" of`, async () => {
      const path = `${this.#root}/${folder}`;
      const real = await this.#unlessAbsent(Deno.realPath(path));
      if (real !== null && real !== path) throw linked(folder);
      const names = await this.#unlessAbsent(namesIn(path, signal)) ?? [];
      return names.filter((name) => name > after).sort().slice(0, limit);
    }, signal);
  }

  /** The key, because objects lie at their keys. */
  async fileOf(key: string, { signal }: FileOptions = {}): Promise<string | null> {
    assertKey(key);
    signal?.throwIfAborted();
    // A tenth of the time of what follows. Over a network it could hang.
    const isKnown = this.#isLocal &&
      orElse(false, () => this.#checked.isKnown(key, Deno.lstatSync(`${this.#root}/${key}`)));
    if (isKnown) return key;
    return await this.#io(`find the file of "${key}" on`, async () => {
      const path = `${this.#root}/${key}`;
      const file = await this.#openPlain({ key, path });
      if (file === null) return null;
      using opened = file;
      const info = await opened.stat();
      signal?.throwIfAborted();
      if (!info.isFile) return null;
      const isWhole = !this.#checked.covers(key) ||
        await this.#checked.isWhole({ key, path, file, info }, signal);
      return isWhole ? key : null;
    }, signal);
  }

  observe(folder: string): IsUnchanged | null {
    if (!this.#isLocal) return null;
    const path = `${this.#root}/${folder}`;
    const isUnchanged = orElse(
      null,
      () => existsSync(path) ? this.#observeTimes(path) : this.#observeAbsence(path),
    );
    return isUnchanged && (() => orElse(false, isUnchanged));
  }

  #observeTimes(path: string): IsUnchanged | null {
    const { ctime, mtime, dev, ino } = Deno.statSync(path);
    if (ctime === null || mtime === null) return null;
    if (this.#now() - ctime.getTime() <= MIN_AGE_MS) return null;
    return () => {
      const now = Deno.statSync(path);
      return now.ctime?.getTime() === ctime.getTime() &&
        now.mtime?.getTime() === mtime.getTime() && now.ino === ino && now.dev === dev;
    };
  }

  /** No folder is there as long as the store itself is: a disk may be unmounted. */
  #observeAbsence(path: string): IsUnchanged {
    const { ino } = Deno.lstatSync(this.#temporaries);
    // This does not throw where nothing is, which would take ten times as long as to look.
    return () => !existsSync(path) && Deno.lstatSync(this.#temporaries).ino === ino;
  }

  walk({ signal }: WalkOptions = {}): AsyncGenerator<string> {
    return this.#walkBelow("", signal);
  }

  /** @param folder empty, or with a slash at its end */
  async *#walkBelow(folder: string, signal: AbortSignal | undefined): AsyncGenerator<string> {
    signal?.throwIfAborted();
    const entries = await this.#io(
      `list "${folder}" of`,
      () => this.#unlessAbsent(entriesIn(`${this.#root}/${folder}`, signal)),
      signal,
    );
    for (const entry of entries ?? []) {
      if (entry.endsWith("/")) yield* this.#walkBelow(folder + entry, signal);
      else if (keyFault(folder + entry) === null) yield folder + entry;
    }
  }

  /**
   * Says what a failure of `work` means. System errors have no common class, and some (EFBIG) not
   * even a code, so every error that is not a {@linkcode ProxyError} becomes a
   * {@linkcode StorageError}.
   */
  async #io<T>(what: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      if (cause instanceof ProxyError) throw cause;
      throw new StorageError(`Cannot ${what} ${this.description}`, { cause });
    }
  }

  /**
   * Null where the file or folder does not exist but the store itself does: a disk may be
   * unmounted.
   */
  async #unlessAbsent<T>(result: Promise<T>): Promise<T | null> {
    try {
      return await result;
    } catch (error) {
      if (!isAbsence(error)) throw error;
      await this.#looks.run("", async () => void await Deno.lstat(this.#temporaries));
      return null;
    }
  }

  /**
   * Opens what is at the place of a key, or answers null where nothing is. A link in its place is
   * set aside if the object can be fetched anew.
   *
   * Whoever may write to the store can put a link there after we have looked, but also any file:
   * what is read is checked.
   */
  async #openPlain({ key, path }: { key: string; path: string }): Promise<Deno.FsFile | null> {
    const real = await realPathOrNull(path);
    if (real === path) return await this.#unlessAbsent(Deno.open(path));
    const info = await this.#unlessAbsent(Deno.lstat(path));
    if (info === null) return null;
    // It has been created since it was looked for: at that moment it was absent.
    if (real === null && info.isFile) return null;
    if (!info.isSymlink || !this.#checked.covers(key)) throw linked(key);
    await this.#checked.setAside({ key, path }, "a symbolic link is in its place");
    return null;
  }

  /** Gives the temporary file its name. */
  async #link(temporary: string, file: string): Promise<"created" | "exists"> {
    try {
      await Deno.link(temporary, file).catch(async (error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        // The folder existed and was removed, so no folder is known to be durable any more.
        this.#lasting.clear();
        await this.#makeLasting(folderOf(file));
        await Deno.link(temporary, file);
      });
      return "created";
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return "exists";
      throw error;
    }
  }

  /**
   * Creates the folder if it does not exist, and syncs its name and those of the folders above it.
   */
  async #makeLasting(path: string): Promise<void> {
    if (path === this.#root || this.#lasting.has(path)) return;
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    if (await Deno.realPath(path) !== path) throw linked(path.slice(this.#root.length + 1));
    const folders = [path];
    for (
      let folder = folderOf(path);
      folder !== this.#root && !this.#lasting.has(folder);
      folder = folderOf(folder)
    ) folders.push(folder);
    // All at once: the disk writes its journal once for those that ask at the same time.
    await Promise.all(folders.map((folder) => this.#sync(folderOf(folder))));
    if (this.#lasting.size > MAX_LASTING_FOLDERS) this.#lasting.clear();
    for (const folder of folders) this.#lasting.add(folder);
  }

  /** Writes to the disk what names a folder has, once for all who want that at the same time. */
  #sync(folder: string): Promise<void> {
    return this.#syncs.run(folder, () => syncFolder(folder));
  }

  async #sweep(before: number): Promise<void> {
    for await (const { name } of Deno.readDir(this.#temporaries)) {
      const temporary = `${this.#temporaries}/${name}`;
      const info = await this.#unlessAbsent(Deno.lstat(temporary));
      if (info?.mtime && info.mtime.getTime() < before) await removeTemporary(temporary);
    }
  }
}

/** The result of `look`, or `other` where it throws; a list of the folder reports why. */
function orElse<T>(other: T, look: () => T): T {
  try {
    return look();
  } catch {
    return other;
  }
}

async function isLocal(path: string): Promise<boolean> {
  try {
    return LOCAL_FILE_SYSTEMS.has((await statfs(path)).type);
  } catch {
    // Harmless: the permission `sys` for it is missing, or the system has no such call. Folders are
    // listed each time.
    return false;
  }
}

interface WriteOptions {
  readonly signal: AbortSignal | undefined;
  /** Is done while the bytes go to the disk. */
  readonly meanwhile: () => Promise<void>;
}

async function writeFile(
  path: string,
  content: Content,
  { signal, meanwhile }: WriteOptions,
): Promise<void> {
  const { ownFile } = content;
  if (ownFile !== undefined && await linkOwn(ownFile.path, path)) {
    const { size } = await ownFile.handle.stat();
    if (size !== content.sizeBytes) throw new Error(`the file has ${size} bytes`);
    await Promise.all([ownFile.handle.sync(), meanwhile()]);
    return signal?.throwIfAborted();
  }
  using file = await Deno.open(path, { createNew: true, write: true });
  const { bytes, sizeBytes } = content;
  // A stream costs several times what it takes to write a manifest.
  if (bytes !== undefined && bytes.length === sizeBytes) await writeAll(file, bytes);
  else await writeStream(file, content, signal);
  await Promise.all([file.sync(), meanwhile()]);
  signal?.throwIfAborted();
}

/** Whether that is possible; it is not from another file system. */
async function linkOwn(file: string, path: string): Promise<boolean> {
  try {
    await Deno.link(file, path);
    return true;
  } catch {
    // Harmless: whatever the reason is, what is copied is the same, and if that fails it says why.
    return false;
  }
}

async function writeStream(
  file: Deno.FsFile,
  content: Content,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sink = new WritableStream<Uint8Array<ArrayBuffer>>({
    write: (chunk) => writeAll(file, chunk),
  });
  await openExactly(content).pipeTo(sink, signal ? { signal } : {});
}

/** Writes to the disk what names a folder has. */
async function syncFolder(path: string): Promise<void> {
  using folder = await Deno.open(path);
  await folder.sync();
}

/** Of a key or a folder. */
function isAbsence(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

/** Null where nothing is, and where links lead nowhere or in a circle. */
async function realPathOrNull(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (isAbsence(error) || error instanceof Deno.errors.FilesystemLoop) return null;
    throw error;
  }
}

function linked(place: string): StorageError {
  return new StorageError(`Cannot use "${place}": a symbolic link is in its place or on the way`);
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

async function removeTemporary(temporary: string): Promise<void> {
  try {
    await Deno.remove(temporary);
  } catch {
    // Harmless: it was never made, another process swept it, or the next sweep will take it. No key
    // leads to it.
  }
}

/**
 * Only names that may be part of a key: not `.tmp`, not what file systems and people leave behind.
 */
async function namesIn(folder: string, signal: AbortSignal | undefined): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    signal?.throwIfAborted();
    if (isFile && keyFault(name) === null) names.push(name);
  }
  return names;
}

/**
 * As {@linkcode namesIn}, and the folders, each with a slash at its end: so sorted, an object and
 * what is in a folder are in the order of their keys.
 */
async function entriesIn(folder: string, signal: AbortSignal | undefined): Promise<string[]> {
  const entries: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    signal?.throwIfAborted();
    if (keyFault(name) !== null) continue;
    if (isFile) entries.push(name);
    if (isDirectory) entries.push(`${name}/`);
  }
  return entries.sort();
}

/** Ends a stream after `sizeBytes` bytes. */
function firstBytes(
  sizeBytes: number,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let left = sizeBytes;
  return new TransformStream({
    start(controller) {
      if (left === 0) controller.terminate();
    },
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
      // This cancels the file's stream, which closes the file.
      if (left === 0) controller.terminate();
    },
  });
}
