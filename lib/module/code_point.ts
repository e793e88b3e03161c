/**
 * Characters by their number, as escapes and character references name them. Only this file calls
 * `String.fromCodePoint` (the lint rule effects-in-one-place): it throws a RangeError above
 * 0x10ffff and makes half a character of a surrogate.
 */

/**
 * The character of a code point, or null where the number is not one, or is a surrogate.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(characterOf(0x1f600), "😀");
 * assert.equal(characterOf(0xd800), null);
 * assert.equal(characterOf(0x110000), null);
 * ```
 */
export function characterOf(codePoint: number): string | null {
  const isCodePoint = Number.isInteger(codePoint) && codePoint >= 0 && codePoint <= 0x10ffff;
  const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
  return isCodePoint && !isSurrogate ? String.fromCodePoint(codePoint) : null;
}
