/**
 * The zip container: its directory, and the content of its entries, in bounded memory. PKWARE's
 * APPNOTE.TXT 6.3, as much of it as Go's archive/zip reads: stored and deflated entries, data
 * descriptors, zip64; no encryption, no second disk.
 *
 * yauzl reads the directory. Two readers that find different files in one zip would let one set of
 * files be checked and another be unpacked, so everything here is as strict as archive/zip or
 * stricter. Beyond what yauzl checks:
 *
 * - The directory, the zip64 end record if there is one, and the end record lie one behind the
 *   other without a gap and agree in their counts. Where they do not, yauzl and archive/zip find
 *   different directories.
 * - Names are raw bytes, as UTF-8. yauzl would look at flags, code page 437 and extra fields, and
 *   turn `\` into `/`.
 * - Size and CRC-32 are those of what was inflated, and a data descriptor says what the directory
 *   says.
 * - Entries do not overlap. archive/zip would let many share the same bytes, which is how a small
 *   zip becomes a large one.
 *
 * Memory: one window of the file, the chunks on their way through zlib, and some hundred bytes for
 * each entry.
 */
import type { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { crc32, createInflateRaw, inflateRawSync } from "node:zlib";
// @ts-types="npm:@types/yauzl@3.4.0"
import * as yauzl from "yauzl";
import { quoted } from "../module/quoted.ts";
import { atPace, type Pace, sortSteps } from "../async/pace.ts";
import { MAX_PLACES, MAX_ZIP_BYTES, ZipError } from "./rules.ts";

/** Of the directory at the end of a zip. Go has no such limit; it bounds the memory for names. */
export const MAX_DIRECTORY_BYTES = 32 * 1024 * 1024;

/** What one read of the file brings at least, so that many small entries need few reads. */
const WINDOW_BYTES = 1024 * 1024;

/**
 * Up to this size, compressed and not, an entry is inflated in one call. To set up a stream takes
 * as long as 50 KB.
 */
const ONE_CALL_BYTES = 512 * 1024;

/** How much of a larger entry goes through zlib at a time. */
const CHUNK_BYTES = 64 * 1024;

/** What an entry costs besides its content, as if it were so much content. */
const ENTRY_COST_BYTES = 4 * 1024;

const END_RECORD = { bytes: 22 };
const ZIP64_LOCATOR = { signature: 0x07064b50, bytes: 20 };
const ZIP64_RECORD = { bytes: 56 };
const DIRECTORY_HEADER = { bytes: 46 };
const LOCAL_HEADER = { signature: 0x04034b50, bytes: 30 };
const DESCRIPTOR = { signature: 0x08074b50, bytes: 12 };

const IS_ENCRYPTED = 1 << 0;
const HAS_DESCRIPTOR = 1 << 3;

const STORED = 0;
const DEFLATED = 8;

/** One entry, as the directory has it. */
export interface ArchiveEntry {
  readonly name: string;
  /** Of the content. {@linkcode Archive.read} holds the content to it. */
  readonly sizeBytes: number;
  readonly compressedBytes: number;
  readonly isDeflated: boolean;
  /** Of the content. 0 may mean that it was not set, unless there is a data descriptor. */
  readonly crc32: number;
  readonly hasDescriptor: boolean;
  /** Where its header begins. */
  readonly offset: number;
  /** Where the next entry begins, or behind the last one the directory. */
  readonly limitOffset: number;
}

/** Where a zip is, to be read anywhere in it. */
export interface ZipBytes {
  readonly sizeBytes: number;
  /**
   * The bytes between two offsets, all of them.
   *
   * @throws {ZipError} when they are not there
   */
  read(start: number, end: number): Promise<Uint8Array>;
}

/**
 * Opens the zip `file`, which stays the caller's to close.
 *
 * @throws {ZipError} when it is not a zip, or not one that archive/zip would read in the same way
 */
export async function openArchive(file: Deno.FsFile, pace: Pace): Promise<Archive> {
  const { size } = await file.stat();
  return await openArchiveOf(fileBytes(file, size), { pace, windowBytes: WINDOW_BYTES });
}

export interface OpenArchiveOptions {
  readonly pace: Pace;
  /** What one read brings at least. */
  readonly windowBytes: number;
}

/** {@linkcode openArchive}, of a zip that is elsewhere. */
export async function openArchiveOf(
  bytes: ZipBytes,
  { pace, windowBytes }: OpenArchiveOptions,
): Promise<Archive> {
  const size = bytes.sizeBytes;
  if (size > MAX_ZIP_BYTES) throw zipError(`the file is larger than ${MAX_ZIP_BYTES} bytes`);
  const window = new Window(bytes, windowBytes);
  const zip = await openDirectory(window);
  const extent = await readExtent(window, size - zip.comment.length - END_RECORD.bytes);
  const entries = await readEntries(readHeaders(zip, window), { extent, pace });
  return new Archive({ window, pace, entries });
}

export class Archive {
  /** In the order of their content in the file; read in this order, the file is read once. */
  readonly entries: readonly ArchiveEntry[];
  /** Of the zip file. */
  readonly sizeBytes: number;
  readonly #window: Window;
  readonly #pace: Pace;

  constructor(
    { window, pace, entries }: { window: Window; pace: Pace; entries: ArchiveEntry[] },
  ) {
    this.entries = entries;
    this.sizeBytes = window.sizeBytes;
    this.#window = window;
    this.#pace = pace;
  }

  /**
   * Hands the content of an entry to `sink`, chunk by chunk; whether it was sound is known only
   * when this has returned. A directory has no content, although some writers compress nothing to
   * two bytes.
   *
   * @throws {ZipError} when the content is damaged or not what the directory says
   */
  async read(entry: ArchiveEntry, sink: (chunk: Uint8Array) => void): Promise<void> {
    await this.#pace.spend(ENTRY_COST_BYTES);
    const place = await this.#locate(entry);
    if (entry.name.endsWith("/")) return;
    let sizeBytes = 0;
    let checksum = 0;
    await this.#deliver(entry, place, async (chunk) => {
      sizeBytes += chunk.length;
      if (sizeBytes > entry.sizeBytes) throw entryError(entry, "it is larger than its header says");
      checksum = crc32(chunk, checksum);
      sink(chunk);
      await this.#pace.spend(chunk.length);
    });
    if (sizeBytes < entry.sizeBytes) throw entryError(entry, "it is smaller than its header says");
    const hasChecksum = entry.crc32 !== 0 || entry.hasDescriptor;
    if (hasChecksum && checksum !== entry.crc32) throw entryError(entry, "its checksum is wrong");
    if (entry.hasDescriptor) await this.#checkDescriptor(entry, place.endOffset);
  }

  async #locate(entry: ArchiveEntry): Promise<ContentRange> {
    const header = viewOf(await this.#window.bytes(entry.offset, LOCAL_HEADER.bytes));
    if (header.getUint32(0, true) !== LOCAL_HEADER.signature) {
      throw entryError(entry, "it has no header");
    }
    const variableBytes = header.getUint16(26, true) + header.getUint16(28, true);
    const startOffset = entry.offset + LOCAL_HEADER.bytes + variableBytes;
    const endOffset = startOffset + entry.compressedBytes;
    checkLimit(entry, endOffset);
    return { startOffset, endOffset };
  }

  async #deliver(
    entry: ArchiveEntry,
    { startOffset, endOffset }: ContentRange,
    take: (chunk: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const chunks = this.#window.chunks(startOffset, endOffset);
    if (!entry.isDeflated) {
      for await (const chunk of chunks) await take(chunk);
      return;
    }
    try {
      if (Math.max(entry.compressedBytes, entry.sizeBytes) <= ONE_CALL_BYTES) {
        const compressed = await this.#window.bytes(startOffset, entry.compressedBytes);
        await take(inflateSmall(compressed, entry.sizeBytes));
      } else {
        await pipeline(
          chunks,
          createInflateRaw({ chunkSize: CHUNK_BYTES }),
          async (inflated: AsyncIterable<Buffer>) => {
            for await (const chunk of inflated) await take(chunk);
          },
        );
      }
    } catch (error) {
      const fault = inflateFault(error);
      throw fault === undefined ? error : entryError(entry, fault, { cause: error });
    }
  }

  /**
   * The descriptor repeats the checksum, behind a signature that may be left out, and the sizes,
   * which are known from the directory.
   */
  async #checkDescriptor(entry: ArchiveEntry, offset: number): Promise<void> {
    const signature = viewOf(await this.#window.bytes(offset, 4)).getUint32(0, true);
    const startOffset = signature === DESCRIPTOR.signature ? offset + 4 : offset;
    checkLimit(entry, startOffset + DESCRIPTOR.bytes);
    const checksum = viewOf(await this.#window.bytes(startOffset, 4)).getUint32(0, true);
    if (checksum !== entry.crc32) throw entryError(entry, "its two checksums differ");
  }
}

interface ContentRange {
  readonly startOffset: number;
  readonly endOffset: number;
}

function checkLimit(entry: ArchiveEntry, endOffset: number): void {
  if (endOffset > entry.limitOffset) throw entryError(entry, "it overlaps what follows it");
}

function inflateSmall(compressed: Uint8Array, sizeBytes: number): Uint8Array {
  return inflateRawSync(compressed, {
    maxOutputLength: Math.max(sizeBytes, 1),
    // One byte more than needed, or zlib takes a second buffer to find out that it is done.
    chunkSize: Math.max(sizeBytes + 1, 64),
  });
}

/** What zlib's errors say about the data. Any other error says nothing about it. */
const INFLATE_FAULTS: ReadonlyMap<unknown, string> = new Map([
  ["Z_DATA_ERROR", "it cannot be inflated"],
  ["Z_BUF_ERROR", "its compressed data ends early"],
  ["ERR_BUFFER_TOO_LARGE", "it is larger than its header says"],
]);

function inflateFault(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? INFLATE_FAULTS.get(error.code) : undefined;
}

async function openDirectory(window: Window): Promise<yauzl.ZipFile> {
  try {
    // Raw names; sizes are compared in read(); the file is closed by its owner.
    const options = { decodeStrings: false, validateEntrySizes: false, autoClose: false };
    return await yauzl.fromRandomAccessReaderPromise(window, window.sizeBytes, options);
  } catch (error) {
    throw formatError(error, window);
  }
}

async function* readHeaders(zip: yauzl.ZipFile, window: Window): AsyncGenerator<yauzl.Entry> {
  try {
    yield* zip.eachEntry();
  } catch (error) {
    throw formatError(error, window);
  }
}

/**
 * What the window threw, yauzl passes on; what it throws by itself are plain errors about the
 * format.
 */
function formatError(error: unknown, window: Window): unknown {
  return error === window.failure
    ? error
    : zipError("it is not a well-formed zip file", { cause: error });
}

/** Where the directory is, by the end records. */
interface Extent {
  readonly entries: number;
  readonly sizeBytes: number;
  readonly offset: number;
}

/**
 * What is said about the directory in the end record at `recordOffset`, or in the zip64 record
 * before it: the same that yauzl went by, if it is what archive/zip goes by too.
 */
async function readExtent(window: Window, recordOffset: number): Promise<Extent> {
  const record = viewOf(await window.bytes(recordOffset, END_RECORD.bytes));
  const extent = {
    entries: record.getUint16(10, true),
    sizeBytes: record.getUint32(12, true),
    offset: record.getUint32(16, true),
  };
  const locatorOffset = recordOffset - ZIP64_LOCATOR.bytes;
  if (locatorOffset < 0) return checkExtent(extent, recordOffset);
  const locator = viewOf(await window.bytes(locatorOffset, ZIP64_LOCATOR.bytes));
  if (locator.getUint32(0, true) !== ZIP64_LOCATOR.signature) {
    return checkExtent(extent, recordOffset);
  }

  const zip64Offset = locatorOffset - ZIP64_RECORD.bytes;
  const isExact = locator.getUint32(4, true) === 0 && locator.getUint32(16, true) === 1 &&
    locator.getBigUint64(8, true) === BigInt(zip64Offset);
  // Only then does archive/zip look for a locator; yauzl always does.
  const isWanted = extent.entries === 0xffff || extent.offset === 0xffffffff;
  if (!isExact || !isWanted) throw zipError("its end records contradict each other");
  const zip64 = viewOf(await window.bytes(zip64Offset, ZIP64_RECORD.bytes));
  const zip64Extent = {
    entries: Number(zip64.getBigUint64(32, true)),
    sizeBytes: Number(zip64.getBigUint64(40, true)),
    offset: Number(zip64.getBigUint64(48, true)),
  };
  return checkExtent(zip64Extent, zip64Offset);
}

function checkExtent(extent: Extent, endOffset: number): Extent {
  if (extent.offset + extent.sizeBytes !== endOffset) {
    throw zipError("its directory does not end where its end record begins");
  }
  if (extent.entries > MAX_PLACES) throw zipError(`it has more than ${MAX_PLACES} entries`);
  if (extent.sizeBytes > MAX_DIRECTORY_BYTES) {
    throw zipError(`its directory is larger than ${MAX_DIRECTORY_BYTES} bytes`);
  }
  return extent;
}

async function readEntries(
  headers: AsyncIterable<yauzl.Entry>,
  { extent, pace }: { extent: Extent; pace: Pace },
): Promise<ArchiveEntry[]> {
  const entries: Omit<ArchiveEntry, "limitOffset">[] = [];
  let sizeBytes = 0;
  for await (const header of headers) {
    await pace.spend(ENTRY_COST_BYTES);
    sizeBytes += DIRECTORY_HEADER.bytes + header.fileNameLength + header.extraFieldLength +
      header.fileCommentLength;
    if (sizeBytes > extent.sizeBytes) break;
    entries.push(parseHeader(header));
  }
  if (sizeBytes !== extent.sizeBytes) {
    throw zipError("its directory has not the size that its end record says");
  }
  const sorted = await atPace(sortSteps(entries, (a, b) => a.offset - b.offset), pace);
  const limited: ArchiveEntry[] = [];
  for (const [i, entry] of sorted.entries()) {
    limited.push({ ...entry, limitOffset: sorted[i + 1]?.offset ?? extent.offset });
    await pace.spend(ENTRY_COST_BYTES);
  }
  return limited;
}

function parseHeader(header: yauzl.Entry): Omit<ArchiveEntry, "limitOffset"> {
  const entry = {
    name: decodeName(header.fileNameRaw),
    sizeBytes: header.uncompressedSize,
    compressedBytes: header.compressedSize,
    isDeflated: header.compressionMethod === DEFLATED,
    crc32: header.crc32,
    hasDescriptor: (header.generalPurposeBitFlag & HAS_DESCRIPTOR) !== 0,
    offset: header.relativeOffsetOfLocalHeader,
  };
  if ((header.generalPurposeBitFlag & IS_ENCRYPTED) !== 0) {
    throw entryError(entry, "it is encrypted");
  }
  if (!entry.isDeflated && header.compressionMethod !== STORED) {
    throw entryError(entry, `its compression method ${header.compressionMethod} is not known`);
  }
  if (entry.name.endsWith("/") && entry.sizeBytes > 0) {
    throw entryError(entry, "it is a directory with content");
  }
  return entry;
}

function decodeName(name: Uint8Array): string {
  try {
    return utf8.decode(name);
  } catch (error) {
    throw zipError(`the name ${quoted(lossy.decode(name))} is not UTF-8`, { cause: error });
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder();

function fileBytes(file: Deno.FsFile, sizeBytes: number): ZipBytes {
  return {
    sizeBytes,
    read: async (start, end) => {
      const bytes = new Uint8Array(end - start);
      await file.seek(start, Deno.SeekMode.Start);
      let filledBytes = 0;
      while (filledBytes < bytes.length) {
        const readBytes = await file.read(bytes.subarray(filledBytes));
        if (readBytes === null) throw zipError("it became shorter while it was read");
        filledBytes += readBytes;
      }
      return bytes;
    },
  };
}

/**
 * Reads anywhere in a zip, through a window that makes few large reads of many small ones in order.
 */
class Window extends yauzl.RandomAccessReader {
  readonly sizeBytes: number;
  /** What the last failed read for yauzl threw. */
  failure: unknown = null;
  readonly #bytes: ZipBytes;
  readonly #windowBytes: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowOffset = 0;

  constructor(bytes: ZipBytes, windowBytes: number) {
    super();
    this.#bytes = bytes;
    this.#windowBytes = windowBytes;
    this.sizeBytes = bytes.sizeBytes;
  }

  /**
   * The bytes from `offset` on, as a view that stays valid.
   *
   * @throws {ZipError} when the file does not have them
   */
  async bytes(offset: number, lengthBytes: number): Promise<Uint8Array> {
    if (offset < 0 || offset + lengthBytes > this.sizeBytes) throw zipError("it is cut off");
    const start = offset - this.#windowOffset;
    if (start >= 0 && start + lengthBytes <= this.#window.length) {
      return this.#window.subarray(start, start + lengthBytes);
    }
    await this.#load(offset, Math.max(lengthBytes, this.#windowBytes));
    return this.#window.subarray(0, lengthBytes);
  }

  /** The bytes between two offsets, in pieces. */
  async *chunks(startOffset: number, endOffset: number): AsyncGenerator<Uint8Array> {
    for (let offset = startOffset; offset < endOffset; offset += CHUNK_BYTES) {
      yield await this.bytes(offset, Math.min(CHUNK_BYTES, endOffset - offset));
    }
  }

  /** For yauzl, which calls back with an error or with the buffer filled. */
  override read(
    buffer: Buffer,
    start: number,
    lengthBytes: number,
    offset: number,
    callback: (error: Error | null) => void,
  ): void {
    this.bytes(offset, lengthBytes).then(
      (bytes) => {
        buffer.set(bytes, start);
        callback(null);
      },
      (error) => {
        this.failure = error;
        callback(error);
      },
    ).catch(callback);
  }

  async #load(offset: number, lengthBytes: number): Promise<void> {
    const end = offset + Math.min(lengthBytes, this.sizeBytes - offset);
    this.#window = await this.#bytes.read(offset, end);
    this.#windowOffset = offset;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function entryError(entry: { name: string }, fault: string, options?: ErrorOptions): ZipError {
  return zipError(`${quoted(entry.name)}: ${fault}`, options);
}

function zipError(fault: string, options?: ErrorOptions): ZipError {
  return new ZipError(`Cannot read zip: ${fault}`, options);
}
