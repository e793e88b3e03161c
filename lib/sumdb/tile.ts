/**
 * Tiles: the form in which a database serves its tree (golang.org/design/25530-sumdb,
 * research.swtch.com/tlog).
 *
 * A hash tile of level L has 256 neighbouring subtree hashes of the tree's level 8·L, number N
 * those from 256·N on. All hashes between the levels of tiles follow from them. A data tile has the
 * records themselves. At the end of the log, a tile is *partial*: it has only the first W.
 *
 * ```text
 * tile/8/0/000          level 0, records 0 to 255: a full tile, which never changes
 * tile/8/1/x001/067     level 1, number 1067: three digits an element, "x" before all but the last
 * tile/8/0/004.p/12     the first 12 hashes of a tile
 * tile/8/data/004.p/12  the first 12 records of the same
 * ```
 *
 * Each nonzero digit of a log's size in base 256 is the width of the one partial tile of that
 * level. The hash of the whole tree follows from these partial tiles alone: they are its *edge*.
 * Every other tile is full, and its hash is in a tile of the next level.
 *
 * Limits: height 8, the only one in use.
 */
import { type Hash, HASH_BYTES, hashNode, type Subtree } from "./merkle.ts";

export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 2 ** TILE_HEIGHT;
export const FULL_TILE_BYTES = TILE_WIDTH * HASH_BYTES;

export interface TilePlace {
  readonly level: number;
  readonly number: number;
}

export interface Tile extends TilePlace {
  /** Number of hashes: 1 to {@linkcode TILE_WIDTH}. */
  readonly width: number;
}

export interface DataTile {
  readonly level: "data";
  readonly number: number;
  /** Number of records: 1 to {@linkcode TILE_WIDTH}. */
  readonly width: number;
}

export function formatTilePath({ level, number, width }: Tile | DataTile): string {
  const groups = String(number).padStart(Math.ceil(String(number).length / 3) * 3, "0")
    .match(/\d{3}/g) ?? [];
  const name = groups.map((group, i) => i < groups.length - 1 ? `x${group}` : group).join("/");
  return `tile/${TILE_HEIGHT}/${level}/${name}${width < TILE_WIDTH ? `.p/${width}` : ""}`;
}

const TILE_PATH = /^tile\/8\/(data|\d)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/;

/**
 * The tile of a path, or null if the path is not in canonical form or beyond every possible log.
 */
export function parseTilePath(path: string): Tile | DataTile | null {
  const [, level, name, digits] = TILE_PATH.exec(path) ?? [];
  if (level === undefined || name === undefined) return null;
  const number = Number(name.replaceAll(/[x/]/g, ""));
  const width = Number(digits ?? TILE_WIDTH);
  const tile: Tile | DataTile = level === "data"
    ? { level, number, width }
    : { level: Number(level), number, width };
  const isTile = width > 0 && Number.isSafeInteger(recordsUpTo(tile));
  return isTile && formatTilePath(tile) === path ? tile : null;
}

/** The least number of records of a log that has this tile. */
export function recordsUpTo({ level, number, width }: Tile | DataTile): number {
  return (number * TILE_WIDTH + width) * TILE_WIDTH ** (level === "data" ? 0 : level);
}

/**
 * The tile at a place, as wide as a log of `size` records has it.
 *
 * @throws {Error} when the log has no tile there
 */
export function tileIn(size: number, { level, number }: TilePlace): Tile {
  const hashes = Math.floor(size / TILE_WIDTH ** level) - number * TILE_WIDTH;
  if (hashes < 1) throw new Error(`a log of ${size} records has no tile ${level}/${number}`);
  return { level, number, width: Math.min(TILE_WIDTH, hashes) };
}

/** The partial tiles of a log of `size` records, lowest level first. */
export function edgeOf(size: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0, rest = size; rest > 0; level++, rest = Math.floor(rest / TILE_WIDTH)) {
    const width = rest % TILE_WIDTH;
    if (width > 0) tiles.push({ level, number: Math.floor(rest / TILE_WIDTH), width });
  }
  return tiles;
}

/**
 * The tile that a subtree's hash follows from, and where: as number `index` of its nodes of height
 * `height`.
 */
export function placeOf({ level, number }: Subtree): TilePlace & { height: number; index: number } {
  const height = level % TILE_HEIGHT;
  const nodes = 2 ** (TILE_HEIGHT - height);
  return {
    level: (level - height) / TILE_HEIGHT,
    number: Math.floor(number / nodes),
    height,
    index: number % nodes,
  };
}

/** The hashes of a tile and of all complete subtrees within it, computed once. */
export class TileNodes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** By height: the tile itself, the hashes of its pairs, those of their pairs, … */
  readonly #heights: readonly Uint8Array<ArrayBuffer>[];

  /** @param bytes at least one hash, at most {@linkcode TILE_WIDTH} */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    const heights = [bytes];
    for (let nodes = bytes; nodes.length >= 2 * HASH_BYTES;) heights.push(nodes = hashPairs(nodes));
    this.#heights = heights;
  }

  /** Approximate memory use. */
  get sizeBytes(): number {
    return 2 * this.bytes.length;
  }

  /** @throws {Error} when the tile has no such node */
  node(height: number, index: number): Hash {
    const nodes = this.#heights[height] ?? new Uint8Array();
    if ((index + 1) * HASH_BYTES > nodes.length) {
      throw new Error(`a tile of ${this.bytes.length} bytes has no node ${height}/${index}`);
    }
    return hashAt(nodes, index);
  }
}

/** A last hash without a neighbour is left out. */
function hashPairs(nodes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const pairs = new Uint8Array(Math.floor(nodes.length / (2 * HASH_BYTES)) * HASH_BYTES);
  for (let i = 0; i * HASH_BYTES < pairs.length; i++) {
    pairs.set(hashNode(hashAt(nodes, 2 * i), hashAt(nodes, 2 * i + 1)), i * HASH_BYTES);
  }
  return pairs;
}

function hashAt(nodes: Uint8Array<ArrayBuffer>, index: number): Hash {
  return nodes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
}
