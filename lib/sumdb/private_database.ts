/**
 * Our own checksum database: records of private modules and, if it is *combined*, of public ones.
 * The `go` command verifies them as strictly as with the public database, because they are in a log
 * (private_log.ts).
 *
 * A record is created by the first lookup. The hashes of a private module are those of the
 * published copy, which is published now if it is not yet. Those of a public module are confirmed
 * by the public database. From then on the log is authoritative, whatever happens to the copy; a
 * client that gets a different copy rejects it.
 *
 * Each tree is signed when it is served, and belongs to a batch that is in the store. Signing is
 * deterministic, and of two trees signed by replicas that know different batches one continues the
 * other. The log does not know the key, so it survives a change of the key.
 */
import { Buffer } from "node:buffer";
import { NotFoundError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { ModuleHashes } from "../module/h1.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { Tree } from "./merkle.ts";
import type { PrivateLog } from "./private_log.ts";
import type { SumRecord } from "./record.ts";
import { signTree } from "./signed_tree.ts";
import type { SignerKey } from "./signer.ts";
import { type DataTile, formatTilePath, type Tile } from "./tile.ts";

export interface PrivateSumDatabaseOptions {
  readonly key: SignerKey;
  readonly transparencyLog: PrivateLog;
  /**
   * The hashes of a module version that is not in the log.
   *
   * @throws {NotFoundError} when there is no such version, or this database does not cover it
   */
  readonly hashesOf: (module: ModuleVersion, signal: AbortSignal) => Promise<ModuleHashes>;
  readonly log: Logger;
}

export class PrivateSumDatabase {
  readonly name: string;
  /** Its answers come from verified copies in our own store. */
  readonly isVerified = true;
  readonly #options: PrivateSumDatabaseOptions;

  constructor(options: PrivateSumDatabaseOptions) {
    this.name = options.key.name;
    this.#options = options;
  }

  supported(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * The record of a module version with a tree that has it. Throws as
   * {@linkcode PrivateLog.append}, and as {@linkcode PrivateSumDatabaseOptions.hashesOf}.
   */
  async lookup(
    module: ModuleVersion,
    signal: AbortSignal,
  ): Promise<{ bytes: Uint8Array<ArrayBuffer> }> {
    const { transparencyLog } = this.#options;
    const record = await transparencyLog.find(module) ?? await this.#append(module, signal);
    const { tree } = await transparencyLog.head();
    return { bytes: Buffer.concat([record.bytes, this.#sign(tree)]) };
  }

  /** @throws {NotFoundError} when the log is shorter */
  async tile(tile: Tile | DataTile): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#options.transparencyLog.tile(tile);
    if (bytes !== null) return bytes;
    throw new NotFoundError(
      `Cannot find ${formatTilePath(tile)}: the log of ${this.name} is shorter`,
    );
  }

  async latest(): Promise<Uint8Array<ArrayBuffer>> {
    const { tree } = await this.#options.transparencyLog.refresh();
    return this.#sign(tree);
  }

  async #append(module: ModuleVersion, signal: AbortSignal): Promise<SumRecord> {
    const { transparencyLog, hashesOf, log } = this.#options;
    const { zipH1, goModH1 } = await hashesOf(module, signal);
    const record = await transparencyLog.append(module, { zipH1, goModH1 });
    if (record.zipH1 !== zipH1 || record.goModH1 !== goModH1) {
      const { path, version } = module;
      const logged = { zip: record.zipH1, goMod: record.goModH1 };
      log.error(
        { module: path, version, logged, found: { zip: zipH1, goMod: goModH1 } },
        "hash mismatch: the log and the stored copy differ; clients will reject the version",
      );
    }
    return record;
  }

  #sign(tree: Tree): Uint8Array<ArrayBuffer> {
    return signTree(tree, this.#options.key).note;
  }
}
