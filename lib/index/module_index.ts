/**
 * The index of published versions: a list that only ever grows at its end, the same on every
 * replica, from which documentation sites learn what is new (docs/design/index.md).
 *
 * It is a log of batches (store/append_log.ts); a batch is entries as they are served (entry.ts). A
 * process that appends a batch has read all before it, so a version that is in the log is not
 * appended again, and times ascend whatever the replicas' clocks say. A reader that has read up to
 * a time misses nothing: later entries have later times.
 *
 * Whatever reads or publishes a manifest tells the index of it ({@linkcode ModuleIndex.add}). So a
 * version whose publisher was killed before its entry was written gets it from the next process
 * that reads the version; `fsck --repair` sees to those that are never read.
 *
 * Limits: a process that adds or serves entries keeps all of them in memory, about 150 bytes each.
 * A clock that is far ahead takes the times of all later entries with it; their order stays right.
 */
import { atPace, Pace, type Steps } from "../async/pace.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { withDeadline } from "../async/deadline.ts";
import { DeadlineError, describeError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { AppendLog } from "../store/append_log.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { formatEntries, type IndexEntry, InvalidIndexError, parseEntries } from "./entry.ts";

/** What is served of the index. */
export interface IndexReader {
  /**
   * Entries from a time on, oldest first. Fewer than `limit` say that the index ends there.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  read(options: { sinceMs: number; limit: number }, signal?: AbortSignal): Promise<IndexEntry[]>;
}

export interface ModuleIndexOptions {
  readonly store: ObjectStore;
  /** Which modules belong in it. */
  readonly isListed: (path: ModulePath) => boolean;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  /** Waits; the signal ends the wait early, without an error. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** Where the batches are. */
export const INDEX_FOLDER = "i1";

/**
 * The least time between two entries. Followers ask again from the last time that they have seen,
 * and some cut it to whole seconds: with at most 100 entries a second they get on with any limit
 * above that.
 */
export const ENTRY_STEP_MS = 10;

/**
 * Entries that wait for their batch. Entries beyond it are left for the next reader of the version,
 * or for `fsck --repair`.
 */
const MAX_PENDING_ENTRIES = 100_000;
const MAX_BATCH_ENTRIES = 500;
/** A module path and a version have 800 bytes together at most. */
const MAX_BATCH_BYTES = MAX_BATCH_ENTRIES * 1024;
/** What is published within this time goes into one batch. */
const GATHER_MS = 500;
/** What it costs to parse an entry, or to look at it, as if it were so much inflated content. */
const ENTRY_COST_BYTES = 512;
/** After a failure of the store. */
const RETRY_MS = 5_000;
/** How long a reader may have to wait for a process that has much to read first. */
const READ_TIMEOUT_MS = 60_000;
/**
 * How long, and in the face of how many failures, a process that is to end tries to write what is
 * pending.
 */
const DRAIN_TIMEOUT_MS = 10_000;
const LAST_TRIES = 3;

export class ModuleIndex implements IndexReader {
  readonly #options: ModuleIndexOptions;
  readonly #appendLog: AppendLog;
  readonly #following = new SingleFlight<void>(1);
  /** What was read so far, all batches before number {@linkcode #next}. */
  readonly #entries: IndexEntry[] = [];
  /** The time of each entry, by the name of its version. */
  readonly #times = new Map<string, number>();
  #next = 0;
  /** It was read to its end once. */
  #isRead = false;
  readonly #pending = new Map<string, ModuleVersion>();
  #writing: Promise<void> | null = null;
  /** Aborted when what is pending shall be written without waiting for more. */
  readonly #hurry = new AbortController();

  constructor(options: ModuleIndexOptions) {
    this.#options = options;
    this.#appendLog = new AppendLog({
      store: options.store,
      folder: INDEX_FOLDER,
      maxBatchBytes: MAX_BATCH_BYTES,
    });
  }

  /** Sees to it that a published version has its entry, in a while. */
  add({ path, version }: ModuleVersion): void {
    const name = nameOf({ path, version });
    if (this.#times.has(name) || this.#pending.has(name) || !this.#options.isListed(path)) return;
    if (this.#pending.size === MAX_PENDING_ENTRIES) {
      this.#options.log.warn(
        { module: path, version },
        "index queue is full; entry dropped",
      );
      return;
    }
    this.#pending.set(name, { path, version });
    this.#writing ??= this.#write();
  }

  async read(
    { sinceMs, limit }: { sinceMs: number; limit: number },
    signal?: AbortSignal,
  ): Promise<IndexEntry[]> {
    const pace = new Pace(signal);
    const known = await atPace(this.#slice(sinceMs, limit), pace);
    if (known.length === limit) return known;
    // If there is much to read, the process continues for the next request.
    await withDeadline(() => this.follow(), {
      timeoutMs: READ_TIMEOUT_MS,
      what: "read the index",
      signal,
    });
    return await atPace(this.#slice(sinceMs, limit), pace);
  }

  /**
   * When a version got its entry, in milliseconds since 1970; null if it has none. Throws as
   * {@linkcode follow}.
   */
  async timeOf(module: ModuleVersion): Promise<number | null> {
    const name = nameOf(module);
    // What is not listed now may have been listed once, and gets no new entries.
    const mayBeNew = !this.#isRead || this.#options.isListed(module.path);
    if (!this.#times.has(name) && mayBeNew) await this.follow();
    return this.#times.get(name) ?? null;
  }

  /** Whether a published version belongs in the index and is not in what was read of it. */
  lacks(module: ModuleVersion): boolean {
    return this.#options.isListed(module.path) && !this.#times.has(nameOf(module));
  }

  /**
   * Reads the log to its end.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   * @throws {InvalidIndexError} when a batch is damaged
   */
  follow(): Promise<void> {
    return this.#following.run("", async () => {
      const pace = new Pace(undefined);
      for await (const batch of this.#appendLog.read(this.#next)) {
        const entries = this.#parse(batch);
        for (const entry of entries) this.#keep(entry);
        this.#next++;
        await pace.spend(entries.length * ENTRY_COST_BYTES);
      }
      this.#isRead = true;
    });
  }

  /**
   * Ends when all that was added has its entry, or the store fails; what is left then has a line in
   * the log.
   */
  async drain(): Promise<void> {
    this.#hurry.abort();
    try {
      await withDeadline(async () => await this.#writing, {
        timeoutMs: DRAIN_TIMEOUT_MS,
        what: "write the index",
      });
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
    }
    if (this.#pending.size > 0) {
      this.#options.log.warn(
        { entries: this.#pending.size },
        "entries of the index are left to the next who reads their versions, or to fsck --repair",
      );
    }
  }

  #parse(batch: Uint8Array<ArrayBuffer>): IndexEntry[] {
    try {
      return parseEntries(new TextDecoder().decode(batch));
    } catch (cause) {
      throw new InvalidIndexError(`Cannot use "${this.#appendLog.keyOf(this.#next)}"`, { cause });
    }
  }

  #keep({ path, version, timeMs }: IndexEntry): void {
    const name = nameOf({ path, version });
    this.#pending.delete(name);
    this.#times.set(name, timeMs);
    this.#entries.push({ path, version, timeMs });
  }

  *#slice(sinceMs: number, limit: number): Steps<IndexEntry[]> {
    const found: IndexEntry[] = [];
    for (let i = this.#firstSince(sinceMs); i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (found.length === limit || entry === undefined) break;
      // What was listed once need not be now: the configuration may have changed.
      if (this.#options.isListed(entry.path)) found.push(entry);
      yield ENTRY_COST_BYTES;
    }
    return found;
  }

  #firstSince(sinceMs: number): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.timeMs ?? Infinity) < sinceMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Appends batches until nothing is pending. */
  async #write(): Promise<void> {
    const { log, pause } = this.#options;
    const hurry = this.#hurry.signal;
    await pause(GATHER_MS, hurry);
    for (let lastTries = LAST_TRIES; this.#pending.size > 0 && lastTries > 0;) {
      try {
        await this.#appendBatch();
      } catch (error) {
        log.warn({ error: describeError(error) }, "cannot write to the index");
        await pause(RETRY_MS, hurry);
        if (hurry.aborted) lastTries--;
      }
    }
    this.#writing = null;
  }

  /**
   * One step towards an empty queue: reads what others have appended, then appends what is still
   * missing.
   */
  async #appendBatch(): Promise<void> {
    await this.follow();
    const modules = [...this.#pending.values()].slice(0, MAX_BATCH_ENTRIES);
    if (modules.length === 0) return;
    // From the reading to here nothing awaits, so that the batch fits behind what was read. If
    // another one is there by now, ours is not created.
    const last = this.#entries.at(-1)?.timeMs ?? 0;
    const firstMs = Math.max(this.#options.now(), last + ENTRY_STEP_MS);
    const entries = modules.map((module, i) => ({
      ...module,
      timeMs: firstMs + i * ENTRY_STEP_MS,
    }));
    await this.#appendLog.append(this.#next, new TextEncoder().encode(formatEntries(entries)));
    await this.follow();
  }
}
