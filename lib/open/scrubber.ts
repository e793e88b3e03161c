/** The scrubber of a disk store, if the configuration wants one. */
import { runScrubber } from "../store/scrubber.ts";
import type { Parts } from "./parts.ts";

/** Starts it; it ends with the signal, or when it is disposed of. */
export async function startScrubber(parts: Parts, signal: AbortSignal): Promise<AsyncDisposable> {
  const { config: { storage }, log, metrics } = parts.surroundings;
  const scrub = "disk" in storage ? storage.disk.scrub : undefined;
  if (!("disk" in storage) || scrub === undefined) return { [Symbol.asyncDispose]: async () => {} };
  const publisher = await parts.publisher();
  const ended = new AbortController();
  const running = runScrubber({
    store: await parts.store(),
    directory: storage.disk.path,
    bytesPerSecond: scrub.mibPerSecond * 1024 * 1024,
    intervalMs: scrub.everyDays * 24 * 3_600_000,
    restoreZip: (copy) => publisher.restoreZip(copy),
    log,
    metrics,
    now: Date.now,
  }, AbortSignal.any([signal, ended.signal]));
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      await running;
    },
  };
}
