/** Waiting for time to pass. */
import { setTimeout } from "node:timers/promises";

/**
 * Waits `ms` milliseconds, or until the signal is aborted. A process that has nothing else to do
 * does not wait for it.
 */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal, ref: false });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
