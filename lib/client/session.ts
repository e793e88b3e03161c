/**
 * The session of a long-running client: logs in at a server, and again before the token expires or
 * when it is refused.
 */
import { SingleFlight } from "../async/single_flight.ts";
import { isGood } from "./authorization.ts";
import type { Identity } from "./identity.ts";
import { type AccessToken, logIn, type LogInOptions, proofHeader, tokenHeader } from "./log_in.ts";

export interface SessionOptions extends LogInOptions {
  /** The current identity: a token in a file is replaced from time to time. */
  readonly findIdentity: () => Promise<Identity>;
}

/** How long a server that issues no tokens is not asked for one again. */
const PROOF_GOOD_MS = 60_000;

export class Session {
  readonly #options: SessionOptions;
  readonly #logIns = new SingleFlight<string>(1);
  #token: AccessToken | null = null;
  #proof: { readonly header: string; readonly goodUntilMs: number } | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * The value of `Authorization`.
   *
   * @throws what {@linkcode SessionOptions.findIdentity}, {@linkcode Identity.prove} and
   *   {@linkcode logIn} throw
   */
  async authorization({ isRefused }: { readonly isRefused: boolean }): Promise<string> {
    const nowMs = this.#options.now();
    if (this.#token !== null && isGood(this.#token, { nowMs, isRefused })) {
      return tokenHeader(this.#token);
    }
    if (this.#proof !== null && nowMs < this.#proof.goodUntilMs) return this.#proof.header;
    return await this.#logIns.run("", () => this.#logIn());
  }

  async #logIn(): Promise<string> {
    const identity = await this.#options.findIdentity();
    const login = await identity.prove();
    this.#token = await logIn(login, this.#options);
    if (this.#token !== null) {
      this.#proof = null;
      return tokenHeader(this.#token);
    }
    this.#proof = {
      header: proofHeader(login),
      goodUntilMs: this.#options.now() + PROOF_GOOD_MS,
    };
    return this.#proof.header;
  }
}
