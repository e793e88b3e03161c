/**
 * A signed tree: everything that a database states about its log as a whole, in a signed note with
 * this text:
 *
 * ```text
 * go.sum database tree
 * 2
 * nND/nri/U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI=
 * ```
 *
 * The number of records and the base64 of the tree's hash. Further lines are ignored for future
 * extensions, as in Go's tlog.ParseTree.
 */
import { decodeBase64 } from "./base64.ts";
import { UnverifiedError } from "./errors.ts";
import { HASH_BYTES, type Tree } from "./merkle.ts";
import { openNote, type VerifierKey } from "./note.ts";
import type { SignerKey } from "./signer.ts";

/** A tree that its database has signed. */
export interface SignedTree extends Tree {
  /** As served: text and signature. */
  readonly note: Uint8Array<ArrayBuffer>;
}

/**
 * @throws {UnverifiedError} when the note is malformed, not signed by the key, or not about a tree
 */
export function openTree(bytes: Uint8Array, key: VerifierKey): SignedTree {
  const note = openNote(bytes, key);
  const [, digits, base64] = /^go\.sum database tree\n(0|[1-9]\d*)\n(\S+)\n/.exec(note.text) ?? [];
  const size = Number(digits);
  const hash = decodeBase64(base64 ?? "");
  if (!Number.isSafeInteger(size) || hash?.length !== HASH_BYTES) {
    throw new UnverifiedError(
      `Cannot read the note signed by "${key.name}": it is not about a tree`,
    );
  }
  return { size, hash, note: note.bytes };
}

/** Signing is deterministic: the same tree always gets the same bytes. */
export function signTree({ size, hash }: Tree, key: SignerKey): SignedTree {
  return { size, hash, note: key.sign(`go.sum database tree\n${size}\n${hash.toBase64()}\n`) };
}
