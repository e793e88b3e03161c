/**
 * For which client the work at hand is done, for what clients share fairly (fair_share.ts). Like
 * the request id (lib/log/request_id.ts), the name goes with the work through every `await` and
 * timer: between the route that knows the client and the queue for git are a dozen functions that
 * have no use for it.
 *
 * Work that several clients wait for belongs to the first of them. Work that no client has asked
 * for has no owner.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const owners = new AsyncLocalStorage<string>();

/** Does work for a client. */
export function workFor<T>(owner: string, work: () => T): T {
  return owners.run(owner, work);
}

/** Undefined for work that no client has asked for. */
export function currentOwner(): string | undefined {
  return owners.getStore();
}
