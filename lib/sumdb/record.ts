/**
 * The answer of a database to a lookup, and the part of it that is stored:
 *
 * ```text
 * 1234
 * example.com/m v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
 * example.com/m v1.0.0/go.mod h1:fpu2YBs8Cn+uPELS7pdczZmF9hlK1PibTkwahffYMfo=
 *
 * go.sum database tree
 * …
 * ```
 *
 * The record's number, its text (lines as in go.sum), an empty line, and the signed note of some
 * tree that has it. A stored record is the same without the note, up to and including the empty
 * line.
 *
 * **Only the text counts**, because the tree's hash covers nothing else. Hashes are read from the
 * text after it has been cut out, never from the whole answer (the `go` command once did:
 * CVE-2026-42501), and data after the note's signatures makes the note malformed.
 */
import { Buffer } from "node:buffer";
import { InvalidRequestError } from "../errors.ts";
import { escapePath, escapeVersion } from "../module/escape.ts";
import { type H1, isH1, type ModuleHashes } from "../module/h1.ts";
import { type ModuleVersion, moduleVersion, nameOf } from "../module/module_version.ts";
import { UnverifiedError } from "./errors.ts";
import { type Hash, hashRecord } from "./merkle.ts";
import { decodeText } from "./note.ts";
import { TILE_WIDTH } from "./tile.ts";

/**
 * Two lines with a path and a version each; the longest path and version that Go accepts are far
 * shorter.
 */
export const MAX_RECORD_BYTES = 16 * 1024;

export interface SumRecord extends ModuleHashes {
  /** Its number in the log, from 0. */
  readonly id: number;
  /** Of its text, in the tree. */
  readonly hash: Hash;
  /** Number, text and empty line: the beginning of an answer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The path of the lookup of a module version in the protocol. */
export function lookupPath({ path, version }: ModuleVersion): string {
  return `lookup/${escapePath(path)}@${escapeVersion(version)}`;
}

/** The name of a stored record, below the folder of the log. */
export function recordName({ path, version }: ModuleVersion): string {
  return `lookup/${escapePath(path)}/@v/${escapeVersion(version)}`;
}

/**
 * The record at the beginning of a lookup's answer, or of a stored record, and the rest. It is not
 * authenticated yet.
 *
 * @throws {UnverifiedError} when it is malformed, or not the record of this module version
 */
export function readRecord(
  answer: Uint8Array<ArrayBuffer>,
  module: ModuleVersion,
): { record: SumRecord; rest: Uint8Array<ArrayBuffer> } {
  const refuse = (fault: string) =>
    new UnverifiedError(`Cannot use the record of ${nameOf(module)}: ${fault}`);
  const end = indexOfEmptyLine(answer);
  if (end < 0 || end > MAX_RECORD_BYTES) throw refuse("it does not end in an empty line");
  const bytes = answer.slice(0, end);
  const [, id, text] = /^(0|[1-9]\d{0,15})\n(.+\n)\n$/s.exec(decodeText(bytes)) ?? [];
  if (id === undefined || text === undefined || !Number.isSafeInteger(Number(id))) {
    throw refuse("it does not begin with its number");
  }
  const { path, version } = module;
  const record = {
    id: Number(id),
    zipH1: hashIn(text, `${path} ${version}`),
    goModH1: hashIn(text, `${path} ${version}/go.mod`),
    hash: hashRecord(new TextEncoder().encode(text)),
    bytes,
  };
  const { zipH1, goModH1 } = record;
  if (zipH1 === null || goModH1 === null) {
    throw refuse("it must have exactly one h1 of the zip and one of go.mod");
  }
  return { record: { ...record, zipH1, goModH1 }, rest: answer.slice(end) };
}

/** The text of a module version's record, as the `go` command's database writes it. */
export function formatRecordText(
  { path, version }: ModuleVersion,
  { zipH1, goModH1 }: ModuleHashes,
): string {
  return `${path} ${version} ${zipH1}\n${path} ${version}/go.mod ${goModH1}\n`;
}

/**
 * The module version that a record's text is about.
 *
 * @throws {UnverifiedError} when it names none
 */
export function moduleOfRecord(text: Uint8Array): ModuleVersion {
  const [, pathText = "", versionText = ""] = /^(\S+) (\S+) h1:/.exec(decodeText(text)) ?? [];
  try {
    return moduleVersion(pathText, versionText);
  } catch (cause) {
    if (!(cause instanceof InvalidRequestError)) throw cause;
    throw new UnverifiedError("Cannot read the record: it does not name a module version", {
      cause,
    });
  }
}

/** The answer to a lookup up to the note, which is also the stored form of a record. */
export function formatRecord(id: number, text: Uint8Array): Uint8Array<ArrayBuffer> {
  return Buffer.concat([new TextEncoder().encode(`${id}\n`), text, Uint8Array.of(NEWLINE)]);
}

/** Records in what is split: those of two tiles. */
const MAX_SPLIT = 2 * TILE_WIDTH;

/**
 * The records of a data tile, or of two that a batch joins: each text is followed by an empty line.
 * Null where it is none.
 */
export function splitRecords(tile: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] | null {
  const texts: Uint8Array<ArrayBuffer>[] = [];
  for (let rest = tile; rest.length > 0;) {
    const end = indexOfEmptyLine(rest);
    if (end < 0 || texts.length === MAX_SPLIT) return null;
    texts.push(rest.subarray(0, end - 1));
    rest = rest.subarray(end);
  }
  return texts;
}

/** The data tile of these texts. */
export function joinRecords(texts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Buffer.concat(texts.flatMap((text) => [text, Uint8Array.of(NEWLINE)]));
}

const NEWLINE = 0x0a;

/** The index after the first empty line, or -1. */
function indexOfEmptyLine(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    if (bytes[at + 1] === NEWLINE) return at + 2;
  }
  return -1;
}

/** The h1 in the lines of a record, or null unless there is exactly one. */
function hashIn(text: string, name: string): H1 | null {
  const hashes = text.split("\n")
    .filter((line) => line.startsWith(`${name} h1:`))
    .map((line) => line.slice(name.length + 1));
  const [hash, ...others] = hashes;
  return hash !== undefined && others.length === 0 && isH1(hash) ? hash : null;
}
