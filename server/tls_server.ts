/**
 * HTTPS in: HTTP/1.1 and HTTP/2 (by ALPN) over TLS 1.2 and 1.3, for a handler of `Request` and
 * `Response`, with a certificate that can be replaced while it serves.
 *
 * It stands on `node:http2`, whose `setSecureContext` changes the certificate of new connections
 * and touches no old one. `Deno.serve` has no such thing: a second listener on the same port
 * (`reusePort`) that takes over from the first cuts the handshakes which are under way. Measured on
 * 2026-11-22, Deno 2.9.6, the `net/http` of Go 1.26.8 with 32 new connections at a time, a new
 * certificate each 200 ms: 287 of 3000 requests failed with the second listener, none of 5000 here.
 * TLS 1.0 and 1.1 do not exist in the TLS that Deno has.
 */
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** A certificate with its chain, and its key, both in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

export type TlsVersion = "TLS1.2" | "TLS1.3";

export interface TlsServerOptions {
  readonly hostname: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly keyPair: KeyPair;
  readonly minVersion: TlsVersion;
  /** Hears what the handler threw; its answer is the client's. */
  readonly onError: (error: unknown) => Response;
}

/** What is told about a request, as `Deno.serve` does. */
export interface TlsConnectionInfo {
  readonly remoteAddr: Deno.NetAddr;
  /** Settles when the response has been sent, or could not be. */
  readonly completed: Promise<void>;
}

export type TlsHandler = (
  request: Request,
  connection: TlsConnectionInfo,
) => Promise<Response> | Response;

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

/** A client that has not finished its handshake by then is sent away. */
const HANDSHAKE_TIMEOUT_MS = 30_000;

export class TlsServer {
  readonly addr: Deno.NetAddr;
  readonly #server: ReturnType<typeof createSecureServer>;
  readonly #sessions: ReadonlySet<ServerHttp2Session>;
  readonly #minVersion: TlsVersion;

  private constructor(parts: {
    readonly addr: Deno.NetAddr;
    readonly server: ReturnType<typeof createSecureServer>;
    readonly sessions: ReadonlySet<ServerHttp2Session>;
    readonly minVersion: TlsVersion;
  }) {
    this.addr = parts.addr;
    this.#server = parts.server;
    this.#sessions = parts.sessions;
    this.#minVersion = parts.minVersion;
  }

  /** @throws the system's reason when the address cannot be listened on */
  static async listen(options: TlsServerOptions, handler: TlsHandler): Promise<TlsServer> {
    const { hostname, port, keyPair, minVersion, onError } = options;
    const server = createSecureServer({
      ...secureContext(keyPair, minVersion),
      allowHTTP1: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    const sessions = new Set<ServerHttp2Session>();
    server.on("session", (session: ServerHttp2Session) => {
      sessions.add(session);
      session.on("close", () => sessions.delete(session));
      // A client that breaks the protocol has lost its connection by now.
      session.on("error", () => {});
    });
    server.on("request", (incoming: NodeRequest, outgoing: NodeResponse) => {
      void answer({ incoming, outgoing, handler, onError });
    });
    const listening = Promise.withResolvers<void>();
    server.once("error", listening.reject);
    server.listen(port, hostname, listening.resolve);
    await listening.promise;
    server.off("error", listening.reject);
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP address");
    const addr = { transport: "tcp" as const, hostname, port: address.port };
    return new TlsServer({ addr, server, sessions, minVersion });
  }

  /** For connections from now on. */
  setKeyPair(keyPair: KeyPair): void {
    this.#server.setSecureContext(secureContext(keyPair, this.#minVersion));
  }

  /** Takes no new connections or requests; returns when what is in flight has finished. */
  async shutdown(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    await closed;
  }
}

function secureContext({ certificate, privateKey }: KeyPair, minVersion: TlsVersion) {
  const version = minVersion === "TLS1.3" ? "TLSv1.3" as const : "TLSv1.2" as const;
  return { cert: certificate, key: privateKey, minVersion: version };
}

interface Exchange {
  readonly incoming: NodeRequest;
  readonly outgoing: NodeResponse;
  readonly handler: TlsHandler;
  readonly onError: (error: unknown) => Response;
}

/** Never rejects: what goes wrong is the client's connection, or has been heard by `onError`. */
async function answer({ incoming, outgoing, handler, onError }: Exchange): Promise<void> {
  const hungUp = new AbortController();
  const completed = Promise.withResolvers<void>();
  // Nobody need care.
  completed.promise.catch(() => {});
  outgoing.on("close", () => {
    if (outgoing.writableFinished) return completed.resolve();
    const reason = new Error("the client hung up");
    hungUp.abort(reason);
    completed.reject(reason);
  });
  // A broken connection is told by "close", too; without a listener an error would end the process.
  incoming.on("error", () => {});
  outgoing.on("error", () => {});
  const connection = { remoteAddr: remoteAddress(incoming), completed: completed.promise };
  const response = await respond(
    () => handler(new IncomingRequest(incoming, hungUp.signal), connection),
    onError,
  );
  try {
    await send(response, outgoing);
  } catch {
    // The client hung up, or the body could not be read to its end: then the connection is cut, so
    // that nobody takes what was sent for the whole. Both show in `completed`.
    outgoing.destroy();
  }
}

async function respond(
  handle: () => Promise<Response> | Response,
  onError: (error: unknown) => Response,
): Promise<Response> {
  try {
    return await handle();
  } catch (error) {
    return onError(error);
  }
}

async function send(response: Response, outgoing: NodeResponse): Promise<void> {
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  if (response.body === null) {
    outgoing.end();
    return;
  }
  await pipeline(Readable.from(response.body), outgoing);
}

function remoteAddress({ socket }: NodeRequest): Deno.NetAddr {
  const { remoteAddress = "", remotePort = 0 } = socket;
  return { transport: "tcp", hostname: remoteAddress, port: remotePort };
}

/**
 * A request whose URL is as the client wrote it, as with `Deno.serve`: `Request` itself would
 * resolve `..`.
 */
class IncomingRequest extends Request {
  readonly #url: string;

  constructor(incoming: NodeRequest, signal: AbortSignal) {
    const { method = "GET", headers, url: path = "/" } = incoming;
    const host = headers[":authority"] ?? headers.host ?? "";
    const url = path.startsWith("/") ? `https://${host}${path}` : path;
    super("https://localhost/", {
      method,
      headers: requestHeaders(incoming),
      body: method === "GET" || method === "HEAD" ? null : ReadableStream.from(incoming),
      signal,
    });
    this.#url = URL.canParse(url) ? url : `https://localhost${path}`;
  }

  override get url(): string {
    return this.#url;
  }
}

function requestHeaders({ rawHeaders }: NodeRequest): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = "", value = ""] = rawHeaders.slice(i, i + 2);
    if (name.startsWith(":")) {
      if (name === ":authority") headers.set("Host", value);
    } else {
      headers.append(name, value);
    }
  }
  return headers;
}
