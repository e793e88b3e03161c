/**
 * What both bucket stores make of a listing: object names under a prefix, page by page, in the
 * order of their bytes.
 */
import { keyFault } from "./object_store.ts";

export interface NamesOptions {
  /** Of the whole bucket's names: the folder, with a slash at its end. */
  readonly prefix: string;
  /** Names up to and including this one are left out. */
  readonly after: string;
  readonly limit: number;
}

/** The names in a folder; no more pages are asked for than needed. */
export async function namesIn(
  pages: AsyncIterable<readonly string[]>,
  { prefix, after, limit }: NamesOptions,
): Promise<string[]> {
  const names: string[] = [];
  for await (const page of pages) {
    const found = keysIn(page, prefix);
    names.push(...found.filter((name) => name > after));
    if (names.length >= limit) break;
  }
  return names.slice(0, limit);
}

/** All keys below a prefix. */
export async function* keysBelow(
  pages: AsyncIterable<readonly string[]>,
  prefix: string,
): AsyncGenerator<string> {
  for await (const page of pages) yield* keysIn(page, prefix);
}

/** An object that was put there by hand may have any name. */
function keysIn(page: readonly string[], prefix: string): string[] {
  return page.map((name) => name.slice(prefix.length)).filter((key) => keyFault(key) === null);
}
