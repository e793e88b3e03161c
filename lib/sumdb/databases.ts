/**
 * All checksum databases that clients may ask for by name: those whose keys are known are verified and kept, any other is
 * passed on from an upstream that supports it.
 */
import { meaningOf } from "../errors.ts";
import type { Metrics } from "../log/metrics.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { SumDatabase, VerifiedHashes } from "./database.ts";
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

  /** The database that public modules are verified with; null: with none. */
  get verifierName(): string | null {
    return this.#options.verifier?.database.name ?? null;
  }

  /** The database of a name; whether anybody supports it is for it to say. */
  find(name: string): ServedDatabase {
    return this.#known.get(name) ?? new ForwardedDatabase({ ...this.#options, name });
  }

  /**
   * The hashes that a public module version must have: null at once where nobody is to be asked, and a promise of null
   * where the database is known to have no record, or nobody supports it. The promise rejects as {@linkcode SumDatabase.lookup} does.
   */
  findHashes(module: ModuleVersion, signal: AbortSignal): Promise<VerifiedHashes | null> | null {
    const { verifier, isPrivate, ways } = this.#options;
    if (verifier === null || isPrivate(module.path)) return null;
    const { database, isRequired } = verifier;
    if (isRequired) return this.#counted(() => database.verify(module, signal));
    if (ways.isKnownUnsupported(database.name)) return null;
    return this.#verifyIfSupported(database, module, signal);
  }

  async #counted(verify: () => Promise<VerifiedHashes | null>): Promise<VerifiedHashes | null> {
    const count = (outcome: string) =>
      this.#options.metrics?.add("gomodproxy_sumdb_verifications_total", { outcome });
    try {
      const hashes = await verify();
      count(hashes === null ? "no-record" : "ok");
      return hashes;
    } catch (error) {
      const isRefused = error instanceof UnverifiedError || error instanceof ForkError;
      count(isRefused ? "refused" : meaningOf(error));
      throw error;
    }
  }

  /** Whether there is a database to verify public modules with, as far as is known by now. */
  canVerify(): boolean {
    const { verifier, ways } = this.#options;
    return verifier !== null &&
      (verifier.isRequired || !ways.isKnownUnsupported(verifier.database.name));
  }

  async #verifyIfSupported(
    database: SumDatabase,
    module: ModuleVersion,
    signal: AbortSignal,
  ): Promise<VerifiedHashes | null> {
    const way = await this.#options.ways.through(database.name, signal);
    if (way === null) return null;
    return await this.#counted(() => database.verify(module, signal));
  }
}
