/**
 * Limits how often passwords can be guessed: leaky buckets of failed logins, for each identity and
 * for each address.
 *
 * A bucket holds {@linkcode MAX_FAILURES} and loses one every {@linkcode FORGIVE_EVERY_MS}. While
 * it is full no password is checked, not even the right one: otherwise guessing could go on. To
 * keep an attacker from locking out others, a pair of identity and address that has logged in
 * before has a bucket of its own, and no other counts for it.
 *
 * Tokens are not limited: a signature cannot be guessed, and a machine with an expired token must
 * not lock out the others behind its address.
 *
 * KNOWN LIMIT: behind a load balancer that is not among `listen.trustedProxies` all clients have
 * one address. Each process counts separately.
 */
import { LRUCache } from "lru-cache";
import { TooManyRequestsError } from "../errors.ts";
import { networkOf } from "../http/address.ts";

export const MAX_FAILURES = 20;
export const FORGIVE_EVERY_MS = 30_000;
/** Of buckets, and of pairs that have logged in. A flood of addresses evicts the oldest entries. */
const MAX_ENTRIES = 20_000;
/** Longer than any name in a configuration should be. */
const MAX_NAME_LENGTH = 128;

export interface Attempt {
  /** The outcome. "unknown": it could not be determined, and does not count. */
  end(outcome: "right" | "wrong" | "unknown"): void;
}

export interface Attempted {
  readonly user: string;
  /** Null if there is none, in tests. */
  readonly address: string | null;
}

interface Bucket {
  readonly level: number;
  readonly atMs: number;
}

export class FailedLogins {
  readonly #now: () => number;
  readonly #buckets = new LRUCache<string, Bucket>({ max: MAX_ENTRIES });
  readonly #knownPairs = new LRUCache<string, true>({ max: MAX_ENTRIES });

  /** @param now milliseconds since any moment */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Begins an attempt to log in. It counts as failed for its identity until it has ended, so that
   * parallel attempts are limited like sequential ones. It counts for its address only after it
   * failed, so that many people who log in at once are not taken for an attack.
   *
   * @throws {TooManyRequestsError}
   */
  begin({ user, address }: Attempted): Attempt {
    const name = user.slice(0, MAX_NAME_LENGTH);
    const from = `from ${networkOf(address ?? "")}`;
    const pair = `pair ${name}:${from}`;
    const isKnown = this.#knownPairs.get(pair) === true;
    const own = isKnown ? pair : `of ${name}`;
    this.#check(isKnown ? [pair] : [own, from]);
    this.#add(own, 1);
    return {
      end: (outcome) => {
        if (outcome === "right") this.#knownPairs.set(pair, true);
        if (outcome !== "wrong") this.#add(own, -1);
        else if (!isKnown) this.#add(from, 1);
      },
    };
  }

  #check(keys: readonly string[]): void {
    const excess = Math.max(...keys.map((key) => this.#level(key))) + 1 - MAX_FAILURES;
    if (excess <= 0) return;
    const seconds = Math.ceil(excess * FORGIVE_EVERY_MS / 1000);
    throw new TooManyRequestsError(
      `Cannot log in: too many wrong passwords for this user or from this address; try again in ${seconds} s`,
      seconds,
    );
  }

  #level(key: string): number {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.level - (this.#now() - bucket.atMs) / FORGIVE_EVERY_MS);
  }

  #add(key: string, count: number): void {
    const level = Math.max(0, this.#level(key) + count);
    if (level === 0) this.#buckets.delete(key);
    else this.#buckets.set(key, { level, atMs: this.#now() });
  }
}
