/**
 * Reads the tar that `git archive` writes, as a stream: POSIX ustar, with pax records for long and
 * for non-ASCII names and a global pax header in front (pax is in POSIX.1-2017, `pax`). The reading
 * is tar-stream's.
 *
 * What is not UTF-8 in a name reads as U+FFFD, as it does in lists of trees.
 */
import { pipeline, Readable } from "node:stream";
// @ts-types="npm:@types/tar-stream@3.1.5"
import { type Entry, extract } from "tar-stream";

/** A regular file. */
export interface TarFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** To be read to its end or not at all, and before the next file is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * The regular files of a tar, in its order. Everything else is skipped: directories, symlinks,
 * global headers.
 *
 * Memory: what one read of `archive` brings. When the caller stops early, or the tar cannot be
 * read, `archive` is cancelled; when `archive` fails, so does this, with the same reason.
 *
 * @throws {Error} when it is not a tar, or ends too early
 */
export async function* readTar(
  archive: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<TarFile> {
  const entries = extract();
  // The pipeline tears both ends down. What went wrong, the iteration below throws.
  pipeline(Readable.from(archive, { objectMode: false }), entries, () => {});
  for await (const entry of entries) {
    const file = fileOf(entry);
    if (file !== null) yield file;
    // To its end: the next header comes behind the content.
    entry.resume();
  }
}

function fileOf(entry: Entry): TarFile | null {
  const { name, size, type } = entry.header;
  if (type !== "file") return null;
  return { name, sizeBytes: size ?? 0, content: entry };
}
