/**
 * Content on its way to a server: in parts of a bounded size, because an upload is repeated part by
 * part, and with its checksum, which the servers want before the bytes.
 */
import { crc32c, crc32cText } from "./crc32c.ts";
import { type Content, openExactly } from "./object_store.ts";

/**
 * The bytes of `content` in parts of `partSizeBytes`, of which the last may be smaller. Empty
 * content has no parts.
 *
 * @throws what the content throws; an {@linkcode Error} when its bytes are not as many as it says
 * @throws the reason of `signal`; the content is cancelled then
 */
export async function* partsOf(
  content: Content,
  { partSizeBytes, signal }: { partSizeBytes: number; signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let part = new Uint8Array(Math.min(partSizeBytes, content.sizeBytes));
  let filled = 0;
  let left = content.sizeBytes;
  for await (const chunk of openUntil(content, signal)) {
    for (let rest = chunk; rest.length > 0;) {
      const piece = rest.subarray(0, part.length - filled);
      part.set(piece, filled);
      filled += piece.length;
      rest = rest.subarray(piece.length);
      if (filled < part.length) continue;
      yield part;
      left -= part.length;
      part = new Uint8Array(Math.min(partSizeBytes, left));
      filled = 0;
    }
  }
}

/**
 * The checksum of `content` as {@linkcode crc32cText} writes it.
 *
 * @throws as {@linkcode partsOf}
 */
export async function crc32cOf(content: Content, signal?: AbortSignal): Promise<string> {
  let crc = 0;
  for await (const chunk of openUntil(content, signal)) crc = crc32c(chunk, crc);
  return crc32cText(crc);
}

function openUntil(
  content: Content,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return openExactly(content).pipeThrough(new TransformStream(), signal ? { signal } : {});
}
