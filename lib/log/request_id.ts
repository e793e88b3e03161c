/**
 * Which request the work at hand belongs to. The id goes with the work through every `await` and
 * timer, so that each line of the log and each request to others can say it, without every function
 * in between passing it on.
 *
 * Work that several requests wait for belongs to the first of them.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const ids = new AsyncLocalStorage<string>();

/** Does the work of a request. */
export function withRequestId<T>(id: string, work: () => T): T {
  return ids.run(id, work);
}

/** Undefined outside of any request. */
export function currentRequestId(): string | undefined {
  return ids.getStore();
}
