/**
 * Verdicts, remembered. The main thread decides by the policy; the other threads ask the main one.
 * Each remembers what it was told until the verdict may change, at most {@linkcode MAX_AGE_MS}, and
 * until it is told that rules or facts have changed ({@linkcode RememberingJudge.forget}).
 */
import { LRUCache } from "lru-cache";
import { SingleFlight } from "../async/single_flight.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { Version } from "../module/version.ts";
import type { PolicyConfig } from "./config.ts";
import type { Asking, FilteredList } from "./policy.ts";
import { earlier, type Verdict } from "./verdict.ts";

/** How long a fact may have changed without notice: a retraction in a new version, for example. */
export const MAX_AGE_MS = 10_000;
/** Each takes some 300 bytes. */
const MAX_VERDICTS = 20_000;
const MAX_FLIGHTS = 1000;

/** Another thread must decide, and say why. */
export class UndecidedError extends Error {
  override readonly name = "UndecidedError";
}

/** What decides. */
export interface Decider {
  /**
   * @throws {UnknownFactError} when a fact that decides cannot be determined
   * @throws {UndecidedError} when another thread must answer
   */
  decide(module: ModuleVersion, asking: Asking): Promise<Verdict>;
  filter(
    path: ModulePath,
    asking: Asking & { readonly versions: readonly Version[] },
  ): Promise<FilteredList>;
}

export interface JudgeOptions {
  readonly decider: Decider;
  readonly gate: PolicyConfig["gate"];
  readonly contact: string | undefined;
  /** Whether clients may get different verdicts. */
  readonly dependsOnIdentity: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Kept<T> {
  readonly value: T;
  readonly untilMs: number;
}

export class RememberingJudge {
  /** What a denial withholds. */
  readonly gate: PolicyConfig["gate"];
  readonly contact: string | undefined;
  /** Whether clients may get different verdicts. */
  readonly dependsOnIdentity: boolean;
  readonly #options: JudgeOptions;
  #verdicts = new LRUCache<string, Kept<Verdict>>({ max: MAX_VERDICTS });
  #lists = new WeakMap<readonly Version[], Map<string, Kept<FilteredList>>>();
  readonly #flights = new SingleFlight<Verdict>(MAX_FLIGHTS);

  constructor(options: JudgeOptions) {
    this.#options = options;
    this.gate = options.gate;
    this.contact = options.contact;
    this.dependsOnIdentity = options.dependsOnIdentity;
  }

  /** Null where it has not been decided lately. */
  remembered(module: ModuleVersion, identity: string | null): Verdict | null {
    const kept = this.#verdicts.get(this.#keyOf(module, identity));
    return kept === undefined || kept.untilMs <= this.#options.now() ? null : kept.value;
  }

  /** @throws {UnknownFactError} */
  async judge(module: ModuleVersion, asking: Asking): Promise<Verdict> {
    const known = this.remembered(module, asking.identity);
    if (known !== null) return known;
    const key = this.#keyOf(module, asking.identity);
    return await this.#flights.run(key, async ({ signal }) => {
      const verdicts = this.#verdicts;
      const value = await this.#options.decider.decide(module, { ...asking, signal });
      verdicts.set(key, this.#kept(value, value.changesAtMs));
      return value;
    }, asking.signal);
  }

  /**
   * The verdict for a thread that remembers it as well: it may change when this judge forgets it,
   * so that no thread remembers a fact for longer than {@linkcode MAX_AGE_MS}.
   *
   * @throws {UnknownFactError}
   */
  async judgeForThread(module: ModuleVersion, asking: Asking): Promise<Verdict> {
    const verdict = await this.judge(module, asking);
    const kept = this.#verdicts.get(this.#keyOf(module, asking.identity));
    return { ...verdict, changesAtMs: earlier(verdict.changesAtMs, kept?.untilMs ?? null) };
  }

  /** A list without what is withheld; null where it has not been decided lately. */
  rememberedList(
    versions: readonly Version[],
    identity: string | null,
  ): FilteredList | null {
    const kept = this.#lists.get(versions)?.get(this.#identityKey(identity));
    return kept === undefined || kept.untilMs <= this.#options.now() ? null : kept.value;
  }

  /** @throws {UnknownFactError} */
  async filter(
    path: ModulePath,
    { versions, ...asking }: Asking & { readonly versions: readonly Version[] },
  ): Promise<FilteredList> {
    const known = this.rememberedList(versions, asking.identity);
    if (known !== null) return known;
    const lists = this.#lists;
    const list = await this.#options.decider.filter(path, { versions, ...asking });
    const kept = lists.get(versions) ?? new Map();
    // The same array as before where the same is left: what was made of it stays usable.
    const before = kept.get(this.#identityKey(asking.identity))?.value;
    const same = before !== undefined && isSame(before.versions, list.versions) ? before : list;
    const value = { versions: same.versions, changesAtMs: list.changesAtMs };
    kept.set(this.#identityKey(asking.identity), this.#kept(value, list.changesAtMs));
    lists.set(versions, kept);
    return value;
  }

  /** How long something stays as it is that may change at a moment; null: no end is known. */
  unchangedMs(changesAtMs: number | null): number {
    return changesAtMs === null ? Infinity : Math.max(0, changesAtMs - this.#options.now());
  }

  /** Rules, exceptions or facts have changed. */
  forget(): void {
    this.#verdicts = new LRUCache({ max: MAX_VERDICTS });
    this.#lists = new WeakMap();
  }

  #kept<T>(value: T, changesAtMs: number | null): Kept<T> {
    const nowMs = this.#options.now();
    return { value, untilMs: Math.min(nowMs + MAX_AGE_MS, changesAtMs ?? Infinity) };
  }

  #keyOf(module: ModuleVersion, identity: string | null): string {
    return `${this.#identityKey(identity)} ${nameOf(module)}`;
  }

  #identityKey(identity: string | null): string {
    return this.dependsOnIdentity ? identity ?? "" : "";
  }
}

function isSame(a: readonly Version[], b: readonly Version[]): boolean {
  return a === b || a.length === b.length && a.every((version, i) => version === b[i]);
}
