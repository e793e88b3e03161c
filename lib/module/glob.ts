/**
 * Globs, as in Go's `path.Match` (https://pkg.go.dev/path#Match), as regular expressions for a
 * linear-time engine:
 *
 * | in a glob | matches                                                        |
 * | --------- | -------------------------------------------------------------- |
 * | `*`       | any sequence of characters other than `/`                      |
 * | `?`       | one character other than `/`                                   |
 * | `[a-z_]`  | one character of the class; `[^…]`: one outside it, except `/` |
 * | `\c`      | the character `c`                                              |
 *
 * Two differences: a class in brackets never matches a `/`, as it may in Go, and one that matches
 * nothing is rejected.
 */
import { RE2JS } from "re2js";

/** A text is not a glob. The message gives the reason. */
export class GlobError extends Error {
  override readonly name = "GlobError";
}

/**
 * The regular expression of a glob, not anchored.
 *
 * @throws {GlobError}
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(globSource("*.example.com/a?[^bc]"), "[^/]*\\.example\\.com/a[^/][^/bc]");
 * assert.throws(() => globSource("a["), GlobError);
 * ```
 */
export function globSource(glob: string): string {
  const characters = [...glob];
  let source = "";
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i];
    if (character === "*") source += "[^/]*";
    else if (character === "?") source += "[^/]";
    else if (character === "[") {
      const { text, end } = classSource(characters, i);
      source += text;
      i = end;
    } else if (character === "\\") source += RE2JS.quote(escaped(characters, ++i));
    else source += RE2JS.quote(character ?? "");
  }
  return source;
}

/**
 * The regular expression of a list of globs of module paths, as in `GOPRIVATE`: each covers the
 * paths whose first elements it matches, and all below them.
 *
 * @throws {GlobError}
 */
export function modulesSource(globs: readonly string[]): string {
  return `^(?:${globs.map((glob) => globSource(glob.replace(/\/$/, ""))).join("|")})(?:/|$)`;
}

/** The class in brackets that begins at `start`, and where its `]` is. */
function classSource(
  characters: readonly string[],
  start: number,
): { text: string; end: number } {
  let i = start + 1;
  const isNegated = characters[i] === "^";
  if (isNegated) i++;
  const ranges: string[] = [];
  for (let count = 0; characters[i] !== "]" || count === 0; count++) {
    const low = member();
    const high = characters[i] === "-" ? (i++, member()) : low;
    if (low > high) throw new GlobError(`the range ${low}-${high} is empty`);
    ranges.push(...withoutSlash(low, high));
  }
  const text = isNegated ? `[^/${ranges.join("")}]` : `[${ranges.join("")}]`;
  if (text === "[]") throw new GlobError("a class of / alone matches nothing");
  return { text, end: i };

  function member(): string {
    const character = characters[i];
    if (character === undefined) throw new GlobError("a [ without a ]");
    if (character === "-" || character === "]") {
      throw new GlobError(`${character} in brackets needs a \\ before it`);
    }
    if (character === "\\") i++;
    const taken = character === "\\" ? escaped(characters, i) : character;
    i++;
    return taken;
  }
}

function escaped(characters: readonly string[], i: number): string {
  const character = characters[i];
  if (character === undefined) throw new GlobError("a \\ at the end");
  return character;
}

/** A range without `/`, as the inside of a class. */
function withoutSlash(low: string, high: string): string[] {
  if (low > "/" || high < "/") return [rangeSource(low, high)];
  return [
    ...(low < "/" ? [rangeSource(low, ".")] : []),
    ...(high > "/" ? [rangeSource("0", high)] : []),
  ];
}

function rangeSource(low: string, high: string): string {
  const quoted = [low, high].map((c) => /[A-Za-z0-9]/.test(c) ? c : `\\x{${hex(c)}}`);
  return low === high ? quoted[0] ?? "" : quoted.join("-");
}

function hex(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16);
}

/**
 * Whether a module path is in a list as in `GOPRIVATE`: globs, separated by commas. Empty ones
 * cover nothing.
 *
 * @throws {GlobError}
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const isInternal = parsePathList("internal.example.com,*.corp.example/a");
 * assert.ok(isInternal("internal.example.com/lib/v2"));
 * assert.ok(!isInternal("internal.example.com.evil.example/lib"));
 * assert.ok(!isInternal("git.corp.example/b"));
 * ```
 */
export function parsePathList(text: string): (path: string) => boolean {
  const globs = text.split(",").filter((glob) => glob !== "");
  if (globs.length === 0) return () => false;
  const pattern = RE2JS.compile(modulesSource(globs));
  return (path) => pattern.test(path);
}
