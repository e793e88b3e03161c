/**
 * A log in a folder of the store: the layout common to other databases' logs (stored_database.ts)
 * and our own (private_log.ts).
 *
 * ```text
 * <folder>/lookup/<escaped path>/@v/<escaped version>   a record (record.ts)
 * <folder>/tile/8/<level>/<number>                      a full tile, as tile/8/… in the protocol
 * ```
 *
 * Each call has a deadline of its own. Results are shared between requests, so no single client can
 * cancel a call.
 *
 * Limits: names that do not fit into a key are invalid requests.
 */
import { withDeadline } from "../async/deadline.ts";
import { InvalidRequestError } from "../errors.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { bytesContent, keyFault, type ObjectStore, readSmall } from "../store/object_store.ts";
import { MAX_RECORD_BYTES, recordName } from "./record.ts";
import { type DataTile, formatTilePath, type Tile } from "./tile.ts";

/** 256 records, each with its two lines; those of the largest log in use take about 60 KiB. */
export const MAX_DATA_TILE_BYTES = 1024 * 1024;

export interface LogFolderOptions {
  /** Without a trailing `/`. */
  readonly folder: string;
  /** How long the store may take for one call. */
  readonly timeoutMs: number;
}

export class LogFolder {
  readonly #store: ObjectStore;
  readonly #options: LogFolderOptions;

  constructor(store: ObjectStore, options: LogFolderOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The key of a name in this folder. */
  keyOf(name: string): string {
    return `${this.#options.folder}/${name}`;
  }

  /** @throws {InvalidRequestError} when path and version are too long to be stored */
  async record(module: ModuleVersion): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.read(this.#recordName(module), MAX_RECORD_BYTES);
  }

  /** @throws {InvalidRequestError} when path and version are too long to be stored */
  async createRecord(module: ModuleVersion, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.create(this.#recordName(module), bytes);
  }

  /** @throws {InvalidRequestError} when path and version are too long to be stored */
  assertFits(module: ModuleVersion): void {
    this.#recordName(module);
  }

  /** @param tile a full one */
  async tile(tile: Tile | DataTile): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.read(formatTilePath(tile), MAX_DATA_TILE_BYTES);
  }

  /** @param tile a full one */
  async createTile(tile: Tile | DataTile, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.create(formatTilePath(tile), bytes);
  }

  /** Null if there is no such object. */
  async read(name: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.#withDeadline({ verb: "read", name }, (key, signal) => {
      return readSmall(this.#store, key, { limitBytes, signal });
    });
  }

  async create(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<"created" | "exists"> {
    return await this.#withDeadline({ verb: "create", name: name }, (key, signal) => {
      return this.#store.create(key, bytesContent(bytes), { signal });
    });
  }

  /**
   * The largest numbers that objects of a folder have (by {@linkcode descendingName}), largest
   * first.
   */
  async largest(folder: string, limit: number): Promise<number[]> {
    const names = await this.#withDeadline({ verb: "list", name: folder }, (key, signal) => {
      return this.#store.list(key, { limit, signal });
    });
    return names.map(numberOf).filter((number) => number !== null);
  }

  #recordName(module: ModuleVersion): string {
    const name = recordName(module);
    const fault = keyFault(this.keyOf(name));
    if (fault === null) return name;
    throw new InvalidRequestError(`Cannot store a record of ${nameOf(module)}: ${fault}`);
  }

  async #withDeadline<T>(
    { verb, name }: { verb: string; name: string },
    work: (key: string, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const key = this.keyOf(name);
    return await withDeadline((signal) => work(key, signal), {
      timeoutMs: this.#options.timeoutMs,
      what: `${verb} "${key}" of the store`,
    });
  }
}

const DIGITS = String(Number.MAX_SAFE_INTEGER).length;

/** `2^53 − 1 − number`: larger numbers come earlier in a list. */
export function descendingName(number: number): string {
  return String(Number.MAX_SAFE_INTEGER - number).padStart(DIGITS, "0");
}

/** Null for names of other objects. */
function numberOf(name: string): number | null {
  const number = Number.MAX_SAFE_INTEGER - Number(name);
  return /^\d+$/.test(name) && number >= 0 && descendingName(number) === name ? number : null;
}

/**
 * A database's name as part of a key: everything except `a-z 0-9 . _ - ~` is written as `+` and two
 * hex digits.
 */
export function escapeDatabaseName(name: string): string {
  return Array.from(new TextEncoder().encode(name), (byte) => {
    const character = String.fromCharCode(byte);
    return /[a-z0-9._~-]/.test(character) ? character : `+${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}
