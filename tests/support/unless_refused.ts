/**
 * For tests of parsers: a refusal as a value.
 */

/**
 * What `call` returns, or null where it throws a `refusal`. Any other error passes through and
 * fails the test.
 */
export function unlessRefused<T>(
  call: () => T,
  refusal: abstract new (...args: never[]) => Error,
): T | null {
  try {
    return call();
  } catch (error) {
    if (error instanceof refusal) return null;
    throw error;
  }
}
