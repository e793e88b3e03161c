/** The scrubber of a disk store, if the configuration wants one. */
import { Background } from "../async/background.ts";
import type { Copy } from "../store/manifest.ts";
import { runScrubber } from "../store/scrubber.ts";
import type { Parts } from "./parts.ts";

/** Starts it; it ends with the signal, or when it is disposed of. Null if none is wanted. */
export async function startScrubber(
  parts: Parts,
  signal: AbortSignal,
): Promise<Background | null> {
  const { config: { storage }, log, metrics } = parts.surroundings;
  const scrub = "disk" in storage ? storage.disk.scrub : undefined;
  if (!("disk" in storage) || scrub === undefined) return null;
  const publisher = await parts.publisher();
  const options = {
    store: await parts.store(),
    directory: storage.disk.path,
    bytesPerSecond: scrub.mibPerSecond * 1024 * 1024,
    intervalMs: scrub.everyDays * 24 * 3_600_000,
    restoreZip: (copy: Copy) => publisher.restoreZip(copy),
    log,
    metrics,
    now: Date.now,
  };
  return new Background((signal) => runScrubber(options, signal), signal);
}
