/**
 * Waits that end. Each of them fails at its deadline with what it waited for, so that a test of
 * something that has broken fails instead of hanging.
 */

/** Generous: the machine may be busy, and a test that passes never waits this long. */
const DEFAULT_TIMEOUT_MS = 30_000;
/** Between two looks at something that cannot be listened to, such as a list of processes. */
const POLL_INTERVAL_MS = 5;

export interface WaitOptions {
  /** Default: 30 s. */
  readonly timeoutMs?: number;
}

/**
 * Calls `check` until it returns something truthy, and returns that. An error that it throws ends
 * the wait.
 *
 * @throws {Error} at the deadline, also when a call of `check` is still under way then
 */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<T> {
  let isOver = false;
  const poll = async (): Promise<T> => {
    for (;;) {
      const found = await check();
      if (found || isOver) return found;
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  };
  try {
    return await within(what, poll(), options);
  } finally {
    isOver = true;
  }
}

/**
 * Waits for `promise`. While it waits, the process stays alive, whatever the promise depends on.
 *
 * @throws {Error} at the deadline
 */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: WaitOptions = {},
): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`Waited ${timeoutMs / 1000} s in vain for ${what}`));
  }, timeoutMs);
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}
