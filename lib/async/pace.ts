/**
 * Long computations give other requests a turn now and then. zlib and hashes run on the only thread
 * there is, also where their interface looks asynchronous: a promise that is resolved already gives
 * nobody else a turn.
 *
 * To give a turn costs a millisecond, on a busy machine several. So there is none before so much
 * time has gone by; and the clock is only looked at when so much has been worked off that it may
 * have.
 *
 * A pure function with long work is a generator of steps: it yields what each step has cost, in the
 * unit of {@linkcode Pace.spend}, and returns its result. {@linkcode atPace} runs it for a server,
 * {@linkcode atOnce} for a command or for input that is known to be small.
 */
import { setTimeout } from "node:timers/promises";

/** Work in steps: yields the cost of each. */
export type Steps<T> = Generator<number, T, void>;

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
      // first again before
      // much of what has arrived meanwhile. (With messages, a request was not answered for
      // minutes.)
      await setTimeout(0);
      this.#turnStartMs = this.#now();
    }
    this.#signal?.throwIfAborted();
  }
}

/**
 * The result of work in steps, with turns for others in between. @throws as {@linkcode Pace.spend}
 */
export async function atPace<T>(steps: Steps<T>, pace: Pace): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await pace.spend(value);
  }
}

/** The result of work in steps, without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Items that are sorted, compared or visited in one step: some milliseconds. */
const RUN_ITEMS = 2048;
/** What a comparison or a short function costs: a megabyte for some milliseconds of them. */
const ITEM_COST_BYTES = 256;

/** Calls `visit` for each item. */
export function* eachStep<T>(items: Iterable<T>, visit: (item: T) => void): Steps<void> {
  let visited = 0;
  for (const item of items) {
    visit(item);
    if (++visited % RUN_ITEMS === 0) yield RUN_ITEMS * ITEM_COST_BYTES;
  }
}

/** The items in order, equal ones as they came: `toSorted` in steps, by merging. */
export function* sortSteps<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
): Steps<T[]> {
  let from: T[] = [];
  for (let start = 0; start < items.length; start += RUN_ITEMS) {
    from.push(...items.slice(start, start + RUN_ITEMS).sort(compare));
    yield RUN_ITEMS * ITEM_COST_BYTES;
  }
  for (let width = RUN_ITEMS; width < items.length; width *= 2) {
    const to: T[] = [];
    for (let start = 0; start < from.length; start += 2 * width) {
      yield* mergeSteps(from.slice(start, start + width), {
        second: from.slice(start + width, start + 2 * width),
        compare,
        to,
      });
    }
    from = to;
  }
  return from;
}

function* mergeSteps<T>(
  first: readonly T[],
  { second, compare, to }: {
    readonly second: readonly T[];
    readonly compare: (a: T, b: T) => number;
    readonly to: T[];
  },
): Steps<void> {
  let taken = 0;
  for (const item of first) {
    for (; taken < second.length; taken++) {
      const other = second[taken];
      if (other === undefined || compare(other, item) >= 0) break;
      to.push(other);
      if (to.length % RUN_ITEMS === 0) yield RUN_ITEMS * ITEM_COST_BYTES;
    }
    to.push(item);
    if (to.length % RUN_ITEMS === 0) yield RUN_ITEMS * ITEM_COST_BYTES;
  }
  for (const item of second.slice(taken)) to.push(item);
}
