/**
 * Signed URLs of a store's objects, each kept for a minute: everyone who may have an object can
 * have the same URL, looking whether the object is there takes a round trip, and a signature takes
 * milliseconds, or a request where the account has no key.
 *
 * A URL is signed for {@linkcode URL_LIFETIME_SECONDS} and handed out during the first minute of
 * these, so a client always has four minutes to begin. That the object is there is believed for as
 * long.
 *
 * A failure is no client's business: there is no URL for it, and the caller has the object another
 * way. It is logged, at most once a minute, and nothing is signed for a moment.
 */
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { describeError, OverloadedError, ProxyError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import type { ObjectStore } from "./object_store.ts";

export const URL_LIFETIME_SECONDS = 300;
/** How long a URL is handed out. */
export const REUSE_MS = 60_000;
/** How long nothing is signed after a failure, so that not every request waits for another. */
export const PAUSE_MS = 10_000;
const WARNING_EVERY_MS = 60_000;
/** The object can be sent from here after that. */
const SIGN_TIMEOUT_MS = 8_000;
/** They take 2 kB each. */
const MAX_URLS = 4096;
const MAX_FLIGHTS = 1000;

export interface SignedUrlsOptions {
  /** Default: failures are not logged. */
  readonly log?: Pick<Logger, "warn"> | undefined;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
}

interface KnownUrl {
  readonly url: URL;
  readonly signedMs: number;
}

export class SignedUrls {
  readonly #store: ObjectStore;
  readonly #log: SignedUrlsOptions["log"];
  readonly #now: () => number;
  readonly #known = new LRUCache<string, KnownUrl>({ max: MAX_URLS });
  readonly #flights = new SingleFlight<URL | null>(MAX_FLIGHTS);
  #failedMs = -Infinity;
  #warnedMs = -Infinity;

  constructor(store: ObjectStore, options: SignedUrlsOptions = {}) {
    this.#store = store;
    this.#log = options.log;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Null where the object is not there, or no URL can be had of it. */
  async urlOf(key: string, signal?: AbortSignal): Promise<URL | null> {
    const known = this.#known.get(key);
    if (known !== undefined && this.#now() - known.signedMs < REUSE_MS) return known.url;
    if (this.#now() - this.#failedMs < PAUSE_MS) return null;
    try {
      return await this.#flights.run(key, ({ signal }) => this.#sign(key, signal), signal);
    } catch (error) {
      if (signal?.aborted || !(error instanceof ProxyError)) throw error;
      // One client that asks for too much stops no URLs of others.
      if (!(error instanceof OverloadedError)) this.#fail(error);
      return null;
    }
  }

  async #sign(key: string, signal: AbortSignal): Promise<URL | null> {
    const signedMs = this.#now();
    const url = await withDeadline(
      async (signal) =>
        await this.#store.signedUrl?.(key, { lifetimeSeconds: URL_LIFETIME_SECONDS, signal }) ??
          null,
      { timeoutMs: SIGN_TIMEOUT_MS, what: `sign a URL of "${key}"`, signal },
    );
    if (url !== null) this.#known.set(key, { url, signedMs });
    return url;
  }

  #fail(error: ProxyError): void {
    this.#failedMs = this.#now();
    if (this.#now() - this.#warnedMs < WARNING_EVERY_MS) return;
    this.#warnedMs = this.#now();
    this.#log?.warn(
      { error: describeError(error) },
      "cannot redirect to the bucket; this server sends the zips itself",
    );
  }
}
