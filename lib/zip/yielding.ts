/**
 * Work that computes for long gives other requests a turn now and then. zlib and hashes run on the
 * only thread there is, also where their interface looks asynchronous: a promise that is already
 * resolved gives no other task a turn.
 *
 * To give a turn costs a millisecond, on a busy machine several. So there is none before so much
 * time has gone by; and the clock is only looked at when so much has been worked off that it may
 * have.
 */
import { setTimeout } from "node:timers/promises";

/**
 * How much is worked off before the clock is looked at: some milliseconds of inflating and hashing.
 */
const LOOK_BYTES = 1024 * 1024;
/** How long the work goes on before others have their turn. */
const TURN_MS = 8;

export class Pace {
  readonly #signal: AbortSignal | undefined;
  readonly #now: () => number;
  #spentBytes = 0;
  #turnStartMs: number;

  /** @param signal ends the work at its next turn. @param now in milliseconds */
  constructor(signal: AbortSignal | undefined, now: () => number = () => performance.now()) {
    this.#signal = signal;
    this.#now = now;
    this.#turnStartMs = now();
  }

  /**
   * To be awaited after each step of the work.
   *
   * @param costBytes what the step worked through, or what that would have been at its cost in time
   * @throws the signal's reason when it is aborted
   */
  async spend(costBytes: number): Promise<void> {
    this.#spentBytes += costBytes;
    if (this.#spentBytes < LOOK_BYTES) return;
    this.#spentBytes = 0;
    if (this.#now() - this.#turnStartMs >= TURN_MS) {
      // Not setImmediate() or a message to ourselves, which cost next to nothing: in Deno they go
      // first again before much of what has arrived meanwhile. (With messages, a request was not
      // answered for minutes.)
      await setTimeout(0);
      this.#turnStartMs = this.#now();
    }
    this.#signal?.throwIfAborted();
  }
}
