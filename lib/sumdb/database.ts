/**
 * A checksum database as this server serves it: from the store if possible, and verified before
 * anything is stored or served. Clients need no connection to the database, and it does not see
 * repeated lookups.
 *
 * - A record is stored without the signed tree that it came with, and served with the newest one.
 *   All answers at a given time therefore refer to the same tree, and a client needs the tiles of
 *   one edge instead of one edge per lookup.
 * - A partial tile is cut from a wider one. A tile beyond the newest tree is requested together
 *   with a newer tree.
 * - A private path is never sent to the database, whichever client asks.
 */
import { Buffer } from "node:buffer";
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { describeError, NotFoundError, ProxyError, UpstreamError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { ModuleHashes } from "../module/h1.ts";
import type { RecordedHashes } from "../module/hash_database.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { ForkError, UnverifiedError } from "./errors.ts";
import { KeptDatabase } from "./stored_database.ts";
import { MAX_DATA_TILE_BYTES } from "./log_folder.ts";
import { HASH_BYTES, hashRecord, isSameHash } from "./merkle.ts";
import { MAX_NOTE_BYTES, type VerifierKey } from "./note.ts";
import { privateLookup } from "./private.ts";
import {
  joinRecords,
  lookupPath,
  MAX_RECORD_BYTES,
  readRecord,
  splitRecords,
  type SumRecord,
} from "./record.ts";
import type { SignedTree } from "./signed_tree.ts";
import { type DataTile, formatTilePath, recordsUpTo, type Tile, TILE_WIDTH } from "./tile.ts";
import { type FetchFile, type Head, type OnTree, TrustedLog } from "./trusted_log.ts";

/**
 * Gets a file of a database by its path in the protocol: `latest`, `lookup/…`, `tile/…`, not
 * percent-encoded.
 *
 * @throws {NotFoundError} when the file is known not to exist
 * @throws {UpstreamError | DeadlineError} when that is not known
 */
export type SumdbFetch = (
  path: string,
  options: { readonly limitBytes: number; readonly signal: AbortSignal },
) => Promise<Uint8Array<ArrayBuffer>>;

export interface SumDatabaseOptions {
  readonly key: VerifierKey;
  readonly fetch: SumdbFetch;
  readonly store: ObjectStore;
  /** Whether a path must not be disclosed to any database. */
  readonly isPrivate: (path: ModulePath) => boolean;
  /** Milliseconds since any moment. */
  readonly now: () => number;
  readonly onTree?: OnTree | undefined;
  readonly log: Logger;
  readonly limits?: Partial<SumDatabaseLimits>;
}

export interface SumDatabaseLimits {
  /** How long fetching one file from the database may take. */
  readonly fetchTimeoutMs: number;
  /** How long the store may take for one object. */
  readonly storeTimeoutMs: number;
  /** How long one answer may take in total, regardless of who waits for it. */
  readonly answerTimeoutMs: number;
  /** How many answers may be in progress at once. */
  readonly maxFlights: number;
  /** How old the tree may be that `latest` answers. */
  readonly latestTtlMs: number;
  /** How long data stored by other replicas may go unnoticed. */
  readonly stateTtlMs: number;
  /** How much memory full tiles may take; one takes 16 KiB. */
  readonly tileCacheBytes: number;
  /** How many records are held in memory; one takes some 500 bytes. */
  readonly recordCacheSize: number;
}

export const SUM_DATABASE_LIMITS: SumDatabaseLimits = {
  fetchTimeoutMs: 60_000,
  storeTimeoutMs: 20_000,
  answerTimeoutMs: 3 * 60_000,
  maxFlights: 1000,
  latestTtlMs: 60_000,
  stateTtlMs: 60_000,
  tileCacheBytes: 32 * 1024 * 1024,
  recordCacheSize: 20_000,
};

export interface Lookup extends ModuleHashes {
  /** The answer to a client. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The hashes of a proven record. */
export interface VerifiedHashes extends RecordedHashes {
  /** The number of the record in the log, from 0. */
  readonly id: number;
  /**
   * Settles when the record is in the store; rejects with a StorageError if it could not be stored.
   */
  readonly written: Promise<void>;
}

type FoundRecord = SumRecord & VerifiedHashes;

export class SumDatabase {
  readonly name: string;
  readonly isVerified = true;
  readonly #isPrivate: (path: ModulePath) => boolean;
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #limits: SumDatabaseLimits;
  readonly #fetch: FetchFile;
  readonly #kept: KeptDatabase;
  readonly #trustedLog: TrustedLog;
  /** Records that have been proven, by path and version. */
  readonly #records: LRUCache<string, FoundRecord>;
  readonly #lookups: SingleFlight<FoundRecord>;
  readonly #tiles: SingleFlight<Uint8Array<ArrayBuffer>>;
  readonly #refreshes = new SingleFlight<Head>(1);
  #latestAtMs = -Infinity;

  constructor({ key, fetch, store, isPrivate, now, onTree, log, ...options }: SumDatabaseOptions) {
    const limits = { ...SUM_DATABASE_LIMITS, ...options.limits };
    this.name = key.name;
    this.#isPrivate = isPrivate;
    this.#now = now;
    this.#log = log;
    this.#limits = limits;
    this.#fetch = (path, limitBytes) =>
      withDeadline((signal) => fetch(path, { limitBytes, signal }), {
        timeoutMs: limits.fetchTimeoutMs,
        what: `fetch ${path} of ${key.name}`,
      });
    this.#kept = new KeptDatabase(store, { key, timeoutMs: limits.storeTimeoutMs });
    this.#trustedLog = new TrustedLog({
      key,
      fetch: this.#fetch,
      kept: this.#kept,
      now,
      onTree,
      log,
      stateTtlMs: limits.stateTtlMs,
      tileCacheBytes: limits.tileCacheBytes,
    });
    this.#records = new LRUCache({ max: limits.recordCacheSize });
    this.#lookups = new SingleFlight(limits.maxFlights);
    this.#tiles = new SingleFlight(limits.maxFlights);
  }

  /** A database is supported if its key is known: it is reachable or it is in the store. */
  supported(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * The record of a module version.
   *
   * @throws {NotFoundError} when the database has no such record, or the path is private
   * @throws {InvalidRequestError} when path and version are too long to be stored
   * @throws {UnverifiedError | ForkError} when the answer fails verification
   * @throws {UpstreamError | DeadlineError | StorageError | OverloadedError} when no answer could
   * be obtained
   */
  async lookup(module: ModuleVersion, signal?: AbortSignal): Promise<Lookup> {
    const { zipH1, goModH1, bytes, written } = await this.#record(module, signal);
    await written;
    const { note } = await this.newestTree();
    return { zipH1, goModH1, bytes: Buffer.concat([bytes, note]) };
  }

  /**
   * The newest tree that is known, once there is a record.
   *
   * @throws {ForkError | StorageError | DeadlineError}
   */
  async newestTree(): Promise<SignedTree> {
    const head = await this.#trustedLog.head();
    if (head === null) throw new Error(`${this.name} has lost its newest tree`);
    return head.tree;
  }

  /**
   * The hashes that a module version must have, or null if the database is known to have no record
   * of it. Throws as {@linkcode lookup}, except for failures to store the record, which are left to
   * the caller.
   */
  async find(module: ModuleVersion, signal?: AbortSignal): Promise<VerifiedHashes | null> {
    try {
      return await this.#record(module, signal);
    } catch (error) {
      if (error instanceof NotFoundError) return null;
      throw error;
    }
  }

  /**
   * The bytes of a tile.
   *
   * @throws {NotFoundError} when the newest tree has no such tile
   * @throws as {@linkcode lookup} otherwise
   */
  async tile(tile: Tile | DataTile, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const path = formatTilePath(tile);
    return await this.#tiles.run(
      path,
      () => this.#answer(`read ${path} of ${this.name}`, () => this.#readTile(tile)),
      signal,
    );
  }

  /**
   * The newest signed tree, at most `latestTtlMs` old, or older if the database fails. Throws as
   * {@linkcode lookup}.
   */
  async latest(signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const head = await this.#trustedLog.head();
    if (head !== null && this.#now() - this.#latestAtMs < this.#limits.latestTtlMs) {
      return head.tree.note;
    }
    try {
      return (await this.#refresh(signal)).tree.note;
    } catch (error) {
      const isTolerable = error instanceof ProxyError && !(error instanceof ForkError);
      if (head === null || !isTolerable || signal?.aborted) throw error;
      this.#log.warn(
        { error: describeError(error) },
        `cannot ask ${this.name} for its latest tree`,
      );
      return head.tree.note;
    }
  }

  async #record(module: ModuleVersion, signal: AbortSignal | undefined): Promise<FoundRecord> {
    if (this.#isPrivate(module.path)) throw privateLookup(module, this.name);
    const name = nameOf(module);
    return this.#records.get(name) ?? await this.#lookups.run(name, async () => {
      const found = await this.#answer(`look up ${name}`, () => this.#find(module));
      this.#records.set(name, found);
      // Those who wait for the record get the error; the next lookup tries again.
      found.written.catch(() => this.#records.delete(name));
      return found;
    }, signal);
  }

  async #find(module: ModuleVersion): Promise<FoundRecord> {
    // A database that has forked is not contacted.
    await this.#trustedLog.head();
    const known = await this.#findKept(module);
    if (known !== null) return { ...known, written: Promise.resolve() };
    const answer = await this.#fetch(lookupPath(module), MAX_RECORD_BYTES + MAX_NOTE_BYTES);
    const { record, rest } = readRecord(answer, module);
    await this.#prove(record, await this.#trustedLog.follow(rest));
    return { ...record, written: this.#kept.createRecord(module, record.bytes) };
  }

  /** Null if there is none, or it is damaged. */
  async #findKept(module: ModuleVersion): Promise<SumRecord | null> {
    const bytes = await this.#kept.record(module);
    if (bytes === null) return null;
    try {
      const { record } = readRecord(bytes, module);
      const head = await this.#headWith(record.id + 1);
      if (head !== null) await this.#prove(record, head);
      return head === null ? null : record;
    } catch (error) {
      if (!(error instanceof UnverifiedError)) throw error;
      this.#log.error({ error: describeError(error) }, "a stored record cannot be verified");
      return null;
    }
  }

  async #prove({ id, hash }: SumRecord, { tree, tiles }: Head): Promise<void> {
    if (id < tree.size && await tiles.hasRecord({ id, hash })) return;
    throw new UnverifiedError(
      `Cannot use record ${id} of ${this.name}: it is not in the tree of ${tree.size} records`,
    );
  }

  async #readTile(tile: Tile | DataTile): Promise<Uint8Array<ArrayBuffer>> {
    const head = await this.#headWith(recordsUpTo(tile));
    if (head === null) {
      throw new NotFoundError(
        `Cannot find ${formatTilePath(tile)}: the log of ${this.name} is shorter`,
      );
    }
    if (tile.level === "data") return await this.#readDataTile(tile, head);
    const { bytes } = await head.tiles.tile(tile);
    return bytes.slice(0, tile.width * HASH_BYTES);
  }

  /** Records are authenticated one by one, by the hash tile of level 0. */
  async #readDataTile(tile: DataTile, { tiles }: Head): Promise<Uint8Array<ArrayBuffer>> {
    const hashes = await tiles.tile({ level: 0, number: tile.number });
    const cut = (bytes: Uint8Array<ArrayBuffer>) => {
      const records = splitRecords(bytes)?.slice(0, tile.width) ?? [];
      const isRight = records.length === tile.width &&
        records.every((record, i) => isSameHash(hashRecord(record), hashes.node(0, i)));
      return isRight ? joinRecords(records) : null;
    };
    const kept = await this.#kept.tile({ ...tile, width: TILE_WIDTH });
    const known = kept === null ? null : cut(kept);
    if (known !== null) return known;
    const found = cut(await this.#fetchDataTile(tile));
    if (found === null) {
      throw new UnverifiedError(
        `Cannot use ${formatTilePath(tile)} of ${this.name}: its records are not those of the tree`,
      );
    }
    if (tile.width === TILE_WIDTH) await this.#kept.createTile(tile, found);
    return found;
  }

  /** A database may delete a partial tile once it has the full one. */
  async #fetchDataTile(tile: DataTile): Promise<Uint8Array<ArrayBuffer>> {
    for (const width of new Set([tile.width, TILE_WIDTH])) {
      try {
        return await this.#fetch(formatTilePath({ ...tile, width }), MAX_DATA_TILE_BYTES);
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
      }
    }
    throw new UpstreamError(
      `Cannot read ${
        formatTilePath(tile)
      } of ${this.name}: the tree has it, but the database does not`,
    );
  }

  /**
   * The newest tree if it has at least this many records, refreshing it as needed; null if even the
   * database's latest has fewer.
   */
  async #headWith(size: number): Promise<Head | null> {
    const ways = [
      () => this.#trustedLog.head(),
      () => this.#trustedLog.freshHead(),
      () => this.#refresh(),
    ];
    for (const way of ways) {
      const head = await way();
      if (head !== null && head.tree.size >= size) return head;
    }
    return null;
  }

  /** Asks the database for its newest tree. */
  async #refresh(signal?: AbortSignal): Promise<Head> {
    return await this.#refreshes.run(
      "",
      () =>
        this.#answer(`ask ${this.name} for its latest tree`, async () => {
          const head = await this.#trustedLog.follow(await this.#fetchLatest());
          this.#latestAtMs = this.#now();
          return head;
        }),
      signal,
    );
  }

  async #fetchLatest(): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return await this.#fetch("latest", MAX_NOTE_BYTES);
    } catch (cause) {
      if (!(cause instanceof NotFoundError)) throw cause;
      throw new UpstreamError(`Cannot use ${this.name}: it has no latest tree`, { cause });
    }
  }

  /** The result is shared by all who wait for it, so the work has a deadline of its own. */
  async #answer<T>(what: string, work: () => Promise<T>): Promise<T> {
    return await withDeadline(work, { timeoutMs: this.#limits.answerTimeoutMs, what });
  }
}
