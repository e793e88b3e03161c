/**
 * The body of an object whose file is read block by block, so that each is checked before it
 * leaves.
 */
import { StorageError } from "../errors.ts";
import { BLOCK_BYTES } from "./block_sums.ts";
import type { ByteRange, StoredObject } from "./object_store.ts";

export interface BlockBodyOptions {
  /** The object, for messages. */
  readonly what: string;
  readonly range: ByteRange;
  /** Where in the file the object begins. */
  readonly offset: number;
  /**
   * Reads the block at which the file stands.
   *
   * @throws when its bytes are not the right ones; the body fails then
   */
  readonly read: (index: number) => Promise<Uint8Array<ArrayBuffer>>;
}

/** The body, which closes the file at its end, when it fails, and when it is cancelled. */
export function blockBody(
  file: Deno.FsFile,
  { what, range: { start, end }, offset, read }: BlockBodyOptions,
): StoredObject["body"] {
  let index = Math.floor(start / BLOCK_BYTES);
  const endIndex = start === end ? index : Math.ceil(end / BLOCK_BYTES);
  let isOpen = true;
  const close = () => {
    if (isOpen) file.close();
    isOpen = false;
  };
  return new ReadableStream({
    start: async (controller) => {
      if (index === endIndex) {
        close();
        controller.close();
      } else await file.seek(offset + index * BLOCK_BYTES, Deno.SeekMode.Start);
    },
    pull: async (controller) => {
      try {
        const block = await read(index);
        const at = index++ * BLOCK_BYTES;
        controller.enqueue(block.subarray(Math.max(0, start - at), end - at));
        if (index < endIndex) return;
        controller.close();
        close();
      } catch (cause) {
        // Cancelling the body closes the file, also while it is read from.
        if (!isOpen) return;
        close();
        throw cause instanceof StorageError
          ? cause
          : new StorageError(`Cannot read "${what}"`, { cause });
      }
    },
    cancel: close,
  }, { highWaterMark: 0 });
}
