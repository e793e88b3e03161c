/**
 * Outgoing HTTP: one `fetch` for everything the server asks of others (upstreams, go-get pages,
 * APIs).
 *
 * - It identifies itself (`User-Agent`) and marks its requests (`Via`), so that a server that is
 *   configured as its own upstream is noticed at the first request instead of going round forever.
 *   It passes on the id of the request that it is made for (`X-Request-Id`), so that the other
 *   side's log can be searched for it.
 * - It follows at most 10 redirects, as the `go` command does, and none from https to http;
 *   `Authorization` stays with the origin it is meant for.
 * - Plain http is refused but for loopback hosts and the hosts that the configuration names.
 * - Proxies: the runtime reads `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. Certificates: the
 *   runtime's own roots and the ones handed in (main reads them from `SSL_CERT_FILE`).
 * - For hosts that strangers name, {@linkcode FetchOptions.clientFor} checks every hop (egress.ts),
 *   and a failure names the host alone: the cause is for the log.
 *
 * Deadlines, retries and body limits belong to the callers, which know what they fetch.
 */
import { Budget, type BudgetOptions, type ReadLimits } from "../async/budget.ts";
import { OverloadedError, UpstreamError } from "../errors.ts";
import { currentRequestId } from "../log/request_id.ts";
import { abortableFetch } from "./abortable_fetch.ts";
import { openReader, type ReaderOptions } from "./body_reader.ts";
import { isWantOfFiles } from "./want_of_files.ts";

/**
 * Like the global `fetch`, for a GET or HEAD or a small POST; failures are
 * {@linkcode UpstreamError}, or {@linkcode OverloadedError} without a file descriptor for it.
 */
export type Fetch = (url: URL, init?: FetchInit) => Promise<Response>;

export interface FetchInit {
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface FetchOptions {
  readonly userAgent: string;
  /** The value of `Via` by which this process knows its own requests. */
  readonly via: string;
  /** Additional root certificates, PEM. */
  readonly caCertificates?: readonly string[];
  /** Hosts (`host` or `host:port`) besides loopback for which plain http is accepted. */
  readonly insecureHosts?: readonly string[];
  /**
   * For strangers' hosts: the client for a request; throws if no connection may be made. Default:
   * one client for all, which connects to everything.
   */
  readonly clientFor?: (url: URL) => Promise<Deno.HttpClient>;
}

const MAX_REDIRECTS = 10;
/**
 * Idle connections kept for each host; a module graph asks one host for hundreds of small files at
 * once.
 */
const MAX_IDLE_CONNECTIONS_PER_HOST = 64;
/** Until an idle connection is closed: each is one of the files that the process may have open. */
const IDLE_TIMEOUT_MS = 20_000;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function createFetch(options: FetchOptions): Fetch {
  const clientFor = options.clientFor ?? oneClient(options);
  const isStranger = options.clientFor !== undefined;
  const insecureHosts = new Set(options.insecureHosts);

  return async function fetchFollowing(start, init = {}) {
    let url = start;
    const headers = new Headers(init.headers);
    headers.set("User-Agent", options.userAgent);
    headers.set("Via", options.via);
    const requestId = currentRequestId();
    if (requestId !== undefined) headers.set("X-Request-Id", requestId);
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      checkScheme(url, insecureHosts);
      const client = await clientFor(url);
      init.signal?.throwIfAborted();
      const request = { ...init, headers, redirect: "manual" as const, client };
      const response = await send(url, request, isStranger);
      if (!REDIRECTS.has(response.status)) return response;
      await response.body?.cancel();
      const target = redirectTarget(url, response.headers.get("Location"));
      if (target.origin !== url.origin) headers.delete("Authorization");
      url = target;
    }
    throw new UpstreamError(`Cannot fetch ${display(start)}: more than ${MAX_REDIRECTS} redirects`);
  };
}

function oneClient({ caCertificates = [] }: FetchOptions): () => Promise<Deno.HttpClient> {
  const client = Deno.createHttpClient({
    caCerts: [...caCertificates],
    poolMaxIdlePerHost: MAX_IDLE_CONNECTIONS_PER_HOST,
    poolIdleTimeout: IDLE_TIMEOUT_MS,
  });
  return () => Promise.resolve(client);
}

async function send(
  url: URL,
  init: RequestInit & { client: Deno.HttpClient },
  isStranger: boolean,
): Promise<Response> {
  try {
    return await abortableFetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw init.signal.reason;
    if (isWantOfFiles(cause)) {
      throw new OverloadedError(
        `Cannot reach ${url.hostname}: this server has no file descriptor left`,
        { cause: withoutUrl(cause) },
      );
    }
    // States of ports and names in certificates must not be disclosed to strangers.
    const message = isStranger
      ? `Cannot reach ${url.hostname}`
      : `Cannot reach ${url.origin}: ${connectionFault(cause)}`;
    throw new UpstreamError(message, { cause: withoutUrl(cause) });
  }
}

/**
 * What `fetch` threw quotes the whole URL, in which a redirect may have put a signature: its kind
 * and reason alone.
 */
export function withoutUrl(error: unknown): unknown {
  return error instanceof TypeError ? new TypeError(connectionFault(error)) : error;
}

/** The innermost reason of a failed connection, for people: "Connection refused (os error 111)". */
function connectionFault(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause;
  const message = innermost instanceof Error ? innermost.message : String(innermost);
  return message.replace(/^.*\): /s, "");
}

function checkScheme(url: URL, insecureHosts: ReadonlySet<string>): void {
  if (url.protocol === "https:") return;
  if (url.protocol === "http:" && (isLoopback(url.hostname) || insecureHosts.has(url.host))) return;
  throw new UpstreamError(
    `Cannot fetch ${display(url)}: only https is allowed for this host`,
  );
}

function redirectTarget(from: URL, location: string | null): URL {
  if (location === null || !URL.canParse(location, from)) {
    throw new UpstreamError(`Cannot fetch ${display(from)}: redirect without a usable Location`);
  }
  const to = new URL(location, from);
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw new UpstreamError(`Cannot fetch ${display(from)}: redirect from https to http refused`);
  }
  return to;
}

/** Whether a host name of a URL means this machine: `localhost`, `127.0.0.0/8`, `[::1]`. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** A URL for messages: without userinfo, query and fragment, where secrets hide. */
export function display(url: URL): string {
  return url.origin + url.pathname;
}

export interface BodyLimit extends Omit<BudgetOptions, "what"> {
  readonly limits: ReadLimits;
  /** What the body is, to complete the sentence "Cannot read …". */
  readonly what: string;
}

/**
 * The whole body, if it is not larger than the limit.
 *
 * @throws {LimitExceededError} when the body is larger, or comes too slowly
 * @throws {UpstreamError} when it ends early
 */
export async function readBody(
  response: Response,
  limit: BodyLimit,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of limitedBody(response, limit)) chunks.push(chunk);
  const [first = new Uint8Array(), ...more] = chunks;
  return more.length === 0 ? first : await new Blob(chunks).bytes();
}

/**
 * The chunks of a body up to a limit.
 *
 * @throws {LimitExceededError} when the body is larger (declared or found), or comes too slowly
 * @throws {UpstreamError} when it ends early
 */
export async function* limitedBody(
  response: Response,
  { limits, what, now, recycles = false }: BodyLimit & ReaderOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const declared = new Budget(limits, { what });
  try {
    declared.spendBytes(Number(response.headers.get("Content-Length") ?? 0) || 0);
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
  if (response.body === null) return;
  const budget = new Budget(limits, { what, ...now && { now } });
  // Whoever keeps the chunks gets them as small as they come.
  const chunks = recycles ? recycledChunks(response.body) : response.body.values();
  try {
    for (;;) {
      const chunk = await budget.take(async () => (await chunks.next()).value ?? null);
      if (chunk === null) return;
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof UpstreamError) throw cause;
    throw new UpstreamError(`Cannot read ${what}: the connection broke`, { cause });
  } finally {
    // Harmless where it fails: the body is broken, which its reader knows.
    await chunks.return?.(undefined).catch(() => {});
  }
}

async function* recycledChunks(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = openReader(body, { recycles: true });
  try {
    for (let chunk; (chunk = await reader.read()) !== null;) yield chunk;
  } finally {
    // Harmless where it fails: the body is broken, which the reader is told, or has ended.
    await reader.cancel(null).catch(() => {});
  }
}
