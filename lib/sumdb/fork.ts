/**
 * The report about a fork, as it is logged and stored, for people to read and for anyone to check:
 * the first line summarizes it, the two signed notes show that the database signed both trees, and
 * the proof shows that the newer tree does not begin with the older one.
 */
import type { Hash } from "./merkle.ts";
import type { SignedTree } from "./signed_tree.ts";

export interface Fork {
  /** The database's name. */
  readonly name: string;
  /** The key of the report in the store. */
  readonly key: string;
  readonly older: SignedTree;
  readonly newer: SignedTree;
  /** The hash of the newer tree's first `older.size` records. */
  readonly begin: Hash;
  /** The proof of {@linkcode begin}. */
  readonly proof: readonly Hash[];
}

export function forkReport({ name, key, older, newer, begin, proof }: Fork): string {
  const summary =
    `Cannot trust database ${name}: it has signed two trees that exclude each other, ` +
    `of ${older.size} records with hash ${older.hash.toBase64()} and ` +
    `of ${newer.size} records with hash ${newer.hash.toBase64()}; see "${key}" in the store`;
  const lines = [
    summary,
    "",
    "The older tree:",
    "",
    decode(older),
    "The newer tree:",
    "",
    decode(newer),
    `Its first ${older.size} records have hash ${begin.toBase64()}, by this proof (RFC 6962, 2.1.2):`,
    "",
    ...proof.map((hash) => hash.toBase64()),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** The part that is sent to clients. */
export function forkSummary(report: string): string {
  return report.slice(0, report.indexOf("\n"));
}

function decode({ note }: SignedTree): string {
  return new TextDecoder().decode(note);
}
