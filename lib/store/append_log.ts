/**
 * A log that any number of processes append to, in a store that knows nothing but create-if-absent:
 *
 * ```text
 * i1/000000000000   batch 0
 * i1/000000000001   batch 1
 * ```
 *
 * Batch n is whatever was created first under the number n. A writer has read all earlier batches
 * before it appends, so there are no gaps, the order is the same for all readers and forever, and a
 * batch may depend on everything before it: a time later than the last one, an entry that does not
 * exist yet. A process that has read up to n finds everything later behind n, however long a create
 * was under way, and whatever the clocks say.
 *
 * Limits: 10^12 batches; one `get` a batch to read all of it ({@linkcode READ_AHEAD} at a time);
 * the folder holds nothing else. What is in a batch, and how many things go into one, is the
 * caller's business.
 */
import { withDeadline } from "../async/deadline.ts";
import { bytesContent, type ObjectStore, readSmall } from "./object_store.ts";

export interface AppendLogOptions {
  readonly store: ObjectStore;
  /** Where the batches are: `i1`. */
  readonly folder: string;
  /** The largest batch that is written or read. */
  readonly maxBatchBytes: number;
  /** How long the store may take to give or take one batch. Default 20 s. */
  readonly timeoutMs?: number;
}

/** How many batches a reader that is behind requests at once. */
export const READ_AHEAD = 32;

const DIGITS = 12;

export class AppendLog {
  readonly #options: Required<AppendLogOptions>;

  constructor(options: AppendLogOptions) {
    this.#options = { timeoutMs: 20_000, ...options };
  }

  /**
   * Batch `n`, or null where the log ends before it.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  async get(n: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | null> {
    const { store, maxBatchBytes, timeoutMs } = this.#options;
    const key = this.keyOf(n);
    return await withDeadline(
      (signal) => readSmall(store, key, { limitBytes: maxBatchBytes, signal }),
      { timeoutMs, what: `read "${key}"`, signal },
    );
  }

  /**
   * The batches from `from` to the end, in order. The end is where a batch is missing when it is
   * looked for.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  async *read(from: number, signal?: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    // Usually nothing is new, or one batch. A reader that is far behind requests more at a time.
    for (let n = from, width = 1;; n += width, width = Math.min(2 * width, READ_AHEAD)) {
      const numbers = Array.from({ length: width }, (_, i) => n + i);
      const batches = await Promise.all(numbers.map((number) => this.get(number, signal)));
      for (const batch of batches) {
        // A batch that was added between two of these reads may be behind a gap; the next read
        // finds it.
        if (batch === null) return;
        yield batch;
      }
    }
  }

  /**
   * How many batches there are, without reading all of them: where only the newest counts. As there
   * are no gaps, a few dozen reads find it.
   *
   * @param from a number that has been read before, or 0
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  async count(from = 0, signal?: AbortSignal): Promise<number> {
    const has = async (n: number) => await this.get(n, signal) !== null;
    // Batch `low - 1` is there, batch `high` is not.
    let low = from;
    let high = from;
    for (let step = 1; await has(high); step *= 2) {
      low = high + 1;
      high += step;
    }
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (await has(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Makes `bytes` batch `n`, if there is none. The caller has read all batches before `n`; "exists"
   * says that there is another one to be read, perhaps the same: a create that threw earlier may
   * have happened.
   *
   * @throws {StorageError | DeadlineError} when the outcome is not known; to be found out by
   * reading on
   */
  async append(
    n: number,
    bytes: Uint8Array<ArrayBuffer>,
    signal?: AbortSignal,
  ): Promise<"created" | "exists"> {
    const { store, maxBatchBytes, timeoutMs } = this.#options;
    const key = this.keyOf(n);
    if (bytes.length > maxBatchBytes) {
      throw new Error(`Cannot append ${bytes.length} bytes: a batch has ${maxBatchBytes} at most`);
    }
    return await withDeadline(
      (signal) => store.create(key, bytesContent(bytes), { signal }),
      { timeoutMs, what: `create "${key}"`, signal },
    );
  }

  keyOf(n: number): string {
    return `${this.#options.folder}/${String(n).padStart(DIGITS, "0")}`;
  }
}
