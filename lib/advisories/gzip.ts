/** gzip with turns for others, and with a limit for what comes out. */
import { Pace } from "../async/pace.ts";
import { InvalidAdvisoryError } from "./osv.ts";

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
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** @throws {InvalidAdvisoryError} when it is no gzip, or too much comes out */
export async function gunzip(
  bytes: Bytes,
  { maxBytes, what, pace }: GunzipOptions,
): Promise<Bytes> {
  const chunks: Bytes[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of throughChunks(bytes, new DecompressionStream("gzip"))) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) break;
      chunks.push(chunk);
      await pace.spend(chunk.length);
    }
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new InvalidAdvisoryError(`Cannot read ${what}: it is damaged`, { cause });
  }
  if (sizeBytes > maxBytes) {
    throw new InvalidAdvisoryError(`Cannot read ${what}: larger than ${maxBytes} bytes`);
  }
  return await new Blob(chunks).bytes();
}

export async function gzip(bytes: Bytes, pace: Pace): Promise<Bytes> {
  const chunks: Bytes[] = [];
  for await (const chunk of throughChunks(bytes, new CompressionStream("gzip"))) {
    chunks.push(chunk);
    await pace.spend(chunk.length * COMPRESSION_COST);
  }
  return await new Blob(chunks).bytes();
}

/** In small pieces, because each is worked off in one step. */
function throughChunks(
  bytes: Bytes,
  transform: ReadableWritablePair<Bytes, BufferSource>,
): ReadableStream<Bytes> {
  let start = 0;
  return new ReadableStream<BufferSource>({
    pull(controller) {
      if (start >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(start, start += CHUNK_BYTES));
    },
  }).pipeThrough(transform);
}
