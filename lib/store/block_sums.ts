/**
 * Checksums of a file, one for each block of {@linkcode BLOCK_BYTES}, so that a block is checked
 * before it leaves and a range costs only the blocks that it touches. The disk store keeps them in
 * a file of their own:
 *
 * ```text
 * "gmps"   4 bytes
 * format   4 bytes, 1
 * size     8 bytes, of the object
 * size     4 bytes, of a block
 * sums     4 bytes for each block
 * sum      4 bytes, of everything before it and the name
 * ```
 *
 * All numbers have the highest byte first. A sum is the CRC-32 of zlib, which the runtime computes
 * at 8 GB/s. CRC-32C, which buckets use, is computed by JavaScript here, at 0.6 to 1 GB/s
 * (2026-11-29, Deno 2.9.6, two shared cores).
 *
 * Limits: a sum detects accidental damage by a disk or a program. It does not protect against an
 * attacker who can write to the store; the h1 does.
 */
import { crc32 } from "node:zlib";
import { readExactly } from "../scratch/files.ts";

/**
 * One read of this size costs little more than one of 64 KiB, and each open body holds one in
 * memory.
 */
export const BLOCK_BYTES = 256 * 1024;
const HEAD_BYTES = 20;
const SUM_BYTES = 4;
const MAGIC = 0x676d7073;
const FORMAT = 1;

export class BlockSums {
  readonly sizeBytes: number;
  readonly #sums: Uint32Array;

  /** @param sums of as many blocks as an object of `sizeBytes` has */
  constructor(sizeBytes: number, sums: Uint32Array) {
    this.sizeBytes = sizeBytes;
    this.#sums = sums;
  }

  /** The sums of an open file of `sizeBytes` bytes; null where it has fewer. */
  static async of(file: Deno.FsFile, sizeBytes: number): Promise<BlockSums | null> {
    const sums = new Uint32Array(countOf(sizeBytes));
    await file.seek(0, Deno.SeekMode.Start);
    for (let index = 0; index < sums.length; index++) {
      const block = await readExactly(file, lengthOf(index, sizeBytes));
      if (block === null) return null;
      sums[index] = crc32(block);
    }
    return new BlockSums(sizeBytes, sums);
  }

  /**
   * The opposite of {@linkcode encode}; null for bytes that are damaged, of another object, or in
   * another format.
   */
  static decode(bytes: Uint8Array<ArrayBuffer>, name: string): BlockSums | null {
    if (bytes.length < HEAD_BYTES + SUM_BYTES) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = bytes.length - SUM_BYTES;
    if (view.getUint32(end) !== sealOf(bytes.subarray(0, end), name)) return null;
    const isOurs = view.getUint32(0) === MAGIC && view.getUint32(4) === FORMAT &&
      view.getUint32(16) === BLOCK_BYTES;
    const sizeBytes = Number(view.getBigUint64(8));
    if (!isOurs || end !== HEAD_BYTES + SUM_BYTES * countOf(sizeBytes)) return null;
    const sums = new Uint32Array(countOf(sizeBytes));
    for (const index of sums.keys()) sums[index] = view.getUint32(HEAD_BYTES + SUM_BYTES * index);
    return new BlockSums(sizeBytes, sums);
  }

  /** @param name of the object, which is not in the bytes: those of another one are then wrong */
  encode(name: string): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(encodedBytes(this.sizeBytes));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, MAGIC);
    view.setUint32(4, FORMAT);
    view.setBigUint64(8, BigInt(this.sizeBytes));
    view.setUint32(16, BLOCK_BYTES);
    for (const [index, sum] of this.#sums.entries()) {
      view.setUint32(HEAD_BYTES + SUM_BYTES * index, sum);
    }
    const end = bytes.length - SUM_BYTES;
    view.setUint32(end, sealOf(bytes.subarray(0, end), name));
    return bytes;
  }

  /**
   * The bytes of a block, from a file that stands at its start; null where they are not what was
   * summed.
   *
   * @param index counted from 0
   */
  async read(file: Deno.FsFile, index: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const block = await readExactly(file, lengthOf(index, this.sizeBytes));
    return block !== null && crc32(block) === this.#sums[index] ? block : null;
  }
}

/** Sums up an object while it is written. */
export class BlockSummer {
  readonly #sums: number[] = [];
  #sizeBytes = 0;

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const filled = this.#sizeBytes % BLOCK_BYTES;
      if (filled === 0) this.#sums.push(0);
      const part = chunk.subarray(at, at + BLOCK_BYTES - filled);
      this.#sums.push(crc32(part, this.#sums.pop()));
      this.#sizeBytes += part.length;
      at += part.length;
    }
  }

  /** The sum of a block as far as it has been added; undefined where nothing of it has. */
  at(index: number): number | undefined {
    return this.#sums[index];
  }

  finish(): BlockSums {
    return new BlockSums(this.#sizeBytes, Uint32Array.from(this.#sums));
  }
}

/** How many bytes the sums of an object of `sizeBytes` bytes take. */
export function encodedBytes(sizeBytes: number): number {
  return HEAD_BYTES + SUM_BYTES * (countOf(sizeBytes) + 1);
}

function sealOf(bytes: Uint8Array, name: string): number {
  return crc32(name, crc32(bytes));
}

function countOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES);
}

function lengthOf(index: number, sizeBytes: number): number {
  return Math.min(BLOCK_BYTES, sizeBytes - index * BLOCK_BYTES);
}
