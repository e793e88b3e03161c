/**
 * The advisories of all sources: kept up to date in the background, matched with module versions,
 * and served as a database.
 *
 * What is known is never left out because it is old. That it is old is said: {@linkcode status}, a
 * line of the log, `gomodproxy_advisories_stale`, `/readyz`.
 */
import { atPace, Pace } from "../async/pace.ts";
import { pause } from "../async/pause.ts";
import { UnavailableError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import { AdvisoryDatabase } from "./database.ts";
import type { EntrySet } from "./entry_set.ts";
import type { Mirror } from "./mirror.ts";
import { type AdvisoryTable, compileSteps, EMPTY_TABLE, Matcher } from "./table.ts";

export interface AdvisoriesOptions {
  /** In the order of the configuration. */
  readonly mirrors: readonly Mirror[];
  /** From the end of one refresh to the beginning of the next. */
  readonly refreshEveryMs: number;
  /** Which modules only some readers may know of. */
  readonly isPrivate: (path: string) => boolean;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Pick<Logger, "warn" | "info">;
  readonly metrics: Metrics;
  /** After a failure; doubled with each that follows. Default: {@linkcode RETRY_MS}. */
  readonly retryMs?: number;
}

/** After a failure of a source: doubled with each that follows, up to the usual pause. */
const RETRY_MS = 60_000;

export interface SourceStatus {
  readonly name: string;
  readonly entries: number;
  /** When the source was last known to have what is known; null before the first time. */
  readonly succeededMs: number | null;
  readonly isStale: boolean;
  /** Why the last attempt to read it failed; null where it did not. */
  readonly fault: string | null;
}

export interface AdvisoriesStatus {
  readonly generation: number;
  /** The oldest of the sources' last successes; null where one has had none yet. */
  readonly asOfMs: number | null;
  /** Whether what one of the sources had is older than `maxStale`, or was never read. */
  readonly isStale: boolean;
  readonly sources: readonly SourceStatus[];
}

/** What is worth knowing of it, a line for each stale source. */
export function advisoryNotes({ sources }: AdvisoriesStatus): string[] {
  return sources.filter(({ isStale }) => isStale).map(({ name, succeededMs }) =>
    succeededMs === null
      ? `advisories of "${name}" were never read`
      : `advisories of "${name}" are stale: last read ${new Date(succeededMs).toISOString()}`
  );
}

export class Advisories {
  readonly #options: AdvisoriesOptions;
  readonly #listeners = new Set<(table: AdvisoryTable) => void>();
  #matcher: Matcher;
  /** Null before anything was read. */
  #database: AdvisoryDatabase | null = null;
  /** What matcher and database were made of. */
  #compiled: readonly EntrySet[] = [];
  #compiling: Promise<void> = Promise.resolve();
  #saidStale = "";

  constructor(options: AdvisoriesOptions) {
    this.#options = options;
    this.#matcher = new Matcher(EMPTY_TABLE, options.now);
    const { metrics } = options;
    metrics.gauge("gomodproxy_advisories_entries", () => this.#database?.size ?? 0);
    metrics.gauge("gomodproxy_advisories_stale", () => Number(this.status.isStale));
    metrics.gauge(
      "gomodproxy_advisories_last_success_timestamp_seconds",
      () => (this.status.asOfMs ?? 0) / 1000,
    );
  }

  /** Looks things up in what is known now. Hold on to it no longer than for one decision. */
  get matcher(): Matcher {
    return this.#matcher;
  }

  /** For other threads: plain data. */
  get table(): AdvisoryTable {
    return this.#matcher.table;
  }

  get status(): AdvisoriesStatus {
    const sources = this.#options.mirrors.map((mirror) => ({
      name: mirror.name,
      entries: mirror.entries.size,
      succeededMs: mirror.succeededMs,
      isStale: mirror.isStale,
      fault: mirror.fault,
    }));
    const times = sources.map(({ succeededMs }) => succeededMs);
    return {
      generation: this.table.generation,
      asOfMs: times.includes(null) ? null : Math.min(...times.map((time) => time ?? 0)),
      isStale: sources.some(({ isStale }) => isStale),
      sources,
    };
  }

  /**
   * A source of which nothing can be found yet: it was never read, or was read just now. What is
   * known is not all. Null where there is none.
   */
  get unread(): { readonly name: string; readonly fault: string | null } | null {
    const { mirrors } = this.#options;
    // What was read has an entry at least.
    return mirrors.find(({ succeededMs }, i) => succeededMs === null || !this.#compiled[i]?.size) ??
      null;
  }

  /**
   * @throws {UnavailableError} when a source has never been read: what is known is not all, and
   * must not be taken for it
   */
  get database(): AdvisoryDatabase {
    const { unread } = this;
    if (unread === null && this.#database !== null) return this.#database;
    throw new UnavailableError(
      `Cannot answer from the vulnerability database: source "${unread?.name}" was never read` +
        (unread?.fault == null ? "" : "; the log says why"),
    );
  }

  /** Calls `listener` after each change, until the result is disposed of. */
  onChange(listener: (table: AdvisoryTable) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /**
   * Takes over what is in the store.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say, or what it has is damaged
   */
  async load(signal: AbortSignal): Promise<void> {
    const { mirrors } = this.#options;
    await Promise.all(mirrors.map((mirror) => mirror.load(signal)));
    await this.#compile(signal);
  }

  /** Asks every source once. */
  async refresh(signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.#options.mirrors.map(async (mirror) => {
        if (await mirror.refresh(signal)) await this.#compile(signal);
      }),
    );
    this.#sayStale();
  }

  /** Keeps all sources up to date until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#options.mirrors.map((mirror) => this.#keep(mirror, signal)));
  }

  async #keep(mirror: Mirror, signal: AbortSignal): Promise<void> {
    const { refreshEveryMs, retryMs = RETRY_MS } = this.#options;
    for (let failures = 0; !signal.aborted;) {
      if (await mirror.refresh(signal)) await this.#compile(signal);
      this.#sayStale();
      failures = mirror.fault === null ? 0 : failures + 1;
      const pauseMs = failures === 0 ? refreshEveryMs : retryMs * 2 ** (failures - 1);
      await pause(Math.min(pauseMs, refreshEveryMs), signal);
    }
  }

  /** One after the other; one that finds nothing new does nothing. Ends early with the signal. */
  #compile(signal: AbortSignal): Promise<void> {
    return this.#compiling = this.#compiling.then(async () => {
      try {
        await this.#compileNow(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    });
  }

  async #compileNow(signal: AbortSignal): Promise<void> {
    const { mirrors, now, isPrivate } = this.#options;
    const sets = mirrors.map(({ entries }) => entries);
    if (sets.every((set, i) => set === this.#compiled[i])) return;
    const pace = new Pace(signal);
    const sources = mirrors.map(({ name, count, entries }) => ({
      source: name,
      state: String(count),
      advisories: [...entries.values()].map(({ advisory }) => advisory),
    }));
    const table = await atPace(compileSteps(sources, this.table.generation + 1), pace);
    this.#database = await AdvisoryDatabase.open({ sets, isPrivate, pace });
    this.#matcher = new Matcher(table, now);
    this.#compiled = sets;
    for (const listener of this.#listeners) listener(table);
  }

  /** Once for each change of what is stale. */
  #sayStale(): void {
    // One that is being read for the first time is not missed yet.
    const stale = this.status.sources.filter(({ isStale, succeededMs, fault }) =>
      isStale && (succeededMs !== null || fault !== null)
    );
    const names = stale.map(({ name }) => name).join(", ");
    if (names === this.#saidStale) return;
    this.#saidStale = names;
    const { log } = this.#options;
    if (names === "") log.info("all advisories are up to date again");
    else log.warn({ sources: names }, "advisories are stale: they have not been read for long");
  }
}
