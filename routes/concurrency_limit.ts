/**
 * How many requests may be under way at once: of all clients, so that this server does not break
 * down, and of each client, so that one does not keep out the others. A request is under way until
 * its answer has been sent.
 *
 * Where clients authenticate, requests of those that have not done so yet have places of their own,
 * shared fairly by address (lib/async/fair_share.ts): whoever holds them open, slowly, takes none
 * from those that are known.
 */
import { FairShare } from "../lib/async/fair_share.ts";
import { OverloadedError, TooManyRequestsError } from "../lib/errors.ts";
import { type Metrics, NO_METRICS } from "../lib/log/metrics.ts";

export interface ConcurrencyLimits {
  /** Of all clients together. */
  readonly maxConcurrentRequests: number;
  /** Of one identity; where clients do not authenticate, of one address. */
  readonly maxConcurrentRequestsPerClient: number;
  /** Of all clients that have not authenticated where they must. Default: as many as of all. */
  readonly maxConcurrentUnauthenticatedRequests?: number;
}

/** When a client that reached its limit may try again. */
const RETRY_AFTER_SECONDS = 1;

export class ConcurrencyLimit {
  readonly #limits: ConcurrencyLimits;
  readonly #metrics: Metrics;
  /** The number of requests in progress by client. */
  readonly #ofClients = new Map<string, number>();
  readonly #ofAddresses = new FairShare();
  #ofAll = 0;
  #ofStrangers = 0;

  constructor(limits: ConcurrencyLimits, metrics: Metrics = NO_METRICS) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** @throws {OverloadedError} when too many are in progress */
  enter(): Permit {
    this.#enter();
    return new Permit(this, null);
  }

  /**
   * For a client that has to authenticate and has not.
   *
   * @param address what counts as one client
   * @throws {OverloadedError} when too many are under way
   * @throws {TooManyRequestsError} when too many of this address are
   */
  enterAsStranger(address: string): Permit {
    if (!this.mayEnterAsStranger(address)) throw this.#refusedStranger();
    this.#ofStrangers++;
    this.#ofAddresses.take(address);
    return new Permit(this, address);
  }

  /** Whether there are any of {@linkcode enterAsStranger}. */
  get hasStrangers(): boolean {
    return this.#ofStrangers > 0;
  }

  /** Whether {@linkcode enterAsStranger} would let it in. */
  mayEnterAsStranger(address: string): boolean {
    return this.#ofAddresses.mayTake(address, this.#freeToStrangers);
  }

  /** For {@linkcode Permit.admit}. */
  admit(address: string): void {
    this.leaveAsStranger(address);
    this.#enter();
  }

  /** For {@linkcode Permit.assignTo}. */
  enterAs(client: string): void {
    const { maxConcurrentRequestsPerClient: max } = this.#limits;
    const count = this.#ofClients.get(client) ?? 0;
    if (count >= max) {
      this.#metrics.add("gomodproxy_limited_requests_total", { limit: "client" });
      throw new TooManyRequestsError(
        `Cannot take another request from this client: ${max} are in progress`,
        RETRY_AFTER_SECONDS,
      );
    }
    this.#ofClients.set(client, count + 1);
  }

  /** For {@linkcode Permit.leave}. */
  leave(client: string | null): void {
    this.#ofAll--;
    this.leaveAs(client);
  }

  /** As {@linkcode leave}, for a permit of {@linkcode enterAsStranger}. */
  leaveAsStranger(address: string): void {
    this.#ofStrangers--;
    this.#ofAddresses.giveBack(address);
  }

  leaveAs(client: string | null): void {
    if (client === null) return;
    const count = this.#ofClients.get(client) ?? 0;
    if (count > 1) this.#ofClients.set(client, count - 1);
    else this.#ofClients.delete(client);
  }

  get #freeToStrangers(): number {
    const { maxConcurrentRequests, maxConcurrentUnauthenticatedRequests: max } = this.#limits;
    return (max ?? maxConcurrentRequests) - this.#ofStrangers;
  }

  #enter(): void {
    const { maxConcurrentRequests: max } = this.#limits;
    if (this.#ofAll >= max) {
      this.#metrics.add("gomodproxy_limited_requests_total", { limit: "all" });
      throw new OverloadedError(`Cannot take another request: ${max} are in progress`);
    }
    this.#ofAll++;
  }

  #refusedStranger(): Error {
    this.#metrics.add("gomodproxy_limited_requests_total", { limit: "unauthenticated" });
    const what = `${this.#ofStrangers} of clients that have not authenticated are in progress`;
    return this.#freeToStrangers <= 0
      ? new OverloadedError(`Cannot take another request: ${what}`)
      : new TooManyRequestsError(
        `Cannot take another request from this client: ${what}, too many of them from your address`,
        RETRY_AFTER_SECONDS,
      );
  }
}

/** The permission for one request, until it is given back. */
export class Permit {
  readonly #limit: ConcurrencyLimit;
  /** Of a client that has not authenticated, as long as it has not; else null. */
  #stranger: string | null;
  #client: string | null = null;
  #isBack = false;

  constructor(limit: ConcurrencyLimit, stranger: string | null) {
    this.#limit = limit;
    this.#stranger = stranger;
  }

  /**
   * Says that its client is known now, or that others look at that.
   *
   * @throws {OverloadedError} when too many of those are under way
   */
  admit(): void {
    const stranger = this.#stranger;
    if (stranger === null || this.#isBack) return;
    this.#stranger = null;
    try {
      this.#limit.admit(stranger);
    } catch (error) {
      // It has no place any more.
      this.#isBack = true;
      throw error;
    }
  }

  /**
   * Assigns the request to a client, as soon as the client is known.
   *
   * @throws {TooManyRequestsError} when too many of this client's requests are in progress
   */
  assignTo(client: string): void {
    this.#limit.enterAs(client);
    this.#client = client;
  }

  /** Gives it back. Further calls have no effect. */
  leave(): void {
    if (this.#isBack) return;
    this.#isBack = true;
    if (this.#stranger === null) return this.#limit.leave(this.#client);
    this.#limit.leaveAsStranger(this.#stranger);
    this.#limit.leaveAs(this.#client);
  }
}
