/**
 * HTTP/1.1 by Node's servers: https, with a certificate that can be replaced while it serves, and
 * plain http in a runtime without the parts that native_server.ts uses.
 *
 * - **The certificate.** `setSecureContext` changes that of new connections and leaves open ones
 *   alone. `Deno.serve` has no equivalent: a second listener on the same port (`reusePort`) that
 *   takes over from the first breaks handshakes in progress. Measured on 2026-11-22, Deno 2.9.6,
 *   the `net/http` of Go 1.26.8 with 32 new connections at a time, a new certificate each 200 ms:
 *   287 of 3000 requests failed with the second listener, none of 5000 here. Deno's TLS does not
 *   support TLS 1.0 and 1.1.
 * - **A half-open handshake** ends when its connection is destroyed. With `Deno.listenTls` it does
 *   not: whatever is closed, its socket stays until the client goes.
 * - **No HTTP/2.** A server of `node:http2` can be crashed: Deno 2.9.6 aborts in nghttp2, or by a
 *   segmentation fault, when some twenty clients have ended their sessions while other connections
 *   came and went (denoland/deno#36788). Nothing in JavaScript can catch that.
 * - **A listener that stops accepting.** When the system has no file descriptor for a connection,
 *   Deno's listener for Node stops accepting for good, without an error. The limit on connections
 *   keeps clients alone from causing that. In addition, a server without a new connection for
 *   {@linkcode PROBE_INTERVAL_MS} connects to itself; if it does not see that connection, it
 *   listens again. Accepting with `Deno.listen`, as native_server.ts does, was tried: TLS over such
 *   a connection takes 30 times as long.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Server as NetServer, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { withDeadline } from "../lib/async/deadline.ts";
import { describeError, isOutOfFiles } from "../lib/errors.ts";
import type { Logger } from "../lib/log/log.ts";
import type { ConnectionInfo } from "../routes/app.ts";
import { type Connection, type Connections, REQUEST_TIMEOUT_MS } from "./connections.ts";

/** A certificate with its chain, and its key, both in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

export type TlsVersion = "TLS1.2" | "TLS1.3";

/** What https needs. */
export interface TlsOptions {
  readonly keyPair: KeyPair;
  readonly minVersion: TlsVersion;
  /**
   * PEM: the authorities of client certificates. Clients are asked for one then; they need not have
   * one, and one of another authority counts as none. Default: nobody is asked.
   */
  readonly clientCa?: string | undefined;
}

export interface NodeServerOptions {
  readonly hostname: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Null for plain http. */
  readonly tls: TlsOptions | null;
  readonly connections: Connections;
  /** Receives what the handler threw; the client gets its answer. */
  readonly onError: (error: unknown) => Response;
  readonly log: Logger;
  /** Default: {@linkcode PROBE_INTERVAL_MS}. */
  readonly probeIntervalMs?: number;
}

export type NodeHandler = (
  request: Request,
  connection: NodeConnectionInfo,
) => Promise<Response> | Response;

/** Information about a request, as from `Deno.serve`. */
export interface NodeConnectionInfo extends ConnectionInfo {
  readonly remoteAddr: Deno.NetAddr;
  /** Settles when the response has been sent, or could not be. */
  readonly completed: Promise<void>;
}

/** After this time without a connection, the server checks whether it still accepts them. */
export const PROBE_INTERVAL_MS = 5_000;
/** How long a connection to itself may take to arrive. */
const PROBE_TIMEOUT_MS = 5_000;

export class NodeServer {
  readonly #options: NodeServerOptions;
  readonly #handler: NodeHandler;
  /** The open ones, by the client's address and port. */
  readonly #connections = new Map<string, Connection>();
  /** Each settles when a server has stopped listening and its connections have ended. */
  readonly #closing = new Set<Promise<void>>();
  readonly #timer: ReturnType<typeof setInterval>;
  #keyPair: KeyPair | null;
  #server: NodeListener | null = null;
  #port: number;
  #accepted = Promise.withResolvers<void>();
  #isQuiet = false;
  #isProbing = false;
  #isStopping = false;

  private constructor(options: NodeServerOptions, handler: NodeHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#port = options.port;
    this.#keyPair = options.tls?.keyPair ?? null;
    const { probeIntervalMs = PROBE_INTERVAL_MS } = options;
    this.#timer = setInterval(() => void this.#watch(), probeIntervalMs);
    Deno.unrefTimer(this.#timer);
  }

  /** @throws the system's reason when the address cannot be listened on */
  static async listen(options: NodeServerOptions, handler: NodeHandler): Promise<NodeServer> {
    const server = new NodeServer(options, handler);
    try {
      await server.#listen();
    } catch (error) {
      clearInterval(server.#timer);
      throw error;
    }
    return server;
  }

  get addr(): Deno.NetAddr {
    return { transport: "tcp", hostname: this.#options.hostname, port: this.#port };
  }

  /** For new connections. */
  setKeyPair(keyPair: KeyPair): void {
    this.#keyPair = keyPair;
    this.#server?.setKeyPair(keyPair);
  }

  /** Stops accepting connections and requests; returns when those in progress have finished. */
  async shutdown(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    this.#stopListening();
    await Promise.all(this.#closing);
  }

  async #listen(): Promise<void> {
    const { hostname } = this.#options;
    const listener = this.#create();
    const { server } = listener;
    server.prependListener("connection", (socket: Socket) => this.#admit(socket));
    server.on("request", (incoming: IncomingMessage, outgoing: ServerResponse) => {
      const { tls, onError } = this.#options;
      const scheme = tls === null ? "http" : "https";
      const connection = this.#connections.get(clientOf(incoming.socket)) ?? null;
      void answer({ incoming, outgoing, scheme, connection, handler: this.#handler, onError });
    });
    const listening = Promise.withResolvers<void>();
    server.once("error", listening.reject);
    server.listen(this.#port, hostname, listening.resolve);
    await listening.promise;
    server.off("error", listening.reject);
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP address");
    this.#port = address.port;
    this.#server = listener;
  }

  #create(): NodeListener {
    const { tls } = this.#options;
    if (tls === null || this.#keyPair === null) {
      return { server: createServer(KEEP_ALIVE), setKeyPair: () => {} };
    }
    const server = createSecureServer({
      ...secureContext(this.#keyPair, tls),
      ...KEEP_ALIVE,
      // Whoever has no certificate, or another authority's, may have other credentials.
      ...tls.clientCa === undefined ? {} : { requestCert: true, rejectUnauthorized: false },
      handshakeTimeout: REQUEST_TIMEOUT_MS,
    });
    return {
      server,
      setKeyPair: (keyPair) => server.setSecureContext(secureContext(keyPair, tls)),
    };
  }

  #stopListening(): void {
    const server = this.#server?.server;
    this.#server = null;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.#closing.add(closed);
    void closed.then(() => this.#closing.delete(closed));
  }

  #admit(socket: Socket): void {
    const { connections } = this.#options;
    this.#isQuiet = false;
    this.#accepted.resolve();
    const connection = connections.admit(socket.remoteAddress ?? "", () => socket.destroy());
    if (connection === null) {
      connections.refused();
      socket.destroy();
      return;
    }
    const client = clientOf(socket);
    this.#connections.set(client, connection);
    socket.on("close", () => {
      connection.ended();
      if (this.#connections.get(client) === connection) this.#connections.delete(client);
    });
  }

  /**
   * Listens again if no connection has arrived for a while, and one of our own does not arrive
   * either.
   */
  async #watch(): Promise<void> {
    const { connections, log } = this.#options;
    const isQuiet = this.#isQuiet;
    this.#isQuiet = true;
    // A connection of our own must not take the place of a client's.
    if (!isQuiet || this.#isProbing || connections.isFull) return;
    this.#isProbing = true;
    try {
      if (await this.#isAccepting() || this.#isStopping) return;
      log.error("new connections no longer arrive: listening again");
      this.#stopListening();
      await this.#listen();
    } catch (error) {
      log.error({ error: describeError(error) }, "cannot listen again, retrying");
    } finally {
      this.#isProbing = false;
    }
  }

  async #isAccepting(): Promise<boolean> {
    const accepted = this.#accepted = Promise.withResolvers<void>();
    const hostname = loopbackOf(this.#options.hostname);
    const probe = async (signal: AbortSignal) => {
      using _connection = await Deno.connect({ hostname, port: this.#port, signal });
      await accepted.promise;
    };
    try {
      await withDeadline(probe, { timeoutMs: PROBE_TIMEOUT_MS, what: "connect to this server" });
      return true;
    } catch (error) {
      // Without a file descriptor for our own connection, nothing is known about those of others.
      return isOutOfFiles(error);
    }
  }
}

/** A server of Node's, and the function that replaces its certificate. */
interface NodeListener {
  readonly server: NetServer;
  setKeyPair(keyPair: KeyPair): void;
}

/** {@linkcode Connections} closes what is idle. */
const KEEP_ALIVE = { keepAliveTimeout: 0 };

function clientOf(
  { remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">,
): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Where a server that listens on an address can be reached from this machine. */
function loopbackOf(hostname: string): string {
  return hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
}

function secureContext(
  { certificate, privateKey }: KeyPair,
  { minVersion, clientCa }: Pick<TlsOptions, "minVersion" | "clientCa">,
) {
  const version = minVersion === "TLS1.3" ? "TLSv1.3" as const : "TLSv1.2" as const;
  const ca = clientCa === undefined ? {} : { ca: clientCa };
  return { cert: certificate, key: privateKey, minVersion: version, ...ca };
}

/** Of connections, looked for once. */
const clientCertificates = new WeakMap<TLSSocket, Uint8Array | null>();

/**
 * Authorized: the runtime has checked that the client has its key, the signature of the authority,
 * its purpose and its dates. Without the key there is no handshake; with anything else wrong, the
 * client counts as one without a certificate.
 */
function clientCertificateOf({ socket }: IncomingMessage): Uint8Array | null {
  if (!(socket instanceof TLSSocket)) return null;
  const known = clientCertificates.get(socket);
  if (known !== undefined) return known;
  const found = socket.authorized ? socket.getPeerCertificate().raw ?? null : null;
  clientCertificates.set(socket, found);
  return found;
}

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly scheme: "http" | "https";
  /** Null if it has ended already. */
  readonly connection: Connection | null;
  readonly handler: NodeHandler;
  readonly onError: (error: unknown) => Response;
}

/** Never rejects: failures concern the client's connection, or have been passed to `onError`. */
async function answer(exchange: Exchange): Promise<void> {
  const { incoming, outgoing, scheme, connection, handler, onError } = exchange;
  connection?.begin();
  const hungUp = new AbortController();
  const completed = Promise.withResolvers<void>();
  // A failure is handled elsewhere.
  completed.promise.catch(() => {});
  outgoing.on("close", () => {
    connection?.end();
    if (!incoming.complete) discardRest(incoming, connection);
    if (outgoing.writableFinished) return completed.resolve();
    const reason = new Error("the client hung up");
    hungUp.abort(reason);
    completed.reject(reason);
  });
  // A broken connection also emits "close"; without a listener an error would end the process.
  incoming.on("error", () => {});
  outgoing.on("error", () => {});
  const info = {
    remoteAddr: remoteAddress(incoming),
    completed: completed.promise,
    becameSlow: () => connection?.becameSlow(),
    close: () => connection?.close(),
    clientCertificate: () => clientCertificateOf(incoming),
  };
  const { signal } = hungUp;
  const response = await respond(
    () => handler(new IncomingRequest(incoming, { scheme, signal }), info),
    onError,
  );
  try {
    await send(response, outgoing);
  } catch {
    // The client hung up, or the body could not be read to its end: the connection is cut, so that
    // the client does not mistake the part for the whole. Both show in `completed`.
    outgoing.destroy();
  }
}

/**
 * A body that the handler did not want is read all the same: a connection that is not read does not
 * show that the client has hung up, and stays.
 */
function discardRest(incoming: IncomingMessage, connection: Connection | null): void {
  connection?.expectRest();
  incoming.once("end", () => connection?.answered());
  incoming.removeAllListeners("data").resume();
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

/**
 * Not `pipeline` of `node:stream/promises`: after that, over TLS, no further request on the
 * connection arrives (Deno 2.9.6).
 */
async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  if (response.body === null) {
    outgoing.end();
    return;
  }
  const reader = response.body.getReader();
  const closed = Promise.withResolvers<void>();
  outgoing.once("close", closed.resolve);
  // The producer of the body may be slow, and learns at once that its output is not needed.
  void closed.promise.then(() => reader.cancel(new Error("the client hung up")).catch(() => {}));
  for (;;) {
    const { value } = await reader.read();
    if (outgoing.destroyed) return;
    if (value === undefined) break;
    if (!outgoing.write(value)) await Promise.race([closed.promise, drained(outgoing)]);
  }
  outgoing.end();
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => outgoing.once("drain", resolve));
}

function remoteAddress({ socket }: IncomingMessage): Deno.NetAddr {
  const { remoteAddress = "", remotePort = 0 } = socket;
  return { transport: "tcp", hostname: remoteAddress, port: remotePort };
}

/**
 * A request whose URL is as the client wrote it, as with `Deno.serve`: `Request` itself would
 * resolve `..`.
 */
class IncomingRequest extends Request {
  readonly #url: string;

  constructor(
    incoming: IncomingMessage,
    { scheme, signal }: { scheme: "http" | "https"; signal: AbortSignal },
  ) {
    const { method = "GET", headers, url: path = "/" } = incoming;
    const host = headers.host ?? "";
    const url = path.startsWith("/") ? `${scheme}://${host}${path}` : path;
    super("https://localhost/", {
      method,
      headers: requestHeaders(incoming),
      body: method === "GET" || method === "HEAD" ? null : bodyOf(incoming),
      signal,
    });
    this.#url = URL.canParse(url) ? url : `${scheme}://localhost${path}`;
  }

  override get url(): string {
    return this.#url;
  }
}

/**
 * Not `ReadableStream.from`: to cancel that waits for the client's next bytes, which may never
 * come, and leaves the connection unread.
 */
function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let isOpen = true;
  return new ReadableStream({
    start(controller) {
      const end = (how: () => void) => {
        if (isOpen) how();
        isOpen = false;
      };
      incoming.on("data", (chunk: Uint8Array) => {
        if (!isOpen) return;
        controller.enqueue(chunk);
        if ((controller.desiredSize ?? 0) <= 0) incoming.pause();
      });
      incoming.pause();
      incoming.on("end", () => end(() => controller.close()));
      incoming.on("error", (error: Error) => end(() => controller.error(error)));
      const hungUp = () => controller.error(new Error("the client hung up"));
      incoming.on("close", () => end(hungUp));
    },
    pull: () => void incoming.resume(),
    cancel: () => {
      isOpen = false;
      incoming.resume();
    },
  });
}

function requestHeaders({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = "", value = ""] = rawHeaders.slice(i, i + 2);
    headers.append(name, value);
  }
  return headers;
}
