/** The files of a zip, one after the other, each in memory. */
import { Pace } from "../async/pace.ts";
import { openArchive } from "../zip/archive.ts";
import { InvalidAdvisoryError } from "./osv.ts";

export interface ZipFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface ZipFilesOptions {
  /** Of one file; larger ones are refused. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Those with a name that ends in `.json`.
 *
 * @throws {ZipError} when it is not a zip, or damaged
 * @throws {InvalidAdvisoryError} when a file is too large
 */
export async function* zipFiles(
  file: Deno.FsFile,
  { maxBytes, signal }: ZipFilesOptions,
): AsyncGenerator<ZipFile> {
  const archive = await openArchive(file, new Pace(signal));
  for (const entry of archive.entries) {
    const { name, sizeBytes } = entry;
    if (!name.endsWith(".json")) continue;
    if (sizeBytes > maxBytes) {
      throw new InvalidAdvisoryError(`Cannot use "${name}": larger than ${maxBytes} bytes`);
    }
    const bytes = new Uint8Array(sizeBytes);
    let at = 0;
    await archive.read(entry, (chunk) => {
      bytes.set(chunk, at);
      at += chunk.length;
    });
    yield { name, bytes };
  }
}
