/**
 * The key of a database of our own (golang.org/x/mod/sumdb/note):
 * `PRIVATE+KEY+<name>+<key hash>+<base64 of 0x01 and the 32 bytes of an Ed25519 private key>`. Name
 * and hash are those of its verifier key (note.ts). Go's own `note.GenerateKey` makes such keys
 * too.
 *
 * Error messages contain no part of it.
 */
import { Buffer } from "node:buffer";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { decodeBase64 } from "./base64.ts";
import { ED25519, ED25519_KEY_BYTES, keyHashOf } from "./note.ts";

/** The PKCS #8 encoding of a private key (RFC 8410, section 7), up to its 32 bytes. */
const PKCS8_PREFIX = Uint8Array.fromHex("302e020100300506032b657004220420");

/** A signer: a name with a private key. */
export class SignerKey {
  readonly name: string;
  /** The value of GOSUMDB on clients. */
  readonly verifierKey: string;
  /** The key hash that a signature begins with. */
  readonly #hash: Uint8Array;
  readonly #key: KeyObject;

  private constructor(name: string, key: KeyObject) {
    const { x = "" } = createPublicKey(key).export({ format: "jwk" });
    const encoded = encodeKey(Uint8Array.fromBase64(x, { alphabet: "base64url" }));
    const hash = keyHashOf(name, encoded);
    this.name = name;
    this.verifierKey = `${name}+${hash}+${encoded.toBase64()}`;
    this.#hash = Uint8Array.fromHex(hash);
    this.#key = key;
  }

  /** @param name a database's name: no space and no `+` */
  static generate(name: string): SignerKey {
    return new SignerKey(name, generateKeyPairSync("ed25519").privateKey);
  }

  /** @throws {Error} when the text is not a signer key */
  static parse(text: string): SignerKey {
    const [, name, hash, base64] =
      /^PRIVATE\+KEY\+([^\s+]+)\+([0-9A-Fa-f]{8})\+(\S+)$/.exec(text) ?? [];
    const encoded = decodeBase64(base64 ?? "");
    if (name === undefined || hash === undefined || encoded === null) {
      throw new Error(
        "Cannot read signer key: it is not PRIVATE+KEY+<name>+<8 hex digits>+<base64>",
      );
    }
    if (encoded[0] !== ED25519 || encoded.length !== 1 + ED25519_KEY_BYTES) {
      throw new Error(`Cannot read signer key of "${name}": it is not an Ed25519 key`);
    }
    const der = Buffer.concat([PKCS8_PREFIX, encoded.subarray(1)]);
    const key = new SignerKey(name, createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
    if (key.#hash.toHex() !== hash.toLowerCase()) {
      throw new Error(`Cannot read signer key of "${name}": its key hash does not match the key`);
    }
    return key;
  }

  /** The whole secret, in the form that {@linkcode parse} reads. */
  toSecret(): string {
    const { d = "" } = this.#key.export({ format: "jwk" });
    const encoded = encodeKey(Uint8Array.fromBase64(d, { alphabet: "base64url" }));
    return `PRIVATE+KEY+${this.name}+${this.#hash.toHex()}+${encoded.toBase64()}`;
  }

  /** @param text ends in a newline */
  sign(text: string): Uint8Array<ArrayBuffer> {
    const bytes = new TextEncoder().encode(text);
    const signature = Buffer.concat([this.#hash, sign(null, bytes, this.#key)]);
    return new TextEncoder().encode(`${text}\n— ${this.name} ${signature.toString("base64")}\n`);
  }
}

function encodeKey(key: Uint8Array): Uint8Array {
  return Uint8Array.of(ED25519, ...key);
}
