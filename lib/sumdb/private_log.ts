/**
 * Our own log: the records that this server vouches for, in order of arrival, kept in the store and
 * written by any number of replicas.
 *
 * ```text
 * l1/<name>/log/<2^53 − 1 − number>                      a batch (log_batch.ts): this *is* the log
 * l1/<name>/lookup/<escaped path>/@v/<escaped version>   a record     ┐ follow from the batches
 * l1/<name>/tile/8/…                                     a full tile  ┘
 * ```
 *
 * Batch n + 1 belongs to the replica that first creates the object of that number, and contains
 * what follows batch n. There is no other sequencing: each number has one object, so there is one
 * log.
 *
 * - **No duplicates.** Before a replica creates batch n + 1 it *completes* batch n: it creates the
 *   records and tiles that follow from it. By induction, all batches before the newest are
 *   complete, and a module version without a record is in none of them. Records in later batches
 *   are found in the batches themselves, which are read one by one until the replica's own create
 *   wins. A replica completes each batch before it builds on it or serves it, whoever made it: if a
 *   replica died between a batch and its records, the next reader repairs that.
 * - **Read after create**, as everywhere (store/publish.ts): a create that throws may have taken
 *   effect, and one that seems lost may still arrive. Whatever is read under the number is batch n
 *   + 1, and records that it does not contain are tried again with n + 2.
 * - **No fork.** The next batch is accepted only if its previous tree is the one we know; where
 *   batches were skipped, only if the tiles prove that its tree continues ours. Within a process,
 *   no tree follows that excludes an earlier one, even if the store has been tampered with.
 * - **Load** makes batches larger, not more numerous: while a create is in progress, records wait,
 *   and go into the next batch together.
 *
 * Limits: the number of waiting records, {@linkcode PrivateLogLimits}; {@linkcode MAX_NEW_RECORDS}
 * a batch. A batch is some 40 KiB.
 * KNOWN LIMIT: a store that loses its newest batches (restored from a backup) makes a log that
 * excludes what clients have seen; they notice, we cannot.
 */
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { each, forEach } from "../async/workers.ts";
import { describeError, OverloadedError, StorageError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { ModuleHashes } from "../module/h1.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { UnverifiedError } from "./errors.ts";
import {
  batchAfter,
  decodeBatch,
  encodeBatch,
  follows,
  type LogBatch,
  MAX_BATCH_BYTES,
  MAX_NEW_RECORDS,
  newTexts,
  NO_BATCH,
} from "./log_batch.ts";
import { descendingName, escapeDatabaseName, LogFolder } from "./log_folder.ts";
import { HASH_BYTES } from "./merkle.ts";
import {
  formatRecord,
  formatRecordText,
  joinRecords,
  moduleOfRecord,
  readRecord,
  splitRecords,
  type SumRecord,
} from "./record.ts";
import {
  type DataTile,
  formatTilePath,
  recordsUpTo,
  type Tile,
  TILE_WIDTH,
  tileIn,
} from "./tile.ts";
import { TreeTiles } from "./tree_tiles.ts";

export interface PrivateLogOptions {
  /** The database's name. */
  readonly name: string;
  readonly store: ObjectStore;
  readonly log: Logger;
  readonly limits?: Partial<PrivateLogLimits>;
}

export interface PrivateLogLimits {
  /** How long the store may take for one object. */
  readonly storeTimeoutMs: number;
  /**
   * How long one round of appending may take, including the batches of other replicas that come
   * first.
   */
  readonly appendTimeoutMs: number;
  /** How many records may wait to be appended. */
  readonly maxWaiting: number;
  /** How many objects are read or created at once. */
  readonly workers: number;
  /** How many records are held in memory; one takes some 500 bytes. */
  readonly recordCacheSize: number;
}

export const PRIVATE_LOG_LIMITS: PrivateLogLimits = {
  storeTimeoutMs: 20_000,
  appendTimeoutMs: 2 * 60_000,
  maxWaiting: 10_000,
  workers: 16,
  recordCacheSize: 20_000,
};

/** A record that waits for its batch, with the callers that wait for it. */
interface Waiting {
  readonly module: ModuleVersion;
  readonly text: Uint8Array<ArrayBuffer>;
  readonly promise: Promise<SumRecord>;
  readonly resolve: (record: SumRecord) => void;
  readonly reject: (error: unknown) => void;
}

export class PrivateLog {
  /** The database's name. */
  readonly name: string;
  readonly #log: Logger;
  readonly #limits: PrivateLogLimits;
  readonly #folder: LogFolder;
  /** By {@linkcode nameOf}. */
  readonly #records: LRUCache<string, SumRecord>;
  readonly #refreshes = new SingleFlight<LogBatch>(1);
  /** By {@linkcode nameOf}, in order of arrival. */
  readonly #waiting = new Map<string, Waiting>();
  #isAppending = false;
  /** The newest known batch; it is complete. */
  #head: LogBatch | null = null;

  constructor({ name, store, log, limits }: PrivateLogOptions) {
    this.name = name;
    this.#log = log;
    this.#limits = { ...PRIVATE_LOG_LIMITS, ...limits };
    this.#folder = new LogFolder(store, {
      folder: logFolder(name),
      timeoutMs: this.#limits.storeTimeoutMs,
    });
    this.#records = new LRUCache({ max: this.#limits.recordCacheSize });
  }

  /**
   * The record of a module version, or null if the log has none or has only just got it.
   *
   * @throws {InvalidRequestError} when path and version are too long to be stored
   * @throws {StorageError | DeadlineError} when the store cannot be read
   */
  async find(module: ModuleVersion): Promise<SumRecord | null> {
    const known = this.#records.get(nameOf(module));
    if (known !== undefined) return known;
    const bytes = await this.#folder.record(module);
    if (bytes === null) return null;
    const record = this.#trust(`record of ${nameOf(module)}`, () => {
      return readRecord(bytes, module).record;
    });
    if (await this.headWith(record.id + 1) === null) {
      throw this.#damaged(`it is shorter than the record of ${nameOf(module)} requires`);
    }
    this.#records.set(nameOf(module), record);
    return record;
  }

  /**
   * Appends the record of a module version, unless the log has one.
   *
   * @returns the record in the log, which may have different hashes
   * @throws {InvalidRequestError} when path and version are too long to be stored
   * @throws {OverloadedError} when too many records wait
   * @throws {StorageError | DeadlineError} when the outcome is not known
   */
  async append(module: ModuleVersion, hashes: ModuleHashes): Promise<SumRecord> {
    this.#folder.assertFits(module);
    const name = nameOf(module);
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) return await waiting.promise;
    if (this.#waiting.size >= this.#limits.maxWaiting) {
      throw new OverloadedError(
        `Cannot append to the log: ${this.#limits.maxWaiting} records wait for it`,
      );
    }
    const text = new TextEncoder().encode(formatRecordText(module, hashes));
    const entry: Waiting = { module, text, ...Promise.withResolvers<SumRecord>() };
    this.#waiting.set(name, entry);
    if (!this.#isAppending) void this.#appendWaiting();
    return await entry.promise;
  }

  /** The newest tree known to this replica. Throws as {@linkcode find}. */
  async head(): Promise<LogBatch> {
    return this.#head ?? await this.refresh();
  }

  /** The newest tree in the store. Throws as {@linkcode find}. */
  async refresh(): Promise<LogBatch> {
    return await this.#refreshes.run("", () => this.#readNewest());
  }

  /**
   * A tree with at least this many records, or null if even the newest has fewer. Throws as
   * {@linkcode find}.
   */
  async headWith(size: number): Promise<LogBatch | null> {
    for (const way of [() => this.head(), () => this.refresh()]) {
      const head = await way();
      if (head.tree.size >= size) return head;
    }
    return null;
  }

  /** The bytes of a tile, or null if the log is shorter. Throws as {@linkcode find}. */
  async tile(tile: Tile | DataTile): Promise<Uint8Array<ArrayBuffer> | null> {
    const head = await this.headWith(recordsUpTo(tile));
    if (head === null) return null;
    const full = { ...tile, width: TILE_WIDTH };
    const isFull = recordsUpTo(full) <= head.tree.size;
    const bytes = isFull ? await this.#readTile(full) : null;
    if (tile.level !== "data") {
      const hashes = bytes ?? head.edge.get(formatTilePath(tileIn(head.tree.size, tile)))?.bytes;
      if (hashes === undefined) throw new Error(`${formatTilePath(tile)} is not in the edge`);
      return hashes.slice(0, tile.width * HASH_BYTES);
    }
    if (tile.width === TILE_WIDTH) return bytes;
    const texts = bytes === null
      ? head.texts.slice(tile.number * TILE_WIDTH - head.base)
      : splitRecords(bytes);
    if (texts === null) {
      throw this.#damaged(`"${formatTilePath(full)}" does not consist of records`);
    }
    return joinRecords(texts.slice(0, tile.width));
  }

  /**
   * Appends all waiting records, one batch at a time. Failures reject the promises of their
   * callers.
   */
  async #appendWaiting(): Promise<void> {
    this.#isAppending = true;
    try {
      while (this.#waiting.size > 0) {
        const round = new Map([...this.#waiting].slice(0, MAX_NEW_RECORDS));
        for (const name of round.keys()) this.#waiting.delete(name);
        const entries = [...round.values()];
        await withDeadline((signal) => this.#append(round, signal), {
          timeoutMs: this.#limits.appendTimeoutMs,
          what: "append to the log",
        }).catch((error) => {
          this.#log.error({ error: describeError(error) }, "cannot append to the log");
          for (const { reject } of entries) reject(error);
        });
      }
    } finally {
      this.#isAppending = false;
    }
  }

  /** @param round records that are found in the log are removed from it */
  async #append(round: Map<string, Waiting>, signal: AbortSignal): Promise<void> {
    let head = await this.refresh();
    await this.#forEach([...round], async ([name, { module, resolve }]) => {
      const record = await this.find(module);
      if (record === null) return;
      round.delete(name);
      resolve(record);
    });
    while (round.size > 0) {
      signal.throwIfAborted();
      const texts = [...round.values()].map(({ text }) => text);
      const next = await this.#readBatch(head.number + 1) ??
        await this.#createBatch(batchAfter(head, texts));
      if (!follows(next, head)) {
        throw this.#damaged(`batch ${next.number} does not follow batch ${head.number}`);
      }
      for (const { name, record } of await this.#complete(next)) {
        round.get(name)?.resolve(record);
        round.delete(name);
      }
      head = next;
    }
  }

  /** @returns the batch that has this number, which may be another replica's */
  async #createBatch(batch: LogBatch): Promise<LogBatch> {
    let failure: unknown = null;
    try {
      await this.#folder.create(batchName(batch.number), encodeBatch(batch));
    } catch (error) {
      failure = error;
    }
    const there = await this.#readBatch(batch.number);
    if (there !== null) return there;
    throw failure ?? this.#damaged(`the store has lost batch ${batch.number}`);
  }

  async #readNewest(): Promise<LogBatch> {
    const head = this.#head;
    const next = head === null ? null : await this.#readBatch(head.number + 1);
    if (head !== null && next === null) return head;
    const [newest = 0] = await this.#folder.largest("log", 1);
    const batch = newest === next?.number
      ? next
      : newest === 0
      ? NO_BATCH
      : await this.#readBatch(newest);
    if (batch === null) throw this.#damaged(`batch ${newest} is listed but missing`);
    if (head !== null) await this.#refuseFork(batch, head);
    await this.#complete(batch);
    return batch;
  }

  /** @throws {StorageError} when `batch` is not known to continue `head` */
  async #refuseFork(batch: LogBatch, head: LogBatch): Promise<void> {
    if (follows(batch, head)) return;
    const isFork = batch.tree.size < head.tree.size || !await this.#continues(batch, head);
    if (!isFork) return;
    throw this.#damaged(
      `batch ${batch.number} of ${batch.tree.size} records does not continue batch ${head.number} of ${head.tree.size}`,
    );
  }

  async #continues(batch: LogBatch, head: LogBatch): Promise<boolean> {
    const load = async (tile: Tile) => {
      const path = formatTilePath(tile);
      const own = batch.edge.get(path) ??
        batch.full.find((full) => formatTilePath(full.tile) === path);
      return { bytes: own?.bytes ?? await this.#readTile(tile), isKept: false };
    };
    const keep = () => Promise.resolve();
    try {
      const tiles = await TreeTiles.open(batch.tree, { load, keep, authentic: new Map() });
      return await tiles.continues(head.tree);
    } catch (error) {
      // A tile that is not the batch's proves nothing about it.
      if (error instanceof UnverifiedError) return false;
      throw error;
    }
  }

  /** Creates what follows from a batch, and makes it the head. */
  async #complete(batch: LogBatch): Promise<{ name: string; record: SumRecord }[]> {
    const records = newTexts(batch).map(({ id, text }) => this.#recordOf(batch, { id, text }));
    await this.#forEach(batch.full, ({ tile, bytes }) => this.#folder.createTile(tile, bytes));
    await this.#forEach(records, ({ module, record }) => {
      return this.#folder.createRecord(module, record.bytes);
    });
    if (this.#head === null || this.#head.number < batch.number) this.#head = batch;
    return records.map(({ module, record }) => {
      const name = nameOf(module);
      this.#records.set(name, record);
      return { name, record };
    });
  }

  #recordOf(batch: LogBatch, { id, text }: { id: number; text: Uint8Array<ArrayBuffer> }) {
    return this.#trust(`record ${id} of batch ${batch.number}`, () => {
      const module = moduleOfRecord(text);
      const { record } = readRecord(formatRecord(id, text), module);
      return { module, record };
    });
  }

  async #readBatch(number: number): Promise<LogBatch | null> {
    const bytes = await this.#folder.read(batchName(number), MAX_BATCH_BYTES);
    if (bytes === null) return null;
    return this.#trust(`batch ${number}`, () => decodeBatch(bytes, number));
  }

  /** @param tile a full one that the log has */
  async #readTile(tile: Tile | DataTile): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#folder.tile(tile);
    if (bytes === null) throw this.#damaged(`the store has lost "${formatTilePath(tile)}"`);
    return bytes;
  }

  /** Data in our own store that fails verification is damaged. */
  #trust<T>(what: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      if (!(cause instanceof UnverifiedError)) throw cause;
      throw this.#damaged(`the ${what} cannot be read`, cause);
    }
  }

  #damaged(what: string, cause?: unknown): StorageError {
    const message = `Cannot use the log "${this.#folder.keyOf("log")}" of the store: ${what}`;
    const error = new StorageError(message, { cause });
    this.#log.error({ error: describeError(error) }, "our own log is damaged");
    return error;
  }

  async #forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    await forEach(each(items), { workers: this.#limits.workers, work });
  }
}

/** The folder of a database's log in the store. */
export function logFolder(name: string): string {
  return `l1/${escapeDatabaseName(name)}`;
}

export function batchName(number: number): string {
  return `log/${descendingName(number)}`;
}
