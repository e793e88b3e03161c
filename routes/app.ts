/**
 * HTTP in: one handler that finds the route, asks the guard whether the client may have the answer, makes every failure a
 * response, and writes the access log. The routes are a table, so that whatever must hold for all of them (methods, who
 * may read) is done in one place and checked over the table.
 */
import { type Access, ANY_CLIENT, type Client, type Guard } from "../lib/auth/guard.ts";
import { describeError, InvalidRequestError, meaningOf, UpstreamError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { type Metrics, NO_METRICS } from "../lib/metrics.ts";
import { withRequestId } from "../lib/request_id.ts";
import { describeRequest } from "../lib/trace.ts";
import type { ConcurrencyLimit } from "./concurrency_limit.ts";
import { SlowClients } from "./slow_client.ts";
import { errorResponse, keepForOneClient } from "./respond.ts";

export type Method = "GET" | "HEAD" | "POST";

/** What a route needs to know of a request. */
export interface RouteRequest {
  readonly method: Method;
  /** Scheme and host as the client wrote them. */
  readonly origin: string;
  /** The path as it arrived, percent-decoded once, without the leading `/`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  /** {@linkcode Guard.answersDiffer} */
  readonly answersDiffer: boolean;
  /** Null for requests that have none. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** What the client wrote or was given to find this request in the log. */
  readonly id: string;
  /** The address of the connection; null where there is none, in tests. */
  readonly address: string | null;
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal;
  /** What the access log says besides the request: module, version, cache state. */
  readonly log: Record<string, unknown>;
}

/** A request that a route has understood. */
export interface Errand {
  /**
   * What metrics and traces call requests like this one, with names in braces for what varies: `/{module}/@v/list`.
   * Default: the route's name as a path.
   */
  readonly template?: string;
  /** What the answer is about. The guard is asked before {@linkcode answer} is called. */
  readonly access: Access;
  answer(client: Client): Promise<Response> | Response;
}

export interface Route {
  readonly name: string;
  /** Default: GET and HEAD. */
  readonly methods?: readonly Method[];
  /** It is answered however much is under way: for those who watch over the server. */
  readonly isUnlimited?: boolean;
  /** Whether this route answers this path. The first that does wins. */
  matches(path: string): boolean;
  /**
   * Understands a request, from what it says alone: nothing is looked up yet.
   *
   * @throws {InvalidRequestError} saying what is wrong with it
   */
  read(request: RouteRequest): Errand;
}

/** What `Deno.serve` tells about a request. */
export interface ConnectionInfo {
  readonly remoteAddr?: Deno.Addr;
  /** Settles when the response has been sent, or could not be. */
  readonly completed?: Promise<void>;
}

/** Thrown by a route, or by the guard, where another thread has to answer: see {@linkcode AppOptions.elsewhere}. */
export class ElsewhereError extends Error {
  override readonly name = "ElsewhereError";
}

/** What an app needs of a Request. */
export type HttpRequest = Pick<Request, "method" | "url" | "headers" | "body" | "signal">;

export interface AppOptions {
  readonly routes: readonly Route[];
  readonly guard: Guard;
  readonly log: Logger;
  /** Our own `Via`: a request that carries it went in a circle. */
  readonly via: string;
  readonly metrics?: Metrics;
  /** Answers what is to be answered elsewhere. It is logged and counted there, too. */
  readonly elsewhere?: (
    request: HttpRequest,
    exchange: { readonly id: string; readonly address: string | null },
  ) => Promise<Response>;
  /** How much may be under way at once. Default: anything. */
  readonly concurrency?: ConcurrencyLimit;
  /** For how long a client may take nothing of a large body, or keep a place: slow_client.ts. Default: for ever. */
  readonly slowClientTimeoutMs?: number;
}

export type App = (request: HttpRequest, connection?: ConnectionInfo) => Promise<Response>;

/** Longer than any path that Go's tools produce; more is noise or an attack. */
const MAX_PATH_LENGTH = 4096;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

export function createApp(options: AppOptions): App {
  const { metrics = NO_METRICS, slowClientTimeoutMs: timeoutMs } = options;
  const slowClients = timeoutMs === undefined ? null : new SlowClients({ timeoutMs });
  const requestId = requestIds();
  let inFlight = 0;
  metrics.gauge("gomodproxy_http_requests_in_flight", () => inFlight);
  return async function app(request, connection = {}) {
    const exchange: Exchange = {
      startMs: performance.now(),
      id: requestId(request.headers),
      address: addressOf(connection),
      template: "other",
      facts: {},
      isElsewhere: false,
      slots: new DisposableStack(),
    };
    inFlight++;
    const response = await withRequestId(
      exchange.id,
      () => answer(request, { ...options, exchange }),
    );
    if (exchange.isElsewhere) {
      inFlight--;
      exchange.slots.dispose();
      return response;
    }
    response.headers.set("X-Request-Id", exchange.id);
    if (options.guard.answersDiffer) keepForOneClient(response.headers);
    describeRequest({ method: request.method, ...exchange });
    let isEnded = false;
    const end = (isAborted: boolean) => {
      if (isEnded) return;
      isEnded = true;
      inFlight--;
      exchange.slots.dispose();
      record({ request, response, exchange, isAborted }, { ...options, metrics });
    };
    (connection.completed ?? Promise.resolve()).then(() => end(false), () => end(true));
    if (slowClients === null) return response;
    return slowClients.guard(response, {
      completed: connection.completed,
      onSlow: () => exchange.slots.dispose(),
      onCutOff: () => {
        exchange.facts["error"] = `the client took nothing for ${(timeoutMs ?? 0) / 1000} s`;
        end(true);
      },
    });
  };
}

/** What is known of a request and of how it is answered. */
interface Exchange {
  readonly startMs: number;
  readonly id: string;
  readonly address: string | null;
  /** {@linkcode Errand.template}, once there is an errand. */
  template: string;
  /** What the access log says besides. */
  readonly facts: Record<string, unknown>;
  /** It was answered by {@linkcode AppOptions.elsewhere}. */
  isElsewhere: boolean;
  /** Its places among those that are under way. */
  readonly slots: DisposableStack;
}

interface Ended {
  readonly request: HttpRequest;
  readonly response: Response;
  readonly exchange: Exchange;
  /** The client hung up before it had everything. */
  readonly isAborted: boolean;
}

/** The access log's line of a request, and its metrics. */
function record(
  { request, response, exchange, isAborted }: Ended,
  { log, metrics }: { log: Logger; metrics: Metrics },
): void {
  const { startMs, id, template: route, facts } = exchange;
  const ms = performance.now() - startMs;
  const bytes = request.method === "HEAD" ? 0 : Number(response.headers.get("Content-Length") ?? 0);
  metrics.add("gomodproxy_http_requests_total", { route, status: String(response.status) });
  metrics.observe("gomodproxy_http_request_duration_seconds", { route }, ms / 1000);
  if (isAborted) metrics.add("gomodproxy_http_aborted_requests_total", { route });
  else metrics.add("gomodproxy_http_response_bytes_total", { route }, bytes);
  const { cache } = facts;
  if (typeof cache === "string") metrics.add("gomodproxy_cache_requests_total", { result: cache });
  log.info({
    id,
    method: request.method,
    path: `/${rawPath(request.url).slice(0, MAX_PATH_LENGTH)}`,
    status: response.status,
    ...facts,
    ...isAborted ? { aborted: true } : { bytes },
    ms: Math.round(ms),
  }, "request");
}

interface AnswerContext extends AppOptions {
  readonly exchange: Exchange;
}

async function answer(request: HttpRequest, context: AnswerContext): Promise<Response> {
  const { exchange, elsewhere, log } = context;
  const { id, facts } = exchange;
  try {
    return await dispatch(request, context);
  } catch (error) {
    if (error instanceof ElsewhereError && elsewhere !== undefined) {
      exchange.isElsewhere = true;
      return await elsewhere(request, exchange);
    }
    const meaning = meaningOf(error);
    facts["error"] = describeError(error);
    if (meaning === "internal") log.error({ err: error }, "internal error");
    return errorResponse(error, { requestId: id, head: request.method === "HEAD" });
  }
}

async function dispatch(request: HttpRequest, context: AnswerContext): Promise<Response> {
  const { headers } = request;
  const { exchange } = context;
  const { id, address, facts } = exchange;
  if (headers.get("Via")?.split(",").some((hop) => hop.trim() === context.via)) {
    throw new UpstreamError("Cannot answer: this server is configured as its own upstream");
  }
  const path = decodePath(rawPath(request.url));
  const refusal = refusalOf(request);
  if (refusal !== null) return refusal;
  const route = context.routes.find((route) => route.matches(path)) ?? NO_ROUTE;
  const { methods = READ_METHODS } = route;
  const method = allowedMethod(request.method, methods);
  if (method === null) return methodNotAllowed(methods);
  facts["route"] = route.name;
  const { answersDiffer } = context.guard;
  const errand = understand(
    route,
    new IncomingRequest(request, { method, path, answersDiffer, exchange }),
  );
  exchange.template = errand.template ?? `/${route.name}`;
  const concurrency = route.isUnlimited ? undefined : context.concurrency;
  if (concurrency !== undefined) exchange.slots.use(concurrency.enter());
  const client = await context.guard.admit({ headers, address, requestId: id }, errand.access);
  if (client.identity !== null) facts["identity"] = client.identity;
  if (concurrency !== undefined) {
    const who = client.identity === null ? `address ${address}` : `identity ${client.identity}`;
    exchange.slots.use(concurrency.enterAs(who));
  }
  return await errand.answer(client);
}

/** A request whose parts are made when somebody wants them: for most requests nobody wants most of them. */
class IncomingRequest implements RouteRequest {
  readonly method: Method;
  readonly path: string;
  readonly headers: Headers;
  readonly id: string;
  readonly address: string | null;
  readonly answersDiffer: boolean;
  readonly log: Record<string, unknown>;
  readonly #request: HttpRequest;

  constructor(
    request: HttpRequest,
    { method, path, answersDiffer, exchange }: {
      method: Method;
      path: string;
      answersDiffer: boolean;
      exchange: Exchange;
    },
  ) {
    this.#request = request;
    this.method = method;
    this.path = path;
    this.headers = request.headers;
    this.id = exchange.id;
    this.address = exchange.address;
    this.answersDiffer = answersDiffer;
    this.log = exchange.facts;
  }

  get origin(): string {
    return new URL(this.#request.url).origin;
  }

  get query(): URLSearchParams {
    return new URL(this.#request.url).searchParams;
  }

  get body(): RouteRequest["body"] {
    return this.#request.body;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }
}

/** Who asks for what cannot be is asked who they are all the same: a stranger learns nothing of how paths are read. */
function understand(route: Route, request: RouteRequest): Errand {
  try {
    return route.read(request);
  } catch (error) {
    return { access: ANY_CLIENT, template: "other", answer: () => Promise.reject(error) };
  }
}

const NO_ROUTE: Route = {
  name: "none",
  matches: () => true,
  read: () => {
    throw new InvalidRequestError("Cannot find a route: not a module path, /@v/ or /@latest");
  },
};

const READ_METHODS: readonly Method[] = ["GET", "HEAD"];

function allowedMethod(method: string, allowed: readonly Method[]): Method | null {
  return allowed.find((name) => name === method) ?? null;
}

function methodNotAllowed(allowed: readonly Method[]): Response {
  return new Response(`method not allowed: only ${allowed.join(" and ")}\n`, {
    status: 405,
    headers: { "Allow": allowed.join(", "), "Content-Type": "text/plain; charset=utf-8" },
  });
}

/**
 * With its query; no path of Go's tools has one. Deno itself takes up to 64 KiB. A path that is too long by itself is no
 * module's and known not to exist.
 */
const MAX_URL_LENGTH = 8192;

/** The answer to what is not even looked at: a URL that is too long, a body where there is none. */
function refusalOf({ url, method, headers }: HttpRequest): Response | null {
  if (url.length > MAX_URL_LENGTH) return refuse(414, `URL longer than ${MAX_URL_LENGTH} bytes`);
  if (method === "POST") return null;
  const hasBody = Number(headers.get("Content-Length") ?? 0) > 0 ||
    headers.has("Transfer-Encoding");
  return hasBody ? refuse(400, `a ${method} with a body`) : null;
}

function refuse(status: number, reason: string): Response {
  return new Response(`not taken: ${reason}\n`, {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
  });
}

function addressOf({ remoteAddr }: ConnectionInfo): string | null {
  return remoteAddr !== undefined && "hostname" in remoteAddr ? remoteAddr.hostname : null;
}

/** The path of a URL as the client wrote it. `new URL` would resolve `..` and change escapes. */
function rawPath(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  if (start === -1) return "";
  const end = url.slice(start + 1).search(/[?#]/);
  return end === -1 ? url.slice(start + 1) : url.slice(start + 1, start + 1 + end);
}

function decodePath(raw: string): string {
  if (raw.length > MAX_PATH_LENGTH) {
    throw new InvalidRequestError(`Cannot read the path: longer than ${MAX_PATH_LENGTH} bytes`);
  }
  if (!raw.includes("%")) return raw;
  try {
    return decodeURIComponent(raw);
  } catch (cause) {
    throw new InvalidRequestError("Cannot read the path: bad percent-encoding", { cause });
  }
}

/** Ids for requests that have none: what no other process and no other thread gives, and a number. */
function requestIds(): (headers: Headers) => string {
  const prefix = crypto.randomUUID().slice(0, 18);
  let last = 0;
  return (headers) => {
    const given = headers.get("X-Request-Id");
    return given !== null && REQUEST_ID.test(given) ? given : `${prefix}-${(++last).toString(36)}`;
  };
}
