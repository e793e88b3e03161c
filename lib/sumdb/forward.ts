/**
 * A database whose key this server does not know: answers of an upstream that supports it are
 * forwarded, neither verified nor stored. Clients know the key and verify everything themselves.
 */
import { NotFoundError } from "../errors.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { MAX_DATA_TILE_BYTES } from "./log_folder.ts";
import { MAX_NOTE_BYTES } from "./note.ts";
import { privateLookup } from "./private.ts";
import { lookupPath, MAX_RECORD_BYTES } from "./record.ts";
import { type DataTile, formatTilePath, type Tile } from "./tile.ts";
import type { SumdbWays } from "./fetch_order.ts";

export interface ForwardOptions {
  readonly name: string;
  readonly ways: SumdbWays;
  /** Whether a path must not be disclosed to any database. */
  readonly isPrivate: (path: ModulePath) => boolean;
}

export class ForwardedDatabase {
  readonly isVerified = false;
  readonly #options: ForwardOptions;

  constructor(options: ForwardOptions) {
    this.#options = options;
  }

  /**
   * Returns if an upstream supports the database.
   *
   * @throws {NotFoundError} when every upstream answers that it does not
   * @throws {UpstreamError | DeadlineError} when that is not known
   */
  async supported(signal: AbortSignal): Promise<void> {
    await this.#way(signal);
  }

  /** Throws as {@linkcode supported}, and NotFoundError for a private path. */
  async lookup(
    module: ModuleVersion,
    signal: AbortSignal,
  ): Promise<{ bytes: Uint8Array<ArrayBuffer> }> {
    const { isPrivate, name } = this.#options;
    if (isPrivate(module.path)) throw privateLookup(module, name);
    const fetch = await this.#way(signal);
    const limitBytes = MAX_RECORD_BYTES + MAX_NOTE_BYTES;
    return { bytes: await fetch(lookupPath(module), { limitBytes, signal }) };
  }

  /** Throws as {@linkcode supported}. */
  async tile(tile: Tile | DataTile, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const fetch = await this.#way(signal);
    return await fetch(formatTilePath(tile), { limitBytes: MAX_DATA_TILE_BYTES, signal });
  }

  /** Throws as {@linkcode supported}. */
  async latest(signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const fetch = await this.#way(signal);
    return await fetch("latest", { limitBytes: MAX_NOTE_BYTES, signal });
  }

  async #way(signal: AbortSignal) {
    const { name, ways } = this.#options;
    const way = await ways.through(name, signal);
    if (way !== null) return way;
    throw new NotFoundError(`Cannot reach database ${name}: no upstream supports it`);
  }
}
