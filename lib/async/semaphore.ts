/**
 * A semaphore with a queue that has an end: at most so many hold a permit, at most so many wait for
 * one, and none waits longer than a deadline. Permits are handed out in the order of asking.
 *
 * The holder of a permit must not wait for another one of the same semaphore: if all holders do,
 * all wait forever.
 */
import { OverloadedError } from "../errors.ts";

export interface SemaphoreOptions {
  /** What a permit is for, as in "Cannot start git: …". */
  readonly what: string;
  readonly permits: number;
  /** How many may wait. */
  readonly maxWaiting: number;
  /** How long one may wait. */
  readonly maxWaitMs: number;
}

/** A right to go on, given back by disposing of it. Giving it back again has no effect. */
export type Permit = Disposable;

export class Semaphore {
  readonly #options: SemaphoreOptions;
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(options: SemaphoreOptions) {
    this.#options = options;
    this.#free = options.permits;
  }

  /**
   * @throws {OverloadedError} when the queue is full, or no permit came free in time
   * @throws the reason of `signal` when it is aborted before there is a permit
   */
  async acquire(signal?: AbortSignal): Promise<Permit> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#release();
        held = false;
      },
    };
  }

  /** How many hold a permit. */
  get held(): number {
    return this.#options.permits - this.#free;
  }

  /** How many wait for a permit. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves once a permit has been handed over, which {@linkcode #release} does without making it
   * free.
   */
  async #wait(signal: AbortSignal | undefined): Promise<void> {
    const { what, permits, maxWaiting, maxWaitMs } = this.#options;
    if (this.#waiting.size >= maxWaiting) {
      throw new OverloadedError(
        `Cannot ${what}: ${permits} at work and ${maxWaiting} in the queue`,
      );
    }
    const turn = Promise.withResolvers<void>();
    // Out of the queue at once: a permit that is handed to a waiter that has given up would be
    // lost.
    const giveUp = (reason: unknown) => {
      this.#waiting.delete(turn.resolve);
      turn.reject(reason);
    };
    const onLate = () =>
      giveUp(new OverloadedError(`Cannot ${what}: no turn within ${maxWaitMs / 1000} s`));
    const onAbort = () => giveUp(signal?.reason);
    const timer = setTimeout(onLate, maxWaitMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(turn.resolve);
    try {
      await turn.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
