/**
 * A semaphore with a queue that has an end: at most so many hold a permit, at most so many wait for
 * one, and none waits longer than a deadline.
 *
 * Clients share it fairly (fair_share.ts): none holds all permits, turns go round among the clients
 * that wait, and in a full queue the one with the most loses its last place to one with fewer.
 * Where the work has no owner, permits are handed out in the order of asking.
 *
 * Some permits can be reserved: {@linkcode Semaphore.reserved} hands out all of them,
 * {@linkcode Semaphore.acquire} the others only.
 *
 * The holder of a permit must not wait for another one of the same semaphore: if all holders do,
 * all wait forever.
 */
import { OverloadedError } from "../errors.ts";
import { FairQueue, FairShare } from "./fair_share.ts";
import { currentOwner } from "./owner.ts";

export interface SemaphoreOptions {
  /** What a permit is for, as in "Cannot start git: …". */
  readonly what: string;
  readonly permits: number;
  /** How many of the permits only {@linkcode Semaphore.reserved} hands out. Default: 0. */
  readonly reservedPermits?: number;
  /** How many may wait. */
  readonly maxWaiting: number;
  /** How long one may wait. */
  readonly maxWaitMs: number;
}

/** A right to go on, given back by disposing of it. Giving it back again has no effect. */
export type Permit = Disposable;

/** What hands out permits. */
export interface Turns {
  /**
   * @throws {OverloadedError} when the queue is full, or no permit came free in time
   * @throws the reason of `signal` when it is aborted before there is a permit
   */
  acquire(signal?: AbortSignal): Promise<Permit>;
}

/** Asks for a permit. */
interface Asking {
  readonly owner: string | undefined;
  /** Whether the reserved permits are for it, too. */
  readonly isReserved: boolean;
}

interface Waiting extends Asking {
  readonly goOn: () => void;
  readonly giveUp: (reason: unknown) => void;
}

export class Semaphore implements Turns {
  /** Hands out the reserved permits, too. */
  readonly reserved: Turns = { acquire: (signal) => this.#acquire({ isReserved: true, signal }) };
  readonly #options: SemaphoreOptions;
  readonly #queue = new FairQueue<Waiting>();
  readonly #share = new FairShare();
  #held = 0;
  /** Those among {@linkcode #held} that are not reserved ones' permits. */
  #heldInCommon = 0;

  constructor(options: SemaphoreOptions) {
    this.#options = options;
  }

  async acquire(signal?: AbortSignal): Promise<Permit> {
    return await this.#acquire({ isReserved: false, signal });
  }

  /** How many hold a permit. */
  get held(): number {
    return this.#held;
  }

  /** How many wait for a permit. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** How many clients wait for a permit. */
  get waitingOwners(): number {
    return this.#queue.owners;
  }

  /** How many permits the client with the most waits for. */
  get longestLine(): number {
    return this.#queue.longest;
  }

  async #acquire(
    { isReserved, signal }: { isReserved: boolean; signal: AbortSignal | undefined },
  ): Promise<Permit> {
    signal?.throwIfAborted();
    const asking = { owner: currentOwner(), isReserved };
    if (this.#mayTake(asking)) this.#take(asking);
    else await this.#wait(asking, signal);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#release(asking);
        held = false;
      },
    };
  }

  #mayTake({ owner, isReserved }: Asking): boolean {
    const { permits, reservedPermits = 0 } = this.#options;
    const free = permits - this.#held;
    const freeInCommon = permits - reservedPermits - this.#heldInCommon;
    return this.#share.mayTake(owner, isReserved ? free : Math.min(free, freeInCommon));
  }

  #take({ owner, isReserved }: Asking): void {
    this.#held++;
    if (!isReserved) this.#heldInCommon++;
    this.#share.take(owner);
  }

  #release({ owner, isReserved }: Asking): void {
    this.#held--;
    if (!isReserved) this.#heldInCommon--;
    this.#share.giveBack(owner);
    for (;;) {
      const next = this.#queue.take((waiting) => this.#mayTake(waiting));
      if (next === null) return;
      // At once: until it goes on, nobody else may have its permit.
      this.#take(next);
      next.goOn();
    }
  }

  /** Resolves once a permit has been handed over. */
  async #wait(asking: Asking, signal: AbortSignal | undefined): Promise<void> {
    const { what, maxWaitMs } = this.#options;
    this.#makeRoomFor(asking);
    const turn = Promise.withResolvers<void>();
    // Out of the queue at once: a permit that is handed to a waiter that has given up would be
    // lost.
    const giveUp = (reason: unknown) => {
      this.#queue.delete(waiting);
      turn.reject(reason);
    };
    const waiting: Waiting = { ...asking, goOn: turn.resolve, giveUp };
    const onLate = () =>
      giveUp(new OverloadedError(`Cannot ${what}: no turn within ${maxWaitMs / 1000} s`));
    const onAbort = () => giveUp(signal?.reason);
    const timer = setTimeout(onLate, maxWaitMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#queue.add(waiting);
    try {
      await turn.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** @throws {OverloadedError} when the queue is full, and nobody waits for more */
  #makeRoomFor({ owner }: Asking): void {
    const { what, permits, maxWaiting } = this.#options;
    if (this.#queue.size < maxWaiting) return;
    const full = new OverloadedError(
      `Cannot ${what}: ${permits} at work and ${maxWaiting} in the queue`,
    );
    const surplus = this.#queue.surplusFor(owner);
    if (surplus === null) throw full;
    surplus.giveUp(full);
  }
}
