/**
 * https for a server on 127.0.0.1 that speaks http: passes bytes on, both ways, and remembers what
 * it was asked. The requests arrive as they were sent, `Host` included, which signatures cover.
 */
import type { KeyPair } from "../../server/node_server.ts";

/** Of each connection. Heads come first, and tests send no more. */
const MAX_REMEMBERED_BYTES = 1024 * 1024;

export class TlsFront implements AsyncDisposable {
  /** What came on each connection, as Latin-1. */
  readonly received: string[] = [];
  readonly port: number;
  readonly #listener: Deno.TlsListener;
  readonly #server: number;
  readonly #connections = new Set<Deno.Conn>();
  readonly #work = new Set<Promise<void>>();

  /** @param server the URL of the server, `http://127.0.0.1:<port>` */
  constructor(server: string, { certificate, privateKey }: KeyPair) {
    this.#server = Number(new URL(server).port);
    this.#listener = Deno.listenTls({
      hostname: "127.0.0.1",
      port: 0,
      cert: certificate,
      key: privateKey,
    });
    this.port = this.#listener.addr.port;
    this.#start(this.#accept());
  }

  /** The heads of requests whose target begins with this. */
  requestsFor(target: string): string[] {
    return this.received.flatMap((text) =>
      text.split(/(?=(?:GET|HEAD|PUT|POST|DELETE) \/\S* HTTP\/1\.1\r\n)/)
    ).map((request) => request.split("\r\n\r\n")[0] ?? "")
      .filter((head) => head.slice(head.indexOf(" ") + 1).startsWith(target));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await Promise.all(this.#work);
  }

  #start(work: Promise<void>): void {
    const ended = work.catch((error) => {
      if (!isDisconnection(error)) throw error;
    });
    this.#work.add(ended);
    ended.finally(() => this.#work.delete(ended));
  }

  async #accept(): Promise<void> {
    for (;;) this.#start(this.#serve(await this.#listener.accept()));
  }

  async #serve(client: Deno.TlsConn): Promise<void> {
    this.#connections.add(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#server });
    this.#connections.add(server);
    const index = this.received.push("") - 1;
    const remember = (bytes: Uint8Array) => {
      const known = this.received[index] ?? "";
      const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
      this.received[index] = (known + text).slice(0, MAX_REMEMBERED_BYTES);
    };
    try {
      await Promise.race([pass(client, server, remember), pass(server, client, () => {})]);
    } finally {
      for (const connection of [client, server]) {
        this.#connections.delete(connection);
        close(connection);
      }
    }
  }
}

async function pass(from: Deno.Conn, to: Deno.Conn, see: (bytes: Uint8Array) => void) {
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) return;
    see(buffer.subarray(0, count));
    for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    // It has been closed already.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** One side has gone, or the front has. */
function isDisconnection(error: unknown): boolean {
  return [
    Deno.errors.BadResource,
    Deno.errors.BrokenPipe,
    Deno.errors.ConnectionReset,
    Deno.errors.ConnectionAborted,
    Deno.errors.Interrupted,
    Deno.errors.UnexpectedEof,
    Deno.errors.InvalidData,
  ].some((kind) => error instanceof kind);
}
