/**
 * A tree that records are appended to. It needs only the edge (tile.ts): at most 255 hashes a
 * level, however many records there are.
 */
import { Buffer } from "node:buffer";
import type { Hash, Tree } from "./merkle.ts";
import { edgeOf, formatTilePath, type Tile, TILE_HEIGHT, TILE_WIDTH, TileNodes } from "./tile.ts";
import { hashOfEdge, type TileMap } from "./tree_tiles.ts";

export interface FullTile {
  readonly tile: Tile;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export class GrowingTree {
  /** The tiles filled so far, in order. */
  readonly full: FullTile[] = [];
  /** By level: the hashes of the partial tile. */
  readonly #levels: Hash[][];
  #size: number;

  /** @param edge of the tree of `size` records, with which this one begins */
  constructor(size: number, edge: TileMap) {
    this.#size = size;
    this.#levels = [];
    for (const tile of edgeOf(size)) {
      const nodes = edge.get(formatTilePath(tile));
      if (nodes === undefined) throw new Error(`${formatTilePath(tile)} is not in the edge`);
      this.#levels[tile.level] = Array.from({ length: tile.width }, (_, i) => nodes.node(0, i));
    }
  }

  /** Appends a record. */
  append(hash: Hash): void {
    this.#size++;
    let node = hash;
    for (let level = 0;; level++) {
      const hashes = this.#levels[level] ??= [];
      hashes.push(node);
      if (hashes.length < TILE_WIDTH) return;
      const bytes = Buffer.concat(hashes);
      const number = this.#size / TILE_WIDTH ** (level + 1) - 1;
      this.full.push({ tile: { level, number, width: TILE_WIDTH }, bytes });
      this.#levels[level] = [];
      node = new TileNodes(bytes).node(TILE_HEIGHT, 0);
    }
  }

  /** The current partial tiles. */
  edge(): TileMap {
    return new Map(
      edgeOf(this.#size).map((tile) => {
        const bytes = Buffer.concat(this.#levels[tile.level] ?? []);
        return [formatTilePath(tile), new TileNodes(bytes)];
      }),
    );
  }

  tree(): Tree {
    return { size: this.#size, hash: hashOfEdge(this.edge(), this.#size) };
  }
}
