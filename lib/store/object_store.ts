/**
 * The contract of a store. One atomic create-if-absent is the whole of this system's coordination,
 * so what a back end must promise is little and exact. `tests/suites/store_contract.ts` has a test
 * for each line; every back end runs it.
 *
 * - C1 Over a store's life at most one `create` of a key answers "created". A zip may be created
 *   again after a store has found it damaged and set it aside: its key has the hash of any zip
 *   under it. Nothing else is ever set aside.
 * - C2 What `get` returns is complete, never a prefix of what was created. Content that has other
 *   than `sizeBytes` bytes is not created.
 * - C3 Once `create` has answered, every replica's `get` sees the object,
 * - C4 and every `list` of its folder names it, past any page size.
 * - C5 A `create` that throws may have happened. A caller that needs to know reads.
 * - C6 Absence is `null`; any other failure throws {@linkcode StorageError}.
 * - C7 Keys are ASCII `[A-Za-z0-9!+._~@/-]`; no segment is empty, begins with a dot or is longer
 *   than 255 bytes; no key is longer than 900 ({@linkcode assertKey}). No key is the folder of
 *   another.
 * - C8 An aborted signal ends the call with the signal's reason and leaves nothing behind. The call
 *   ends where its promise settles; a body that `get` has answered with is ended by `cancel` and by
 *   nothing else.
 * - C9 `walk` names every object that was there when it began, each once. Nothing in normal work
 *   walks; it is for `fsck`.
 * - C10 Where a store has `observe`: as long as what it answered says that the folder is unchanged,
 *   a `list` that began afterwards names the same as it would now. Null says nothing.
 * - C11 Where a store has `signedUrl`: by the URL, whoever has it can GET this object, and nothing
 *   else, until its lifetime is over. Null where the object is not there, or the store has no URLs.
 * - C12 Where a store has `fileOf`: the file is the whole object, and stays so. Null where the
 *   object is not there, or the store has no files.
 *
 * A new back end is a file beside this one, its schema in `config.ts`, a case in `open.ts` and a
 * test that calls the contract suite.
 */
import { StorageError } from "../errors.ts";

/** What to store. It can be opened again, because a `create` may be retried. */
export interface Content {
  readonly sizeBytes: number;
  /** A new stream over the same bytes at each call. */
  open(): ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What `open` gives, where it is in memory anyway. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** A file of these bytes that belongs to the publisher: it may be linked instead of copied. */
  readonly ownFile?: OwnFile;
}

/** A file that is complete, and that nobody will write to. */
export interface OwnFile {
  readonly path: string;
  /**
   * Open since before the first byte was written. An fsync by it reports any write-back that has
   * failed since; a handle that is opened later need not know of one.
   */
  readonly handle: Pick<Deno.FsFile, "stat" | "sync">;
}

/** Bytes `start` to `end` of an object; `end` is exclusive and not past the object's end. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** An object that is there. The receiver reads `body` to its end or cancels it. */
export interface StoredObject {
  /** The size of the whole object, also where a range was asked for. */
  readonly sizeBytes: number;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What `body` gives, where it is in memory anyway. A caller that uses it leaves `body` alone. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

/** An object, or a range of one, in memory; its stream is made on demand. */
export class ObjectInMemory implements StoredObject {
  readonly sizeBytes: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  #body: StoredObject["body"] | null = null;

  /** @throws {StorageError} when the object has not all of the range */
  constructor(object: Uint8Array<ArrayBuffer>, range?: ByteRange) {
    if (range !== undefined) assertRange(range, object.length);
    this.sizeBytes = object.length;
    this.bytes = range === undefined ? object : object.subarray(range.start, range.end);
  }

  get body(): StoredObject["body"] {
    return this.#body ??= new Blob([this.bytes]).stream();
  }
}

export interface GetOptions {
  readonly range?: ByteRange | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CreateOptions {
  /**
   * Creates small content like large content, where a back end has two ways: for the probe at
   * startup.
   */
  readonly inParts?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ListOptions {
  /** Names up to and including this one are left out. */
  readonly after?: string | undefined;
  /** How many names at most. Without it: all of them. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WalkOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface SignedUrlOptions {
  readonly lifetimeSeconds: number;
  readonly signal?: AbortSignal | undefined;
}

export interface FileOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ObjectStore {
  /** How messages name this store: `disk ./data`, `gcs my-bucket`. */
  readonly description: string;
  /**
   * @throws {StorageError} when the store cannot say whether the object is there, or has less than
   * the range.
   */
  get(key: string, options?: GetOptions): Promise<StoredObject | null>;
  /**
   * @throws {StorageError} when the outcome is not known (C5)
   * @throws when the content fails: its own error if that is a {@linkcode ProxyError}, else any
   */
  create(key: string, content: Content, options?: CreateOptions): Promise<"created" | "exists">;
  /**
   * The names of the objects directly in `folder` (no trailing `/`), in the order of their bytes.
   */
  list(folder: string, options?: ListOptions): Promise<string[]>;
  /**
   * The keys of all objects, in the order of their bytes, a page at a time. Objects whose names are
   * not keys are left out.
   *
   * @throws {StorageError} when the store cannot say
   */
  walk(options?: WalkOptions): AsyncIterable<string>;
  /** For stores that can tell without a wait whether anything has come into a folder (C10). */
  observe?(folder: string): IsUnchanged | null;
  /**
   * For stores whose server can send an object to a client itself (C11). The URL is a credential:
   * it belongs in no log and no message.
   *
   * @throws {StorageError} when the store cannot say, or cannot sign
   */
  signedUrl?(key: string, options: SignedUrlOptions): Promise<URL | null>;
  /**
   * For stores whose objects are files that another program of this machine can send (C12): the
   * path of the object's file below the store's directory. What reading the object would compare
   * with its checksum, the other program does not.
   *
   * @throws {StorageError} when the store cannot say
   */
  fileOf?(key: string, options?: FileOptions): Promise<string | null>;
}

/** Whether a folder is as it was. Once it is not, it will not be again. */
export type IsUnchanged = () => boolean;

/** Content from bytes in memory. */
export function bytesContent(bytes: Uint8Array<ArrayBuffer>): Content {
  return {
    sizeBytes: bytes.length,
    open: () => new Blob([bytes]).stream(),
    bytes,
  };
}

/**
 * The bytes of `content` for a back end to store: the stream fails where they are not as many as
 * `content` says (C2).
 */
export function openExactly(content: Content): ReadableStream<Uint8Array<ArrayBuffer>> {
  let sizeBytes = 0;
  const fail = () => {
    throw new Error(
      `Cannot store content: it does not have the ${content.sizeBytes} bytes it says`,
    );
  };
  return content.open().pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        sizeBytes += chunk.length;
        if (sizeBytes > content.sizeBytes) fail();
        controller.enqueue(chunk);
      },
      flush() {
        if (sizeBytes < content.sizeBytes) fail();
      },
    }),
  );
}

/**
 * The whole of a small object's body.
 *
 * @throws the signal's reason when it is aborted first; the body is cancelled then
 */
export async function readAll(
  object: StoredObject,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted();
  if (object.bytes !== undefined) return object.bytes;
  const reader = object.body.getReader();
  // This ends the read that is under way, as if there were no more.
  const onAbort = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const { value, done } = await reader.read();
      signal?.throwIfAborted();
      if (done) return joined(chunks);
      chunks.push(value);
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function joined(chunks: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [first = new Uint8Array()] = chunks;
  if (chunks.length <= 1) return first;
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

export interface ReadSmallOptions {
  /** The largest object that is read. */
  readonly limitBytes: number;
  /** The error for a larger one. Default: a {@linkcode StorageError}. */
  readonly tooLarge?: (sizeBytes: number) => Error;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The whole of a small object, or null where there is none.
 *
 * @throws {StorageError} when the store cannot say, or the object is larger than the limit
 */
export async function readSmall(
  store: Pick<ObjectStore, "get">,
  key: string,
  { limitBytes, signal, tooLarge }: ReadSmallOptions,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const object = await store.get(key, { signal });
  if (object === null) return null;
  if (object.sizeBytes <= limitBytes) return await readAll(object, signal);
  await object.body.cancel();
  throw tooLarge?.(object.sizeBytes) ??
    new StorageError(`Cannot use "${key}": it has ${object.sizeBytes} bytes`);
}

const SEGMENT = /^[A-Za-z0-9!+_~@-][A-Za-z0-9!+._~@-]*$/;
/** What Linux file systems take as a name. */
export const MAX_SEGMENT_BYTES = 255;
/** GCS and S3 take 1024 bytes; a prefix that a bucket is shared under may use the difference. */
export const MAX_KEY_BYTES = 900;

/**
 * Refuses a key, or a folder, that C7 does not allow. Every back end calls it first.
 *
 * @throws {Error} for a bad key: keys are made by keys.ts, so it is a programmer's mistake
 */
export function assertKey(key: string): void {
  const fault = keyFault(key);
  if (fault !== null) throw new Error(`Cannot use key "${key}": ${fault}`);
}

/**
 * What C7 has against a key, or null for a good one.
 *
 * A leading dot is left to the back ends: the disk store keeps its temporaries behind one, file
 * systems their own leftovers (`.nfs…`), and GCS reserves `.well-known/acme-challenge/`.
 */
export function keyFault(key: string): string | null {
  if (key.length > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`;
  return key.split("/").map(segmentFault).find((fault) => fault !== null) ?? null;
}

function segmentFault(segment: string): string | null {
  if (!SEGMENT.test(segment)) return `"${segment}" is not allowed in it`;
  return segment.length > MAX_SEGMENT_BYTES
    ? `"${segment}" is longer than ${MAX_SEGMENT_BYTES} bytes`
    : null;
}

/** @throws {StorageError} when an object of `sizeBytes` bytes has not all of `range` */
export function assertRange(range: ByteRange, sizeBytes: number): void {
  if (range.start < 0 || range.start > range.end || range.end > sizeBytes) {
    throw new StorageError(
      `Cannot read bytes ${range.start} to ${range.end}: the object has ${sizeBytes}`,
    );
  }
}

/** Content from a file that belongs to the publisher, and that will be removed. */
export function ownFileContent(ownFile: OwnFile, sizeBytes: number): Content {
  return { ...fileContent({ file: ownFile.path, sizeBytes }), ownFile };
}

/** Content from a file that stays as it is. */
export function fileContent({ file, sizeBytes }: { file: string; sizeBytes: number }): Content {
  // Opening is a matter of microseconds, and a stream cannot wait for it without a stream around
  // it.
  return { sizeBytes, open: () => Deno.openSync(file).readable };
}
