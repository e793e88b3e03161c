/**
 * Identities with a password, plain or hashed.
 *
 * A comparison takes as long for a wrong password as for the right one, and as long for an unknown
 * name as for the first identity with a password. Secrets are read at each login, so that a new one
 * in a file takes effect at once.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { Semaphore } from "../async/semaphore.ts";
import { readSecretLine, type Secret, type SecretPlaces } from "../credentials/secret.ts";
import { UnauthenticatedError } from "../errors.ts";
import type { Authenticator, Proof } from "./authenticator.ts";
import type { Credentials } from "./credentials.ts";
import { PasswordHash } from "./password_hash.ts";

export interface PasswordIdentity {
  readonly name: string;
  /** Exactly one of the two is set. */
  readonly password?: Secret | undefined;
  readonly passwordHash?: Secret | undefined;
}

/** Hashing takes a whole core and 128 MiB, at most 256 MiB (password_hash.ts). */
const MAX_HASHING_AT_ONCE = 2;
const MAX_WAITING = 64;
const MAX_WAIT_MS = 10_000;

export class Passwords implements Authenticator {
  readonly method = "userpassword";
  readonly #identities: ReadonlyMap<string, PasswordIdentity>;
  readonly #places: SecretPlaces;
  readonly #key = randomBytes(32);
  readonly #hashing = new Semaphore({
    what: "check a password",
    permits: MAX_HASHING_AT_ONCE,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  });

  constructor(identities: readonly PasswordIdentity[], places: SecretPlaces) {
    this.#identities = new Map(identities.map((identity) => [identity.name, identity]));
    this.#places = places;
  }

  async authenticate(credentials: Credentials): Promise<Proof | null> {
    if (credentials.kind !== "password") return null;
    const identity = this.#identities.get(credentials.user);
    const [decoy] = this.#identities.values();
    const compared = identity ?? decoy;
    const isRight = compared !== undefined && await this.#matches(compared, credentials.password);
    if (identity !== undefined && isRight) {
      return { identity: identity.name, expiresMs: Infinity };
    }
    throw new UnauthenticatedError("Cannot log in: the user name or the password is wrong");
  }

  async #matches({ password, passwordHash }: PasswordIdentity, given: string): Promise<boolean> {
    if (passwordHash !== undefined) {
      const hash = PasswordHash.parse(await readSecretLine(passwordHash, this.#places));
      using _permit = await this.#hashing.acquire();
      return await hash.matches(given);
    }
    if (password === undefined) return false;
    const wanted = await readSecretLine(password, this.#places);
    // Of equal length, whatever the lengths of the two.
    return timingSafeEqual(this.#digest(given), this.#digest(wanted));
  }

  #digest(text: string): Uint8Array {
    return createHmac("sha256", this.#key).update(text).digest();
  }
}
