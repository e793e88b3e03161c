/**
 * A clock that the author of a module cannot set: the signed trees of a checksum database, each
 * with the moment at which it was seen. A record below the size of a tree existed when the tree was
 * seen, and nobody can give a later record an earlier number.
 *
 * ```text
 * c1/sum.example.com/000000000000
 *   {"format":1,"at":"2026-11-29T15:00:00Z","size":72470197,"hash":"zn3U…"}
 * ```
 *
 * It is an append log that all replicas share (store/append_log.ts), with an entry an hour at most.
 * A tree that is seen within an hour of the last entry is recorded when the hour has passed. Before
 * there is a history, {@linkcode KNOWN_TREES} gives the dates of some trees of the `go` command's
 * own database.
 *
 * Clocks of replicas may differ. An entry from the future proves nothing until its time has come,
 * and an entry is never made at a time before the last one that counts. So a clock that is ahead
 * makes versions look younger at most, and one that is behind is off by an hour at most.
 */
import { z } from "zod";
import { SingleFlight } from "../async/single_flight.ts";
import { describeError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { parseJson } from "../module/json.ts";
import { AppendLog } from "../store/append_log.ts";
import type { ObjectStore } from "../store/object_store.ts";

const FOLDER = "c1";
const MAX_ENTRY_BYTES = 1024;
/** The least time between two entries. */
export const ENTRY_STEP_MS = 3_600_000;
/** A clock that is this much ahead is broken: its entries do not keep others from being made. */
const MAX_AHEAD_MS = 24 * 3_600_000;
const MAX_ATTEMPTS = 5;

const entry = z.object({
  format: z.literal(1),
  at: z.iso.datetime(),
  size: z.number().int().min(0),
  hash: z.string(),
});

/** A signed tree of a database. */
export interface Tree {
  readonly size: number;
  readonly hash: Uint8Array;
}

export interface SeenTree {
  readonly atMs: number;
  readonly size: number;
}

/**
 * Trees of sum.golang.org, for a server without a history. The last one was seen at its date. The
 * others are the numbers of records of golang.org/x/sync, which had been tagged at least a month
 * before the date.
 */
export const KNOWN_TREES: Readonly<Record<string, readonly SeenTree[]>> = {
  "sum.golang.org": [
    { size: 17_357_222, atMs: Date.UTC(2023, 5, 1) },
    { size: 32_453_541, atMs: Date.UTC(2025, 0, 1) },
    { size: 46_120_633, atMs: Date.UTC(2025, 11, 1) },
    { size: 50_925_283, atMs: Date.UTC(2026, 3, 1) },
    { size: 56_997_920, atMs: Date.UTC(2026, 8, 1) },
    { size: 67_459_061, atMs: Date.UTC(2026, 9, 24) },
    { size: 72_470_197, atMs: Date.UTC(2026, 10, 29, 16) },
  ],
};

export interface ClockLogOptions {
  readonly store: ObjectStore;
  /** The name of the database. */
  readonly database: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
  /** Default: those of {@linkcode KNOWN_TREES}. */
  readonly known?: readonly SeenTree[];
}

export class ClockLog implements Disposable {
  readonly #options: ClockLogOptions;
  readonly #log: AppendLog;
  /** In the order of the log. */
  readonly #seen: SeenTree[] = [];
  readonly #known: readonly SeenTree[];
  readonly #reads = new SingleFlight<void>(1);
  #next = 0;
  #readAtMs = -Infinity;
  #appending: Promise<void> | null = null;
  /** The largest tree that was seen and is not recorded. */
  #waiting: Tree | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isDisposed = false;

  constructor(options: ClockLogOptions) {
    const { store, database, known } = options;
    this.#options = options;
    this.#known = known ?? KNOWN_TREES[database] ?? [];
    const folder = `${FOLDER}/${database.replaceAll("/", "!")}`;
    this.#log = new AppendLog({ store, folder, maxBatchBytes: MAX_ENTRY_BYTES });
  }

  /**
   * The earliest moment at which the record of this number is proven to have existed; null where no
   * tree that was seen has it.
   *
   * @throws {StorageError | DeadlineError} when the log cannot be read
   */
  async provenAt(
    record: number,
    signal: AbortSignal,
  ): Promise<(SeenTree & { readonly isKnown: boolean }) | null> {
    await this.#read(signal);
    const nowMs = this.#options.now();
    const earliest = (trees: readonly SeenTree[]) =>
      trees.filter(({ size, atMs }) => size > record && atMs <= nowMs)
        .reduce<SeenTree | null>(
          (first, one) => first === null || one.atMs < first.atMs ? one : first,
          null,
        );
    const [seen, known] = [earliest(this.#seen), earliest(this.#known)];
    if (known !== null && (seen === null || known.atMs < seen.atMs)) {
      return { ...known, isKnown: true };
    }
    return seen === null ? null : { ...seen, isKnown: false };
  }

  /**
   * When a record is expected to be proven that no tree proves now: with the next entry, or when
   * the time of an entry from the future has come. {@linkcode provenAt} has read the log.
   */
  expectedAt(record: number): number {
    const nowMs = this.#options.now();
    const later = this.#seen.filter(({ size, atMs }) => size > record && atMs > nowMs);
    return Math.min(Math.max(nowMs, this.#dueAtMs()), ...later.map(({ atMs }) => atMs));
  }

  /** Takes note of a tree that the database has now: appended when the last entry is old enough. */
  see(tree: Tree): void {
    if (this.#waiting === null || this.#waiting.size < tree.size) this.#waiting = tree;
    this.#appending ??= this.#appendWaiting()
      .catch((error) => {
        this.#options.log.warn(
          { error: describeError(error) },
          `cannot record a tree of ${this.#options.database}`,
        );
      })
      .finally(() => this.#appending = null);
  }

  /** Settles when what has been seen is written, or could not be, or must wait. */
  async drain(): Promise<void> {
    await this.#appending;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#stopTimer();
  }

  async #appendWaiting(): Promise<void> {
    const tree = this.#waiting;
    if (tree === null) return;
    if (this.#options.now() >= this.#dueAtMs()) await this.#append(tree);
    if (this.#waiting === tree && this.#isRecorded(tree)) this.#waiting = null;
    if (this.#waiting !== null) this.#tryLater();
  }

  #tryLater(): void {
    const delayMs = this.#dueAtMs() - this.#options.now();
    if (this.#timer !== null || this.#isDisposed || delayMs <= 0) return;
    this.#timer = setTimeout(() => {
      this.#stopTimer();
      if (this.#waiting !== null) this.see(this.#waiting);
    }, delayMs);
    Deno.unrefTimer(this.#timer);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #append(tree: Tree): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      this.#readAtMs = -Infinity;
      await this.#read();
      if (this.#isRecorded(tree) || this.#options.now() < this.#dueAtMs()) return;
      const at = new Date(this.#options.now()).toISOString();
      const made = { format: 1, at, size: tree.size, hash: tree.hash.toBase64() };
      const bytes = new TextEncoder().encode(JSON.stringify(made));
      const number = this.#next;
      if (await this.#log.append(number, bytes) === "exists") continue;
      if (this.#next === number) this.#take(bytes);
      return;
    }
  }

  /** When the next entry may be made. */
  #dueAtMs(): number {
    return this.#counted().reduce((due, { atMs }) => Math.max(due, atMs + ENTRY_STEP_MS), 0);
  }

  #isRecorded({ size }: Tree): boolean {
    return this.#counted().some((one) => one.size >= size);
  }

  #counted(): readonly SeenTree[] {
    const maxMs = this.#options.now() + MAX_AHEAD_MS;
    return this.#seen.filter(({ atMs }) => atMs <= maxMs);
  }

  async #read(signal?: AbortSignal): Promise<void> {
    // Other replicas append once an hour.
    if (this.#options.now() - this.#readAtMs < ENTRY_STEP_MS / 2) return;
    await this.#reads.run("", async () => {
      for await (const bytes of this.#log.read(this.#next)) this.#take(bytes);
      this.#readAtMs = this.#options.now();
    }, signal);
  }

  #take(bytes: Uint8Array): void {
    this.#next++;
    const parsed = entry.safeParse(parseJson(bytes));
    // Another format is of a later version of this program.
    if (!parsed.success) return;
    this.#seen.push({ atMs: Date.parse(parsed.data.at), size: parsed.data.size });
  }
}
