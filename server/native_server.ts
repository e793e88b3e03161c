/**
 * Plain HTTP by the runtime's own server, over connections that this program accepts itself.
 *
 * `Deno.serve` accepts as many connections as clients open, has no deadline for any of them, and
 * stops for good, with an exception that ends the process, when the system has no file descriptor
 * left (denoland/deno#10148). Its parts are available separately: a listener of `Deno.listen`,
 * whose `accept` fails without harm, and the function that serves HTTP on one connection. The
 * latter is undocumented: it belongs to `Deno[Deno.internal]`, where the runtime keeps what its own
 * modules share. A test fails when it is gone, and {@linkcode NativeServer.isAvailable} reports it;
 * node_server.ts then takes its place, with the same guarantees at nearly twice the CPU time for
 * each request.
 *
 * Measured on 2026-11-29 with Deno 2.9.6 (docs/design/serving.md): requests on open connections
 * cost the same as with `Deno.serve`, a connection 10 µs more.
 */
import { pause } from "../lib/async/pause.ts";
import type { ConnectionInfo } from "../routes/app.ts";
import type { Connection, Connections } from "./connections.ts";

/** After the system had no file descriptor for a connection. */
const ACCEPT_PAUSE_MS = 50;

export type Handler = (
  request: Request,
  connection: ConnectionInfo,
) => Response | Promise<Response>;

export interface NativeServerOptions {
  readonly hostname: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Whether other threads of this process listen on the same port. */
  readonly reusePort: boolean;
  readonly connections: Connections;
  /** Receives what the handler threw; the client gets its answer. */
  readonly onError: (error: unknown) => Response;
}

export class NativeServer {
  readonly addr: Deno.NetAddr;
  readonly #listener: Deno.TcpListener;
  readonly #options: NativeServerOptions;
  readonly #handler: Handler;
  readonly #serveOn: ServeOn;
  readonly #served = new Map<HttpOnConnection, Connection>();
  readonly #stopping = new AbortController();
  readonly #accepting: Promise<void>;

  /** @throws the system's reason when the address cannot be listened on */
  constructor(options: NativeServerOptions, handler: Handler) {
    const { hostname, port, reusePort } = options;
    const serveOn = findServeOn();
    if (serveOn === null) throw new Error("this runtime cannot serve HTTP on a connection");
    this.#listener = Deno.listen({ hostname, port, reusePort });
    this.addr = this.#listener.addr;
    this.#options = options;
    this.#handler = handler;
    this.#serveOn = serveOn;
    this.#accepting = this.#accept();
  }

  /** Whether this runtime has the function. */
  static get isAvailable(): boolean {
    return findServeOn() !== null;
  }

  /** Stops accepting connections and requests; returns when those in progress have finished. */
  async shutdown(): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      this.#stopping.abort();
      this.#listener.close();
    }
    await Promise.all([...this.#served.keys()].map((http) => http.shutdown()));
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const { connections } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let conn: Deno.TcpConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (signal.aborted) return;
        connections.cannotAccept(error);
        await pause(ACCEPT_PAUSE_MS, signal);
        continue;
      }
      await this.#serve(conn);
    }
  }

  /** Waits for a place, and passes the connection to the runtime. */
  async #serve(conn: Deno.TcpConn): Promise<void> {
    const { connections, onError } = this.#options;
    const { signal } = this.#stopping;
    const { remoteAddr } = conn;
    const canceller = new Canceller();
    const admit = () => connections.admit(remoteAddr.hostname, () => canceller.cancel());
    let connection = admit();
    while (connection === null) {
      // It must not keep others waiting, for whom there is room.
      if (connections.isOverShare(remoteAddr.hostname)) {
        connections.refused();
        return conn.close();
      }
      await connections.change();
      if (signal.aborted) return conn.close();
      connection = admit();
    }
    const handle = handlerOn(connection, { remoteAddr, handler: this.#handler });
    const http = this.#serveOn(conn, canceller, handle, onError, () => {});
    this.#served.set(http, connection);
    const end = () => {
      canceller.disable();
      connection.ended();
      this.#served.delete(http);
    };
    // It fails when the connection breaks, which is not an error.
    http.finished.then(end, end);
  }
}

/**
 * Tells the app about the connection of a request, and the connection about the state of its
 * requests.
 */
function handlerOn(
  connection: Connection,
  { remoteAddr, handler }: { remoteAddr: Deno.NetAddr; handler: Handler },
): Handler {
  const end = () => connection.end();
  const endWithBody = () => {
    connection.end();
    // The runtime does not tell whether the body has come to its end.
    connection.expectRest();
  };
  return (request, info) => {
    const answer = handler(request, new RequestInfo(info, { connection, remoteAddr }));
    if (answer instanceof Promise) {
      connection.begin();
      const ended = mayHaveBody(request) ? endWithBody : end;
      info.completed?.then(ended, ended);
    } else {
      connection.answered();
    }
    return answer;
  };
}

function mayHaveBody({ method }: Request): boolean {
  return method !== "GET" && method !== "HEAD";
}

class RequestInfo implements ConnectionInfo {
  readonly remoteAddr: Deno.NetAddr;
  readonly #info: ConnectionInfo;
  readonly #connection: Connection;

  constructor(
    info: ConnectionInfo,
    { connection, remoteAddr }: { connection: Connection; remoteAddr: Deno.NetAddr },
  ) {
    this.#info = info;
    this.#connection = connection;
    this.remoteAddr = remoteAddr;
  }

  get completed(): Promise<void> | undefined {
    return this.#info.completed;
  }

  becameSlow(): void {
    this.#connection.becameSlow();
  }

  close(): void {
    this.#connection.close();
  }
}

interface HttpOnConnection {
  /** Settles when the connection has ended. */
  readonly finished: Promise<void>;
  /** Ends the connection as soon as its requests in progress have finished. */
  shutdown(): Promise<void>;
}

type ServeOn = (
  conn: Deno.Conn,
  signal: Canceller,
  handler: Handler,
  onError: (error: unknown) => Response,
  onListen: () => void,
) => HttpOnConnection;

/**
 * An AbortSignal as far as the runtime needs one, by which it drops a connection at once. An
 * AbortController would cost more, and when the connection has just ended, the exception that the
 * runtime then throws in its listener would end the process.
 */
class Canceller {
  #listener: (() => void) | null = null;

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listener = listener;
  }

  cancel(): void {
    try {
      this.#listener?.();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  /** The connection has ended: there is nothing left to cancel. */
  disable(): void {
    this.#listener = null;
  }
}

function findServeOn(): ServeOn | null {
  const internals: unknown = Reflect.get(Deno, Reflect.get(Deno, "internal"));
  if (typeof internals !== "object" || internals === null) return null;
  const serveOn: unknown = Reflect.get(internals, "serveHttpOnConnection");
  return typeof serveOn === "function" ? serveOn as ServeOn : null;
}
