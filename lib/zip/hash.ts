/**
 * The hashes that go.sum and checksum databases hold: `Hash1` of golang.org/x/mod/sumdb/dirhash.
 *
 * A module zip's h1 covers the names and contents of its entries, not their order, compression or
 * times:
 *
 * ```
 * "h1:" + base64(SHA-256 of the lines)
 * a line for each entry, sorted by the names' bytes: "<hex SHA-256 of the content>␠␠<name>\n"
 * ```
 *
 * The name is the whole entry name, `example.com/m@v1.0.0/a.go`. An entry for a directory counts as
 * an empty file whose name ends in a slash. A go.mod by itself is hashed as one entry of the name
 * `go.mod`.
 */
import { createHash } from "node:crypto";
import { atOnce, sortSteps, type Steps } from "../async/pace.ts";
import { type H1, h1Of } from "../module/h1.ts";

/** What an entry, and a character of its name, costs, as if it were so much content. */
const ENTRY_COST_BYTES = 512;
const CHAR_COST_BYTES = 16;

/** What the hash needs to know of one entry of a zip. */
export interface HashedEntry {
  readonly name: string;
  /** Of the entry's content: 64 lower-case hex digits. */
  readonly sha256: string;
}

/**
 * The h1 of a zip with these entries, in whatever order they come.
 *
 * @throws {Error} when a name holds a newline: two sets of entries could have the same lines.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(hashEntries([]), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
 * ```
 */
export function hashEntries(entries: readonly HashedEntry[]): H1 {
  return atOnce(hashSteps(entries));
}

/** As {@linkcode hashEntries}, in steps. */
export function* hashSteps(entries: readonly HashedEntry[]): Steps<H1> {
  const keyed: { readonly entry: HashedEntry; readonly key: string }[] = [];
  for (const entry of entries) {
    keyed.push({ entry, key: sortKey(entry.name) });
    yield ENTRY_COST_BYTES + entry.name.length * CHAR_COST_BYTES;
  }
  const sorted = yield* sortSteps(keyed, (a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
  const lines = createHash("sha256");
  for (const { entry: { name, sha256 } } of sorted) {
    if (name.includes("\n")) throw new Error(`Cannot hash zip: newline in ${JSON.stringify(name)}`);
    lines.update(`${sha256}  ${name}\n`);
    yield ENTRY_COST_BYTES;
  }
  return h1Of(lines.digest());
}

/**
 * The h1 of a go.mod, as the lines of go.sum with `/go.mod` have it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const goMod = new TextEncoder().encode("module github.com/pkg/errors\n");
 * assert.equal(hashGoMod(goMod), "h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=");
 * ```
 */
export function hashGoMod(goMod: Uint8Array): H1 {
  return hashEntries([{
    name: "go.mod",
    sha256: createHash("sha256").update(goMod).digest("hex"),
  }]);
}

/**
 * A string that sorts by `<` as the name's UTF-8 bytes do. UTF-16 puts surrogates before U+E000 to
 * U+FFFF although they stand for larger code points; here the two ranges change places. (A
 * comparison character by character in JavaScript is ten times slower than `<`.)
 */
function sortKey(name: string): string {
  return name.replace(/[\ud800-\uffff]/g, (unit) => {
    const code = unit.charCodeAt(0);
    return String.fromCharCode(code < 0xe000 ? code + 0x2000 : code - 0x800);
  });
}
