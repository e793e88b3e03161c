/**
 * What has to be done when the program, or a thread of it, ends by itself or by a failure that
 * nothing has caught.
 */

const EVENTS = ["unload", "error", "unhandledrejection"];

/** Calls `work` then, in the order in which this was called. */
export function atProgramEnd(work: () => void): void {
  for (const event of EVENTS) globalThis.addEventListener(event, work);
}
