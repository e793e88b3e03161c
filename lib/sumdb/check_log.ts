/**
 * Reads our own log (private_log.ts) from its first batch to its last and recomputes everything,
 * for `fsck` and for tests. It uses only the definition of the tree (merkle.ts), not the code that
 * grows tiles.
 *
 * - No batch is missing. Each begins with the tree that the previous one ended with, and its hash
 *   is the hash of all records up to its last one.
 * - Each full tile that follows from the batches is in the store, with these bytes.
 * - Each record is in the store under its module version, with its number, so none is in the log
 *   twice. Those of the newest batch may be missing if a replica died at the wrong moment; the next
 *   batch adds them.
 *
 * Limits: other objects in the folder are not checked. The walk ends at the first batch that cannot
 * be read.
 */
import { Buffer } from "node:buffer";
import { describeError, ProxyError } from "../errors.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { decodeBatch, type LogBatch, MAX_BATCH_BYTES, newTexts } from "./log_batch.ts";
import { LogFolder, MAX_DATA_TILE_BYTES } from "./log_folder.ts";
import { EMPTY_HASH, type Hash, hashNode, hashRecord, isSameHash, type Tree } from "./merkle.ts";
import { batchName, logFolder } from "./private_log.ts";
import {
  formatRecord,
  joinRecords,
  MAX_RECORD_BYTES,
  moduleOfRecord,
  readRecord,
  recordName,
  type SumRecord,
} from "./record.ts";
import { type DataTile, formatTilePath, type Tile, TILE_HEIGHT, TILE_WIDTH } from "./tile.ts";

export interface CheckLogOptions {
  /** The database's name. */
  readonly name: string;
  readonly store: ObjectStore;
  /** The fault of a record according to other data, or null. */
  readonly checkRecord: (module: ModuleVersion, record: SumRecord) => Promise<string | null>;
  readonly report: (fault: LogFault) => void;
  readonly signal: AbortSignal;
}

export interface LogFault {
  readonly key: string;
  /** What is wrong. */
  readonly text: string;
}

export interface CheckedLog {
  readonly batches: number;
  /** The tree of the batches that could be read. */
  readonly tree: Tree;
}

/** How long the store may take for one object. */
const STORE_TIMEOUT_MS = 60_000;

/** @throws {StorageError | DeadlineError} when the store cannot be read */
export async function checkLog(options: CheckLogOptions): Promise<CheckedLog> {
  return await new LogCheck(options).run();
}

class LogCheck {
  readonly #options: CheckLogOptions;
  readonly #folder: LogFolder;
  readonly #tree = new NaiveTree();
  /** The texts of the data tile that is not full yet. */
  #texts: Uint8Array<ArrayBuffer>[] = [];

  constructor(options: CheckLogOptions) {
    this.#options = options;
    const folder = logFolder(options.name);
    this.#folder = new LogFolder(options.store, { folder, timeoutMs: STORE_TIMEOUT_MS });
  }

  async run(): Promise<CheckedLog> {
    const [newest = 0] = await this.#folder.largest("log", 1);
    let batches = 0;
    while (batches < newest) {
      this.#options.signal.throwIfAborted();
      const batch = await this.#readBatch(batches + 1);
      if (batch === null) break;
      batches++;
      await this.#checkBatch(batch, { isNewest: batches === newest });
    }
    return { batches, tree: this.#tree.tree() };
  }

  async #readBatch(number: number): Promise<LogBatch | null> {
    const name = batchName(number);
    const bytes = await this.#folder.read(name, MAX_BATCH_BYTES);
    if (bytes === null) {
      this.#report(
        name,
        `batch ${number} is missing; later batches cannot be checked`,
      );
      return null;
    }
    try {
      return decodeBatch(bytes, number);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#report(name, describeError(error));
      return null;
    }
  }

  async #checkBatch(batch: LogBatch, { isNewest }: { isNewest: boolean }): Promise<void> {
    const name = batchName(batch.number);
    if (!isSameTree(batch.previous, this.#tree.tree())) {
      this.#report(name, `batch ${batch.number} does not begin where the previous one ends`);
    }
    for (const { id, text } of newTexts(batch)) {
      await this.#checkRecord(name, { id, text, isNewest });
      const full = this.#tree.append(hashRecord(text));
      for (const { tile, bytes } of full) await this.#checkTile(tile, { bytes, isNewest });
      this.#texts.push(text);
      if (this.#texts.length === TILE_WIDTH) {
        const number = Math.floor(id / TILE_WIDTH);
        const bytes = joinRecords(this.#texts);
        await this.#checkTile({ level: "data", number, width: TILE_WIDTH }, { bytes, isNewest });
        this.#texts = [];
      }
    }
    if (!isSameTree(batch.tree, this.#tree.tree())) {
      this.#report(
        name,
        `batch ${batch.number} has a hash that differs from the hash of its records`,
      );
    }
  }

  async #checkRecord(
    batch: string,
    { id, text, isNewest }: { id: number; text: Uint8Array<ArrayBuffer>; isNewest: boolean },
  ): Promise<void> {
    const bytes = formatRecord(id, text);
    try {
      const module = moduleOfRecord(text);
      const { record } = readRecord(bytes, module);
      const name = recordName(module);
      await this.#checkObject(name, { bytes, limitBytes: MAX_RECORD_BYTES, isNewest });
      const fault = await this.#options.checkRecord(module, record);
      if (fault !== null) this.#report(name, fault);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#report(batch, `record ${id}: ${describeError(error)}`);
    }
  }

  async #checkTile(
    tile: Tile | DataTile,
    { bytes, isNewest }: { bytes: Uint8Array; isNewest: boolean },
  ): Promise<void> {
    const limitBytes = MAX_DATA_TILE_BYTES;
    await this.#checkObject(formatTilePath(tile), { bytes, limitBytes, isNewest });
  }

  async #checkObject(
    name: string,
    { bytes, limitBytes, isNewest }: { bytes: Uint8Array; limitBytes: number; isNewest: boolean },
  ): Promise<void> {
    const stored = await this.#folder.read(name, limitBytes);
    if (stored === null) {
      if (!isNewest) this.#report(name, "it is missing, although the log requires it");
    } else if (Buffer.compare(stored, bytes) !== 0) {
      this.#report(name, "it differs from what the log requires");
    }
  }

  #report(name: string, text: string): void {
    this.#options.report({ key: this.#folder.keyOf(name), text });
  }
}

function isSameTree(a: Tree, b: Tree): boolean {
  return a.size === b.size && isSameHash(a.hash, b.hash);
}

/**
 * The tree by its definition: complete subtrees, largest first. Two neighbours of one size become
 * one.
 */
class NaiveTree {
  readonly #subtrees: { readonly level: number; readonly hash: Hash }[] = [];
  /** By level of tiles: the hashes of the tile that is not full yet. */
  readonly #tiles: Hash[][] = [];
  #size = 0;

  tree(): Tree {
    const hash = this.#subtrees.map(({ hash }) => hash)
      .reduceRight(
        (right, left) => right === EMPTY_HASH ? left : hashNode(left, right),
        EMPTY_HASH,
      );
    return { size: this.#size, hash };
  }

  /** Returns the hash tiles that this record fills. */
  append(record: Hash): { tile: Tile; bytes: Uint8Array }[] {
    const full = this.#note({ level: 0, hash: record });
    let { level, hash } = { level: 0, hash: record };
    for (
      let left = this.#subtrees.at(-1);
      left?.level === level;
      left = this.#subtrees.at(-1)
    ) {
      this.#subtrees.pop();
      hash = hashNode(left.hash, hash);
      level++;
      full.push(...this.#note({ level, hash }));
    }
    this.#subtrees.push({ level, hash });
    this.#size++;
    return full;
  }

  #note({ level, hash }: { level: number; hash: Hash }): { tile: Tile; bytes: Uint8Array }[] {
    if (level % TILE_HEIGHT !== 0) return [];
    const tileLevel = level / TILE_HEIGHT;
    const hashes = this.#tiles[tileLevel] ??= [];
    hashes.push(hash);
    if (hashes.length < TILE_WIDTH) return [];
    this.#tiles[tileLevel] = [];
    const number = (this.#size + 1) / TILE_WIDTH ** (tileLevel + 1) - 1;
    return [{
      tile: { level: tileLevel, number, width: TILE_WIDTH },
      bytes: Buffer.concat(hashes),
    }];
  }
}
