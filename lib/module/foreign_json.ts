/**
 * JSON that others send. To parse a value takes as long as to read hundreds of characters, so a
 * text of a few megabytes can hold the thread for seconds; its values are counted before.
 */

/** Of objects, lists, and what is in them: some milliseconds. */
export const MAX_JSON_VALUES = 20_000;

/**
 * The value of a JSON text.
 *
 * @throws {SyntaxError} when it is not JSON, or has more than `maxValues` values
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseForeignJson('{"a":[1,2]}'), { a: [1, 2] });
 * assert.throws(() => parseForeignJson("[".repeat(100_000)), SyntaxError);
 * ```
 */
export function parseForeignJson(text: string, maxValues: number = MAX_JSON_VALUES): unknown {
  if (hasTooManyValues(text, maxValues)) {
    throw new SyntaxError(`the JSON has more than ${maxValues} values`);
  }
  return JSON.parse(text);
}

/**
 * Whether a text that may be JSON has more than `maxValues` values.
 *
 * Outside of strings, each value is behind one of `[`, `{` and `,`, but for the first.
 */
export function hasTooManyValues(text: string, maxValues: number = MAX_JSON_VALUES): boolean {
  let values = 0;
  let isInString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) isInString = !isInString;
    else if (isInString) {
      if (code === BACKSLASH) i++;
    } else if (
      (code === COMMA || code === BRACKET || code === BRACE) && ++values > maxValues
    ) return true;
  }
  return false;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
