/**
 * HTTP in: one handler that finds the route, makes every failure a response, and writes the access log. The routes are a
 * table, so that whatever must hold for all of them (methods, later who may read) is checked over the table.
 */
import { describeError, InvalidRequestError, meaningOf, UpstreamError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { errorResponse } from "./respond.ts";

/** What a route needs to know of a request. */
export interface RouteRequest {
  readonly method: "GET" | "HEAD";
  /** Scheme and host as the client wrote them. */
  readonly origin: string;
  /** The path as it arrived, percent-decoded once, without the leading `/`. */
  readonly path: string;
  readonly headers: Headers;
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal;
  /** What the access log says besides the request: module, version, cache state. */
  readonly log: Record<string, unknown>;
}

export interface Route {
  readonly name: string;
  /** Whether this route answers this path. The first that does wins. */
  matches(path: string): boolean;
  handle(request: RouteRequest): Promise<Response> | Response;
}

/** What `Deno.serve` tells about a request. */
export interface ConnectionInfo {
  readonly remoteAddr?: Deno.Addr;
  /** Settles when the response has been sent, or could not be. */
  readonly completed?: Promise<void>;
}

export interface AppOptions {
  readonly routes: readonly Route[];
  readonly log: Logger;
  /** Our own `Via`: a request that carries it went in a circle. */
  readonly via: string;
}

export type App = (request: Request, connection?: ConnectionInfo) => Promise<Response>;

/** Longer than any path that Go's tools produce; more is noise or an attack. */
const MAX_PATH_LENGTH = 4096;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

export function createApp({ routes, log, via }: AppOptions): App {
  return async function app(request, connection = {}) {
    const startMs = performance.now();
    const id = requestId(request.headers);
    const facts: Record<string, unknown> = {};
    const response = await answer(request, { routes, via, id, facts, log });
    response.headers.set("X-Request-Id", id);
    const line = {
      id,
      method: request.method,
      path: `/${rawPath(request.url).slice(0, MAX_PATH_LENGTH)}`,
      status: response.status,
      ...facts,
    };
    const finish = (outcome: object) =>
      log.info({ ...line, ...outcome, ms: Math.round(performance.now() - startMs) }, "request");
    (connection.completed ?? Promise.resolve()).then(
      () => finish({}),
      () => finish({ aborted: true }),
    );
    return response;
  };
}

interface AnswerContext {
  readonly routes: readonly Route[];
  readonly via: string;
  readonly id: string;
  readonly facts: Record<string, unknown>;
  readonly log: Logger;
}

async function answer(request: Request, context: AnswerContext): Promise<Response> {
  const { id, facts, log } = context;
  try {
    return await dispatch(request, context);
  } catch (error) {
    const meaning = meaningOf(error);
    facts["error"] = describeError(error);
    if (meaning === "internal") log.error({ id, err: error }, "internal error");
    return errorResponse(error, { requestId: id, head: request.method === "HEAD" });
  }
}

function dispatch(request: Request, context: AnswerContext): Promise<Response> | Response {
  const { method, headers, signal } = request;
  if (method !== "GET" && method !== "HEAD") {
    return new Response("method not allowed: only GET and HEAD\n", {
      status: 405,
      headers: { "Allow": "GET, HEAD", "Content-Type": "text/plain; charset=utf-8" },
    });
  }
  if (headers.get("Via")?.split(",").some((hop) => hop.trim() === context.via)) {
    throw new UpstreamError("Cannot answer: this server is configured as its own upstream");
  }
  const path = decodePath(rawPath(request.url));
  const route = context.routes.find((route) => route.matches(path));
  if (route === undefined) {
    throw new InvalidRequestError("Cannot find a route: not a module path, /@v/ or /@latest");
  }
  context.facts["route"] = route.name;
  const { origin } = new URL(request.url);
  return route.handle({ method, origin, path, headers, signal, log: context.facts });
}

/** The path of a URL as the client wrote it. `new URL` would resolve `..` and change escapes. */
function rawPath(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  if (start === -1) return "";
  return url.slice(start + 1).replace(/[?#].*$/s, "");
}

function decodePath(raw: string): string {
  if (raw.length > MAX_PATH_LENGTH) {
    throw new InvalidRequestError(`Cannot read the path: longer than ${MAX_PATH_LENGTH} bytes`);
  }
  try {
    return decodeURIComponent(raw);
  } catch (cause) {
    throw new InvalidRequestError("Cannot read the path: bad percent-encoding", { cause });
  }
}

function requestId(headers: Headers): string {
  const given = headers.get("X-Request-Id");
  return given !== null && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}
