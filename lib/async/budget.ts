/**
 * What a reader takes from others: so many bytes, so many items, and no less than so much in a
 * time. Everybody who reads remote bytes spends from a budget while reading, so that an endless
 * answer ends at a limit and not with the memory.
 *
 * The limits of all readers are listed in docs/operating.md (lib/open/read_limits.ts).
 */
import { LimitExceededError } from "../errors.ts";

/** What one reader takes. The time of the whole is the reader's deadline (deadline.ts). */
export interface ReadLimits {
  /** In the error and in the table of all limits. */
  readonly name: string;
  readonly maxBytes: number;
  /**
   * How many lines, entries, refs, …, and what they are called. Default: bytes are all that counts.
   */
  readonly maxItems?: number;
  readonly items?: string;
  /** Until all of it has arrived; null where the answer belongs to something with a deadline. */
  readonly timeoutMs: number | null;
  /** Over each {@linkcode RATE_WINDOW_MS} of waiting. Default: the deadline is all that counts. */
  readonly minBytesPerSecond?: number;
}

/** How long a slow sender is waited for before its rate counts. */
export const RATE_WINDOW_MS = 30_000;

export interface BudgetOptions {
  /** What is read, to complete the sentence "Cannot read …". */
  readonly what: string;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
}

/** What is left of the limits for one answer. */
export class Budget {
  readonly #limits: ReadLimits;
  readonly #what: string;
  readonly #now: () => number;
  #bytes = 0;
  #items = 0;
  #windowBytes = 0;
  #windowMs = 0;

  constructor(limits: ReadLimits, { what, now = () => performance.now() }: BudgetOptions) {
    this.#limits = limits;
    this.#what = what;
    this.#now = now;
  }

  /** Whether nothing was read yet. */
  get isUntouched(): boolean {
    return this.#bytes === 0;
  }

  /** @throws {LimitExceededError} when it is too much */
  spendBytes(bytes: number): void {
    this.#bytes += bytes;
    const { maxBytes } = this.#limits;
    if (this.#bytes > maxBytes) throw this.#exceeded(`larger than ${maxBytes} bytes`);
  }

  /** @throws {LimitExceededError} when it is too much */
  spendItems(count: number): void {
    this.#items += count;
    const { maxItems = Infinity, items = "items" } = this.#limits;
    if (this.#items > maxItems) throw this.#exceeded(`more than ${maxItems} ${items}`);
  }

  /**
   * Waits for the next bytes and spends them. Only the wait counts for the rate: a sender is not
   * slow because we are.
   *
   * @returns what `read` returns; null, which costs nothing, is the end
   * @throws {LimitExceededError} when it is too much, or came too slowly
   */
  async take<T extends Uint8Array>(read: () => Promise<T | null>): Promise<T | null> {
    const startMs = this.#now();
    const bytes = await read();
    if (bytes === null) return null;
    this.#windowMs += this.#now() - startMs;
    this.#windowBytes += bytes.length;
    this.#checkRate();
    this.spendBytes(bytes.length);
    return bytes;
  }

  #checkRate(): void {
    if (this.#windowMs < RATE_WINDOW_MS) return;
    const { minBytesPerSecond = 0 } = this.#limits;
    if (this.#windowBytes < minBytesPerSecond * this.#windowMs / 1000) {
      throw this.#exceeded(`it comes with less than ${minBytesPerSecond} bytes/s`);
    }
    this.#windowMs = 0;
    this.#windowBytes = 0;
  }

  #exceeded(reason: string): LimitExceededError {
    return new LimitExceededError(
      `Cannot read ${this.#what}: ${reason} (limit: ${this.#limits.name})`,
    );
  }
}
