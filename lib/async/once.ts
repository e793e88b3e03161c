/**
 * A function that makes its result at the first call and returns the same from then on, a promise
 * too.
 */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}
