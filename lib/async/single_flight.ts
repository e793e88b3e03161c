/**
 * Single flight: callers that ask for the same thing at the same time share one piece of work.
 *
 * It only saves work; correctness never needs it. The work belongs to no caller: one that leaves
 * stops waiting, the others still get the result, and so does the store. Work that all callers have
 * left runs to its own deadline, because the next request will ask for the same.
 */
import { OverloadedError } from "../errors.ts";

export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();
  readonly #maxFlights: number;

  /** @param maxFlights how many different pieces of work may be under way at once */
  constructor(maxFlights: number) {
    this.#maxFlights = maxFlights;
  }

  /**
   * The result of the work under `key`, started now unless it is under way.
   *
   * @throws {OverloadedError} when too many pieces of work are under way
   * @throws the reason of `signal` as soon as it is aborted; the work goes on
   */
  run(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      if (this.#flights.size >= this.#maxFlights) {
        return Promise.reject(
          new OverloadedError(
            `Cannot start another fetch: ${this.#maxFlights} are under way`,
          ),
        );
      }
      flight = work().finally(() => this.#flights.delete(key));
      // Every waiter may have left. There is no one to report a failure to then, and the next
      // request will meet it.
      flight.catch(() => {});
      this.#flights.set(key, flight);
    }
    return signal === undefined ? flight : untilAborted(flight, signal);
  }

  /** How many pieces of work are under way. */
  get size(): number {
    return this.#flights.size;
  }
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
