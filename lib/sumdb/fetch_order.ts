/**
 * How a database is reached: through the first upstream proxy that supports it (Go Modules
 * Reference, "Checksum database": `<proxy>/sumdb/<database>/supported`), so that access to that
 * proxy is enough; otherwise directly.
 *
 * If an upstream fails to answer whether it supports a database, no other way is tried: that might
 * bypass the proxy of a closed network. The request fails.
 */
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { NotFoundError } from "../errors.ts";
import type { SumdbFetch } from "./database.ts";

/**
 * What this needs of an upstream proxy, or of a database's own server; throws NotFoundError for 404
 * and 410.
 */
export interface SumdbUpstream {
  get(
    path: string,
    options: {
      readonly limitBytes: number;
      /** Of the limit, in the error. */
      readonly name: string;
      readonly signal: AbortSignal;
    },
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** Of the limits of all files of a database. */
export const LIMIT_NAME = "checksum database";

/** The body of `supported` is empty or a word. */
const MAX_SUPPORTED_BYTES = 64 * 1024;
/** How many databases, and for how long, we remember which upstream supports them. */
const MAX_DATABASES = 64;
const SUPPORT_TTL_MS = 10 * 60_000;
/** How long all upstreams together may take to answer whether they support a database. */
const SUPPORT_TIMEOUT_MS = 2 * 60_000;

export class SumdbWays {
  readonly #upstreams: readonly SumdbUpstream[];
  /** `way` is null if no upstream supports the database. */
  readonly #known = new LRUCache<string, { readonly way: SumdbFetch | null }>({
    max: MAX_DATABASES,
    ttl: SUPPORT_TTL_MS,
  });
  readonly #questions = new SingleFlight<SumdbFetch | null>(MAX_DATABASES);

  /** @param upstreams in the order in which they are asked */
  constructor(upstreams: readonly SumdbUpstream[]) {
    this.#upstreams = upstreams;
  }

  /**
   * The way to a database through the first upstream that supports it, or null if every upstream
   * answers that it does not.
   *
   * @throws {UpstreamError | DeadlineError} when none is known to support it and one may
   */
  async through(database: string, signal: AbortSignal): Promise<SumdbFetch | null> {
    const known = this.#known.get(database);
    if (known !== undefined) return known.way;
    return await this.#questions.run(database, async () => {
      const way = await withDeadline((signal) => this.#ask(database, signal), {
        timeoutMs: SUPPORT_TIMEOUT_MS,
        what: `find an upstream that supports database ${database}`,
      });
      this.#known.set(database, { way });
      return way;
    }, signal);
  }

  /** Whether it is already known that no upstream supports a database. */
  isKnownUnsupported(database: string): boolean {
    return this.#upstreams.length === 0 || this.#known.get(database)?.way === null;
  }

  async #ask(database: string, signal: AbortSignal): Promise<SumdbFetch | null> {
    let failure: unknown = null;
    for (const upstream of this.#upstreams) {
      const way: SumdbFetch = (path, options) =>
        upstream.get(urlPath(`sumdb/${database}/${path}`), { ...options, name: LIMIT_NAME });
      try {
        await way("supported", { limitBytes: MAX_SUPPORTED_BYTES, signal });
        return way;
      } catch (error) {
        if (signal.aborted) throw error;
        if (!(error instanceof NotFoundError)) failure ??= error;
      }
    }
    if (failure !== null) throw failure;
    return null;
  }
}

/** The way to a database's own server. */
export function directly(server: SumdbUpstream): SumdbFetch {
  return (path, options) => server.get(urlPath(path), { ...options, name: LIMIT_NAME });
}

/** Databases expect `+` and `@` unescaped in a path. */
function urlPath(path: string): string {
  return path.split("/").map((segment) =>
    encodeURIComponent(segment).replaceAll("%2B", "+").replaceAll("%40", "@")
  ).join("/");
}
