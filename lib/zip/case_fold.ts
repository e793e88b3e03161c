/**
 * Unicode simple case folding, as the `go` command uses it to find file names that one directory of
 * a case-insensitive file system cannot hold together: `strings.EqualFold`, and `strToFold` of
 * golang.org/x/mod/zip.
 *
 * Lower case alone is not enough: `ſ`, `s` and `S` are one letter, so are `K` (the kelvin sign),
 * `k` and `K`, and each has a lower case of its own. Full folding is too much: `ß` and `ss` are
 * different names. A character's folding class is found by taking its upper case and then that
 * one's lower case, where they are single characters. A golden vector made by Go over all of
 * Unicode holds this to Go's own table.
 *
 * KNOWN LIMIT: Go 1.26 knows Unicode 15, V8 a newer one. A letter newer than that folds here and
 * not there; the `go` command refuses it in a file name anyway.
 */

/**
 * The key of a name's folding class: two names are equal under case folding exactly if their keys
 * are.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(caseFold("READ\u017f.md"), caseFold("reads.md"));
 * assert.notEqual(caseFold("stra\u00dfe"), caseFold("strasse"));
 * ```
 */
export function caseFold(name: string): string {
  if (ASCII.test(name)) return name.toLowerCase();
  let key = "";
  for (const character of name) key += foldCharacter(character);
  return key;
}

const ASCII = /^[\0-\x7f]*$/;

/**
 * Its upper case is `I`, but it folds to nothing else: only Turkish holds the two to be one letter.
 */
const DOTLESS_I = "\u0131";

function foldCharacter(character: string): string {
  if (character === DOTLESS_I) return character;
  const upper = singleOr(character, character.toUpperCase());
  return singleOr(upper, upper.toLowerCase());
}

/**
 * `mapped` if it is one character; else `character`, which has no simple mapping (`ß` becomes `SS`,
 * `İ` two).
 */
function singleOr(character: string, mapped: string): string {
  return [...mapped].length === 1 ? mapped : character;
}
