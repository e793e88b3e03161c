/**
 * A proxy on 127.0.0.1 in front of an HTTP server, which drops, cuts or delays what a test selects.
 * Unlike a fake `fetch`, it breaks real connections; unlike with a fake server, a request that it
 * passes on has taken effect.
 *
 * It serves one request for each connection (it says `Connection: close` both ways), so that a
 * broken connection is one broken request.
 *
 * Limits: HTTP/1.1; request bodies have a Content-Length; a request that is disturbed, and the
 * answer to it, are held in memory.
 */

export type NetworkFault =
  /** The connection ends before the request has arrived. */
  | { readonly kind: "refuse" }
  /** The request is carried out, and the connection ends without an answer. */
  | { readonly kind: "lose" }
  /** The answer ends after so many bytes of its body. */
  | { readonly kind: "truncate"; readonly afterBytes: number }
  /** After so many bytes of its body nothing more comes of the answer, but the connection stays. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** One byte of the answer's body is changed. */
  | { readonly kind: "damage"; readonly atByte: number }
  /** The proxy answers by itself. */
  | { readonly kind: "answer"; readonly status: number }
  /** The server is asked for another path and query. */
  | { readonly kind: "redirect"; readonly target: string };

export interface ProxiedRequest {
  /** 0 for the first request of all. */
  readonly index: number;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
}

export class FaultProxy implements AsyncDisposable {
  readonly url: string;
  /** All requests so far. */
  readonly requests: ProxiedRequest[] = [];
  /** What happens to a request, which waits until that is known; by default nothing does. */
  plan: (request: ProxiedRequest) => NetworkFault | null | Promise<NetworkFault | null> = () =>
    null;
  readonly #server: URL;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #work = new Set<Promise<void>>();

  /** @param server the URL of the server, `http://127.0.0.1:<port>` */
  constructor(server: string) {
    this.#server = new URL(server);
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${this.#listener.addr.port}`;
    this.#start(this.#accept());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) this.#close(connection);
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) this.#start(this.#serve(client));
  }

  #start(work: Promise<void>): void {
    this.#work.add(work);
    work.finally(() => this.#work.delete(work));
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#connections.add(client);
    try {
      const head = await readHead(client);
      if (head !== null) await this.#handle(client, head);
    } catch (error) {
      // One side has closed its connection, or the proxy is being closed.
      if (!isDisconnection(error)) throw error;
    } finally {
      this.#close(client);
    }
  }

  async #handle(client: Deno.TcpConn, { lines, rest }: Head): Promise<void> {
    const request = this.#describe(lines);
    this.requests.push(request);
    const fault = await this.plan(request);
    if (fault?.kind === "refuse") return;
    const sizeBytes = Number(request.headers.get("Content-Length") ?? 0);
    if (fault?.kind === "answer") {
      await pass(client, null, { rest, sizeBytes });
      const answer =
        `HTTP/1.1 ${fault.status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      await writeAll(client, new TextEncoder().encode(answer));
      return;
    }
    const server = await Deno.connect({ hostname: "127.0.0.1", port: Number(this.#server.port) });
    this.#connections.add(server);
    try {
      const target = fault?.kind === "redirect" ? fault.target : request.target;
      await writeAll(
        server,
        encodeHead([`${request.method} ${target} HTTP/1.1`, ...lines.slice(1)]),
      );
      await pass(client, server, { rest, sizeBytes });
      await answer(server, client, fault);
      // Until the proxy is closed, or the client gives up.
      if (fault?.kind === "stall") await client.read(new Uint8Array(1));
    } finally {
      this.#close(server);
    }
  }

  #describe(lines: readonly string[]): ProxiedRequest {
    const [method = "", target = ""] = (lines[0] ?? "").split(" ");
    const headers = new Headers();
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    return { index: this.requests.length, method, target, headers };
  }

  #close(connection: Deno.TcpConn): void {
    if (this.#connections.delete(connection)) connection.close();
  }
}

interface Head {
  /** The request or status line, and the headers. */
  readonly lines: readonly string[];
  /** What has arrived after them. */
  readonly rest: Uint8Array<ArrayBuffer>;
}

const LATIN1 = new TextDecoder("latin1");

/** The head of a message, or null when the connection ends before it. */
async function readHead(connection: Deno.TcpConn): Promise<Head | null> {
  let bytes = new Uint8Array();
  const chunk = new Uint8Array(65_536);
  for (;;) {
    const head = split(bytes);
    if (head !== null) return head;
    const count = await connection.read(chunk);
    if (count === null) return null;
    bytes = new Uint8Array([...bytes, ...chunk.subarray(0, count)]);
  }
}

function split(message: Uint8Array<ArrayBuffer>): Head | null {
  const end = LATIN1.decode(message).indexOf("\r\n\r\n");
  if (end < 0) return null;
  return {
    lines: LATIN1.decode(message.subarray(0, end)).split("\r\n"),
    rest: message.slice(end + 4),
  };
}

function encodeHead(lines: readonly string[]): Uint8Array<ArrayBuffer> {
  const kept = lines.filter((line) => !/^connection:/i.test(line));
  return new TextEncoder().encode([...kept, "Connection: close", "", ""].join("\r\n"));
}

/** Passes a request's body on, or drops it where there is no server. */
async function pass(
  client: Deno.TcpConn,
  server: Deno.TcpConn | null,
  { rest, sizeBytes }: { rest: Uint8Array<ArrayBuffer>; sizeBytes: number },
): Promise<void> {
  const chunk = new Uint8Array(65_536);
  let bytes = rest;
  for (let left = sizeBytes; left > 0;) {
    if (bytes.length === 0) {
      const count = await client.read(chunk);
      if (count === null) throw new Deno.errors.ConnectionReset("the client has gone");
      bytes = chunk.subarray(0, count);
    }
    if (server !== null) await writeAll(server, bytes);
    left -= bytes.length;
    bytes = new Uint8Array();
  }
}

/** Passes the server's answer on, up to the end that the fault sets. */
async function answer(
  server: Deno.TcpConn,
  client: Deno.TcpConn,
  fault: NetworkFault | null,
): Promise<void> {
  const disturbs = fault !== null && fault.kind !== "redirect";
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const chunk = new Uint8Array(65_536);
    const count = await server.read(chunk);
    if (count === null) break;
    if (disturbs) chunks.push(chunk.subarray(0, count));
    else await writeAll(client, chunk.subarray(0, count));
  }
  if (!disturbs || fault.kind === "lose") return;
  const { lines, rest } = split(await new Blob(chunks).bytes()) ??
    { lines: [], rest: new Uint8Array() };
  await writeAll(client, encodeHead(lines));
  if (fault.kind === "damage") rest[fault.atByte] = (rest[fault.atByte] ?? 0) ^ 1;
  const isCut = fault.kind === "truncate" || fault.kind === "stall";
  await writeAll(client, isCut ? rest.subarray(0, fault.afterBytes) : rest);
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

function isDisconnection(error: unknown): boolean {
  return [
    Deno.errors.ConnectionReset,
    Deno.errors.BrokenPipe,
    Deno.errors.BadResource,
    Deno.errors.Interrupted,
    Deno.errors.ConnectionRefused,
  ].some((kind) => error instanceof kind);
}
