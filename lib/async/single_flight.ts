/**
 * Single flight: callers that ask for the same thing at the same time share one piece of work.
 *
 * It only saves work; correctness never needs it. The work belongs to no caller: one that leaves
 * stops waiting, the others still get the result, and so does the store. Work that all callers have
 * left is told to end after a grace, unless somebody comes back or it has said that it is as good
 * as done.
 *
 * Clients share the limit fairly (fair_share.ts): none has all flights.
 */
import { OverloadedError } from "../errors.ts";
import { FairShare } from "./fair_share.ts";
import { currentOwner } from "./owner.ts";

/** How long work that nobody waits for goes on, so that a client that asks again finds it. */
export const GRACE_MS = 5_000;

export interface SingleFlightOptions {
  /**
   * How long work that all callers have left goes on. 0 is for work that is itself part of a
   * flight. Default: it goes on to its own deadline, as is right for what is short.
   */
  readonly graceMs?: number;
  /** Is told of work that is ended because nobody waits for it. */
  readonly onAbandoned?: () => void;
}

/** What a piece of work has to do with those who wait for it. */
export interface Flight {
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
  /** From now on it is nearly done, and goes on although nobody waits. */
  keep(): void;
}

/** The reason why work is ended that nobody waits for. */
export class AbandonedError extends Error {
  override readonly name = "AbandonedError";
}

export class SingleFlight<T> {
  readonly #flights = new Map<string, SharedWork<T>>();
  readonly #share = new FairShare();
  readonly #maxFlights: number;
  readonly #options: SingleFlightOptions;
  /** Those that were abandoned and have not ended yet are among them. */
  #size = 0;

  /** @param maxFlights how many different pieces of work may be under way at once */
  constructor(maxFlights: number, options: SingleFlightOptions = {}) {
    this.#maxFlights = maxFlights;
    this.#options = options;
  }

  /**
   * The result of the work under `key`, started now unless it is under way.
   *
   * @throws {OverloadedError} when too many pieces of work are under way, or too many of this
   *   client
   * @throws the reason of `signal` as soon as it is aborted; the work goes on for others
   */
  run(key: string, work: (flight: Flight) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const known = this.#flights.get(key);
    if (known !== undefined) return known.join(signal);
    const owner = currentOwner();
    if (!this.#share.mayTake(owner, this.#maxFlights - this.#size)) {
      return Promise.reject(
        new OverloadedError(`Cannot start another fetch: ${this.#size} are in progress`),
      );
    }
    this.#size++;
    this.#share.take(owner);
    const { graceMs = Infinity, onAbandoned } = this.#options;
    const forget = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    const flight = new SharedWork(work, {
      graceMs,
      onAbandoned: () => {
        // Whoever asks from now on does not get its failure.
        forget();
        onAbandoned?.();
      },
      onEnd: () => {
        forget();
        this.#size--;
        this.#share.giveBack(owner);
      },
    });
    this.#flights.set(key, flight);
    return flight.join(signal);
  }

  /** How many pieces of work are under way. */
  get size(): number {
    return this.#size;
  }
}

interface SharedWorkOptions {
  readonly graceMs: number;
  readonly onAbandoned: () => void;
  readonly onEnd: () => void;
}

/** One piece of work, and how many wait for it. */
class SharedWork<T> {
  readonly #result: Promise<T>;
  readonly #options: SharedWorkOptions;
  readonly #abandoned = new AbortController();
  #waiting = 0;
  #isKept = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(work: (flight: Flight) => Promise<T>, options: SharedWorkOptions) {
    this.#options = options;
    this.#result = work({
      signal: this.#abandoned.signal,
      keep: () => {
        this.#isKept = true;
        clearTimeout(this.#timer);
      },
    }).finally(() => {
      this.#isKept = true;
      clearTimeout(this.#timer);
      options.onEnd();
    });
    // Every waiter may have left. There is no one to report a failure to then, and the next request
    // will meet it.
    this.#result.catch(() => {});
  }

  join(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting++;
    clearTimeout(this.#timer);
    if (signal === undefined) return this.#result;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        reject(signal.reason);
        this.#leave();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#result.then(resolve, reject)
        .finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  #leave(): void {
    this.#waiting--;
    const { graceMs } = this.#options;
    if (this.#waiting > 0 || this.#isKept || graceMs === Infinity) return;
    if (graceMs === 0) return this.#abandon();
    this.#timer = setTimeout(() => this.#abandon(), graceMs);
  }

  #abandon(): void {
    this.#options.onAbandoned();
    this.#abandoned.abort(new AbandonedError("nobody waits for it any more"));
  }
}
