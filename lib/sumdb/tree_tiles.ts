/**
 * The hashes of one signed tree, read from untrusted tiles.
 *
 * Every tile is authenticated before it is used, in one of two ways: the tiles of the tree's edge
 * together must yield the signed hash of the tree; a full tile must have the hash that its parent,
 * an authenticated tile of the next level, holds for it.
 *
 * Statements about the tree, that it has a record or continues another tree, are then proven to the
 * signed hash again by proof.ts, which knows nothing of tiles. Accepting a false one takes two
 * mistakes.
 *
 * (The `go` command's reader requested the tiles of the edge and other ones in one list, and for
 * some lists skipped the check of a tile between the two: CVE-2026-56865.)
 */
import { SingleFlight } from "../async/single_flight.ts";
import { UnverifiedError } from "./errors.ts";
import {
  foldSubtrees,
  type Hash,
  HASH_BYTES,
  isSameHash,
  type Range,
  type Subtree,
  subtreesOf,
  type Tree,
} from "./merkle.ts";
import { checkRecordProof, checkTreeProof, recordProofRanges, treeProofRanges } from "./proof.ts";
import {
  edgeOf,
  formatTilePath,
  placeOf,
  type Tile,
  TILE_HEIGHT,
  tileIn,
  TileNodes,
  type TilePlace,
} from "./tile.ts";

/** Bytes that claim to be a tile. */
export interface LoadedTile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * They are from our own store or memory: if they turn out wrong, the tile is fetched again, once.
   */
  readonly isKept: boolean;
}

export interface TreeTilesOptions {
  /** Gets a tile from any place; `fresh`: from the database itself. Tiles are verified here. */
  readonly load: (tile: Tile, options: { readonly fresh: boolean }) => Promise<LoadedTile>;
  /**
   * Receives each full tile that is authentic and not stored yet. The tile is used after this has
   * settled.
   */
  readonly keep: (tile: Tile, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /**
   * Full tiles that are authentic for this tree, by {@linkcode formatTilePath}. New ones are added.
   */
  readonly authentic: TileCache;
}

/** By {@linkcode formatTilePath}. */
export type TileMap = ReadonlyMap<string, TileNodes>;

export interface TileCache {
  get(path: string): TileNodes | undefined;
  set(path: string, tile: TileNodes): unknown;
}

/** How many different tiles may be loading at once. */
const MAX_FLIGHTS = 1000;

export class TreeTiles {
  readonly tree: Tree;
  /** The partial tiles, lowest level first. */
  readonly edge: TileMap;
  readonly #options: TreeTilesOptions;
  readonly #flights = new SingleFlight<TileNodes>(MAX_FLIGHTS);

  private constructor(tree: Tree, edge: TileMap, options: TreeTilesOptions) {
    this.tree = tree;
    this.edge = edge;
    this.#options = options;
  }

  /** @throws {UnverifiedError} when the tiles of the edge do not yield the tree's hash */
  static async open(tree: Tree, options: TreeTilesOptions): Promise<TreeTiles> {
    const tiles = edgeOf(tree.size);
    for (const fresh of [false, true]) {
      const loaded = await Promise.all(tiles.map((tile) => options.load(tile, { fresh })));
      const edge = readEdge(tiles, loaded);
      if (edge !== null && isSameHash(hashOfEdge(edge, tree.size), tree.hash)) {
        return new TreeTiles(tree, edge, options);
      }
      if (!loaded.some(({ isKept }) => isKept)) break;
    }
    throw new UnverifiedError(
      `Cannot use the tiles of the tree of ${tree.size} records: they do not yield its signed hash`,
    );
  }

  /** The same tree, read with other options. */
  with(options: TreeTilesOptions): TreeTiles {
    return new TreeTiles(this.tree, this.edge, options);
  }

  /**
   * A tile as wide as the tree has it.
   *
   * @param place of a tile that the tree has
   * @throws {UnverifiedError} when it cannot be authenticated
   */
  async tile(place: TilePlace): Promise<TileNodes> {
    const tile = tileIn(this.tree.size, place);
    const path = formatTilePath(tile);
    const known = this.edge.get(path) ?? this.#options.authentic.get(path);
    if (known !== undefined) return known;
    return await this.#flights.run(path, async () => {
      const nodes = await this.#authenticate(tile);
      this.#options.authentic.set(path, nodes);
      return nodes;
    });
  }

  /** The hash of a node of the tree: of the records in `range`. Throws as {@linkcode tile}. */
  async hash(range: Range): Promise<Hash> {
    return foldSubtrees(
      await Promise.all(subtreesOf(range).map((subtree) => this.#subtree(subtree))),
    );
  }

  /** Whether record `id`, which the tree has, has this hash. Throws as {@linkcode tile}. */
  async hasRecord({ id, hash }: { readonly id: number; readonly hash: Hash }): Promise<boolean> {
    const proof = await this.#hashes(recordProofRanges(id, this.tree.size));
    return checkRecordProof(proof, { tree: this.tree, id, hash });
  }

  /**
   * Whether the tree begins with all records of one that is not larger. Throws as {@linkcode tile}.
   */
  async continues(older: Tree): Promise<boolean> {
    return checkTreeProof(await this.proofOf(older.size), { older, newer: this.tree });
  }

  /** The proof of the first `size` records. Throws as {@linkcode tile}. */
  async proofOf(size: number): Promise<Hash[]> {
    return await this.#hashes(treeProofRanges(size, this.tree.size));
  }

  async #hashes(ranges: readonly Range[]): Promise<Hash[]> {
    return await Promise.all(ranges.map((range) => this.hash(range)));
  }

  async #subtree(subtree: Subtree): Promise<Hash> {
    const { height, index, ...place } = placeOf(subtree);
    return (await this.tile(place)).node(height, index);
  }

  /** Gets a full tile; every tile outside the edge is full. */
  async #authenticate(tile: Tile): Promise<TileNodes> {
    const { load, keep } = this.#options;
    const root = this.#subtree({ level: TILE_HEIGHT * (tile.level + 1), number: tile.number });
    for (const fresh of [false, true]) {
      const [want, { bytes, isKept }] = await Promise.all([root, load(tile, { fresh })]);
      const nodes = readTile(tile, bytes);
      if (nodes !== null && isSameHash(nodes.node(TILE_HEIGHT, 0), want)) {
        if (!isKept) await keep(tile, bytes);
        return nodes;
      }
      if (!isKept) break;
    }
    throw new UnverifiedError(
      `Cannot use ${
        formatTilePath(tile)
      }: it does not belong to the tree of ${this.tree.size} records`,
    );
  }
}

/** Null if its width differs. */
function readTile({ width }: Tile, bytes: Uint8Array<ArrayBuffer>): TileNodes | null {
  return bytes.length === width * HASH_BYTES ? new TileNodes(bytes) : null;
}

function readEdge(tiles: readonly Tile[], loaded: readonly LoadedTile[]): TileMap | null {
  const edge = new Map<string, TileNodes>();
  for (const [i, tile] of tiles.entries()) {
    const nodes = readTile(tile, loaded[i]?.bytes ?? new Uint8Array());
    if (nodes === null) return null;
    edge.set(formatTilePath(tile), nodes);
  }
  return edge;
}

/** The hash of a tree follows from its edge alone. */
export function hashOfEdge(edge: TileMap, size: number): Hash {
  return foldSubtrees(
    subtreesOf({ start: 0, end: size }).map((subtree) => {
      const { height, index, ...place } = placeOf(subtree);
      const path = formatTilePath(tileIn(size, place));
      const nodes = edge.get(path);
      if (nodes === undefined) throw new Error(`${path} is not in the edge of ${size} records`);
      return nodes.node(height, index);
    }),
  );
}
