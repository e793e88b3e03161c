/**
 * String literals of the Go language, as go.mod files quote with them:
 * https://go.dev/ref/spec#String_literals
 */
import { characterOf } from "./code_point.ts";

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 0x07,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  v: 0x0b,
  "\\": 0x5c,
  '"': 0x22,
};

const PART =
  /(?<plain>[^"\\\n]+)|\\(?:(?<simple>[abfnrtv\\"])|(?<octal>[0-7]{3})|x(?<hex>[0-9A-Fa-f]{2})|u(?<short>[0-9A-Fa-f]{4})|U(?<long>[0-9A-Fa-f]{8}))/y;

/**
 * The value of an interpreted (`"…"`) or raw (`` `…` ``) string literal; null for what is not one
 * literal.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(unquoteGo('"a\\x2fb\\u00e9"'), "a/b\u00e9");
 * assert.equal(unquoteGo("`a\\b`"), "a\\b");
 * assert.equal(unquoteGo('"a" b'), null);
 * ```
 */
export function unquoteGo(literal: string): string | null {
  if (/^`[^`]*`$/.test(literal)) return literal.slice(1, -1).replaceAll("\r", "");
  return /^".*"$/s.test(literal) ? unescapeInterpreted(literal.slice(1, -1)) : null;
}

/** Escapes name bytes as well as characters, so the value is put together in bytes. */
function unescapeInterpreted(text: string): string | null {
  if (!/["\\\n]/.test(text)) return text;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  const part = new RegExp(PART);
  while (part.lastIndex < text.length) {
    const groups = part.exec(text)?.groups;
    if (groups === undefined) return null;
    const { plain, simple, octal, hex, short, long } = groups;
    if (plain !== undefined) {
      for (const byte of encoder.encode(plain)) bytes.push(byte);
    } else if (simple !== undefined) {
      bytes.push(SIMPLE_ESCAPES[simple] ?? 0);
    } else if (octal !== undefined || hex !== undefined) {
      const byte = octal !== undefined ? parseInt(octal, 8) : parseInt(hex ?? "", 16);
      if (byte > 0xff) return null;
      bytes.push(byte);
    } else {
      const character = characterOf(parseInt(short ?? long ?? "", 16));
      if (character === null) return null;
      bytes.push(...encoder.encode(character));
    }
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes));
}
