/**
 * Writes a zip, file after file, in bounded memory: PKWARE's APPNOTE.TXT 6.3, as much of it as a
 * module zip needs.
 *
 * ```
 * for each file: local header, name, deflated content,
 *   data descriptor (checksum and sizes, which are not known before)
 * for each file: directory header, name
 * with 65,535 files or more: zip64 end record and its locator
 * end record
 * ```
 *
 * Names are UTF-8. There are no modes, extra fields or comments, and all times are the same day, so
 * that the same files make the same bytes.
 *
 * Why not a library: yazl looks through all entries for each one it writes, and holds what it was
 * given until the end; zip-stream holds less and keeps others waiting for longer. (100,000 small
 * files: yazl takes 128 s and 24 GB.) `@zip.js/zip.js`, which takes deflated content as it is
 * (`passThrough`), was not compared: it runs each file through web streams of its own, where this
 * deflates small files in one call.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { constants, crc32, deflateRawSync } from "node:zlib";
import type { HashedEntry } from "./hash.ts";
import type { Pace } from "../async/pace.ts";
import { ZipError } from "./rules.ts";

/** A zip of Go code becomes 3 % larger than by level 6, in half the time. */
const DEFLATE_LEVEL = 3;

/**
 * For what becomes no smaller: deflate streams that hold the bytes as they are, in a twentieth of
 * the time.
 */
const STORED_LEVEL = 0;

/** What is looked at of a piece, and how large it has to be for that to save time, */
const SAMPLES = 8;
const SAMPLE_BYTES = 1024;
const MIN_SAMPLED_BYTES = 64 * 1024;
/** and what must be left of it at least. */
const DENSE = 0.98;

/** How much content is deflated in one call. Of a file, no more is held than that and a chunk. */
const PIECE_BYTES = 256 * 1024;

/** Output is collected up to this size before it goes to the file. */
const WRITE_BYTES = 256 * 1024;

/** How many bytes are inflated, which is what {@linkcode Pace} counts by, while one is deflated. */
const DEFLATE_COST = 4;

/** How many bytes are copied while one is inflated. */
const COPIES_PER_INFLATION = 4;

/** What a file costs besides its content, as if it were so much content. */
const ENTRY_COST_BYTES = 16 * 1024;

const VERSION_DEFLATE = 20;
const VERSION_ZIP64 = 45;
const HAS_DESCRIPTOR = 1 << 3;
const NAME_IS_UTF8 = 1 << 11;
const DEFLATED = 8;
/** The first day that the format has: 1980-01-01. */
const DATE = (1 << 5) | 1;
/** As a count: look into the zip64 record. */
const IN_ZIP64 = 0xffff;

export interface ZipWriterOptions {
  /**
   * Larger than this the zip does not become. At most 4 GiB: there is no zip64 for sizes and
   * offsets.
   */
  readonly limitBytes: number;
  readonly pace: Pace;
}

/** What a file holds, in chunks of any size. */
export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * A file whose content is a deflate stream already (RFC 1951), with what must be known of the
 * content.
 */
export interface DeflatedFile {
  readonly chunks: Chunks;
  /** Of the content: 64 lower-case hex digits, */
  readonly sha256: string;
  readonly crc32: number;
  readonly sizeBytes: number;
}

export interface WrittenZip {
  /** Of the zip file. */
  readonly sizeBytes: number;
  /** In the order in which they were added. */
  readonly entries: readonly WrittenEntry[];
}

export interface WrittenEntry extends HashedEntry {
  readonly crc32: number;
  readonly sizeBytes: number;
  readonly compressedBytes: number;
  readonly compressedCrc32: number;
  /** Where its local header begins, */
  readonly offset: number;
  /** and where its compressed content does. */
  readonly contentOffset: number;
}

/** Where the directory lies, and how many entries it has. */
interface Directory {
  readonly count: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

export class ZipWriter {
  readonly #file: Deno.FsFile;
  readonly #limitBytes: number;
  readonly #pace: Pace;
  readonly #entries: WrittenEntry[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** All that was written, the pending bytes included. */
  #sizeBytes = 0;

  /** Writes an empty file full. `file` stays the caller's to close, also after a failure. */
  constructor(file: Deno.FsFile, { limitBytes, pace }: ZipWriterOptions) {
    this.#file = file;
    this.#limitBytes = limitBytes;
    this.#pace = pace;
  }

  /**
   * Adds a file under its whole name. One at a time.
   *
   * @throws {ZipError} when the zip becomes larger than its limit
   * @throws what `content` throws. After a failure the zip cannot be continued
   */
  async add(name: string, content: Chunks): Promise<void> {
    const start = await this.#begin(name);
    const hash = createHash("sha256");
    let checksum = 0;
    let compressedCrc32 = 0;
    let sizeBytes = 0;
    for await (const { piece, isLast } of piecesOf(content)) {
      hash.update(piece);
      checksum = crc32(piece, checksum);
      sizeBytes += piece.length;
      const deflated = deflatePiece(piece, isLast);
      compressedCrc32 = crc32(deflated, compressedCrc32);
      await this.#write(deflated);
      await this.#pace.spend(DEFLATE_COST * piece.length);
    }
    const facts = { sha256: hash.digest("hex"), crc32: checksum, sizeBytes };
    await this.#end({ ...start, ...facts, compressedCrc32 });
    await this.#pace.spend(ENTRY_COST_BYTES);
  }

  /**
   * As {@linkcode add}, for a file that is deflated already; whether that is true is its giver's to
   * check.
   */
  async addDeflated(
    name: string,
    { chunks, sha256, crc32: checksum, sizeBytes }: DeflatedFile,
  ): Promise<void> {
    const start = await this.#begin(name);
    let compressedCrc32 = 0;
    for await (const chunk of chunks) {
      compressedCrc32 = crc32(chunk, compressedCrc32);
      await this.#write(chunk);
      await this.#pace.spend(chunk.length / COPIES_PER_INFLATION);
    }
    await this.#end({ ...start, sha256, crc32: checksum, sizeBytes, compressedCrc32 });
    await this.#pace.spend(ENTRY_COST_BYTES / COPIES_PER_INFLATION);
  }

  /**
   * Writes the directory. Nothing can be added afterwards.
   *
   * @throws {ZipError} as for `add`
   */
  async finish(): Promise<WrittenZip> {
    const offset = this.#sizeBytes;
    for (const entry of this.#entries) {
      await this.#write(directoryHeader(entry));
      await this.#pace.spend(ENTRY_COST_BYTES);
    }
    const endOffset = this.#sizeBytes;
    const directory = { count: this.#entries.length, offset, sizeBytes: endOffset - offset };
    if (directory.count >= IN_ZIP64) await this.#write(zip64End(directory, endOffset));
    await this.#write(endRecord(directory));
    await this.#flush();
    return { sizeBytes: this.#sizeBytes, entries: this.#entries };
  }

  async #begin(name: string): Promise<Pick<WrittenEntry, "name" | "offset" | "contentOffset">> {
    const offset = this.#sizeBytes;
    await this.#write(localHeader(name));
    return { name, offset, contentOffset: this.#sizeBytes };
  }

  async #end(facts: Omit<WrittenEntry, "compressedBytes">): Promise<void> {
    const entry = { ...facts, compressedBytes: this.#sizeBytes - facts.contentOffset };
    await this.#write(dataDescriptor(entry));
    this.#entries.push(entry);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > this.#limitBytes) {
      throw new ZipError(`Cannot make zip: it becomes larger than ${this.#limitBytes} bytes`);
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= WRITE_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    let bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    while (bytes.length > 0) bytes = bytes.subarray(await this.#file.write(bytes));
  }
}

/**
 * Cut again, wherever chunks begin and end: into pieces of {@linkcode PIECE_BYTES}, and a last one
 * of 0 bytes or more.
 */
async function* piecesOf(content: Chunks): AsyncGenerator<{ piece: Uint8Array; isLast: boolean }> {
  let held: Uint8Array[] = [];
  let missingBytes = PIECE_BYTES;
  for await (let chunk of content) {
    while (chunk.length >= missingBytes) {
      yield { piece: Buffer.concat([...held, chunk.subarray(0, missingBytes)]), isLast: false };
      chunk = chunk.subarray(missingBytes);
      held = [];
      missingBytes = PIECE_BYTES;
    }
    held.push(chunk);
    missingBytes -= chunk.length;
  }
  yield { piece: Buffer.concat(held), isLast: true };
}

/**
 * A part of a deflate stream. Each piece is deflated by itself, without a look back, and ends at a
 * whole byte; so the stream is its pieces one behind the other. Files larger than a piece become 2
 * % larger by it.
 *
 * A stream of zlib, asynchronous as it looks, would do no better: in Deno it works on the main
 * thread all the same, and in turns that it does not share.
 */
function deflatePiece(piece: Uint8Array, isLast: boolean): Uint8Array {
  const finishFlush = isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
  const level = isDense(piece) ? STORED_LEVEL : DEFLATE_LEVEL;
  return deflateRawSync(piece, { level, finishFlush });
}

/**
 * Whether a piece is compressed already, or random: small samples from all over it do not become
 * smaller.
 */
function isDense(piece: Uint8Array): boolean {
  if (piece.length < MIN_SAMPLED_BYTES) return false;
  const distance = Math.floor(piece.length / SAMPLES);
  const samples = Array.from(
    { length: SAMPLES },
    (_, i) => piece.subarray(i * distance, i * distance + SAMPLE_BYTES),
  );
  const sampled = Buffer.concat(samples);
  const deflated = deflateRawSync(sampled, { level: DEFLATE_LEVEL });
  return deflated.length >= sampled.length * DENSE;
}

function localHeader(name: string): Uint8Array {
  const nameBytes = Buffer.from(name);
  return new Fields(30 + nameBytes.length)
    .u32(0x04034b50)
    .u16(VERSION_DEFLATE)
    .u16(HAS_DESCRIPTOR | NAME_IS_UTF8)
    .u16(DEFLATED)
    .u16(0).u16(DATE)
    .u32(0).u32(0).u32(0) // checksum, compressed and whole size: see the data descriptor
    .u16(nameBytes.length)
    .u16(0) // extra fields
    .put(nameBytes)
    .bytes;
}

function dataDescriptor(entry: WrittenEntry): Uint8Array {
  return new Fields(16)
    .u32(0x08074b50)
    .u32(entry.crc32).u32(entry.compressedBytes).u32(entry.sizeBytes)
    .bytes;
}

function directoryHeader(entry: WrittenEntry): Uint8Array {
  const nameBytes = Buffer.from(entry.name);
  return new Fields(46 + nameBytes.length)
    .u32(0x02014b50)
    .u16(VERSION_DEFLATE).u16(VERSION_DEFLATE) // made by, needed to extract
    .u16(HAS_DESCRIPTOR | NAME_IS_UTF8)
    .u16(DEFLATED)
    .u16(0).u16(DATE)
    .u32(entry.crc32).u32(entry.compressedBytes).u32(entry.sizeBytes)
    .u16(nameBytes.length)
    .u16(0).u16(0) // extra fields, comment
    .u16(0) // disk
    .u16(0).u32(0) // attributes: internal, external
    .u32(entry.offset)
    .put(nameBytes)
    .bytes;
}

/** The zip64 record, which begins at `offset`, and its locator. */
function zip64End(directory: Directory, offset: number): Uint8Array {
  return new Fields(56 + 20)
    .u32(0x06064b50)
    .u64(56 - 12) // what follows
    .u16(VERSION_ZIP64).u16(VERSION_ZIP64)
    .u32(0).u32(0) // this disk, the directory's disk
    .u64(directory.count).u64(directory.count) // on this disk, on all
    .u64(directory.sizeBytes)
    .u64(directory.offset)
    .u32(0x07064b50)
    .u32(0) // the record's disk
    .u64(offset)
    .u32(1) // disks
    .bytes;
}

function endRecord(directory: Directory): Uint8Array {
  const count = Math.min(directory.count, IN_ZIP64);
  return new Fields(22)
    .u32(0x06054b50)
    .u16(0).u16(0) // this disk, the directory's disk
    .u16(count).u16(count) // on this disk, on all
    .u32(directory.sizeBytes)
    .u32(directory.offset)
    .u16(0) // comment
    .bytes;
}

/** Numbers one behind the other, the lowest byte first. */
class Fields {
  readonly bytes: Buffer;
  #offset = 0;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.alloc(sizeBytes);
  }

  u16(value: number): this {
    this.#offset = this.bytes.writeUInt16LE(value, this.#offset);
    return this;
  }

  u32(value: number): this {
    this.#offset = this.bytes.writeUInt32LE(value, this.#offset);
    return this;
  }

  u64(value: number): this {
    this.#offset = this.bytes.writeBigUInt64LE(BigInt(value), this.#offset);
    return this;
  }

  put(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#offset);
    this.#offset += bytes.length;
    return this;
  }
}
