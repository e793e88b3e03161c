/**
 * Work on many items by a few workers.
 *
 * Not p-map: it rejects while other items are still under way, and keeps a result for each item.
 */

/**
 * Runs `work` on each of `items`, at most `workers` at a time. An item is requested when a worker
 * is free, so there may be any number of items.
 *
 * @throws the first failure, of `items` or of `work`. No other item is begun after it, and those
 * under way have ended.
 */
export async function forEach<T>(
  items: AsyncIterable<T>,
  { workers, work }: { workers: number; work: (item: T) => Promise<void> },
): Promise<void> {
  const shared = items[Symbol.asyncIterator]();
  const source = { [Symbol.asyncIterator]: () => shared };
  const failures: unknown[] = [];
  await Promise.all(Array.from({ length: workers }, async () => {
    try {
      for await (const item of source) {
        if (failures.length > 0) break;
        await work(item);
      }
    } catch (error) {
      failures.push(error);
    }
  }));
  if (failures.length > 0) throw failures[0];
}

/**
 * The items of a list, for {@linkcode forEach}. A stream will not do: its reader hangs where two
 * ask for what comes after its end (Deno 2.9.6).
 */
export async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
