/**
 * Work that computes for long gives other requests a turn now and then. zlib and hashes run on the only thread there is,
 * also where their interface looks asynchronous: a promise that is resolved already gives nobody else a turn.
 */
import { setTimeout } from "node:timers/promises";

/** How much is worked off before others have their turn: some milliseconds of inflating and hashing. */
const TURN_BYTES = 1024 * 1024;

export class Pace {
  readonly #signal: AbortSignal | undefined;
  #spentBytes = 0;

  /** `signal` ends the work at its next turn. */
  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /**
   * To be awaited after each step of the work.
   *
   * @param costBytes what the step worked through, or what that would have been at its cost in time
   * @throws the signal's reason when it is aborted
   */
  async spend(costBytes: number): Promise<void> {
    this.#spentBytes += costBytes;
    if (this.#spentBytes < TURN_BYTES) return;
    this.#spentBytes = 0;
    // Not setImmediate(): in Deno it goes first again before much of what has arrived meanwhile.
    await setTimeout(0);
    this.#signal?.throwIfAborted();
  }
}
