/**
 * The Merkle tree over a database's records (RFC 6962, section 2.1): a record's hash is
 * SHA-256(0x00 ‖ record), that of two neighbours SHA-256(0x01 ‖ left ‖ right), that of no records
 * SHA-256 of nothing. The left part of a tree of n records is the greatest power of two less than
 * n.
 *
 * A *subtree* is a complete part: the 2^level records from number · 2^level on. Its hash never
 * changes. Everything else is the hash of a *range*, which is computed from those of its greatest
 * subtrees.
 *
 * ```text
 * tree of 7:
 *        ┌─────┴─────┐       subtreesOf({ start: 0, end: 7 }):
 *      ┌─┴─┐       ┌─┴─┐       { level: 2, number: 0 }
 *     ┌┴┐ ┌┴┐     ┌┴┐  │       { level: 1, number: 2 }
 *     0 1 2 3     4 5  6       { level: 0, number: 6 }
 * ```
 *
 * Limits: fewer than 2^53 records. Bit operators end at 2^32 and must not be used on numbers.
 */
import { createHash } from "node:crypto";

/** 32 bytes. */
export type Hash = Uint8Array<ArrayBuffer>;
export const HASH_BYTES = 32;

/** What a database signs: the number of records, and the hash of the tree over them. */
export interface Tree {
  readonly size: number;
  readonly hash: Hash;
}

/** The records from `start` up to, but not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Subtree {
  readonly level: number;
  readonly number: number;
}

const RECORD = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const EMPTY_HASH: Hash = sha256();

export function hashRecord(text: Uint8Array): Hash {
  return sha256(RECORD, text);
}

export function hashNode(left: Uint8Array, right: Uint8Array): Hash {
  return sha256(NODE, left, right);
}

export function isSameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The greatest power of two that is less than `n`, for `n` ≥ 2: the size of a tree's left part. */
export function splitOf(n: number): number {
  let left = 1;
  while (left * 2 < n) left *= 2;
  return left;
}

/**
 * The greatest complete subtrees that a range consists of, from left to right.
 *
 * @param range the records of a node of some tree: `start` is a multiple of the greatest power of
 * two in its length
 */
export function subtreesOf({ start, end }: Range): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = start; at < end;) {
    let level = 0;
    while (2 ** (level + 1) <= end - at) level++;
    subtrees.push({ level, number: at / 2 ** level });
    at += 2 ** level;
  }
  return subtrees;
}

/** The hash of a range from those of its {@linkcode subtreesOf}. */
export function foldSubtrees(hashes: readonly Hash[]): Hash {
  if (hashes.length === 0) return EMPTY_HASH;
  return hashes.reduceRight((right, left) => hashNode(left, right));
}

function sha256(...parts: readonly Uint8Array[]): Hash {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
