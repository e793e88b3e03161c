/**
 * The contract of a store. One atomic create-if-absent is the whole of this system's coordination, so what a back end
 * must promise is little and exact. `tests/store_contract.ts` has a test for each line; every back end runs it.
 *
 * - C1 Over a store's life at most one `create` of a key answers "created".
 * - C2 What `get` returns is complete, never a prefix of what was created.
 * - C3 Once `create` has answered, every replica's `get` sees the object,
 * - C4 and every `list` of its folder names it, past any page size.
 * - C5 A `create` that throws may have happened. Who needs to know reads.
 * - C6 Absence is `null`; any other trouble throws {@linkcode StorageError}.
 * - C7 Keys are ASCII `[A-Za-z0-9!+._~@/-]`, without an empty, `.` or `..` segment.
 * - C8 An aborted signal ends the call and leaves nothing behind.
 *
 * A new back end is a file beside this one, a case in `open.ts` and a test that calls the contract suite.
 */

/** What to store. It can be opened again, because a `create` may be retried. */
export interface Content {
  readonly sizeBytes: number;
  /** A new stream over the same bytes at each call. */
  open(): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** Bytes `start` to `end` of an object; `end` is exclusive and not past the object's end. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** An object that is there. Whoever gets it reads `body` to its end or cancels it. */
export interface StoredObject {
  /** The size of the whole object, also where a range was asked for. */
  readonly sizeBytes: number;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

export interface GetOptions {
  readonly range?: ByteRange;
  readonly signal?: AbortSignal;
}

export interface CreateOptions {
  readonly signal?: AbortSignal;
}

export interface ListOptions {
  /** Names up to and including this one are left out. */
  readonly after?: string;
  /** How many names at most. Without it: all of them. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

export interface ObjectStore {
  /** What a person calls this store in a message: `disk ./data`, `gcs my-bucket`. */
  readonly description: string;
  /** @throws {StorageError} when the store cannot say whether the object is there, or has less than the range. */
  get(key: string, options?: GetOptions): Promise<StoredObject | null>;
  /** @throws {StorageError} when the outcome is not known (C5). */
  create(key: string, content: Content, options?: CreateOptions): Promise<"created" | "exists">;
  /** The names of the objects directly in `folder` (no trailing `/`), in the order of their bytes. */
  list(folder: string, options?: ListOptions): Promise<string[]>;
}

/** Content from bytes in memory. */
export function bytesContent(bytes: Uint8Array<ArrayBuffer>): Content {
  return {
    sizeBytes: bytes.length,
    open: () => new Blob([bytes]).stream(),
  };
}

/** The whole of a small object's body. */
export async function readAll(object: StoredObject): Promise<Uint8Array<ArrayBuffer>> {
  return await new Response(object.body).bytes();
}
