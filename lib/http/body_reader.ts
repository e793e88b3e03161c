/**
 * Reads a body in pieces as large as they come. Files and sockets (streams of bytes) give as much
 * as there is, up to {@linkcode READ_BYTES}, into memory that is handed to them; other streams give
 * their own chunks.
 */

/** Less costs CPU time, more is not faster. */
const READ_BYTES = 256 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

export interface BodyReader {
  /** Null at the end. */
  read(): Promise<Bytes | null>;
  cancel(reason: unknown): Promise<void>;
}

export interface ReaderOptions {
  /**
   * Whether a piece is gone with the next read, which uses its memory again. What a large body
   * leaves behind otherwise is more work for the garbage collector than the reading. Default: it
   * stays.
   */
  readonly recycles?: boolean;
}

export function openReader(
  body: ReadableStream<Bytes>,
  { recycles = false }: ReaderOptions = {},
): BodyReader {
  const byob = byobReader(body);
  if (byob === null) {
    const reader = body.getReader();
    return {
      read: async () => (await reader.read()).value ?? null,
      cancel: (reason) => reader.cancel(reason),
    };
  }
  let last: Bytes | undefined;
  return {
    read: async () => {
      const memory = recycles && last !== undefined
        ? new Uint8Array(last.buffer)
        : new Uint8Array(READ_BYTES);
      const { done, value } = await byob.read(memory);
      last = value;
      return done ? null : value;
    },
    cancel: (reason) => byob.cancel(reason),
  };
}

function byobReader(body: ReadableStream<Bytes>): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: "byob" });
  } catch (error) {
    // Its type is not that of a stream of bytes.
    if (error instanceof TypeError && !body.locked) return null;
    throw error;
  }
}
