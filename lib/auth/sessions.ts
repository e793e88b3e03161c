/**
 * Sessions of headers `Authorization` that have been verified: a table with a limit, so that not
 * every file of a build costs a password hash or a signature check.
 *
 * Its keys are keyed hashes of headers, never headers.
 */
import { LRUCache } from "lru-cache";
import { hash, randomBytes } from "node:crypto";
import type { ProvenToken } from "./authenticator.ts";

/** A verified identity. */
export interface Session {
  readonly identity: string;
  /** When it must be verified again, in milliseconds since 1970. */
  readonly endsMs: number;
  /** The token that it was verified by, if any. */
  readonly token?: ProvenToken | undefined;
}

const MAX_SESSIONS = 10_000;

export class Sessions {
  readonly #now: () => number;
  readonly #secret = randomBytes(32).toString("base64");
  readonly #sessions = new LRUCache<string, Session>({ max: MAX_SESSIONS });

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * A hash with a secret prefix. A proper HMAC takes four times as long, and no attacker sees a key
   * to extend.
   */
  keyOf(header: string): string {
    return hash("sha256", this.#secret + header);
  }

  find(key: string): Session | null {
    const session = this.#sessions.get(key);
    return session !== undefined && this.#now() < session.endsMs ? session : null;
  }

  add(key: string, session: Session): void {
    this.#sessions.set(key, session);
  }
}
