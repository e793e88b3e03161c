/**
 * All checksum databases that clients may ask for by name: those whose keys are known are verified and kept, any other is
 * passed on from an upstream that supports it.
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
import type { SumdbWays } from "./fetch_order.ts";

/** What the protocol has of a database. */
export interface ServedDatabase {
  /** Whether what it answers has been verified here. */
  readonly isVerified: boolean;
  /** @throws {NotFoundError} when nobody supports it */
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
  /** If not, it is asked only where an upstream supports it: nobody has said that this server may go there by itself. */
  readonly isRequired: boolean;
}

export interface SumDatabasesOptions {
  readonly known: readonly SumDatabase[];
  /** The one that public modules are verified with; null: with none. */
  readonly verifier: Verifier | null;
  readonly ways: SumdbWays;
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

  /** The database of a name; whether anybody supports it is for it to say. */
  find(name: string): ServedDatabase {
    return this.#known.get(name) ?? new ForwardedDatabase({ ...this.#options, name });
  }

  /**
   * The database that modules of a path are verified with; null for private paths, where none is configured, and where it is
   * known that no upstream supports it.
   */
  databaseFor(path: ModulePath): HashDatabase | null {
    const { verifier, isPrivate, ways } = this.#options;
    if (verifier === null || isPrivate(path)) return null;
    const { database: { name }, isRequired } = verifier;
    if (!isRequired && ways.isKnownUnsupported(name)) return null;
    return { name, find: (module, signal) => this.#find(verifier, { module, signal }) };
  }

  /** Null also where no upstream turns out to support the database. Throws as {@linkcode SumDatabase.find}. */
  async #find(
    { database, isRequired }: Verifier,
    { module, signal }: { module: ModuleVersion; signal: AbortSignal },
  ): Promise<RecordedHashes | null> {
    const isSupported = isRequired ||
      await this.#options.ways.through(database.name, signal) !== null;
    return isSupported ? await this.#counted(() => database.find(module, signal)) : null;
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
