/**
 * The hash of a module zip or of a go.mod as go.sum files, checksum databases and manifests write
 * it: `h1:` and the base64 of a SHA-256, https://go.dev/ref/mod#go-sum-files. lib/zip/hash.ts says
 * what is hashed.
 *
 * Each hash has one spelling. The last of its 43 digits carries four bits, and the two bits that
 * are left over are zero.
 */
import { InvalidRequestError } from "../errors.ts";
import { quoted } from "./quoted.ts";

declare const h1Brand: unique symbol;

/** `h1:` and 44 characters of base64. */
export type H1 = string & { readonly [h1Brand]: true };

/** What go.sum and checksum databases hold of a module version. */
export interface ModuleHashes {
  readonly zipH1: H1;
  readonly goModH1: H1;
}

const PREFIX = "h1:";
const PATTERN = /^h1:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** Whether `text` is a hash in its one spelling. */
export function isH1(text: string): text is H1 {
  return PATTERN.test(text);
}

/**
 * @throws {InvalidRequestError} when `text` is not a hash in its one spelling
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const h1 = parseH1("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
 * assert.equal(hexOfH1(h1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
 * ```
 */
export function parseH1(text: string): H1 {
  if (isH1(text)) return text;
  throw new InvalidRequestError(`Cannot read hash ${quoted(text)}: not h1: and base64`);
}

/** @param sha256 of 32 bytes */
export function h1Of(sha256: Uint8Array): H1 {
  return PREFIX + sha256.toBase64() as H1;
}

/** The 64 lower-case hex digits of the SHA-256. */
export function hexOfH1(h1: H1): string {
  return Uint8Array.fromBase64(h1.slice(PREFIX.length)).toHex();
}
