/**
 * Work that nobody has asked for gives up at the first failure: it makes one attempt, and leaves no
 * mark on what it asked. Like the owner (owner.ts), this goes with the work through every `await`.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const impatience = new AsyncLocalStorage<() => boolean>();

/**
 * Does work that is not worth a second attempt.
 *
 * @param isStill whether it still is not: somebody may have asked for it since
 */
export function impatiently<T>(work: () => T, isStill: () => boolean = () => true): T {
  return impatience.run(isStill, work);
}

/** Whether the work at hand is not worth a second attempt. */
export function isImpatient(): boolean {
  return impatience.getStore()?.() ?? false;
}
