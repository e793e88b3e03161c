/**
 * Signed notes, the form in which a checksum database signs its trees
 * (golang.org/x/mod/sumdb/note):
 *
 * ```text
 * go.sum database tree
 * 2
 * nND/nri/U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI=
 *
 * — sum.example.com QUJDRGFi…
 * ```
 *
 * The text ends in a newline. An empty line follows, and one line for each signature: em dash, name
 * of the key, base64 of the key's hash (4 bytes) and the signature of the text. Everything is UTF-8
 * without control characters except newline.
 *
 * A verifier key is
 * `<name>+<key hash, 8 hex digits>+<base64 of 0x01 and the 32 bytes of an Ed25519 key>`; its hash
 * is the first 4 bytes of SHA-256(name ‖ newline ‖ 0x01 ‖ key).
 *
 * Limits: Ed25519, the only algorithm defined; {@linkcode MAX_SIGNATURES}.
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { decodeBase64 } from "./base64.ts";
import { UnverifiedError } from "./errors.ts";

/**
 * A tree's note has about 200 bytes; a database may have several keys, and future lines of text.
 */
export const MAX_NOTE_BYTES = 32 * 1024;
/** The limit of Go. */
export const MAX_SIGNATURES = 100;

/** The first byte of an encoded key. */
export const ED25519 = 1;
/** Of a public or private key. */
export const ED25519_KEY_BYTES = 32;
const KEY_HASH_BYTES = 4;

/** The verifying side of a signer: a name with a public key. */
export class VerifierKey {
  readonly name: string;
  /** 8 hex digits. */
  readonly keyHash: string;
  readonly #key: KeyObject;

  private constructor(name: string, { keyHash, key }: { keyHash: string; key: KeyObject }) {
    this.name = name;
    this.keyHash = keyHash;
    this.#key = key;
  }

  /** @throws {Error} when the text is not a verifier key */
  static parse(text: string): VerifierKey {
    const [, name, hash, base64] = /^([^\s+]+)\+([0-9A-Fa-f]{8})\+(\S+)$/.exec(text) ?? [];
    const encoded = decodeBase64(base64 ?? "");
    if (name === undefined || hash === undefined || encoded === null) {
      throw new Error("Cannot read verifier key: it is not <name>+<8 hex digits>+<base64>");
    }
    const keyHash = keyHashOf(name, encoded);
    if (hash.toLowerCase() !== keyHash) {
      throw new Error(`Cannot read verifier key of "${name}": its hash is ${keyHash}, not ${hash}`);
    }
    if (encoded[0] !== ED25519 || encoded.length !== 1 + ED25519_KEY_BYTES) {
      throw new Error(`Cannot read verifier key of "${name}": it is not an Ed25519 key`);
    }
    const x = encoded.subarray(1).toBase64({ alphabet: "base64url", omitPadding: true });
    const jwk = { kty: "OKP", crv: "Ed25519", x };
    return new VerifierKey(name, { keyHash, key: createPublicKey({ key: jwk, format: "jwk" }) });
  }

  hasSigned(text: Uint8Array, signature: Uint8Array): boolean {
    return verify(null, text, this.#key, signature);
  }
}

/** A note whose signature has been checked. */
export interface SignedNote {
  /** The signed text; it ends in a newline. */
  readonly text: string;
  /** The note with only the checked signature: the others are unverified. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * @throws {UnverifiedError} when the note is malformed, not signed by the key, or its signature is
 * invalid
 */
export function openNote(bytes: Uint8Array, key: VerifierKey): SignedNote {
  const { text, lines } = splitNote(decodeText(bytes));
  let checked: string | null = null;
  for (const line of lines) {
    const { name, keyHash, signature } = parseSignature(line);
    if (name !== key.name || keyHash !== key.keyHash) continue;
    if (!key.hasSigned(new TextEncoder().encode(text), signature)) {
      throw new UnverifiedError(`Cannot trust the note: its signature by "${name}" is invalid`);
    }
    checked = line;
  }
  if (checked === null) {
    throw new UnverifiedError(
      `Cannot trust the note: "${key.name}+${key.keyHash}" has not signed it`,
    );
  }
  return { text, bytes: new TextEncoder().encode(`${text}\n${checked}\n`) };
}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Text of a database: UTF-8 without control characters except newline.
 *
 * @throws {UnverifiedError}
 */
export function decodeText(bytes: Uint8Array): string {
  try {
    const text = DECODER.decode(bytes);
    // deno-lint-ignore no-control-regex -- they are what it looks for
    if (!/[\0-\x09\x0b-\x1f]/.test(text)) return text;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  throw new UnverifiedError(
    "Cannot read the database's answer: it is not UTF-8 or has control characters",
  );
}

/**
 * 8 hex digits.
 *
 * @param encodedKey {@linkcode ED25519} and the public key
 */
export function keyHashOf(name: string, encodedKey: Uint8Array): string {
  return createHash("sha256").update(`${name}\n`).update(encodedKey).digest()
    .subarray(0, KEY_HASH_BYTES).toString("hex");
}

function splitNote(note: string): { text: string; lines: string[] } {
  const end = note.lastIndexOf("\n\n");
  const lines = note.slice(end + 2).split("\n");
  const isEnded = lines.pop() === "";
  if (end < 0 || !isEnded || lines.length > MAX_SIGNATURES) throw malformed();
  return { text: note.slice(0, end + 1), lines };
}

function parseSignature(line: string) {
  const [, name, base64] = /^— ([^\s+]+) (\S+)$/.exec(line) ?? [];
  const bytes = decodeBase64(base64 ?? "");
  if (name === undefined || bytes === null || bytes.length <= KEY_HASH_BYTES) throw malformed();
  const keyHash = bytes.subarray(0, KEY_HASH_BYTES).toHex();
  return { name, keyHash, signature: bytes.subarray(KEY_HASH_BYTES) };
}

function malformed(): UnverifiedError {
  return new UnverifiedError(
    "Cannot read the note: it must be text, an empty line and lines of signatures",
  );
}
