/** A limit on the size of a folder that a child process writes to. */
import { directorySizeBytes } from "../scratch/folders.ts";
import { RepositoryTooLargeError } from "./errors.ts";

export interface SizeLimitOptions {
  readonly path: string;
  readonly maxSizeBytes: number;
}

/** How often a folder is measured while it grows: at 100 MB/s it may get 20 MB too large. */
const MEASURE_MS = 200;

/**
 * Runs `work`, and aborts it when the folder becomes too large.
 *
 * @throws {RepositoryTooLargeError} when it did, also if that is only seen at the end
 */
export async function withSizeLimit<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { path, maxSizeBytes }: SizeLimitOptions,
): Promise<T> {
  const tooLarge = new AbortController();
  const measure = async () => {
    if (await directorySizeBytes(path) <= maxSizeBytes) return;
    tooLarge.abort(
      new RepositoryTooLargeError(`Cannot fetch: the repository has over ${maxSizeBytes} bytes`),
    );
  };
  // A measurement that fails says nothing; the last one, below, is waited for and does.
  const timer = setInterval(() => void measure().catch(() => {}), MEASURE_MS);
  try {
    const result = await work(tooLarge.signal);
    await measure();
    tooLarge.signal.throwIfAborted();
    return result;
  } finally {
    clearInterval(timer);
  }
}
