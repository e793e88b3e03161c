/**
 * Scrubs a disk store in the background (scrub.ts), again and again. Of all processes that share
 * the store one does so: the one that holds the lock of `.scrub` in the store's directory, which
 * the system drops when the process ends. The file says where the next one goes on:
 *
 * ```text
 * {"format":1,"after":"z1/example.com/hello/@v/v1.0.0/703a…","finishedAtMs":1765000000000}
 * ```
 *
 * It is for this file alone that the directory is needed. One that cannot be read begins anew.
 */
import { pause } from "../async/pause.ts";
import { describeError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import { writeAll } from "../scratch/files.ts";
import type { Copy } from "./manifest.ts";
import type { ObjectStore } from "./object_store.ts";
import { scrub } from "./scrub.ts";

export interface ScrubberOptions {
  readonly store: ObjectStore;
  /** The store's. */
  readonly directory: string;
  readonly bytesPerSecond: number;
  /** From the end of one pass to the beginning of the next. */
  readonly intervalMs: number;
  readonly restoreZip: (copy: Copy) => Promise<unknown>;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  readonly metrics: Metrics;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  /** Time between attempts to get the lock, and after a failure of the store. Default: 10 min. */
  readonly retryMs?: number;
}

/** How often the position is stored. */
const SAVE_INTERVAL_MS = 60_000;
const MAX_STATE_BYTES = 4096;

interface State {
  /** The last key that is done; empty between two passes. */
  readonly after: string;
  /** When the last pass was complete; 0 if none was. */
  readonly finishedAtMs: number;
}

/** Returns when the signal is aborted. */
export async function runScrubber(options: ScrubberOptions, signal: AbortSignal): Promise<void> {
  const { log, retryMs = 10 * 60_000 } = options;
  while (!signal.aborted) {
    try {
      using file = await Deno.open(`${options.directory}/.scrub`, {
        read: true,
        write: true,
        create: true,
        mode: 0o600,
      });
      if (await file.tryLock(true)) await passes(file, options, signal);
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ error: describeError(error) }, "cannot scrub the store; trying again later");
    }
    await pause(retryMs, signal);
  }
}

async function passes(
  file: Deno.FsFile,
  options: ScrubberOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log, metrics, now, intervalMs } = options;
  for (;;) {
    const state = await readState(file);
    const waitMs = state.finishedAtMs + intervalMs - now();
    if (state.after === "" && waitMs > 0) await pauseLong(waitMs, signal);
    signal.throwIfAborted();
    let savedAtMs = now();
    let after = state.after;
    const { objects, bytes, findings } = await scrub({
      ...options,
      signal,
      after,
      report: ({ kind, key, text }) => {
        metrics.add("gomodproxy_scrub_findings_total", { kind });
        const say = kind === "fault" ? "error" : "warn";
        log[say]({ key, finding: text }, "the scrubber has found a damaged object");
      },
      onDone: async (key, sizeBytes) => {
        metrics.add("gomodproxy_scrub_objects_total", {});
        metrics.add("gomodproxy_scrub_bytes_total", {}, sizeBytes);
        after = key;
        if (now() - savedAtMs < SAVE_INTERVAL_MS) return;
        savedAtMs = now();
        await writeState(file, { ...state, after });
      },
    }).catch(async (error) => {
      await writeState(file, { ...state, after });
      throw error;
    });
    await writeState(file, { after: "", finishedAtMs: now() });
    log.info({ objects, bytes, ...findings }, "the store was scrubbed");
  }
}

/** Timers take 24 days at most. */
async function pauseLong(ms: number, signal: AbortSignal): Promise<void> {
  const dayMs = 24 * 3_600_000;
  for (let left = ms; left > 0 && !signal.aborted; left -= dayMs) {
    await pause(Math.min(left, dayMs), signal);
  }
}

async function readState(file: Deno.FsFile): Promise<State> {
  const bytes = new Uint8Array(MAX_STATE_BYTES);
  await file.seek(0, Deno.SeekMode.Start);
  const count = await file.read(bytes) ?? 0;
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes.subarray(0, count)));
    const { format, after, finishedAtMs } = value as Record<string, unknown>;
    const isState = format === 1 && typeof after === "string" && typeof finishedAtMs === "number";
    if (isState) return { after, finishedAtMs };
  } catch {
    // Harmless: a pass begins anew.
  }
  return { after: "", finishedAtMs: 0 };
}

async function writeState(file: Deno.FsFile, state: State): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify({ format: 1, ...state })}\n`);
  await file.truncate(0);
  await file.seek(0, Deno.SeekMode.Start);
  await writeAll(file, bytes);
}
