/**
 * Deadlines: every wait for something outside ends, and says what it was waiting for.
 */
import { DeadlineError } from "../errors.ts";

export interface DeadlineOptions {
  /** How long the work may take. */
  readonly timeoutMs: number;
  /** What is being done, to complete the sentence "Cannot …". */
  readonly what: string;
  /** Ends the work early, with this signal's own reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` with a signal that is aborted at the deadline.
 *
 * @throws {DeadlineError} when the work failed because its time was up, or does not end although
 * its time is up
 */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: DeadlineOptions,
): Promise<T> {
  const { timeoutMs, what, signal } = options;
  const controller = new AbortController();
  let expire: (reason: unknown) => void;
  const expired = new Promise<never>((_, reject) => expire = reject);
  // The race below is always awaited; this branch may lose it and must not count as unhandled then.
  expired.catch(() => {});
  const stop = (reason: unknown) => {
    controller.abort(reason);
    expire(reason);
  };
  const onAbort = () => stop(signal?.reason);
  // An error takes a stack along, which costs more than the rest here; most work is not late.
  const timer = setTimeout(() => {
    stop(new DeadlineError(`Cannot ${what}: no answer within ${timeoutMs / 1000} s`));
  }, timeoutMs);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal?.aborted) stop(signal.reason);
    return await Promise.race([work(controller.signal), expired]);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
