/** gzip with turns for others, and with a limit for what comes out. */
import { Pace } from "../async/pace.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What compressing costs in comparison with inflating. */
const COMPRESSION_COST = 8;
const CHUNK_BYTES = 64 * 1024;

export interface GunzipOptions {
  /** Of the result. */
  readonly maxBytes: number;
  /** What it is, to complete the sentence "Cannot read …". */
  readonly what: string;
  readonly pace: Pace;
  /** What to throw where it cannot be read. */
  readonly error: new (message: string, options?: ErrorOptions) => Error;
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** @throws {GunzipOptions.error} when it is no gzip, or too much comes out */
export async function gunzip(
  bytes: Bytes,
  { maxBytes, what, pace, error: Refusal }: GunzipOptions,
): Promise<Bytes> {
  const chunks: Bytes[] = [];
  let sizeBytes = 0;
  const pieces = piecesOf([bytes]);
  const source = new ReadableStream<BufferSource>({
    pull(controller) {
      const { done, value } = pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  try {
    for await (const chunk of source.pipeThrough(new DecompressionStream("gzip"))) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) break;
      chunks.push(chunk);
      await pace.spend(chunk.length);
    }
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new Refusal(`Cannot read ${what}: it is damaged`, { cause });
  }
  if (sizeBytes > maxBytes) {
    throw new Refusal(`Cannot read ${what}: larger than ${maxBytes} bytes`);
  }
  return await new Blob(chunks).bytes();
}

/** @param parts one after the other, which need not be in one piece */
export async function gzip(parts: Iterable<Bytes>, pace: Pace): Promise<Bytes> {
  const pieces = piecesOf(parts);
  const source = new ReadableStream<BufferSource>({
    async pull(controller) {
      const { done, value } = pieces.next();
      if (done) return controller.close();
      controller.enqueue(value);
      // Not what comes out, of which there may be very little.
      await pace.spend(value.length * COMPRESSION_COST);
    },
  });
  return await new Response(source.pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** In pieces of one size, because each is worked off in one step. */
function* piecesOf(parts: Iterable<Bytes>): Generator<Bytes, undefined> {
  let piece = new Uint8Array(CHUNK_BYTES);
  let filled = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      const some = part.subarray(at, at + CHUNK_BYTES - filled);
      piece.set(some, filled);
      at += some.length;
      filled += some.length;
      if (filled < CHUNK_BYTES) continue;
      yield piece;
      piece = new Uint8Array(CHUNK_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
