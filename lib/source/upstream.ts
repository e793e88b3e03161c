/**
 * HTTP to one upstream module proxy: the meaning of statuses, retries, deadlines and size limits.
 *
 * - 200 is success; 404 and 410 are {@linkcode NotFoundError} with the upstream's message; every
 *   other status is an {@linkcode UpstreamError}. An HTML page is never a module file, whatever its
 *   status.
 * - A broken connection, 429 and 5xx are retried, {@linkcode MAX_ATTEMPTS} attempts in all, with
 *   growing pauses. After all attempts have failed, the upstream gets only one attempt per request
 *   for a while: stored modules are served without it, and no client should wait for a server that
 *   is known to be down.
 * - Every attempt has a deadline: a short one for small files; for zips one between two chunks and
 *   one for the whole.
 */
import pRetry from "p-retry";
import type { ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import { isImpatient } from "../async/patience.ts";
import {
  DeadlineError,
  LimitExceededError,
  NotFoundError,
  OverloadedError,
  ProxyError,
  UpstreamError,
} from "../errors.ts";
import { basicAuthorization, basicToken, type UserPassword } from "../http/basic_authorization.ts";
import { display, type Fetch, limitedBody, readBody } from "../http/client.ts";
import { freshForMs } from "../http/fresh_for.ts";
import { redact } from "../log/redact.ts";
import { ZipSpool } from "./zip_spool.ts";

const MAX_ATTEMPTS = 3;
/** How long an upstream that failed gets only one attempt per request. */
const DISTRUST_MS = 5_000;
/** How much of an error body is read for its reason; of a larger one, none is passed on. */
export const REASON_LIMITS: ReadLimits = {
  name: "upstream error",
  maxBytes: 4096,
  timeoutMs: 30_000,
};
/** An upstream that sends a zip more slowly is given up. */
export const MIN_ZIP_BYTES_PER_SECOND = 1024;
/** How much of an upstream's reason is passed on. */
const REASON_LENGTH = 300;

export interface UpstreamTimes {
  /** Deadline of one attempt for a small file. */
  readonly smallTimeoutMs: number;
  /** Longest pause between two chunks of a zip, and until its first. */
  readonly idleTimeoutMs: number;
  /** Deadline of one attempt for a zip. */
  readonly zipTimeoutMs: number;
  /** Pause before the second attempt; it doubles for the third. */
  readonly retryPauseMs: number;
}

export const UPSTREAM_TIMES: UpstreamTimes = {
  smallTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  zipTimeoutMs: 15 * 60_000,
  retryPauseMs: 200,
};

export interface GetOptions {
  readonly limitBytes: number;
  /** Of the limit, in the error. */
  readonly name: string;
  readonly signal: AbortSignal;
}

export interface SpoolOptions extends GetOptions {
  /** For clients that read the file while it is written. Default: there are none. */
  readonly spool?: ZipSpool | undefined;
}

export interface FreshBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** 0 if the upstream does not say. */
  readonly freshMs: number;
}

/** A successful response with its body. */
interface SmallAnswer {
  readonly url: URL;
  readonly response: Response;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A status that a retry may change. */
class PassingUpstreamError extends UpstreamError {}

export class Upstream {
  /** The base URL without userinfo, for messages and manifests. */
  readonly url: string;
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;
  /** Secrets, removed from whatever the upstream says. */
  readonly #secrets: readonly string[];
  readonly #fetch: Fetch;
  readonly #times: UpstreamTimes;
  #isStranger = false;
  #distrustedUntilMs = 0;

  /** @param url base URL of the proxy; userinfo becomes Basic credentials */
  constructor(url: URL, fetch: Fetch, times: UpstreamTimes = UPSTREAM_TIMES) {
    const account = accountIn(url);
    this.#headers = account === null ? {} : { Authorization: basicAuthorization(account) };
    this.#secrets = account === null ? [] : [basicToken(account), account.password];
    this.#base = new URL(url);
    this.#base.username = this.#base.password = "";
    this.#base.pathname = this.#base.pathname.replace(/\/+$/, "");
    this.url = display(this.#base).replace(/\/$/, "");
    this.#fetch = fetch;
    this.#times = times;
  }

  /** One that a stranger's page names: nobody is told what it says. */
  static ofStranger(url: URL, fetch: Fetch): Upstream {
    const upstream = new Upstream(url, fetch);
    upstream.#isStranger = true;
    return upstream;
  }

  get isStranger(): boolean {
    return this.#isStranger;
  }

  /**
   * The body of a small file.
   *
   * @param path below the base URL, escaped as in a URL, without a leading `/`
   * @throws {NotFoundError} on 404 and 410
   * @throws {UpstreamError | DeadlineError} on everything else but 200
   */
  async get(path: string, options: GetOptions): Promise<Uint8Array<ArrayBuffer>> {
    return (await this.#getSmall(path, options)).bytes;
  }

  /** Like {@linkcode get}, with how long the upstream says that it stays fresh. */
  async getFresh(path: string, options: GetOptions): Promise<FreshBody> {
    const { url, response, bytes } = await this.#getSmall(path, options);
    return { bytes, freshMs: freshForMs(url, response) };
  }

  #getSmall(path: string, { limitBytes, name, signal }: GetOptions): Promise<SmallAnswer> {
    const timeoutMs = this.#times.smallTimeoutMs;
    const limits = { name, maxBytes: limitBytes, timeoutMs };
    const url = this.#resolve(path);
    const what = display(url);
    return this.#attempts(signal, () =>
      withDeadline(
        async (signal) => {
          const response = await this.#request(url, signal);
          return { url, response, bytes: await readBody(response, { limits, what }) };
        },
        { timeoutMs, what: `fetch ${what}`, signal },
      ));
  }

  /** Like {@linkcode get}, into a file, in place of what is in it. */
  spool(path: string, file: string, options: SpoolOptions): Promise<void> {
    const { signal, spool = new ZipSpool() } = options;
    const url = this.#resolve(path);
    return this.#attempts(signal, () =>
      withDeadline(
        (signal) => this.#spoolOnce(url, file, { ...options, spool, signal }),
        { timeoutMs: this.#times.zipTimeoutMs, what: `fetch ${display(url)}`, signal },
      ));
  }

  async #spoolOnce(
    url: URL,
    file: string,
    { limitBytes, name, spool, signal }: SpoolOptions & { readonly spool: ZipSpool },
  ): Promise<void> {
    const limits = {
      name,
      maxBytes: limitBytes,
      timeoutMs: this.#times.zipTimeoutMs,
      minBytesPerSecond: MIN_ZIP_BYTES_PER_SECOND,
    };
    const idle = new IdleTimer(this.#times.idleTimeoutMs, display(url));
    try {
      const response = await this.#request(url, AbortSignal.any([signal, idle.signal]));
      using out = await spool.begin(file, announcedBytes(response));
      const limit = { limits, what: display(url), recycles: true };
      for await (const chunk of limitedBody(response, limit)) {
        idle.restart();
        await out.write(chunk);
      }
      out.finish();
    } catch (error) {
      throw idle.signal.aborted ? idle.signal.reason : error;
    } finally {
      idle.stop();
    }
  }

  #resolve(path: string): URL {
    return new URL(`${this.#base.href.replace(/\/$/, "")}/${path}`);
  }

  async #request(url: URL, signal: AbortSignal): Promise<Response> {
    const response = await this.#fetch(url, { headers: this.#headers, signal });
    if (response.status === 200 && !isHtml(response)) return response;
    const reason = this.#isStranger
      ? await response.body?.cancel() ?? ""
      : redact(await readReason(response), this.#secrets);
    if (response.status === 404 || response.status === 410) {
      throw new NotFoundError(reason === "" ? `${display(url)} does not exist` : reason);
    }
    const what = response.status === 200 ? "an HTML page" : `status ${response.status}`;
    const message = `Cannot fetch ${display(url)}: the upstream answered ${what}` +
      (reason === "" ? "" : `: ${reason}`);
    if (response.status !== 429 && response.status < 500) throw new UpstreamError(message);
    const error = new PassingUpstreamError(message);
    error.retryAfterMs = retryAfterMs(response);
    throw error;
  }

  async #attempts<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const isDistrusted = performance.now() < this.#distrustedUntilMs;
    try {
      return await pRetry(attempt, {
        retries: isDistrusted ? 0 : MAX_ATTEMPTS - 1,
        minTimeout: this.#times.retryPauseMs,
        factor: 2,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => mayPass(error) && !isImpatient(),
      });
    } catch (error) {
      // What nobody has asked for does not tell how much the upstream is to be trusted.
      const isUpstreams = mayPass(error) && !isImpatient() && !(error instanceof OverloadedError);
      if (isUpstreams) this.#distrustedUntilMs = performance.now() + DISTRUST_MS;
      throw error;
    }
  }
}

/**
 * Broken and refused connections may be temporary. A passed deadline has already kept the caller
 * waiting.
 */
function mayPass(error: unknown): boolean {
  if (error instanceof DeadlineError || error instanceof LimitExceededError) return false;
  return error instanceof PassingUpstreamError ||
    (error instanceof ProxyError && error.cause instanceof TypeError);
}

/** Seconds or a date (RFC 9110, section 10.2.3); null for anything else. */
function retryAfterMs({ headers }: Response): number | null {
  const text = headers.get("Retry-After")?.trim() ?? "";
  if (/^\d{1,6}$/.test(text)) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - Date.now());
}

function isHtml(response: Response): boolean {
  return /^text\/html\b/i.test(response.headers.get("Content-Type") ?? "");
}

/** The size of a body that comes as it is sent; null where it is not announced. */
function announcedBytes({ headers }: Response): number | null {
  const announced = headers.get("Content-Length");
  return announced === null || headers.has("Content-Encoding") ? null : Number(announced);
}

async function readReason(response: Response): Promise<string> {
  if (isHtml(response)) {
    await response.body?.cancel();
    return "";
  }
  try {
    const bytes = await readBody(response, { limits: REASON_LIMITS, what: "error" });
    const [line = ""] = new TextDecoder().decode(bytes).trim().split("\n");
    // Module proxies begin the body of a 404 like this; so do we.
    return line.replace(/^not found: /, "").trim().slice(0, REASON_LENGTH);
  } catch (error) {
    // The status is enough; its explanation may be cut off or too long.
    if (error instanceof UpstreamError) return "";
    throw error;
  }
}

/** User and password of a URL, or null where it has none. */
function accountIn(url: URL): UserPassword | null {
  if (url.username === "") return null;
  return {
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

/** Aborts its signal when it has not been restarted for a while. */
class IdleTimer {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #what: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number, what: string) {
    this.#timeoutMs = timeoutMs;
    this.#what = what;
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const seconds = this.#timeoutMs / 1000;
      this.#controller.abort(
        new DeadlineError(`Cannot fetch ${this.#what}: nothing arrived for ${seconds} s`),
      );
    }, this.#timeoutMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
