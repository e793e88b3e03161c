/**
 * A local proxy that forwards requests to a server and logs in there. It is the GOPROXY of old `go`
 * commands, which can log in only with a password in netrc.
 *
 * Everyone who can reach it has the user's rights at the server. So it is for the same machine
 * only, and it refuses
 *
 * - methods other than GET and HEAD;
 * - requests whose `Host` is not a name of this machine (DNS rebinding by a web page), and those
 *   that a browser marks as coming from another site;
 * - paths outside the server's path.
 */
import type { Semaphore } from "../async/semaphore.ts";
import { withDeadline } from "../async/deadline.ts";
import { ForbiddenError, InvalidRequestError, UpstreamError } from "../errors.ts";
import { isLoopback } from "../http/client.ts";
import { isBelow } from "./goauth.ts";
import type { Session } from "./session.ts";

export interface ForwardOptions {
  readonly server: URL;
  readonly session: Pick<Session, "authorization">;
  /** One permit for each running request. */
  readonly requests: Semaphore;
  /** Follows no redirects. */
  readonly fetch: (url: URL, init: RequestInit) => Promise<Response>;
  /** Deadline for the head of a response. The server may have to read a large repository first. */
  readonly timeoutMs: number;
}

/** Request headers that are forwarded. */
const REQUEST_HEADERS = [
  "Accept",
  "Authorization",
  "Cache-Control",
  "Disable-Module-Fetch",
  "If-None-Match",
  "If-Range",
  "Range",
  "User-Agent",
  "X-Request-Id",
];
/** Response headers that are forwarded. */
const RESPONSE_HEADERS = [
  "Accept-Ranges",
  "Cache-Control",
  "Content-Length",
  "Content-Range",
  "Content-Type",
  "ETag",
  "Last-Modified",
  "Location",
  "Retry-After",
  "X-Request-Id",
];

/**
 * The server's response. Its body is streamed; the permit is held until it ends.
 *
 * @throws {ForbiddenError | InvalidRequestError} for requests that are not forwarded
 * @throws {UpstreamError | DeadlineError} when the server does not answer
 * @throws what {@linkcode Session.authorization} throws
 */
export async function forward(request: Request, options: ForwardOptions): Promise<Response> {
  checkOrigin(request);
  const url = urlAtServer(request, options.server);
  const permit = await options.requests.acquire(request.signal);
  try {
    const response = await ask(request, { ...options, url });
    const headers = picked(response.headers, RESPONSE_HEADERS);
    const { status } = response;
    if (response.body === null) {
      permit[Symbol.dispose]();
      return new Response(null, { status, headers });
    }
    return new Response(thenDispose(response.body, permit), { status, headers });
  } catch (error) {
    permit[Symbol.dispose]();
    throw error;
  }
}

async function ask(
  request: Request,
  options: ForwardOptions & { readonly url: URL },
): Promise<Response> {
  if (request.headers.has("Authorization")) return await send(request, options);
  const { session } = options;
  const first = await send(request, {
    ...options,
    authorization: await session.authorization({ isRefused: false }),
  });
  if (first.status !== 401) return first;
  await first.body?.cancel();
  return await send(request, {
    ...options,
    authorization: await session.authorization({ isRefused: true }),
  });
}

interface SendOptions extends ForwardOptions {
  readonly url: URL;
  readonly authorization?: string;
}

async function send(
  { method, headers, signal }: Request,
  { url, authorization, fetch, timeoutMs }: SendOptions,
): Promise<Response> {
  const sent = picked(headers, REQUEST_HEADERS);
  if (authorization !== undefined) sent.set("Authorization", authorization);
  // Otherwise a compressed body would be decompressed on the way, and its length be wrong.
  sent.set("Accept-Encoding", "identity");
  const what = `ask ${url.origin}`;
  return await withDeadline(
    // Not the deadline's own signal: a body may take longer than its head.
    () =>
      fetch(url, { method, headers: sent, redirect: "manual", signal }).catch((cause) => {
        throw new UpstreamError(`Cannot ${what}: no connection`, { cause });
      }),
    { timeoutMs, what, signal },
  );
}

function checkOrigin({ url, method, headers }: Request): void {
  if (method !== "GET" && method !== "HEAD") {
    throw new ForbiddenError(`Cannot forward ${method}: only GET and HEAD are allowed`);
  }
  const host = URL.parse(`http://${headers.get("Host") ?? ""}`);
  if (host === null || !isLoopback(host.hostname) || !isLoopback(new URL(url).hostname)) {
    throw new ForbiddenError("Cannot forward a request for a host other than this machine");
  }
  const site = headers.get("Sec-Fetch-Site") ?? "none";
  if (headers.has("Origin") || (site !== "none" && site !== "same-origin")) {
    throw new ForbiddenError("Cannot forward a request from a web page");
  }
}

function urlAtServer(request: Request, server: URL): URL {
  const { pathname, search } = new URL(request.url);
  const url = URL.parse(server.href.replace(/\/$/, "") + pathname + search);
  if (url !== null && isBelow(url, server)) return url;
  throw new InvalidRequestError("Cannot forward a request outside the server's path");
}

function picked(headers: Headers, names: readonly string[]): Headers {
  return new Headers(
    names.flatMap((name): [string, string][] => {
      const value = headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
}

/** The same bytes; the permit is released when the stream ends in any way. */
function thenDispose(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  permit: Disposable,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        controller.close();
      } catch (error) {
        controller.error(error);
      }
      permit[Symbol.dispose]();
    },
    async cancel(reason) {
      permit[Symbol.dispose]();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
