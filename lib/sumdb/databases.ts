/**
 * All checksum databases that clients may ask for by name: those with a known key are verified and
 * stored, requests for any other are forwarded to an upstream that supports it.
 */
import { meaningOf } from "../errors.ts";
import type { Metrics } from "../log/metrics.ts";
import type { HashDatabase, RecordedHashes } from "../module/hash_database.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { SumDatabase } from "./database.ts";
import { ForkError, UnverifiedError } from "./errors.ts";
import { ForwardedDatabase } from "./forward.ts";
import type { DataTile, Tile } from "./tile.ts";
import type { SignedTree } from "./signed_tree.ts";
import type { SumdbWays } from "./fetch_order.ts";

/** What the routes need of a database. */
export interface ServedDatabase {
  /** Whether its answers have been verified here. */
  readonly isVerified: boolean;
  /** @throws {NotFoundError} when the database is not supported */
  supported(signal: AbortSignal): Promise<void>;
  lookup(
    module: ModuleVersion,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Uint8Array<ArrayBuffer> }>;
  tile(tile: Tile | DataTile, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  latest(signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

/** The database that public modules are verified with. */
export interface Verifier {
  readonly database: SumDatabase;
  /**
   * If false, it is used only if an upstream supports it: the configuration does not allow
   * contacting it directly.
   */
  readonly isRequired: boolean;
}

/** Where a record is. */
export interface RecordPosition {
  readonly database: string;
  /** Its number in the log, from 0. */
  readonly id: number;
  /** The newest signed tree that is known, which has the record. */
  readonly tree: Pick<SignedTree, "size" | "hash">;
}

export interface SumDatabasesOptions {
  readonly known: readonly SumDatabase[];
  /** The database that public modules are verified with; null: none. */
  readonly verifier: Verifier | null;
  readonly ways: SumdbWays;
  /** Whether no database may learn of a path. */
  readonly isPrivate: (path: ModulePath) => boolean;
  readonly metrics?: Metrics | undefined;
}

export class SumDatabases {
  readonly #known: ReadonlyMap<string, SumDatabase>;
  readonly #options: SumDatabasesOptions;

  constructor(options: SumDatabasesOptions) {
    this.#known = new Map(options.known.map((database) => [database.name, database]));
    this.#options = options;
  }

  /** The database of a name; `supported()` tells whether any upstream supports it. */
  find(name: string): ServedDatabase {
    return this.#known.get(name) ?? new ForwardedDatabase({ ...this.#options, name });
  }

  /**
   * The database that modules of a path are verified with; null for paths that it must not learn
   * of, if none is configured, and if no upstream is known to support it.
   */
  databaseFor(path: ModulePath): HashDatabase | null {
    const { verifier, isPrivate, ways } = this.#options;
    if (verifier === null || isPrivate(path)) return null;
    const { database: { name }, isRequired } = verifier;
    if (!isRequired && ways.isKnownUnsupported(name)) return null;
    return { name, find: (module, signal) => this.#find(verifier, { module, signal }) };
  }

  /**
   * The number of a version's record in the log of the database that verifies it. "unrecorded" if
   * it has none yet; null where no database is asked. Throws as {@linkcode SumDatabase.find}.
   */
  async positionOf(
    module: ModuleVersion,
    signal: AbortSignal,
  ): Promise<RecordPosition | "unrecorded" | null> {
    const { verifier, isPrivate, ways } = this.#options;
    if (verifier === null || isPrivate(module.path)) return null;
    const { database, isRequired } = verifier;
    if (!isRequired && await ways.through(database.name, signal) === null) return null;
    const found = await database.find(module, signal);
    if (found === null) return "unrecorded";
    return { database: database.name, id: found.id, tree: await database.newestTree() };
  }

  /**
   * Null also if no upstream turns out to support the database. Throws as
   * {@linkcode SumDatabase.find}.
   */
  async #find(
    { database, isRequired }: Verifier,
    { module, signal }: { module: ModuleVersion; signal: AbortSignal },
  ): Promise<RecordedHashes | "unrecorded" | null> {
    const isSupported = isRequired ||
      await this.#options.ways.through(database.name, signal) !== null;
    if (!isSupported) return null;
    return await this.#counted(() => database.find(module, signal)) ?? "unrecorded";
  }

  async #counted(find: () => Promise<RecordedHashes | null>): Promise<RecordedHashes | null> {
    const count = (outcome: string) =>
      this.#options.metrics?.add("gomodproxy_sumdb_verifications_total", { outcome });
    try {
      const hashes = await find();
      count(hashes === null ? "no-record" : "ok");
      return hashes;
    } catch (error) {
      const isRefused = error instanceof UnverifiedError || error instanceof ForkError;
      count(isRefused ? "refused" : meaningOf(error));
      throw error;
    }
  }
}
