/** What commands read: files that the user names, and standard input. */
import { InvalidRequestError } from "../lib/errors.ts";

/** @throws {InvalidRequestError} when the file cannot be read */
export async function readFile(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (cause) {
    throw new InvalidRequestError(`Cannot read ${file}`, { cause });
  }
}

/** As {@linkcode readFile}, and null where there is no such file. */
export async function readFileIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file);
  } catch (error) {
    if (error instanceof Error && error.cause instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The whole text. @throws what `tooLong` makes, when it is longer than `maxBytes` */
export async function readInput(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
  { maxBytes, tooLong }: { readonly maxBytes: number; readonly tooLong: () => Error },
): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let sizeBytes = 0;
  for await (const chunk of input) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw tooLong();
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}
