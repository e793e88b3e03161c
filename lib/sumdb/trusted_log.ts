/**
 * What is known of a database's log: the newest signed tree, which continues all trees seen before,
 * and tiles that are authentic for it.
 *
 * - **Following.** Every signed tree that arrives is compared with the newest one: the larger must
 *   begin with the smaller. A larger one becomes the newest once it is in the store with its edge.
 *   The very first tree is trusted for its signature.
 * - **Nothing gets lost.** What was proven under an earlier tree can be proven under the newest
 *   from the store alone: the proof that the next tree continues it reads the tiles of its edge at
 *   their new width; those that are full by then are stored, the others form the next tree's edge.
 *   A warm cache therefore works offline.
 * - **Forks.** When two trees exclude each other, the database has lied to some client, and it is
 *   unknown which. No replica serves it any more until an operator has removed the report from the
 *   store and restarted the replicas.
 * - **Replicas** share trees and reports through the store. Each replica reads them at least every
 *   `stateTtlMs`, and after each new tree of its own, so that trees of two replicas that continued
 *   the same tree at once are compared as well.
 *
 * KNOWN LIMIT: another replica's report of a fork is seen up to `stateTtlMs` later.
 * KNOWN LIMIT: of the trees that other replicas have stored only the {@linkcode MAX_TREES} largest
 * are compared.
 */
import { LRUCache } from "lru-cache";
import { Semaphore } from "../async/semaphore.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { describeError, NotFoundError, ProxyError, UpstreamError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { ForkError } from "./errors.ts";
import { forkReport, forkSummary } from "./fork.ts";
import type { KeptDatabase, KeptTree } from "./stored_database.ts";
import { HASH_BYTES } from "./merkle.ts";
import type { VerifierKey } from "./note.ts";
import { checkTreeProof } from "./proof.ts";
import { openTree, type SignedTree } from "./signed_tree.ts";
import { formatTilePath, FULL_TILE_BYTES, type Tile, TILE_WIDTH, type TileNodes } from "./tile.ts";
import { type LoadedTile, TreeTiles } from "./tree_tiles.ts";

/**
 * How many trees in the store are read each time: more than there are replicas that follow the log
 * at the same moment.
 */
const MAX_TREES = 8;
/** How many compared trees are remembered. */
const MAX_REMEMBERED_TREES = 10_000;
/** How many trees may wait to become the newest, and for how long. */
const MAX_WAITING = 1000;
const MAX_WAIT_MS = 60_000;

/**
 * Gets a file of the database by its path in the protocol, within a deadline. Throws NotFoundError
 * if there is no such file.
 */
export type FetchFile = (path: string, limitBytes: number) => Promise<Uint8Array<ArrayBuffer>>;

/** Takes note of a signed tree that has been compared with all others. */
export type OnTree = (database: string, tree: Pick<SignedTree, "size" | "hash">) => void;

export interface TrustedLogOptions {
  readonly key: VerifierKey;
  readonly fetch: FetchFile;
  readonly kept: KeptDatabase;
  /** Milliseconds since any moment. */
  readonly now: () => number;
  /** Takes note of a signed tree that the database has now. Default: nobody does. */
  readonly onTree?: OnTree | undefined;
  readonly log: Logger;
  /** How long data stored by other replicas may go unnoticed. */
  readonly stateTtlMs: number;
  /** How much memory full tiles may take. */
  readonly tileCacheBytes: number;
}

/** The partial tiles of a tree in the store, by path. */
type Edge = KeptTree["edge"];

/** A tree that may become the newest. */
interface Candidate {
  readonly tree: SignedTree;
  /** If it is in the store. */
  readonly edge: Edge | null;
}

/** The newest tree. */
export interface Head {
  readonly tree: SignedTree;
  readonly tiles: TreeTiles;
}

export class TrustedLog {
  readonly #options: TrustedLogOptions;
  /** Full tiles that are authentic for the head, and so for every later head. */
  readonly #authentic: LRUCache<string, TileNodes>;
  /**
   * Hashes of trees that the head continues, in base64, by size. They say nothing about a tree that
   * is not the head yet.
   */
  readonly #continued = new LRUCache<number, string>({ max: MAX_REMEMBERED_TREES });
  /** The sizes of the trees in the store that have been compared. */
  readonly #compared = new LRUCache<number, true>({ max: MAX_REMEMBERED_TREES });
  readonly #reads = new SingleFlight<void>(1);
  readonly #turn: Semaphore;
  /** Trees that wait for their turn, or have it. */
  readonly #candidates = new Set<Candidate>();
  #head: Head | null = null;
  #readAtMs = -Infinity;
  #fork: { readonly report: string; isKept: boolean } | null = null;

  constructor(options: TrustedLogOptions) {
    this.#options = options;
    this.#authentic = new LRUCache({
      maxSize: options.tileCacheBytes,
      sizeCalculation: ({ sizeBytes }) => sizeBytes,
    });
    this.#turn = new Semaphore({
      what: `follow the log of ${options.key.name}`,
      permits: 1,
      maxWaiting: MAX_WAITING,
      maxWaitMs: MAX_WAIT_MS,
    });
  }

  /**
   * The newest tree, or null if none has been seen yet.
   *
   * @throws {ForkError}
   * @throws {StorageError | DeadlineError} when none is known because the store cannot be read
   */
  async head(): Promise<Head | null> {
    await this.#readStore();
    return this.#head;
  }

  /** As {@linkcode head}, but reads the store first, however recently that was done. */
  async freshHead(): Promise<Head | null> {
    this.#readAtMs = -Infinity;
    return await this.head();
  }

  /**
   * Compares a signed tree with the newest one, and makes it the newest if it is larger.
   *
   * @returns the newest tree, which is now at least as large
   * @throws {UnverifiedError} when the note, or a tile that is needed, is not what the key has
   * signed
   * @throws {ForkError} when the two trees exclude each other
   * @throws {UpstreamError | DeadlineError | StorageError | OverloadedError} when that cannot be
   * determined
   */
  async follow(note: Uint8Array): Promise<Head> {
    const tree = openTree(note, this.#options.key);
    await this.#readStore();
    const head = await this.#compare(tree, null);
    this.#options.onTree?.(this.#options.key.name, tree);
    await this.#readStore();
    return this.#head ?? head;
  }

  /** @param edge of the tree, if that is in the store */
  async #compare(tree: SignedTree, edge: Edge | null): Promise<Head> {
    if (this.#head !== null && tree.size <= this.#head.tree.size) {
      return await this.#compareWithHead(tree, this.#head);
    }
    const own: Candidate = { tree, edge };
    this.#candidates.add(own);
    try {
      using _turn = await this.#turn.acquire();
      // Another one may have become the newest meanwhile.
      const head = this.#head;
      if (head !== null && tree.size <= head.tree.size) {
        return await this.#compareWithHead(tree, head);
      }
      const largest = this.#largestCandidate(own);
      if (largest === own) return await this.#goOn(head, own);
      // One step for all that wait: the others are compared with the largest, in memory mostly.
      const newest = await this.#tryToGoOn(head, largest) ?? await this.#goOn(head, own);
      return newest.tree === tree ? newest : await this.#compareWithHead(tree, newest);
    } finally {
      this.#candidates.delete(own);
    }
  }

  #largestCandidate(own: Candidate): Candidate {
    let largest = own;
    for (const other of this.#candidates) {
      if (other.tree.size > largest.tree.size) largest = other;
    }
    return largest;
  }

  /** Null if it fails: whoever brought this tree meets the failure at their own turn. */
  async #tryToGoOn(head: Head | null, candidate: Candidate): Promise<Head | null> {
    try {
      return await this.#goOn(head, candidate);
    } catch (error) {
      if (error instanceof ForkError || !(error instanceof ProxyError)) throw error;
      this.#candidates.delete(candidate);
      return null;
    }
  }

  async #compareWithHead(older: SignedTree, head: Head): Promise<Head> {
    const hash = older.hash.toBase64();
    if (this.#continued.get(older.size) !== hash) await this.#refuseFork(older, head);
    this.#continued.set(older.size, hash);
    return head;
  }

  /**
   * Makes `tree` the newest one. Nothing of it is stored or trusted until all of it is verified.
   */
  async #goOn(
    head: Head | null,
    { tree, edge }: Candidate,
  ): Promise<Head> {
    const authentic = new Map<string, TileNodes>();
    const unkept: [Tile, Uint8Array<ArrayBuffer>][] = [];
    const tiles = await TreeTiles.open(tree, {
      authentic,
      load: (tile, { fresh }) => this.#load(tile, { fresh, edge }),
      keep: (tile, bytes) => Promise.resolve(void unkept.push([tile, bytes])),
    });
    if (head !== null) await this.#refuseFork(head.tree, { tree, tiles });
    await Promise.all(unkept.map(([tile, bytes]) => this.#options.kept.createTile(tile, bytes)));
    if (edge === null) await this.#keepTree({ tree, tiles });

    for (const [path, tile] of authentic) this.#authentic.set(path, tile);
    const trusted = tiles.with({
      authentic: this.#authentic,
      load: (tile, { fresh }) => this.#load(tile, { fresh, edge: null }),
      keep: (tile, bytes) => this.#options.kept.createTile(tile, bytes),
    });
    return this.#head = { tree, tiles: trusted };
  }

  async #keepTree(head: Head): Promise<void> {
    const { kept } = this.#options;
    const { tree, tiles } = head;
    const edge = new Map([...tiles.edge].map(([path, { bytes }]) => [path, bytes]));
    const outcome = await kept.createTree({ tree, edge });
    // Another replica may have continued the same tree at the same time.
    this.#readAtMs = -Infinity;
    const other = outcome === "exists" ? await kept.tree(tree.size) : null;
    if (other !== null) await this.#refuseFork(other.tree, head);
    this.#compared.set(tree.size, true);
  }

  /** Returns if `newer` begins with all records of `older`, which is not larger. */
  async #refuseFork(older: SignedTree, newer: Head): Promise<void> {
    if (!await newer.tiles.continues(older)) await this.#refuse(older, newer);
  }

  async #refuse(older: SignedTree, newer: Head): Promise<never> {
    const { key: { name }, kept: { forkKey: key }, log } = this.#options;
    const begin = await newer.tiles.hash({ start: 0, end: older.size });
    const proof = await newer.tiles.proofOf(older.size);
    // The report accuses the database and stays in the store, so a mistake of ours must be
    // excluded.
    const isProven = checkTreeProof(proof, { older: { ...older, hash: begin }, newer: newer.tree });
    if (!isProven) throw new Error(`the tiles of ${name} and the proof from them disagree`);
    const report = forkReport({ name, key, older, newer: newer.tree, begin, proof });
    log.error({ database: name, report }, "a checksum database has forked its log");
    this.#fork ??= { report, isKept: false };
    throw await this.#refusalFor(this.#fork);
  }

  async #refuseIfForked(): Promise<void> {
    if (this.#fork !== null) throw await this.#refusalFor(this.#fork);
  }

  /**
   * Stores the report so that other replicas refuse too; if the store fails, each refusal tries
   * again.
   */
  async #refusalFor(fork: { readonly report: string; isKept: boolean }): Promise<ForkError> {
    try {
      if (!fork.isKept) await this.#options.kept.createFork(fork.report);
      fork.isKept = true;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#options.log.error({ error: describeError(error) }, "cannot store the report of a fork");
    }
    return new ForkError(forkSummary(fork.report));
  }

  /** Reads what other replicas have stored, unless that was done a moment ago. */
  async #readStore(): Promise<void> {
    await this.#refuseIfForked();
    const { now, stateTtlMs, log } = this.#options;
    if (this.#reads.size === 0 && now() - this.#readAtMs < stateTtlMs) return;
    try {
      await this.#reads.run("", () => {
        this.#readAtMs = now();
        return this.#readOthers();
      });
    } catch (error) {
      if (error instanceof ForkError || !(error instanceof ProxyError)) throw error;
      if (this.#head === null) {
        this.#readAtMs = -Infinity;
        throw error;
      }
      log.warn({ error: describeError(error) }, "cannot compare with the trees in the store");
    }
    await this.#refuseIfForked();
  }

  async #readOthers(): Promise<void> {
    const { kept } = this.#options;
    const report = await kept.fork();
    if (report !== null) {
      this.#fork = { report, isKept: true };
      return;
    }
    for (const size of await kept.largestTrees(MAX_TREES)) {
      const other = this.#compared.has(size) ? null : await kept.tree(size);
      if (other === null) continue;
      await this.#compare(other.tree, other.edge);
      this.#compared.set(size, true);
    }
  }

  async #load(
    tile: Tile,
    { fresh, edge }: { readonly fresh: boolean; readonly edge: Edge | null },
  ): Promise<LoadedTile> {
    const bytes = fresh ? null : edge?.get(formatTilePath(tile)) ?? await this.#find(tile);
    return bytes === null
      ? { bytes: await this.#fetch(tile), isKept: false }
      : { bytes, isKept: true };
  }

  /** A full tile from the store, or a partial one that the head has too. */
  async #find(tile: Tile): Promise<Uint8Array<ArrayBuffer> | null> {
    const path = formatTilePath(tile);
    const known = this.#authentic.get(path) ?? this.#head?.tiles.edge.get(path);
    if (known !== undefined) return known.bytes;
    return tile.width === TILE_WIDTH ? await this.#options.kept.tile(tile) : null;
  }

  /** A database may delete a partial tile once it has the full one. */
  async #fetch(tile: Tile): Promise<Uint8Array<ArrayBuffer>> {
    for (const width of new Set([tile.width, TILE_WIDTH])) {
      try {
        const bytes = await this.#options.fetch(
          formatTilePath({ ...tile, width }),
          FULL_TILE_BYTES,
        );
        const isWhole = bytes.length === width * HASH_BYTES;
        return isWhole ? bytes.slice(0, tile.width * HASH_BYTES) : bytes;
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
      }
    }
    // Not "not found": the log must have the tile, and the record that needs it may well exist.
    throw new UpstreamError(
      `Cannot verify with ${this.#options.key.name}: it does not have ${
        formatTilePath(tile)
      } of a tree that it has signed`,
    );
  }
}
