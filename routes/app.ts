/**
 * The HTTP handler: finds the route, asks the guard whether the client may have the answer, turns
 * every failure into an answer and every answer into a response, and writes the access log. The
 * routes are a table, so that rules for all of them (methods, authorization) are implemented in one
 * place and checked over the table.
 */
import { workFor } from "../lib/async/owner.ts";
import {
  type Access,
  type AdmitTo,
  ANY_CLIENT,
  type Client,
  type ClientRequest,
  type Guard,
} from "../lib/auth/guard.ts";
import {
  describeError,
  HungUpError,
  InvalidRequestError,
  meaningOf,
  ProxyError,
  UpstreamError,
} from "../lib/errors.ts";
import { networkOf } from "../lib/http/address.ts";
import type { FindClientAddress } from "../lib/http/client_address.ts";
import type { Logger } from "../lib/log/log.ts";
import type { ModulePath } from "../lib/module/path.ts";
import type { RepositoryName } from "../lib/module/repository_identity.ts";
import { type Metrics, NO_METRICS } from "../lib/log/metrics.ts";
import { withRequestId } from "../lib/log/request_id.ts";
import { describeRequest } from "../lib/log/trace.ts";
import { type Answer, responseOf } from "./answer.ts";
import type { ConcurrencyLimit, Permit } from "./concurrency_limit.ts";
import type { CheckHost } from "./host_check.ts";
import { RequestLog } from "./request_log.ts";
import type { RequestsUnderWay } from "./requests_under_way.ts";
import { errorAnswer, noteAnswer } from "./respond.ts";
import { isLarge, MIN_BYTES_PER_SECOND, SlowClients } from "./slow_client.ts";
import { FAILURE_STATUSES } from "./status.ts";

export type Method = "GET" | "HEAD" | "POST";

/** What a route needs to know of a request. */
export interface RouteRequest extends ClientRequest {
  /** The address at the other end of the connection: the client's, or a proxy's. */
  readonly peer?: string | null;
  readonly method: Method;
  /** Scheme and host as the client wrote them. */
  readonly origin: string;
  /** The path as it arrived, percent-decoded once, without the leading `/`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Null for requests that have none. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal;
  /** Fields of the access log besides the request: module, version, cache state. */
  readonly facts: Record<string, unknown>;
}

/** A request that a route has understood. */
export interface Operation {
  /**
   * The name of requests like this one in metrics and traces, with variable parts in braces:
   * `/{module}/@v/list`. Default: the route's name as a path.
   */
  readonly template?: string;
  /** What the answer is about. The guard is asked before {@linkcode answer} is called. */
  readonly access: Access;
  /**
   * The answer if it is available synchronously; otherwise null, and {@linkcode answer} is called.
   */
  answerAtOnce?(client: Client): Answer | null;
  /** Null if {@linkcode AppOptions.fallback} must answer. */
  answer(client: Client): Promise<Answer | null> | Answer | null;
}

export interface Route {
  readonly name: string;
  /** Default: GET and HEAD. */
  readonly methods?: readonly Method[];
  /** Exempt from the limit of concurrent requests: for monitoring. */
  readonly isUnlimited?: boolean;
  /** Whether this route answers this path. The first that does wins. */
  matches(path: string): boolean;
  /**
   * Parses a request without looking anything up.
   *
   * @throws {InvalidRequestError} with the reason
   */
  read(request: RouteRequest): Operation;
}

/** What `Deno.serve` reports about a request. */
export interface ConnectionInfo {
  readonly remoteAddr?: Deno.Addr;
  /** Settles when the response has been sent, or could not be. */
  readonly completed?: Promise<void> | undefined;
  /**
   * Says that the client takes the answer too slowly: the connection may be closed if its place is
   * needed.
   */
  becameSlow?(): void;
  /** Closes the connection, with everything on it, at once. */
  close?(): void;
  /** The certificate that the client has shown, verified, in DER; null if it has not. */
  clientCertificate?(): Uint8Array | null;
}

/** What an app needs of a Request. */
export type HttpRequest = Pick<Request, "method" | "url" | "headers" | "body" | "signal">;

export interface AppOptions {
  readonly routes: readonly Route[];
  readonly guard: Guard;
  /**
   * Refuses module paths that are answered to nobody, on whatever route: other spellings of private
   * ones. Default: there are none.
   *
   * @throws {ForbiddenError}
   */
  readonly checkPath?: ((path: ModulePath) => void) | undefined;
  readonly log: Logger;
  /** Our own `Via`: a request that carries it has gone in a circle. */
  readonly via: string;
  readonly metrics?: Metrics;
  /** Where requests are recorded. Default: each at once, in the log and the metrics. */
  readonly requestLog?: RequestLog;
  /**
   * Answers what no route matches, what the guard does not decide and what a route has no answer
   * for. Such a request is logged and counted there, too. Default: no fallback.
   */
  readonly fallback?: (
    request: HttpRequest,
    exchange: { readonly id: string; readonly address: string | null },
  ) => Promise<Response>;
  /** Takes note of the requests in progress. */
  readonly requests?: RequestsUnderWay | undefined;
  /** The answer to a request that is for another server. Default: all are for this one. */
  readonly checkHost?: CheckHost;
  /** Which client a request is of. Default: the one at the other end of its connection. */
  readonly findClientAddress?: FindClientAddress;
  /** Limits concurrent requests. Default: no limit. */
  readonly concurrency?: ConcurrencyLimit;
  /**
   * For how long a client may read nothing of a large body, or hold a place: slow_client.ts.
   * Default: forever.
   */
  readonly slowClientTimeoutMs?: number;
}

export type App = (
  request: HttpRequest,
  connection?: ConnectionInfo,
) => Response | Promise<Response>;

/** Longer than any path that Go's tools produce; more is noise or an attack. */
const MAX_PATH_LENGTH = 4096;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

export function createApp(options: AppOptions): App {
  const { metrics = NO_METRICS, slowClientTimeoutMs: timeoutMs } = options;
  const { findClientAddress = (peer) => peer } = options;
  const { answersDiffer } = options.guard;
  const slowClients = timeoutMs === undefined ? null : new SlowClients({ timeoutMs });
  const requestLog = options.requestLog ??
    new RequestLog({ log: options.log, metrics, gathers: false });
  const requestId = requestIds();
  const { requests } = options;
  let inFlight = 0;
  metrics.gauge("gomodproxy_http_requests_in_flight", () => inFlight);

  function leave({ permit }: Exchange): void {
    inFlight--;
    permit?.leave();
  }

  function record(exchange: Exchange, { answer, isAborted }: Ending): void {
    const { status, body, sizeBytes = 0 } = answer;
    const { id, method, path, template, startMs, facts } = exchange;
    const durationMs = performance.now() - startMs;
    requests?.ended(exchange, durationMs);
    requestLog.add({
      id,
      method,
      path: path.slice(0, MAX_PATH_LENGTH),
      template,
      status,
      sizeBytes: body === null ? 0 : sizeBytes,
      durationMs,
      isAborted,
      facts,
    });
  }

  /** The response to a request that has to wait, or whose body takes a while. */
  async function whenReady(
    waiting: Answer | Promise<Answer | Response>,
    exchange: Exchange,
  ): Promise<Response> {
    const { completed } = exchange.connection;
    requests?.add(exchange);
    const answer = await waiting;
    if (answer instanceof Response) {
      leave(exchange);
      requests?.delete(exchange);
      return answer;
    }
    describeRequest(exchange);
    let isEnded = false;
    const end = (isAborted: boolean) => {
      if (isEnded) return;
      isEnded = true;
      leave(exchange);
      record(exchange, { answer, isAborted });
    };
    const isHungUp = answer.status === FAILURE_STATUSES["hung-up"].status;
    // What came from another thread has only the body's own end.
    const isWatched = completed === undefined && slowClients !== null && isLarge(answer);
    if (!isWatched) {
      (completed ?? Promise.resolve()).then(() => end(isHungUp), () => end(true));
    }
    const cutOff = (reason: string) => {
      exchange.facts["error"] = reason;
      end(true);
      exchange.connection.close?.();
    };
    const sent = slowClients?.guard(answer, {
      completed,
      onSlow: () => {
        exchange.permit?.leave();
        exchange.connection.becameSlow?.();
      },
      onHungUp: () => end(true),
      onRead: () => {
        if (isWatched) end(false);
      },
      onBroken: () => end(true),
      onCutOff: () => cutOff(`the client read nothing for ${(timeoutMs ?? 0) / 1000} s`),
      onOverdue: () => cutOff(`the client read less than ${MIN_BYTES_PER_SECOND} bytes a second`),
    });
    return responseOf(sent ?? answer, { requestId: exchange.id, answersDiffer });
  }

  return function app(request, connection = {}) {
    const exchange: Exchange = {
      startMs: performance.now(),
      id: requestId(request.headers),
      request,
      method: request.method,
      path: rawPath(request.url),
      connection,
      findClientAddress,
      template: "other",
      facts: {},
      permit: null,
    };
    inFlight++;
    const answer = withRequestId(exchange.id, () => begin(exchange, options));
    if (answer instanceof Promise || isLarge(answer)) return whenReady(answer, exchange);
    leave(exchange);
    describeRequest(exchange);
    record(exchange, { answer, isAborted: false });
    return responseOf(answer, { requestId: exchange.id, answersDiffer });
  };
}

/** A request and the state of its answer. */
interface Exchange {
  readonly startMs: number;
  readonly id: string;
  readonly request: HttpRequest;
  readonly method: string;
  /** As the client wrote it, without the leading `/` and the query. */
  readonly path: string;
  readonly connection: ConnectionInfo;
  readonly findClientAddress: FindClientAddress;
  /** {@linkcode Operation.template}, once there is an operation. */
  template: string;
  /** Further fields of the access log. */
  readonly facts: Record<string, unknown>;
  /** Its place among the requests in progress, once it has one. */
  permit: Permit | null;
}

interface Ending {
  readonly answer: Answer;
  /** The client hung up before it had received everything. */
  readonly isAborted: boolean;
}

/** The answer if it is available synchronously. A Response if the fallback has answered. */
function begin(exchange: Exchange, options: AppOptions): Answer | Promise<Answer | Response> {
  try {
    const answer = dispatch(exchange, options);
    if (answer !== null && !(answer instanceof Promise)) return answer;
    return complete(answer, { exchange, options });
  } catch (error) {
    return failureAnswer(error, { exchange, options });
  }
}

interface Answering {
  readonly exchange: Exchange;
  readonly options: AppOptions;
}

async function complete(
  waiting: Promise<Answer | null> | null,
  answering: Answering,
): Promise<Answer | Response> {
  const { exchange: { id, request, connection }, options: { fallback } } = answering;
  try {
    const answer = await waiting;
    if (answer !== null) return answer;
    if (fallback === undefined) throw new Error("a route has no answer, and there is no fallback");
  } catch (error) {
    return failureAnswer(error, answering);
  }
  try {
    // It has all headers, too, and finds the client in them.
    return await fallback(request, { id, address: peerOf(connection) });
  } catch (error) {
    const answer = failureAnswer(error, answering);
    // The other side knows that nobody waits any more, and takes note of it.
    return request.signal.aborted ? responseOf(answer, { requestId: id }) : answer;
  }
}

function failureAnswer(thrown: unknown, { exchange, options: { log } }: Answering): Answer {
  const { id, method, facts, request } = exchange;
  // Whatever the work threw when it was ended: nobody waits for an answer, and nothing of ours is
  // at fault.
  const error = request.signal.aborted && !(thrown instanceof HungUpError)
    ? new HungUpError("Cannot answer: the client hung up", { cause: thrown })
    : thrown;
  facts["error"] = describeError(error);
  if (meaningOf(error) === "internal") log.error({ err: error }, "internal error");
  return errorAnswer(error, { requestId: id, head: method === "HEAD" });
}

/** Null if the fallback must answer. */
function dispatch(
  exchange: Exchange,
  { routes, guard, via, concurrency, fallback, checkPath, checkHost }: AppOptions,
): Answer | null | Promise<Answer | null> {
  const { request, facts } = exchange;
  if (request.headers.get("Via")?.split(",").some((hop) => hop.trim() === via)) {
    throw new UpstreamError("Cannot answer: this server is configured as its own upstream");
  }
  const misdirected = checkHost?.(request) ?? null;
  if (misdirected !== null) return misdirected;
  const path = decodePath(exchange.path);
  const refusal = refusalOf(request);
  if (refusal !== null) return refusal;
  const found = routes.find((route) => route.matches(path));
  if (found === undefined && fallback !== undefined) return null;
  const route = found ?? NO_ROUTE;
  const { methods = READ_METHODS } = route;
  const method = allowedMethod(exchange.method, methods);
  if (method === null) return methodNotAllowed(methods);
  facts["route"] = route.name;
  const incoming = new IncomingRequest(exchange, { method, path });
  const operation = understand(route, incoming);
  exchange.template = operation.template ?? `/${route.name}`;
  const entrance = route.isUnlimited ? undefined : concurrency;
  const isAsked = guard.answersDiffer && entrance !== undefined;
  if (isAsked && entrance.hasStrangers) {
    // Who waits for a log-in keeps nobody out who has logged in.
    const network = clientNetwork(exchange);
    if (!entrance.mayEnterAsStranger(network) && guard.recognizes?.(incoming) === false) {
      entrance.enterAsStranger(network);
    }
  }
  const client = guard.admit(incoming, operation.access);
  // It is awaited below, unless there is no place for it.
  if (client instanceof Promise) client.catch(() => {});
  const isStranger = isAsked && (client instanceof Promise || client?.identity === null);
  exchange.permit = isStranger
    ? entrance.enterAsStranger(clientNetwork(exchange))
    : entrance?.enter() ?? null;
  return client instanceof Promise
    ? client.then((client) => answerClient(client, { operation, exchange, checkPath }))
    : answerClient(client, { operation, exchange, checkPath });
}

function answerClient(
  client: Client | null,
  { operation, exchange, checkPath }: {
    operation: Operation;
    exchange: Exchange;
    checkPath: AppOptions["checkPath"];
  },
): Answer | null | Promise<Answer | null> {
  const { facts, permit } = exchange;
  if (client === null || client.identity !== null) permit?.admit();
  if (client === null) return null;
  if (checkPath !== undefined && operation.access.kind === "module") {
    checkPath(operation.access.path);
  }
  const { identity } = client;
  if (identity !== null) facts["identity"] = identity;
  const ready = operation.answerAtOnce?.(client) ?? null;
  if (ready !== null) return ready;
  const owner = identity === null ? `address ${clientNetwork(exchange)}` : `identity ${identity}`;
  permit?.assignTo(owner);
  const answer = workFor(owner, () => operation.answer(client));
  return client.admitTo === null || !(answer instanceof Promise)
    ? answer
    : answer.catch((error) => withheld(error, client.admitTo));
}

/** The failure to answer, unless it tells of what the client may not know. */
function withheld(error: unknown, admitTo: AdmitTo | null): null {
  if (!(error instanceof ProxyError) || error.names.length === 0) throw error;
  if (admitTo?.(error.names as readonly RepositoryName[]) === false) return null;
  throw error;
}

/** A request whose parts are computed on demand: most requests need few of them. */
class IncomingRequest implements RouteRequest {
  readonly method: Method;
  readonly path: string;
  readonly headers: Headers;
  readonly requestId: string;
  readonly facts: Record<string, unknown>;
  readonly #exchange: Exchange;
  readonly #request: HttpRequest;

  constructor(exchange: Exchange, { method, path }: { method: Method; path: string }) {
    this.#request = exchange.request;
    this.method = method;
    this.path = path;
    this.headers = exchange.request.headers;
    this.requestId = exchange.id;
    this.#exchange = exchange;
    this.facts = exchange.facts;
  }

  get address(): string | null {
    return addressOf(this.#exchange);
  }

  get peer(): string | null {
    return peerOf(this.#exchange.connection);
  }

  get certificate(): Uint8Array | null {
    return this.#exchange.connection.clientCertificate?.() ?? null;
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

/**
 * Invalid requests must authenticate, too, so that strangers learn nothing about how paths are
 * parsed.
 */
function understand(route: Route, request: RouteRequest): Operation {
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

function methodNotAllowed(allowed: readonly Method[]): Answer {
  return noteAnswer(`method not allowed: only ${allowed.join(" and ")}\n`, {
    status: 405,
    headers: { "Allow": allowed.join(", ") },
  });
}

/**
 * Including its query; no path of Go's tools has one. Deno itself accepts up to 64 KiB. A path that
 * exceeds its own limit belongs to no module and is known not to exist.
 */
const MAX_URL_LENGTH = 8192;

/**
 * Rejects requests without further processing: a URL that is too long, a body where none is
 * allowed.
 */
function refusalOf({ url, method, headers }: HttpRequest): Answer | null {
  if (url.length > MAX_URL_LENGTH) return refuse(414, `URL longer than ${MAX_URL_LENGTH} bytes`);
  if (method === "POST") return null;
  // Not `has`, for which the runtime makes a list of all headers.
  const hasBody = Number(headers.get("Content-Length") ?? 0) > 0 ||
    headers.get("Transfer-Encoding") !== null;
  return hasBody ? refuse(400, `a ${method} with a body`) : null;
}

function refuse(status: number, reason: string): Answer {
  return noteAnswer(`rejected: ${reason}\n`, { status });
}

/** Of the client; null where there is none, in tests. */
function addressOf({ connection, request, findClientAddress }: Exchange): string | null {
  return findClientAddress(peerOf(connection), request.headers);
}

/** What counts as one client among those that have no identity. */
function clientNetwork(exchange: Exchange): string {
  return networkOf(addressOf(exchange) ?? "");
}

/** The runtime looks for it when it is asked: not for every request. */
function peerOf({ remoteAddr }: ConnectionInfo): string | null {
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

/** Ids for requests without one: a prefix that no other process or thread has, and a number. */
function requestIds(): (headers: Headers) => string {
  const prefix = crypto.randomUUID().slice(0, 18);
  let last = 0;
  return (headers) => {
    const given = headers.get("X-Request-Id");
    return given !== null && REQUEST_ID.test(given) ? given : `${prefix}-${(++last).toString(36)}`;
  };
}
