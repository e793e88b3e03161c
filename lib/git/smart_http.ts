/**
 * Git's smart HTTP (gitprotocol-http(5)) by our own requests, for the most frequent operations: a
 * list of refs takes a fifth of the time that `git ls-remote` takes to start, and a fetch need not
 * list the refs first.
 *
 * Every method returns null when it gets no response that it understands: no version 2, SHA-256, a
 * refusal, a page with status 200. git itself then asks again, and its failure says what is wrong.
 * So the only errors here are deadlines and limits.
 *
 * The credentials go to the repository itself and nowhere else: a redirect is followed where it
 * adds or drops `.git`, as servers do, and any other is left to git.
 */
import { Budget, type ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import type { Credentials } from "../credentials/provider.ts";
import { DeadlineError, LimitExceededError, UpstreamError } from "../errors.ts";
import { basicAuthorization } from "../http/basic_authorization.ts";
import type { Fetch } from "../http/client.ts";
import { type GitLimits, gitReadLimits } from "./limits.ts";
import {
  type FetchRequest,
  fetchRequest,
  type FetchResponse,
  lsRefsRequest,
  PacketReader,
  readAdvertisement,
  readFetchResponse,
  readRefs,
} from "./protocol.ts";
import type { Refs } from "./refs.ts";
import type { RemoteUrl } from "./remote_url.ts";

export interface SmartHttpOptions {
  readonly fetch: Fetch;
  readonly limits: GitLimits;
  /** Milliseconds since any moment, for the rate of a packfile. */
  readonly monotonicNow?: () => number;
}

/** The type of the response to {@linkcode REFS_PATH} of a server that speaks the smart protocol. */
export const REFS_CONTENT_TYPE = "application/x-git-upload-pack-advertisement";
/** The type of a request to {@linkcode UPLOAD_PACK_PATH}, */
const REQUEST_CONTENT_TYPE = "application/x-git-upload-pack-request";
/** and of the response. */
const RESULT_CONTENT_TYPE = "application/x-git-upload-pack-result";

/** A path below the repository's URL. */
export const REFS_PATH = "/info/refs?service=git-upload-pack";
const UPLOAD_PACK_PATH = "/git-upload-pack";

/** How long a server may send nothing before it is given up. */
const SILENCE_MAX_MS = 60_000;

/** The refs that count. */
const ALL_REFS: readonly string[] = ["HEAD", "refs/heads/", "refs/tags/"];

interface Access {
  readonly credentials: Credentials | null;
  readonly signal: AbortSignal;
}

export class SmartHttp {
  readonly #remote: RemoteUrl;
  readonly #options: SmartHttpOptions;
  readonly #reads: ReturnType<typeof gitReadLimits>;
  /** The URL of the repository, once known; null when git has to do everything. */
  #base: string | null | undefined = undefined;

  constructor(remote: RemoteUrl, options: SmartHttpOptions) {
    this.#remote = remote;
    this.#options = options;
    this.#reads = gitReadLimits(options.limits);
  }

  /**
   * The refs of the remote that count.
   *
   * @throws {LimitExceededError} when there are too many
   * @throws {DeadlineError} when that took too long
   */
  async refs(credentials: Credentials | null, signal?: AbortSignal): Promise<Refs | null> {
    const what = `list the refs of ${this.#remote}`;
    const { refsTimeoutMs } = this.#options.limits;
    return await within(
      { what, timeoutMs: refsTimeoutMs, signal },
      (signal) => this.#list(ALL_REFS, { credentials, signal }),
    );
  }

  /**
   * Fetches commits at depth 1, and lists some refs at the same time: the server sends a commit by
   * its hash, whichever ref leads to it. The response must be read within `work`.
   *
   * @throws {DeadlineError} when that took too long
   * @throws what `work` throws, but for an UpstreamError
   */
  async fetch<T>(
    { names, ...request }: FetchRequest & { readonly names: readonly string[] },
    { credentials, work, signal }: {
      readonly credentials: Credentials | null;
      /** Ends it early. */
      readonly signal?: AbortSignal | undefined;
      readonly work: (response: FetchResponse, listing: Promise<Refs | null>) => Promise<T>;
    },
  ): Promise<T | null> {
    const what = `fetch from ${this.#remote}`;
    const { fetchTimeoutMs } = this.#options.limits;
    return await within({ what, timeoutMs: fetchTimeoutMs, signal }, async (signal) => {
      const access = { credentials, signal };
      if (this.#base === undefined) this.#base = await this.#discover(access);
      const listing = names.length === 0 ? Promise.resolve(null) : this.#list(names, access);
      // `work` waits for it if it needs it.
      listing.catch(() => {});
      try {
        const reader = await this.#post(fetchRequest(request), {
          access,
          limits: this.#reads.pack,
        });
        return reader === null ? null : await reading(reader, async () => {
          const budgets = {
            shallow: this.#budget(this.#reads.shallow),
            progress: this.#budget(this.#reads.progress),
          };
          return await work(await readFetchResponse(reader, budgets), listing);
        });
      } finally {
        await Promise.allSettled([listing]);
      }
    });
  }

  async #list(prefixes: readonly string[], access: Access): Promise<Refs | null> {
    const limits = this.#options.limits;
    const reader = await this.#post(lsRefsRequest(prefixes), { access, limits: this.#reads.refs });
    return reader === null ? null : await reading(reader, () => readRefs(reader, limits));
  }

  async #post(
    body: string,
    { access, limits }: { readonly access: Access; readonly limits: ReadLimits },
  ): Promise<PacketReader | null> {
    const { credentials, signal } = access;
    const isNew = this.#base === undefined;
    if (this.#base === undefined) this.#base = await this.#discover(access);
    if (!this.#base) return null;
    const url = new URL(this.#base + UPLOAD_PACK_PATH);
    const response = await this.#options.fetch(url, {
      method: "POST",
      headers: {
        ...headersFor(credentials),
        "Content-Type": REQUEST_CONTENT_TYPE,
        "Accept": RESULT_CONTENT_TYPE,
      },
      body,
      signal,
    });
    if (isAnswer(response, url)) return new PacketReader(bodyOf(response), this.#budget(limits));
    await response.body?.cancel();
    // Perhaps the repository has moved.
    this.#base = undefined;
    return isNew ? null : await this.#post(body, { access, limits });
  }

  #budget(limits: ReadLimits): Budget {
    const { monotonicNow: now } = this.#options;
    return new Budget(limits, { what: `from ${this.#remote}`, ...now && { now } });
  }

  /**
   * The URL of the repository if its server speaks the protocol; null if git must be used;
   * undefined if that is unknown.
   */
  async #discover({ credentials, signal }: Access): Promise<string | null | undefined> {
    const asked = new URL(plainUrl(this.#remote) + REFS_PATH);
    const response = await this.#options.fetch(asked, { headers: headersFor(credentials), signal });
    const base = baseOf(new URL(response.url), asked);
    const { headers, ok, body } = response;
    if (!ok || base === null || headers.get("Content-Type") !== REFS_CONTENT_TYPE) {
      await body?.cancel();
      return undefined;
    }
    const reader = new PacketReader(bodyOf(response), this.#budget(this.#reads.capabilities));
    return await reading(reader, async () => await readAdvertisement(reader) ? base : null);
  }
}

/** Runs `work`, which ends with its signal. Returns null where git is to try. */
async function within<T>(
  { what, timeoutMs, signal }: {
    readonly what: string;
    readonly timeoutMs: number;
    readonly signal?: AbortSignal | undefined;
  },
  work: (signal: AbortSignal) => Promise<T | null>,
): Promise<T | null> {
  const late = new DeadlineError(`Cannot ${what}: it took longer than ${timeoutMs / 1000} s`);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(late), timeoutMs);
  const onAbort = () => deadline.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    return await work(deadline.signal);
  } catch (error) {
    deadline.signal.throwIfAborted();
    if (error instanceof LimitExceededError || !(error instanceof UpstreamError)) throw error;
    return null;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function headersFor(credentials: Credentials | null): Record<string, string> {
  return {
    "Git-Protocol": "version=2",
    ...(credentials !== null && { "Authorization": basicAuthorization(credentials) }),
  };
}

/** The repository's URL as paths are appended to it. */
export function plainUrl(remote: RemoteUrl): string {
  return remote.replace(/\/$/, "");
}

/**
 * The repository's URL, from the URL that answered; null when that is not the repository asked for.
 */
function baseOf(answered: URL, asked: URL): string | null {
  if (answered.origin !== asked.origin || !answered.href.endsWith(REFS_PATH)) return null;
  const base = answered.href.slice(0, -REFS_PATH.length);
  const wanted = asked.href.slice(0, -REFS_PATH.length);
  return base.replace(/\.git$/, "") === wanted.replace(/\.git$/, "") ? base : null;
}

function isAnswer({ status, url, headers }: Response, asked: URL): boolean {
  return status === 200 && url === asked.href &&
    headers.get("Content-Type") === RESULT_CONTENT_TYPE;
}

/** Reads a message to its end or cancels it: only then is its connection reused or closed. */
async function reading<T>(reader: PacketReader, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    await reader.next();
    return result;
  } finally {
    await reader.cancel();
  }
}

/** A body with a limit on silence; if it breaks off, that is the remote's failure. */
function bodyOf(response: Response): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = (response.body ?? new Blob([]).stream()).getReader();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await withDeadline(() => reader.read(), {
          timeoutMs: SILENCE_MAX_MS,
          what: `read from ${new URL(response.url).origin}`,
        });
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (cause) {
        await reader.cancel(cause).catch(() => {});
        if (cause instanceof DeadlineError) throw cause;
        throw new UpstreamError("Cannot read from a git server: the connection broke", { cause });
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
