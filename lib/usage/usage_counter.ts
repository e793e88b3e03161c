/**
 * Counts usage in memory. Each thread has one; what they have counted is taken and written together
 * (usage_log.ts).
 */
import type { UsageMode } from "./config.ts";
import { keyText, type UsageKey, type UsageRow } from "./usage_row.ts";

/** Each takes some 300 bytes. What is beyond it is counted in {@linkcode UsageCounter.lost}. */
export const MAX_ROWS = 100_000;

export class UsageCounter {
  #rows = new Map<string, { readonly key: UsageKey; count: number }>();
  #lost = 0;
  readonly #mode: UsageMode;

  constructor(mode: UsageMode) {
    this.#mode = mode;
  }

  /** Requests that were not counted, since the last {@linkcode take}. */
  get lost(): number {
    return this.#lost;
  }

  add(added: UsageKey, count = 1): void {
    const key = this.#mode === "identities" ? added : { ...added, identity: null };
    const text = keyText(key);
    const known = this.#rows.get(text);
    if (known !== undefined) known.count += count;
    else if (this.#rows.size < MAX_ROWS) this.#rows.set(text, { key, count });
    else this.#lost += count;
  }

  /** What has been counted since the last call. */
  take(): UsageRow[] {
    const rows = [...this.#rows.values()].map(({ key, count }) => ({ ...key, count }));
    this.#rows = new Map();
    this.#lost = 0;
    return rows;
  }
}
