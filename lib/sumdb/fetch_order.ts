/**
 * How a database is reached: through the first upstream proxy that supports it (Go Modules Reference, "Checksum database":
 * `<proxy>/sumdb/<database>/supported`), so that one way out is enough, else directly.
 *
 * An upstream that cannot say whether it supports a database is no reason to go another way: that might lead out of a
 * network whose owner wants it closed. It is a failure.
 */
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { NotFoundError } from "../errors.ts";
import type { SumdbFetch } from "./database.ts";

/** What this needs of an upstream proxy, or of a database's own server; throws NotFoundError for 404 and 410. */
export interface SumdbUpstream {
  get(
    path: string,
    options: { readonly limitBytes: number; readonly signal: AbortSignal },
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** `supported` has an empty body, or a word. */
const MAX_SUPPORTED_BYTES = 64 * 1024;
/** How many databases, and for how long, we remember who supports them. */
const MAX_DATABASES = 64;
const SUPPORT_TTL_MS = 10 * 60_000;
/** How long all upstreams together may take to say whether they support a database. */
const SUPPORT_TIMEOUT_MS = 2 * 60_000;

export class SumdbWays {
  readonly #upstreams: readonly SumdbUpstream[];
  /** `way` is null where nobody supports the database. */
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
   * The way to a database through the first upstream that supports it, or null where each says that it does not.
   *
   * @throws {UpstreamError | DeadlineError} when nobody is known to support it and somebody may
   */
  async through(database: string, signal: AbortSignal): Promise<SumdbFetch | null> {
    const known = this.#known.get(database);
    if (known !== undefined) return known.way;
    return await this.#questions.run(database, async () => {
      const way = await withDeadline((signal) => this.#ask(database, signal), {
        timeoutMs: SUPPORT_TIMEOUT_MS,
        what: `find out who supports database ${database}`,
      });
      this.#known.set(database, { way });
      return way;
    }, signal);
  }

  /** Whether it is known by now that nobody supports a database. */
  isKnownUnsupported(database: string): boolean {
    return this.#upstreams.length === 0 || this.#known.get(database)?.way === null;
  }

  async #ask(database: string, signal: AbortSignal): Promise<SumdbFetch | null> {
    let failure: unknown = null;
    for (const upstream of this.#upstreams) {
      const way: SumdbFetch = (path, options) =>
        upstream.get(urlPath(`sumdb/${database}/${path}`), options);
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
  return (path, options) => server.get(urlPath(path), options);
}

/** `+` and `@` may stand in a path as they are, and databases know them so. */
function urlPath(path: string): string {
  return path.split("/").map((segment) =>
    encodeURIComponent(segment).replaceAll("%2B", "+").replaceAll("%40", "@")
  ).join("/");
}
