/** Reads a body piece by piece, each within a deadline. */
import { Buffer } from "node:buffer";
import { within } from "./eventually.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** At least `sizeBytes` of what follows, or all where it ends before. */
export async function readBytes(
  reader: ReadableStreamDefaultReader<Bytes>,
  sizeBytes: number,
): Promise<Bytes> {
  const chunks: Bytes[] = [];
  for (let done = 0; done < sizeBytes;) {
    const { value, done: isEnd } = await within("bytes", reader.read());
    if (isEnd) break;
    chunks.push(value);
    done += value.length;
  }
  return new Uint8Array(Buffer.concat(chunks));
}

export async function readAllBytes(
  reader: ReadableStreamDefaultReader<Bytes>,
): Promise<Bytes> {
  return await readBytes(reader, Infinity);
}
