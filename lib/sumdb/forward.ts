/**
 * The checksum database through the upstream that supports it. A client that asks us for a database never asks the
 * database itself any more, so we say that we support one only when an upstream has said so.
 *
 * Nothing is verified or kept here: the client verifies everything it gets against the database's key.
 */
import { NotFoundError } from "../errors.ts";
import { LRUCache } from "lru-cache";

/** What this needs of an upstream proxy; throws NotFoundError for 404 and 410. */
export interface SumdbUpstream {
  readonly url: string;
  get(
    path: string,
    options: { limitBytes: number; signal: AbortSignal },
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** A record is under 1 KiB, a full tile 8 KiB; a full data tile holds 256 records. */
const MAX_SUMDB_BYTES = 1024 * 1024;
/** How many databases, and for how long, we remember who supports them. */
const MAX_DATABASES = 64;
const SUPPORT_TTL_MS = 10 * 60_000;

export class SumdbForward {
  readonly #upstreams: readonly SumdbUpstream[];
  readonly #supporting = new LRUCache<string, SumdbUpstream>({
    max: MAX_DATABASES,
    ttl: SUPPORT_TTL_MS,
  });

  /** @param upstreams in the order in which they are asked; the first that supports a database is used for it */
  constructor(upstreams: readonly SumdbUpstream[]) {
    this.#upstreams = upstreams;
  }

  /**
   * Returns if an upstream supports the database.
   *
   * @throws {NotFoundError} when each upstream says that it does not
   * @throws {UpstreamError | DeadlineError} when that is not known
   */
  async supported(database: string, signal: AbortSignal): Promise<void> {
    await this.#upstreamOf(database, signal);
  }

  /**
   * A file of the database: `latest`, `lookup/…` or `tile/…`, percent-decoded.
   *
   * @throws {NotFoundError} when the database, or nobody's database, has it
   * @throws {UpstreamError | DeadlineError} when that is not known
   */
  async get(
    database: string,
    file: string,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const upstream = await this.#upstreamOf(database, signal);
    return await upstream.get(url(database, file), { limitBytes: MAX_SUMDB_BYTES, signal });
  }

  async #upstreamOf(database: string, signal: AbortSignal): Promise<SumdbUpstream> {
    const known = this.#supporting.get(database);
    if (known !== undefined) return known;
    let failure: unknown;
    for (const upstream of this.#upstreams) {
      try {
        await upstream.get(url(database, "supported"), { limitBytes: MAX_SUMDB_BYTES, signal });
        this.#supporting.set(database, upstream);
        return upstream;
      } catch (error) {
        if (signal.aborted) throw error;
        if (!(error instanceof NotFoundError)) failure ??= error;
      }
    }
    throw failure ??
      new NotFoundError(`Cannot reach database ${database}: no upstream supports it`);
  }
}

function url(database: string, file: string): string {
  return `sumdb/${database}/${file}`.split("/").map((segment) =>
    encodeURIComponent(segment).replaceAll("%2B", "+").replaceAll("%40", "@")
  ).join("/");
}
