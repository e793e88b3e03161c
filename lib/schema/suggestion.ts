/** "did you mean": the known word that is nearest to a misspelt one. */

/** Longer words, and candidates past this number, are not compared. */
const MAX_LENGTH = 64;
const MAX_CANDIDATES = 500;

/**
 * The end of a message, or an empty text where no candidate is near.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(didYouMean("bukcet", ["bucket", "prefix"]), '; did you mean "bucket"?');
 * assert.equal(didYouMean("xyz", ["bucket", "prefix"]), "");
 * ```
 */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const nearest = nearestTo(word, candidates);
  return nearest === null ? "" : `; did you mean "${nearest}"?`;
}

/**
 * The nearest candidate, or null where none is near: one mistake in three letters is a slip; a word
 * of one or two letters has none.
 */
export function nearestTo(word: string, candidates: Iterable<string>): string | null {
  let nearest: string | null = null;
  let least = Math.floor(Math.max(word.length, 2) / 3) + (word.length > 1 ? 1 : 0);
  for (const candidate of [...candidates].slice(0, MAX_CANDIDATES)) {
    if (Math.max(word.length, candidate.length) > MAX_LENGTH) continue;
    if (Math.abs(word.length - candidate.length) >= least) continue;
    const distance = distanceBetween(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [nearest, least] = [candidate, distance];
  }
  return nearest;
}

/**
 * How many letters are to be inserted, left out, replaced or swapped with their neighbour: the
 * optimal string alignment distance.
 */
function distanceBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwapped ? (before[j - 2] ?? 0) + 1 : Infinity;
      row.push(Math.min(replaced, swapped, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
