/**
 * Usage in the store: every replica writes an object an hour, and one when it ends.
 *
 * ```text
 * u1/2026-11-29/15-3f9a1c2e4b5d-0     hour, replica, part of the hour
 * ```
 *
 * Nothing is rewritten; an object is gzip of rows (usage_row.ts). How long they are kept is up to
 * the life cycle of the bucket: the server deletes nothing.
 *
 * Limits: {@linkcode MAX_ROWS} rows an hour and thread; what a killed process has counted since its
 * last object is lost.
 */
import { Background } from "../async/background.ts";
import { atPace, Pace } from "../async/pace.ts";
import { describeError, StorageError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { bytesContent, type ObjectStore, readSmall } from "../store/object_store.ts";
import { gunzip, gzip } from "../zip/gzip.ts";
import type { UsageMode } from "./config.ts";
import { UsageCounter } from "./usage_counter.ts";
import { formatRows, parseRows, ROW_COST_BYTES, type UsageRow } from "./usage_row.ts";

export const USAGE_FOLDER = "u1";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_OBJECT_BYTES = 64 * 1024 * 1024;
/** Unpacked. */
const MAX_TEXT_BYTES = 512 * 1024 * 1024;
const MAX_PARTS = 1000;

export interface UsageLogOptions {
  readonly store: ObjectStore;
  readonly mode: UsageMode;
  /** Which no other process has. */
  readonly replica: string;
  /** What other threads have counted, since the last call. */
  readonly collect: () => Promise<readonly UsageRow[]>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Waits; the signal ends the wait early, without an error. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** Writes usage while it runs; disposing of it writes what is left. */
export class UsageLog implements AsyncDisposable {
  /** Of this thread. */
  readonly counter: UsageCounter;
  readonly #options: UsageLogOptions;
  readonly #running: Background;

  constructor(options: UsageLogOptions) {
    this.#options = options;
    this.counter = new UsageCounter(options.mode);
    this.#running = new Background((signal) => this.#run(signal));
  }

  /** Writes what has been counted until now. Logs a failure, after which it is lost. */
  async flush(): Promise<void> {
    const { store, replica, collect, now, log } = this.#options;
    const pace = new Pace(undefined);
    for (const { count, ...key } of await collect()) {
      this.counter.add(key, count);
      await pace.spend(ROW_COST_BYTES);
    }
    const { lost } = this.counter;
    const rows = this.counter.take();
    if (lost > 0) log.warn({ requests: lost }, "usage of too many versions: some is not recorded");
    if (rows.length === 0) return;
    const content = bytesContent(await gzip(await atPace(formatRows(rows), pace), pace));
    const [day = "", hour = ""] = new Date(now()).toISOString().split(/[T:]/);
    try {
      for (let part = 0; part < MAX_PARTS; part++) {
        const key = `${USAGE_FOLDER}/${day}/${hour}-${replica}-${part}`;
        if (await store.create(key, content) === "created") return;
      }
      throw new Error(`there are ${MAX_PARTS} parts of this hour`);
    } catch (error) {
      log.warn({ error: describeError(error), rows: rows.length }, "cannot write usage");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
    await this.flush();
  }

  /** At the end of each hour, so that an object is about one. */
  async #run(signal: AbortSignal): Promise<void> {
    const { now, pause } = this.#options;
    for (;;) {
      await pause(HOUR_MS - now() % HOUR_MS - 1000, signal);
      if (signal.aborted) return;
      await this.flush();
      await pause(HOUR_MS - now() % HOUR_MS, signal);
      if (signal.aborted) return;
    }
  }
}

/**
 * The rows of all replicas from the day of a moment on.
 *
 * @throws {StorageError} when the store cannot say, or an object is damaged
 */
export async function* readUsage(
  store: ObjectStore,
  { sinceMs, nowMs, signal }: {
    readonly sinceMs: number;
    readonly nowMs: number;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<UsageRow> {
  for (let ms = sinceMs; ms < nowMs + DAY_MS; ms += DAY_MS) {
    const folder = `${USAGE_FOLDER}/${new Date(ms).toISOString().slice(0, 10)}`;
    if (folder > `${USAGE_FOLDER}/${new Date(nowMs).toISOString().slice(0, 10)}`) return;
    for (const name of await store.list(folder, { signal })) {
      const key = `${folder}/${name}`;
      const bytes = await readSmall(store, key, {
        limitBytes: MAX_OBJECT_BYTES,
        signal,
      });
      if (bytes === null) continue;
      const text = await gunzip(bytes, {
        maxBytes: MAX_TEXT_BYTES,
        what: key,
        pace: new Pace(signal),
        error: StorageError,
      });
      yield* parseRows(new TextDecoder().decode(text));
    }
  }
}
