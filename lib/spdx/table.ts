/**
 * The texts of the SPDX licence list as words, packed: `texts.json`, which `tools/licence_texts.ts`
 * makes of the npm package spdx-license-list. It is in the program instead of that package because
 * it has a twentieth of its size, and the texts need not be split into words at each start.
 *
 * ```text
 * {"list":"3.28.0","packed":"<base64 of brotli>"}
 *
 * unpacked:  the length of the header in bytes (uint32, little endian)
 *            the header, JSON: {"words":"permission is …","texts":[{"id":"MIT",…},…]}
 *            the words of all texts (uint16, little endian): places in the header's `words`, from 1
 * ```
 *
 * It is loaded when a licence is first looked for, and not checked: it is part of the program.
 */
import { brotliDecompressSync } from "node:zlib";
import type { Steps } from "../async/pace.ts";

/** A text that stands for a licence. */
export interface LicenceText {
  /** The SPDX expression. Where several licences have the same text, the first of them. */
  readonly id: string;
  /** The name in the SPDX list. */
  readonly name: string;
  /** Whether the text is the licence, or a notice that something is under the licence. */
  readonly kind: "text" | "notice";
  /** Where its words are in {@linkcode LicenceTable.words}. */
  readonly start: number;
  readonly end: number;
  /** How many of the first words are its title, which is often left out. */
  readonly titleWords: number;
}

export interface LicenceTable {
  readonly texts: readonly LicenceText[];
  /** The number of each word that is in any text. Starts with 1. */
  readonly numbers: ReadonlyMap<string, number>;
  /** The words with the numbers 1, 2, …. */
  readonly spelled: readonly string[];
  /** The words of all texts, by number. */
  readonly words: Uint16Array;
}

interface Header {
  /** With spaces between them. */
  readonly words: string;
  readonly texts: readonly LicenceText[];
}

/** What is packed. */
export interface TableContent {
  readonly words: readonly string[];
  readonly texts: readonly LicenceText[];
  readonly sequence: Uint16Array;
}

/** One of the few parts of the work, some ten milliseconds each. */
const PART_COST = 1024 * 1024;

/** The text of the file. */
export async function readPackedTable(): Promise<string> {
  const { default: { packed } } = await import("./texts.json", { with: { type: "json" } });
  return packed;
}

/** The table in the text of the file. In steps. */
export function* unpackTable(packed: string): Steps<LicenceTable> {
  const compressed = Uint8Array.fromBase64(packed);
  yield PART_COST;
  const bytes = new Uint8Array(brotliDecompressSync(compressed));
  yield PART_COST;
  const headerBytes = new DataView(bytes.buffer).getUint32(0, true);
  const text = new TextDecoder().decode(bytes.subarray(4, 4 + headerBytes));
  const header: Header = JSON.parse(text);
  yield PART_COST;
  const spelled = header.words.split(" ");
  const numbers = new Map(spelled.map((word, i) => [word, i + 1]));
  yield PART_COST;
  const words = new Uint16Array(bytes.buffer.slice(4 + headerBytes));
  return { texts: header.texts, numbers, spelled, words };
}

/** The bytes to compress. */
export function encodeTable({ words, texts, sequence }: TableContent): Uint8Array {
  const header: Header = { words: words.join(" "), texts };
  const headerBytes = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(4 + headerBytes.length + 2 * sequence.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, headerBytes.length, true);
  bytes.set(headerBytes, 4);
  sequence.forEach((word, i) => view.setUint16(4 + headerBytes.length + 2 * i, word, true));
  return bytes;
}
