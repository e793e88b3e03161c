/**
 * One source, mirrored into the store: what it had when it was last read, and the decision whether
 * what it has now takes the place of that.
 *
 * What was read is refused, and what was known stays, where
 *
 * - there is no entry in it: an empty database is an error and not "no findings";
 * - more than {@linkcode MirrorOptions.maxLossPercent} of the entries that count are gone or
 *   withdrawn;
 * - the feed says so: it is damaged, incomplete, or older than what is known.
 *
 * Every replica asks the sources itself, which costs one small request where nothing has changed.
 * What one has read is taken over by the others from the store.
 */
import { withDeadline } from "../async/deadline.ts";
import { Pace } from "../async/pace.ts";
import { describeError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import type { ObjectStore } from "../store/object_store.ts";
import type { EntrySet } from "./entry_set.ts";
import type { Feed } from "./feed.ts";
import { FeedLog, type FeedState, listedIds, NO_STATE } from "./feed_log.ts";
import { InvalidAdvisoryError } from "./osv.ts";

export interface MirrorOptions {
  /** The name of the source in the configuration. */
  readonly name: string;
  readonly feed: Feed;
  readonly store: ObjectStore;
  /** After so long without a success, what is known counts as stale. */
  readonly maxStaleMs: number;
  /** How many of the entries may be gone at once. */
  readonly maxLossPercent: number;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  readonly metrics: Metrics;
}

/** How long a source may take. */
export const REFRESH_TIMEOUT_MS = 30 * 60_000;
/** Of two sets: as much as is done without a turn for others. */
const COMPARISON_COST = 1024 * 1024;
/** How much of {@linkcode MirrorOptions.maxStaleMs} may go by until a record says "asked again". */
const RECORD_FRACTION = 4;

export class Mirror {
  readonly name: string;
  readonly #options: MirrorOptions;
  readonly #log: FeedLog;
  #state: FeedState = NO_STATE;
  #succeededMs: number | null = null;
  #fault: string | null = null;

  constructor(options: MirrorOptions) {
    this.name = options.name;
    this.#options = options;
    this.#log = new FeedLog(options.store, options.name);
  }

  get entries(): EntrySet {
    return this.#state.entries;
  }

  /** The number of the state: the same on all replicas that have read it. */
  get count(): number {
    return this.#state.count;
  }

  /** When the source was last known to have what is known; null before the first time. */
  get succeededMs(): number | null {
    return this.#succeededMs;
  }

  /** Why the last attempt to read it failed; null where it did not. */
  get fault(): string | null {
    return this.#fault;
  }

  get isStale(): boolean {
    const { now, maxStaleMs } = this.#options;
    return this.#succeededMs === null || now() - this.#succeededMs > maxStaleMs;
  }

  /**
   * Takes over what is in the store. Whether the entries have changed.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say, or what it has is damaged
   */
  async load(signal: AbortSignal): Promise<boolean> {
    return this.#take(await this.#log.follow(this.#state, signal));
  }

  /**
   * Reads the store, then the source. Whether the entries have changed; what fails is in the log,
   * in the metrics and in {@linkcode fault}.
   */
  async refresh(signal: AbortSignal): Promise<boolean> {
    const { name, feed, log, metrics } = this.#options;
    const before = this.#state.entries;
    try {
      const outcome = await withDeadline((signal) => this.#refresh(signal), {
        timeoutMs: REFRESH_TIMEOUT_MS,
        what: `read ${feed.description}`,
        signal,
      });
      metrics.add("gomodproxy_advisories_refreshes_total", { outcome });
      if (this.#fault !== null) log.info({ source: name }, "advisories are read again");
      this.#fault = null;
    } catch (error) {
      if (signal.aborted) return false;
      this.#fail(error);
    }
    return this.#state.entries !== before;
  }

  async #refresh(signal: AbortSignal): Promise<"changed" | "unchanged"> {
    const { feed, now, maxStaleMs } = this.#options;
    await this.load(signal);
    const known = this.#state;
    const startMs = now();
    const reading = await feed.read(known, { signal, nowMs: startMs });
    const next = reading === "unchanged"
      ? { entries: known.entries, modified: null, validator: null, ...known.record }
      : reading;
    this.#check(known.entries, next.entries);
    const pace = new Pace(signal);
    await pace.spend(COMPARISON_COST);
    const hasSameEntries = areSame(known.entries, next.entries);
    await pace.spend(COMPARISON_COST);
    const isChanged = !hasSameEntries || next.modified !== known.record?.modified ||
      next.validator !== known.record.validator;
    const recordedMs = known.record?.checkedAtMs ?? 0;
    if (isChanged || startMs - recordedMs > maxStaleMs / RECORD_FRACTION) {
      const { modified, validator } = next;
      const entries = hasSameEntries ? known.entries : next.entries;
      const record = { checkedAtMs: startMs, modified, validator, entries };
      this.#take(await this.#log.append(known, record, signal));
    }
    this.#succeededMs = Math.max(startMs, this.#succeededMs ?? 0);
    if (!isChanged) return "unchanged";
    this.#report(known.entries);
    return "changed";
  }

  #take(state: FeedState): boolean {
    const isChanged = state.entries !== this.#state.entries;
    this.#state = state;
    const checkedAtMs = state.record?.checkedAtMs;
    if (checkedAtMs !== undefined) {
      // The clock of the replica that has written it may be ahead.
      const pastMs = Math.min(checkedAtMs, this.#options.now());
      this.#succeededMs = Math.max(pastMs, this.#succeededMs ?? 0);
    }
    return isChanged;
  }

  /** @throws {InvalidAdvisoryError} when what was read must not take the place of what is known */
  #check(known: EntrySet, next: EntrySet): void {
    const { feed: { description }, maxLossPercent } = this.#options;
    const listed = new Set(listedIds(next));
    if (listed.size === 0) {
      throw new InvalidAdvisoryError(
        `Cannot use ${description}: it has no entry about a Go module`,
      );
    }
    const before = listedIds(known);
    const lost = before.filter((id) => !listed.has(id)).length;
    if (lost * 100 <= before.length * maxLossPercent) return;
    throw new InvalidAdvisoryError(
      `Cannot use ${description}: ${lost} of ${before.length} entries are gone or withdrawn, ` +
        `more than ${maxLossPercent} %`,
    );
  }

  #report(before: EntrySet): void {
    const { name, log } = this.#options;
    const { entries, record } = this.#state;
    let changed = 0;
    let kept = 0;
    for (const [id, { digest }] of entries) {
      const known = before.get(id);
      if (known !== undefined) kept++;
      if (known?.digest !== digest) changed++;
    }
    log.info({
      source: name,
      entries: entries.size,
      listed: record?.listed,
      changed,
      removed: before.size - kept,
    }, "advisories have changed");
  }

  /** A refusal is an alarm: somebody has to look at it. The same fault is said once. */
  #fail(error: unknown): void {
    const { name, log, metrics } = this.#options;
    const isRefused = error instanceof InvalidAdvisoryError;
    metrics.add("gomodproxy_advisories_refreshes_total", {
      outcome: isRefused ? "refused" : "failed",
    });
    const fault = describeError(error);
    if (fault === this.#fault) return;
    this.#fault = fault;
    const facts = { source: this.name, error: fault, entries: this.#state.entries.size };
    if (isRefused) log.error(facts, "advisories are refused; what is known stays");
    else log.warn({ ...facts, source: name }, "cannot read advisories; what is known stays");
  }
}

function areSame(a: EntrySet, b: EntrySet): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [id, { digest }] of a) if (b.get(id)?.digest !== digest) return false;
  return true;
}
