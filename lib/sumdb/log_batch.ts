/**
 * A batch: the object that one create adds to our own log (private_log.ts). It holds everything
 * that the next batch needs to know of its predecessors.
 *
 * ```text
 * {"format":1,"number":3,"previous":{"size":254,"hash":"…"},"size":257,"hash":"…"}⏎
 * <hashes>
 * <records>
 * ```
 *
 * The first line is for people and programs (`head -1 | jq`): the number of the batch, from 1, and
 * the tree before and after it. The rest is what the tree is computed from. Let the *base* be the
 * greatest multiple of 256 not above `previous.size`: first the partial hash tiles of the tree of
 * that many records, lowest level first (none is of level 0), then all records from the base on as
 * in a data tile, the new ones last.
 *
 * A batch is therefore self-contained: both hashes are recomputed when it is read, partial tiles
 * are cut from it, and so are the tiles that it has filled. The price is up to 255 records that
 * were in the previous batch as well, some 30 KiB on average; logs in tiles rewrite their partial
 * tiles in the same way.
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { UnverifiedError } from "./errors.ts";
import { GrowingTree } from "./growing_tree.ts";
import { parseJson } from "../module/json.ts";
import { MAX_DATA_TILE_BYTES } from "./log_folder.ts";
import { EMPTY_HASH, HASH_BYTES, hashRecord, isSameHash, type Tree } from "./merkle.ts";
import { joinRecords, splitRecords } from "./record.ts";
import { type DataTile, edgeOf, formatTilePath, type Tile, TILE_WIDTH, TileNodes } from "./tile.ts";
import type { TileMap } from "./tree_tiles.ts";

/** How many records one batch may add. */
export const MAX_NEW_RECORDS = 256;

/**
 * The first line, seven levels of partial tiles, the records of the base's tile and as many new
 * ones.
 */
export const MAX_BATCH_BYTES = 1024 + 7 * TILE_WIDTH * HASH_BYTES + 2 * MAX_DATA_TILE_BYTES;

type Text = Uint8Array<ArrayBuffer>;

export interface LogBatch {
  /** From 1; 0 for the empty log. */
  readonly number: number;
  readonly previous: Tree;
  readonly tree: Tree;
  /** The partial tiles of {@linkcode tree}, lowest level first. */
  readonly edge: TileMap;
  /** The tiles that this batch has filled. */
  readonly full: readonly { readonly tile: Tile | DataTile; readonly bytes: Text }[];
  /** The number of the first of {@linkcode texts}. */
  readonly base: number;
  readonly baseEdge: TileMap;
  /** The texts of all records from the base on. */
  readonly texts: readonly Text[];
}

const EMPTY_TREE: Tree = { size: 0, hash: EMPTY_HASH };

/** A log without batches. */
export const NO_BATCH: LogBatch = {
  number: 0,
  previous: EMPTY_TREE,
  tree: EMPTY_TREE,
  edge: new Map(),
  full: [],
  base: 0,
  baseEdge: new Map(),
  texts: [],
};

/** @param texts of at least one new record, at most {@linkcode MAX_NEW_RECORDS} */
export function batchAfter(batch: LogBatch, texts: readonly Text[]): LogBatch {
  const base = baseOf(batch.tree);
  const isHigher = ([path]: [string, TileNodes]) => !path.startsWith(LEVEL_0);
  return makeBatch({
    number: batch.number + 1,
    previousSize: batch.tree.size,
    base,
    baseEdge: new Map([...batch.edge].filter(isHigher)),
    texts: [...batch.texts.slice(base - batch.base), ...texts],
  });
}

/** The records that a batch has added, with their numbers. */
export function newTexts({ previous, base, texts }: LogBatch): { id: number; text: Text }[] {
  return texts.map((text, i) => ({ id: base + i, text })).slice(previous.size - base);
}

export function encodeBatch({ number, previous, tree, baseEdge, texts }: LogBatch): Text {
  const line = JSON.stringify({
    format: 1,
    number,
    previous: { size: previous.size, hash: previous.hash.toBase64() },
    size: tree.size,
    hash: tree.hash.toBase64(),
  });
  const hashes = [...baseEdge.values()].map(({ bytes }) => bytes);
  return Buffer.concat([new TextEncoder().encode(`${line}\n`), ...hashes, joinRecords(texts)]);
}

/**
 * @throws {UnverifiedError} when the bytes are not the batch of this number, or its hashes do not
 * match its records
 */
export function decodeBatch(bytes: Text, number: number): LogBatch {
  const refuse = (fault: string) => new UnverifiedError(`Cannot read batch ${number}: ${fault}`);
  const end = bytes.indexOf(NEWLINE);
  const parsed = LINE.safeParse(parseJson(bytes.subarray(0, Math.max(0, end))));
  if (!parsed.success) throw refuse("it does not begin with a valid first line");
  const line = parsed.data;
  const base = baseOf(line.previous);
  const baseEdge = new Map<string, TileNodes>();
  let at = end + 1;
  for (const tile of edgeOf(base)) {
    const hashes = bytes.slice(at, at += tile.width * HASH_BYTES);
    if (hashes.length < tile.width * HASH_BYTES) throw refuse("it ends early");
    baseEdge.set(formatTilePath(tile), new TileNodes(hashes));
  }
  const texts = splitRecords(bytes.slice(at));
  if (texts === null || base + texts.length !== line.size || line.size <= line.previous.size) {
    throw refuse(`it does not have the records up to ${line.size}`);
  }
  const previousSize = line.previous.size;
  const batch = makeBatch({ number: line.number, previousSize, base, baseEdge, texts });
  if (batch.number !== number) throw refuse(`it is batch ${batch.number}`);
  for (const [tree, said] of [[batch.previous, line.previous], [batch.tree, line]] as const) {
    if (tree.hash.toBase64() !== said.hash) {
      throw refuse(`its records do not have hash ${said.hash}`);
    }
  }
  return batch;
}

/** Whether `batch` begins where `head` ends. */
export function follows(batch: LogBatch, head: LogBatch): boolean {
  return batch.number === head.number + 1 && batch.previous.size === head.tree.size &&
    isSameHash(batch.previous.hash, head.tree.hash);
}

const LEVEL_0 = "tile/8/0/";
const NEWLINE = 0x0a;

const size = z.int().nonnegative();
const LINE = z.object({
  format: z.literal(1),
  number: z.int().positive(),
  previous: z.object({ size, hash: z.string() }),
  size,
  hash: z.string(),
});

function baseOf({ size }: Pick<Tree, "size">): number {
  return size - size % TILE_WIDTH;
}

type Parts = Pick<LogBatch, "number" | "base" | "baseEdge" | "texts"> & { previousSize: number };

function makeBatch({ number, previousSize, base, baseEdge, texts }: Parts): LogBatch {
  const growing = new GrowingTree(base, baseEdge);
  const hashes = texts.map(hashRecord);
  for (const hash of hashes.slice(0, previousSize - base)) growing.append(hash);
  const previous = growing.tree();
  for (const hash of hashes.slice(previousSize - base)) growing.append(hash);
  const full = [...growing.full, ...fullDataTiles(base, texts)];
  const tree = growing.tree();
  return { number, previous, tree, edge: growing.edge(), full, base, baseEdge, texts };
}

function fullDataTiles(base: number, texts: readonly Text[]) {
  const tiles: { tile: DataTile; bytes: Text }[] = [];
  for (let end = TILE_WIDTH; end <= texts.length; end += TILE_WIDTH) {
    const number = (base + end) / TILE_WIDTH - 1;
    const bytes = joinRecords(texts.slice(end - TILE_WIDTH, end));
    tiles.push({ tile: { level: "data", number, width: TILE_WIDTH }, bytes });
  }
  return tiles;
}
