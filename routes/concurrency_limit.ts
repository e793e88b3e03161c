/**
 * How many requests may be under way at once: of all clients, so that this server does not break down, and of each client,
 * so that one does not keep out the others. A request is under way until its answer has been sent.
 */
import { OverloadedError, TooManyRequestsError } from "../lib/errors.ts";
import { type Metrics, NO_METRICS } from "../lib/log/metrics.ts";

export interface ConcurrencyLimits {
  /** Of all clients together. */
  readonly maxConcurrentRequests: number;
  /** Of one identity; where nobody says who they are, of one address. */
  readonly maxConcurrentRequestsPerClient: number;
}

/** When a client that has too much under way is to try again. */
const RETRY_AFTER_SECONDS = 1;

export class ConcurrencyLimit {
  readonly #limits: ConcurrencyLimits;
  readonly #metrics: Metrics;
  /** Those who have something under way, and how much. */
  readonly #ofClients = new Map<string, number>();
  #ofAll = 0;

  constructor(limits: ConcurrencyLimits, metrics: Metrics = NO_METRICS) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** @throws {OverloadedError} when too many are under way */
  enter(): Permit {
    const { maxConcurrentRequests: max } = this.#limits;
    if (this.#ofAll >= max) {
      this.#metrics.add("gomodproxy_limited_requests_total", { limit: "all" });
      throw new OverloadedError(`Cannot take another request: ${max} are under way`);
    }
    this.#ofAll++;
    return new Permit(this);
  }

  /** For {@linkcode Permit.assignTo}. */
  enterAs(client: string): void {
    const { maxConcurrentRequestsPerClient: max } = this.#limits;
    const count = this.#ofClients.get(client) ?? 0;
    if (count >= max) {
      this.#metrics.add("gomodproxy_limited_requests_total", { limit: "client" });
      throw new TooManyRequestsError(
        `Cannot take another request of yours: ${max} are under way`,
        RETRY_AFTER_SECONDS,
      );
    }
    this.#ofClients.set(client, count + 1);
  }

  /** For {@linkcode Permit.leave}. */
  leave(client: string | null): void {
    this.#ofAll--;
    if (client === null) return;
    const count = this.#ofClients.get(client) ?? 0;
    if (count > 1) this.#ofClients.set(client, count - 1);
    else this.#ofClients.delete(client);
  }
}

/** Lets one request be under way, until it is given back. */
export class Permit {
  readonly #limit: ConcurrencyLimit;
  #client: string | null = null;
  #isBack = false;

  constructor(limit: ConcurrencyLimit) {
    this.#limit = limit;
  }

  /**
   * Says whose it is, as soon as that is known.
   *
   * @throws {TooManyRequestsError} when too many of this client are under way
   */
  assignTo(client: string): void {
    this.#limit.enterAs(client);
    this.#client = client;
  }

  /** Gives it back. Once is enough. */
  leave(): void {
    if (this.#isBack) return;
    this.#isBack = true;
    this.#limit.leave(this.#client);
  }
}
