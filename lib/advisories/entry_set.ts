/**
 * The entries of one source in memory: what is served of each, and what is known of it.
 *
 * Memory: the entries as JSON, 6.7 MB for the 4,291 of the Go database, and what table.ts says.
 */
import { hash } from "node:crypto";
import { sortSteps, type Steps } from "../async/pace.ts";
import {
  type Advisory,
  InvalidAdvisoryError,
  MAX_ENTRY_BYTES,
  type ParsedEntry,
  parseEntry,
} from "./osv.ts";

/** What one source may have. */
export const MAX_ENTRIES = 50_000;
/** Of its entries, as JSON. */
export const MAX_TOTAL_BYTES = 256 * 1024 * 1024;

export interface StoredEntry {
  readonly advisory: Advisory;
  /** Compact JSON, as it is served. */
  readonly json: Uint8Array<ArrayBuffer>;
  /** Of what the source had: the same digest is the same entry. */
  readonly digest: string;
}

/** By id. */
export type EntrySet = ReadonlyMap<string, StoredEntry>;

const DIGEST_HEX_DIGITS = 32;

export function digestOf(bytes: Uint8Array): string {
  return hash("sha256", bytes).slice(0, DIGEST_HEX_DIGITS);
}

export interface ReadEntryOptions {
  /**
   * The time in milliseconds since 1970: when an entry without a usable time was modified. Those of
   * the repository golang/vulndb have the year 1. Null: the entry keeps that.
   */
  readonly nowMs: number | null;
}

/**
 * An entry as a source has it.
 *
 * @throws {InvalidAdvisoryError}
 */
export function readEntry(
  bytes: Uint8Array<ArrayBuffer>,
  { nowMs }: ReadEntryOptions,
): StoredEntry {
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw new InvalidAdvisoryError(
      `Cannot use the entry: it has more than ${MAX_ENTRY_BYTES} bytes`,
    );
  }
  const { value, advisory } = parseEntry(decode(bytes));
  const hasTime = nowMs === null || Date.parse(advisory.modified) > 0;
  const modified = hasTime ? advisory.modified : secondOf(nowMs);
  return {
    advisory: { ...advisory, modified },
    json: new TextEncoder().encode(JSON.stringify({ ...forClients(value, advisory), modified })),
    digest: digestOf(bytes),
  };
}

/** govulncheck v1.9.0 crashes where it prints an entry without a key that OSV does not demand. */
function forClients(value: ParsedEntry["value"], { url }: Advisory): ParsedEntry["value"] {
  if (value["database_specific"] != null) return value;
  return { ...value, database_specific: url === null ? {} : { url } };
}

/** As Go writes it. */
function secondOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * An entry as it was stored: its JSON is compact.
 *
 * @throws {InvalidAdvisoryError}
 */
export function storedEntry(json: Uint8Array<ArrayBuffer>, digest: string): StoredEntry {
  return { advisory: parseEntry(decode(json)).advisory, json, digest };
}

const DECODER = new TextDecoder("utf-8", { fatal: true });

function decode(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch (cause) {
    throw new InvalidAdvisoryError("Cannot use the entry: it is not UTF-8", { cause });
  }
}

/** A set that is being read from a source, held to the limits. */
export class GrowingSet {
  readonly #entries = new Map<string, StoredEntry>();
  #bytes = 0;

  /** @throws {InvalidAdvisoryError} when it is one too many, or there is another with its id */
  add(entry: StoredEntry): void {
    const { id } = entry.advisory;
    if (this.#entries.has(id)) {
      throw new InvalidAdvisoryError(`Cannot use the entries: two have the id "${id}"`);
    }
    this.#bytes += entry.json.length;
    if (this.#entries.size === MAX_ENTRIES || this.#bytes > MAX_TOTAL_BYTES) {
      throw new InvalidAdvisoryError(
        `Cannot use the entries: more than ${MAX_ENTRIES}, or than ${MAX_TOTAL_BYTES} bytes`,
      );
    }
    this.#entries.set(id, entry);
  }

  /** In the order of their ids. */
  sortSteps(): Steps<EntrySet> {
    return sortByIdSteps(this.#entries);
  }
}

/** In the order of their ids. */
export function* sortByIdSteps(entries: EntrySet): Steps<EntrySet> {
  return new Map(yield* sortSteps([...entries], ([a], [b]) => a < b ? -1 : 1));
}
