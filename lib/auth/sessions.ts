/**
 * Whose a header `Authorization` is that has been verified before: a table with a limit, so that neither a password is hashed
 * nor a signature checked for every file of a build.
 *
 * Its keys are keyed hashes of headers, never headers.
 */
import { LRUCache } from "lru-cache";
import { hash, randomBytes } from "node:crypto";

/** What has been verified. */
export interface Session {
  readonly identity: string;
  /** When it has to be verified again, in milliseconds since 1970. */
  readonly endsMs: number;
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

  /** With a secret before it; an HMAC proper takes four times as long, and nobody sees these who could extend one. */
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
