/**
 * A zip on its way from an upstream: the file that it is spooled to, and clients that read it while
 * it grows.
 *
 * Readers get everything but the last {@linkcode HELD_BACK_BYTES}, which they get when the owner
 * has verified the whole and published it ({@linkcode ZipSpool.complete}). Without them no zip can
 * be opened: its directory ends there. If anything fails before, a reader's stream fails, and the
 * client's transfer breaks. So whoever has received a zip completely has the published bytes.
 *
 * - A reader has a handle of its own and its own pace: it slows down neither the spool nor others.
 * - What a reader gets is compared with the checksums of what was written, block by block, so a
 *   zip that a slow reader gets from the disk much later is right or breaks.
 * - When an attempt fails and another one begins, its bytes are compared with those that are there,
 *   and readers go on where it has proved to send the same. Where it does not, they fail.
 *
 * Limits: only a zip whose size the upstream has announced is read while it grows. Without
 * `Content-Length`, a client with HTTP/1.0 (nginx's default towards upstreams) could not tell a
 * transfer that broke from one that ended.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { UpstreamError } from "../errors.ts";
import { readExactly, writeAll } from "../scratch/files.ts";
import { BLOCK_BYTES, BlockSummer } from "../store/block_sums.ts";
import type { ByteRange } from "../store/object_store.ts";

/** More than the record at a zip's end with the longest comment, which are 64 KiB and 21 bytes. */
export const HELD_BACK_BYTES = 128 * 1024;
/** A smaller zip is quickly here, and its failure gets a status and a reason. */
export const MIN_FOLLOWED_BYTES = 1024 * 1024;
/**
 * A reader that has more to read when the zip is published gets it from the store, so that slow
 * clients do not keep the scratch space of a spool.
 */
const MAX_REST_BYTES = 1024 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

export interface FollowOptions {
  /** Opens what is left of the published zip. */
  readonly openRest: (range: ByteRange) => Promise<ReadableStream<Bytes>>;
  /**
   * Called when the reader needs the spool no more. The error is why its stream fails; null where
   * it does not.
   */
  readonly onEnd: (error: unknown) => void;
}

/** A zip that is not yet published, and may never be. */
export interface GrowingZip {
  readonly isGrowing: true;
  readonly sizeBytes: number;
  readonly body: ReadableStream<Bytes>;
}

/** What one attempt has written, or several that wrote the same. */
interface Growth {
  readonly file: string;
  readonly sizeBytes: number | null;
  /** All that may be read; the file may have more. */
  writtenBytes: number;
  /** Of at least what is written. */
  sums: BlockSummer;
  isWhole: boolean;
  isPublished: boolean;
  /** Why readers fail. */
  failure: unknown;
  /** Settles with the next change. */
  changed: PromiseWithResolvers<void>;
  readers: number;
}

export class ZipSpool {
  #growth: Growth | null = null;
  readonly #followable = Promise.withResolvers<void>();

  /** Settles when {@linkcode follow} may have something; never if it will not. */
  get followable(): Promise<void> {
    return this.#followable.promise;
  }

  /** Whether anybody reads what has been written. */
  get isFollowed(): boolean {
    return (this.#growth?.readers ?? 0) > 0;
  }

  /**
   * Begins to write the zip from its start.
   *
   * @param sizeBytes as announced; null if it is not known
   */
  async begin(file: string, sizeBytes: number | null): Promise<SpoolWriter> {
    const last = this.#growth;
    const isRepetition = last !== null && last.readers > 0 && last.failure === null &&
      last.file === file && last.sizeBytes === sizeBytes;
    const growth = isRepetition ? last : this.#grow(file, sizeBytes);
    if (isRepetition) growth.isWhole = false;
    const handle = await Deno.open(file, {
      read: true,
      write: true,
      create: true,
      truncate: !isRepetition,
    });
    return new SpoolWriter(handle, growth, {
      onWritten: (written) => this.#note(written),
      growAnew: () => this.#grow(file, sizeBytes),
    });
  }

  /** The source writes the file in another way, and nobody can follow it. */
  abandon(): void {
    if (this.#growth === null) return;
    this.#breakOff(new UpstreamError("Cannot go on: another source sends the zip"));
    this.#growth = null;
  }

  /**
   * The zip as far as it has come, and what comes; null where it cannot be read yet, or no more.
   */
  async follow(options: FollowOptions): Promise<GrowingZip | null> {
    const growth = this.#growth;
    if (growth === null || growth.sizeBytes === null || !isFollowable(growth)) return null;
    growth.readers++;
    let file: Deno.FsFile;
    try {
      file = await Deno.open(growth.file);
    } catch (error) {
      growth.readers--;
      // It was published, or failed, meanwhile.
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
    const body = readGrowing(file, { ...options, growth, sizeBytes: growth.sizeBytes });
    return { isGrowing: true, sizeBytes: growth.sizeBytes, body };
  }

  /** Whether the published zip is, byte for byte, the one in the file. */
  async equals(published: ReadableStream<Bytes>): Promise<boolean> {
    const growth = this.#growth;
    if (growth === null) return false;
    using file = await Deno.open(growth.file);
    for await (const chunk of published) {
      const ours = await readExactly(file, chunk.length);
      if (ours === null || Buffer.compare(ours, chunk) !== 0) return false;
    }
    return await file.read(new Uint8Array(1)) === null;
  }

  /** The zip is verified and published: readers get the rest. */
  complete(): void {
    const growth = this.#growth;
    if (growth === null) return;
    if (!growth.isWhole) return this.fail(new Error("the spool does not have the whole zip"));
    growth.isPublished = true;
    growth.changed.resolve();
  }

  /** Breaks off the transfers of all readers. */
  fail(error: unknown): void {
    this.#breakOff(error);
    this.#growth = null;
  }

  #breakOff(error: unknown): void {
    const growth = this.#growth;
    if (growth === null || growth.isPublished) return;
    growth.failure = error;
    growth.changed.resolve();
  }

  #grow(file: string, sizeBytes: number | null): Growth {
    this.#breakOff(
      new UpstreamError("Cannot go on: the upstream sent another zip when asked again"),
    );
    return this.#growth = {
      file,
      sizeBytes,
      writtenBytes: 0,
      sums: new BlockSummer(),
      isWhole: false,
      isPublished: false,
      failure: null,
      changed: Promise.withResolvers(),
      readers: 0,
    };
  }

  #note(growth: Growth): void {
    growth.changed.resolve();
    growth.changed = Promise.withResolvers();
    if (isFollowable(growth)) this.#followable.resolve();
  }
}

interface SpoolWriterOptions {
  readonly onWritten: (growth: Growth) => void;
  readonly growAnew: () => Growth;
}

/** One attempt to write the zip, from its start. */
export class SpoolWriter implements Disposable {
  readonly #handle: Deno.FsFile;
  readonly #options: SpoolWriterOptions;
  /** Of what this attempt has sent. */
  readonly #sums = new BlockSummer();
  #growth: Growth;
  #position = 0;

  constructor(handle: Deno.FsFile, growth: Growth, options: SpoolWriterOptions) {
    this.#handle = handle;
    this.#growth = growth;
    this.#options = options;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const repeated = await this.#repeat(chunk);
    if (repeated < chunk.length) await writeAll(this.#handle, chunk.subarray(repeated));
    this.#sums.add(chunk);
    this.#position += chunk.length;
    if (this.#position < this.#growth.writtenBytes) return;
    this.#growth.sums = this.#sums;
    this.#growth.writtenBytes = this.#position;
    this.#options.onWritten(this.#growth);
  }

  /** @throws {UpstreamError} when the zip has another size than announced */
  finish(): void {
    const { sizeBytes } = this.#growth;
    if (sizeBytes !== null && sizeBytes !== this.#position) {
      throw new UpstreamError(
        `Cannot use the zip: it has ${this.#position} bytes, and ${sizeBytes} were announced`,
      );
    }
    this.#growth.isWhole = true;
  }

  [Symbol.dispose](): void {
    this.#handle.close();
  }

  /**
   * How many of the next bytes are in the file already, from an earlier attempt. Where they are
   * others, the file ends there.
   */
  async #repeat(chunk: Uint8Array): Promise<number> {
    const sizeBytes = Math.min(chunk.length, this.#growth.writtenBytes - this.#position);
    if (sizeBytes <= 0) return 0;
    const before = await readExactly(this.#handle, sizeBytes);
    if (before !== null && Buffer.compare(before, chunk.subarray(0, sizeBytes)) === 0) {
      return sizeBytes;
    }
    this.#growth = this.#options.growAnew();
    await this.#handle.truncate(this.#position);
    await this.#handle.seek(this.#position, Deno.SeekMode.Start);
    return 0;
  }
}

function isFollowable({ sizeBytes, writtenBytes, failure }: Growth): boolean {
  return sizeBytes !== null && sizeBytes > MIN_FOLLOWED_BYTES && writtenBytes > 0 &&
    failure === null;
}

interface ReadOptions extends FollowOptions {
  readonly growth: Growth;
  readonly sizeBytes: number;
}

function readGrowing(
  file: Deno.FsFile,
  { growth, sizeBytes, openRest, onEnd }: ReadOptions,
): ReadableStream<Bytes> {
  let position = 0;
  /** Of what was read of the block at the position. */
  let sum = 0;
  let isOpen = true;
  let rest: ReadableStreamDefaultReader<Bytes> | null = null;
  const end = (error: unknown = null) => {
    if (!isOpen) return;
    isOpen = false;
    growth.readers--;
    file.close();
    onEnd(error);
  };
  const readable = () =>
    growth.isPublished ? sizeBytes : Math.min(growth.writtenBytes, sizeBytes - HELD_BACK_BYTES);
  const next = async (): Promise<Bytes> => {
    const blockEnd = position - position % BLOCK_BYTES + BLOCK_BYTES;
    const bytes = await readExactly(file, Math.min(readable(), blockEnd) - position);
    if (bytes === null) throw new Error("the spooled zip has become shorter");
    if (position % BLOCK_BYTES === 0) sum = 0;
    sum = crc32(bytes, sum);
    position += bytes.length;
    const isChecked = position === blockEnd || position === sizeBytes;
    if (isChecked && growth.sums.at(Math.ceil(position / BLOCK_BYTES) - 1) !== sum) {
      throw new Error("the spooled zip is damaged");
    }
    return bytes;
  };
  return new ReadableStream<Bytes>({
    pull: async (controller) => {
      try {
        while (growth.failure === null && readable() <= position && isOpen) {
          await growth.changed.promise;
        }
        if (growth.failure !== null) throw growth.failure;
        if (rest === null && growth.isPublished && sizeBytes - position > MAX_REST_BYTES) {
          rest = (await openRest({ start: position, end: sizeBytes })).getReader();
          end();
        }
        if (rest !== null) {
          const { value, done } = await rest.read();
          return done ? controller.close() : controller.enqueue(value);
        }
        if (!isOpen) return;
        const bytes = await next();
        if (growth.failure !== null) throw growth.failure;
        controller.enqueue(bytes);
        if (position < sizeBytes) return;
        controller.close();
        end();
      } catch (error) {
        // Cancelling closes the file, also while it is read from.
        if (!isOpen && rest === null) return;
        const reason = growth.failure ?? error;
        end(reason);
        throw reason;
      }
    },
    cancel: async (reason) => {
      // A pull that waits for bytes ends with the next change.
      end();
      await rest?.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
