/**
 * Where the entries of a source are in a store:
 *
 * ```text
 * v1/<source>/log/000000000007     record 7: what the source had then
 * v1/<source>/packs/<sha256>       entries that records name
 * ```
 *
 * The records are a log (store/append_log.ts); the last one counts. It is a line of JSON:
 *
 * ```json
 * {"format":1,"checkedAt":"2026-11-29T15:04:05.000Z","modified":"2026-11-28T20:11:00Z",
 *  "validator":null,"packs":[{"sha256":"5d41…","lines":4291}],"entries":4291,"listed":4274}
 * ```
 *
 * A pack is a gzip of lines, each an entry (`<digest> <JSON>`), or the id of one that is gone
 * (`- <id>`). The packs of a record are read in their order; a later line counts. So a change of
 * the source is one small pack and one record; when more lines are superseded than count, the next
 * pack has everything again.
 *
 * Any replica may append a record after it has read all before it. Of two that do so at the same
 * time one is first, and the other takes over what that one has read. Nothing is replaced or
 * deleted; packs that no record names are left over from such races, and do no harm.
 *
 * A record without a change says that the source was asked. There is one when the last is so old
 * that it matters (mirror.ts).
 */
import { hash } from "node:crypto";
import { z } from "zod";
import { atPace, Pace, type Steps } from "../async/pace.ts";
import { withDeadline } from "../async/deadline.ts";
import { StorageError } from "../errors.ts";
import { AppendLog } from "../store/append_log.ts";
import { bytesContent, type ObjectStore, readSmall } from "../store/object_store.ts";
import {
  type EntrySet,
  MAX_TOTAL_BYTES,
  sortByIdSteps,
  type StoredEntry,
  storedEntry,
} from "./entry_set.ts";
import { gunzip, gzip } from "../zip/gzip.ts";
import { InvalidAdvisoryError } from "./osv.ts";

/** Compressed. */
const MAX_PACK_BYTES = 64 * 1024 * 1024;
const MAX_RECORD_BYTES = 64 * 1024;
/** More are put together with the next change. */
export const MAX_PACKS = 32;
const STORE_TIMEOUT_MS = 120_000;
/** What comparing an entry and copying it into a line costs, in the unit of async/pace.ts. */
const LINE_COST = 1024;
/** What parsing a line costs in comparison with inflating it. */
const PARSE_COST = 6;

/** What was last read of a source. */
export interface FeedRecord {
  /** When the source was asked, in milliseconds since 1970. */
  readonly checkedAtMs: number;
  /** The source's own time of its last change, if it has one. */
  readonly modified: string | null;
  /** The ETag of what was read, if it has one. */
  readonly validator: string | null;
  /** How many entries are about Go modules and are not withdrawn. */
  readonly listed: number;
}

export interface FeedState {
  /** The number of records; the last one is {@linkcode record}. */
  readonly count: number;
  readonly record: FeedRecord | null;
  readonly packs: readonly Pack[];
  readonly entries: EntrySet;
}

export interface Pack {
  readonly sha256: string;
  readonly lines: number;
}

export const NO_STATE: FeedState = { count: 0, record: null, packs: [], entries: new Map() };

const recordSchema = z.strictObject({
  format: z.literal(1),
  checkedAt: z.iso.datetime(),
  modified: z.string().nullable(),
  validator: z.string().nullable(),
  packs: z.array(z.strictObject({
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    lines: z.int().min(0),
  })),
  entries: z.int().min(0),
  listed: z.int().min(0),
});

export class FeedLog {
  readonly #store: ObjectStore;
  readonly #folder: string;
  readonly #log: AppendLog;

  /** @param source its name: lower-case letters, digits and `-` */
  constructor(store: ObjectStore, source: string) {
    this.#store = store;
    this.#folder = `v1/${source}`;
    this.#log = new AppendLog({
      store,
      folder: `${this.#folder}/log`,
      maxBatchBytes: MAX_RECORD_BYTES,
    });
  }

  /**
   * The newest state. @param known one that was read before, so that only what is new is read
   *
   * @throws {StorageError | DeadlineError} when the store cannot say, or what it has is damaged
   */
  async follow(known: FeedState, signal: AbortSignal): Promise<FeedState> {
    const count = await this.#log.count(known.count, signal);
    if (count === known.count) return known;
    const { packs, record, entries: size } = await this.#readRecord(count - 1, signal);
    if (samePacks(packs, known.packs)) return { ...known, count, record };
    const isLonger = known.packs.every(({ sha256 }, i) => packs[i]?.sha256 === sha256);
    const entries = new Map(isLonger ? known.entries : []);
    for (const pack of isLonger ? packs.slice(known.packs.length) : packs) {
      await this.#readPack(pack, { entries, signal });
    }
    if (entries.size !== size) {
      throw this.#damaged(count - 1, `there are ${entries.size} entries and not ${size}`);
    }
    const sorted = await atPace(sortByIdSteps(entries), new Pace(signal));
    return { count, record, packs, entries: sorted };
  }

  /**
   * Appends a record. The state must be the newest one; if another replica was first, what it has
   * read is returned instead.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  async append(
    known: FeedState,
    { entries, ...facts }: Omit<FeedRecord, "listed"> & { readonly entries: EntrySet },
    signal: AbortSignal,
  ): Promise<FeedState> {
    const pace = new Pace(signal);
    const lines = await atPace(changeSteps(known.entries, entries), pace);
    const superseded = known.packs.reduce((sum, pack) => sum + pack.lines, lines.length);
    const isFull = known.packs.length >= MAX_PACKS || superseded > 2 * entries.size;
    const added = isFull && lines.length > 0
      ? await atPace(changeSteps(new Map(), entries), pace)
      : lines;
    const packs = [
      ...isFull && lines.length > 0 ? [] : known.packs,
      ...added.length === 0 ? [] : [await this.#writePack(added, signal)],
    ];
    const record = { ...facts, listed: countListed(entries) };
    const text = JSON.stringify({
      format: 1,
      checkedAt: new Date(record.checkedAtMs).toISOString(),
      modified: record.modified,
      validator: record.validator,
      packs,
      entries: entries.size,
      listed: record.listed,
    });
    const bytes = new TextEncoder().encode(`${text}\n`);
    // After a failure the record may be there: following finds it.
    const outcome = await this.#log.append(known.count, bytes, signal);
    if (outcome === "exists") return await this.follow(known, signal);
    return { count: known.count + 1, record, packs, entries };
  }

  async #readRecord(n: number, signal: AbortSignal) {
    const bytes = await this.#log.get(n, signal);
    const text = new TextDecoder().decode(bytes ?? new Uint8Array());
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw this.#damaged(n, "it is not JSON", cause);
    }
    const result = recordSchema.safeParse(value);
    // Also where a later version has written it.
    if (!result.success) throw this.#damaged(n, "it has an unknown format", result.error);
    const { checkedAt, modified, validator, listed, packs, entries } = result.data;
    return {
      packs,
      entries,
      record: { checkedAtMs: Date.parse(checkedAt), modified, validator, listed },
    };
  }

  async #readPack(
    { sha256 }: Pack,
    { entries, signal }: { entries: Map<string, StoredEntry>; signal: AbortSignal },
  ): Promise<void> {
    const key = this.#packKey(sha256);
    const compressed = await withDeadline(
      (signal) => readSmall(this.#store, key, { limitBytes: MAX_PACK_BYTES, signal }),
      { timeoutMs: STORE_TIMEOUT_MS, what: `read "${key}"`, signal },
    );
    if (compressed === null || hash("sha256", compressed) !== sha256) {
      const fault = compressed === null ? "missing" : "damaged";
      throw new StorageError(`Cannot use "${key}": it is ${fault}`);
    }
    const pace = new Pace(signal);
    try {
      const bytes = await gunzip(compressed, {
        maxBytes: 2 * MAX_TOTAL_BYTES,
        what: key,
        pace,
        error: InvalidAdvisoryError,
      });
      for (const line of linesOf(bytes)) {
        readLine(line, entries);
        await pace.spend(line.length * PARSE_COST);
      }
    } catch (cause) {
      if (!(cause instanceof InvalidAdvisoryError)) throw cause;
      throw new StorageError(`Cannot use "${key}"`, { cause });
    }
  }

  async #writePack(lines: readonly Uint8Array<ArrayBuffer>[], signal: AbortSignal): Promise<Pack> {
    const bytes = await gzip(lines, new Pace(signal));
    const sha256 = hash("sha256", bytes);
    const key = this.#packKey(sha256);
    await withDeadline(
      (signal) => this.#store.create(key, bytesContent(bytes), { signal }),
      { timeoutMs: STORE_TIMEOUT_MS, what: `create "${key}"`, signal },
    );
    return { sha256, lines: lines.length };
  }

  #packKey(sha256: string): string {
    return `${this.#folder}/packs/${sha256}`;
  }

  #damaged(n: number, fault: string, cause?: unknown): StorageError {
    return new StorageError(`Cannot use "${this.#log.keyOf(n)}": ${fault}`, { cause });
  }
}

function samePacks(a: readonly Pack[], b: readonly Pack[]): boolean {
  return a.length === b.length && a.every(({ sha256 }, i) => b[i]?.sha256 === sha256);
}

/** What becomes of one set in another: a line, with its end, for each difference. */
function* changeSteps(from: EntrySet, to: EntrySet): Steps<Uint8Array<ArrayBuffer>[]> {
  const encoder = new TextEncoder();
  const lines: Uint8Array<ArrayBuffer>[] = [];
  for (const [id, { json, digest }] of to) {
    yield LINE_COST;
    if (from.get(id)?.digest === digest) continue;
    const start = encoder.encode(`${digest} `);
    const line = new Uint8Array(start.length + json.length + 1);
    line.set(start);
    line.set(json, start.length);
    line[line.length - 1] = NEWLINE;
    lines.push(line);
  }
  for (const id of from.keys()) {
    yield LINE_COST;
    if (!to.has(id)) lines.push(encoder.encode(`- ${id}\n`));
  }
  return lines;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;

function* linesOf(bytes: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, start);
    yield bytes.subarray(start, end === -1 ? bytes.length : end);
    start = end === -1 ? bytes.length : end + 1;
  }
}

function readLine(line: Uint8Array<ArrayBuffer>, entries: Map<string, StoredEntry>): void {
  const space = line.indexOf(SPACE);
  const start = new TextDecoder().decode(line.subarray(0, Math.max(0, space)));
  const rest = line.subarray(space + 1);
  if (start === "-") {
    entries.delete(new TextDecoder().decode(rest));
    return;
  }
  const entry = storedEntry(rest, start);
  entries.set(entry.advisory.id, entry);
}

/** How many are about Go modules and are not withdrawn. */
export function countListed(entries: EntrySet): number {
  return listedIds(entries).length;
}

export function listedIds(entries: EntrySet): string[] {
  const ids: string[] = [];
  for (const [id, { advisory: { withdrawnMs, affected } }] of entries) {
    if (withdrawnMs === null && affected.length > 0) ids.push(id);
  }
  return ids;
}
