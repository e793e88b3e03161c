/**
 * Text from outside, made fit for a message that a user of `go` reads.
 *
 * The `go` command shows the body of an error only if every character in it is graphic or white
 * space, and drops it altogether if its first line is over 648 bytes. A request may hold anything
 * of any length, so what is put into a message is printable ASCII and short.
 */

/** How much of a value a message shows. Three such values and a sentence fit in the 648 bytes. */
export const MAX_QUOTED_CHARACTERS = 128;

/**
 * `text` in double quotes: printable ASCII as it is, the rest as `\u{hex}`, cut after
 * {@linkcode MAX_QUOTED_CHARACTERS}.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(quoted('a "b"\n\u00e9'), '"a \\"b\\"\\u{a}\\u{e9}"');
 * assert.equal(quoted("x".repeat(500)), `"${"x".repeat(128)}"...`);
 * ```
 */
export function quoted(text: string): string {
  let shown = "";
  for (const character of text) {
    const escaped = escapedCharacter(character);
    if (shown.length + escaped.length > MAX_QUOTED_CHARACTERS) return `"${shown}"...`;
    shown += escaped;
  }
  return `"${shown}"`;
}

function escapedCharacter(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  if (character >= " " && character <= "~") return character;
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
