/**
 * Light clients of a module proxy, in a process of their own: each asks for the same files in the
 * same order over a few connections that it keeps, and takes a while between an answer and its next
 * request, as the `go` command does. Fifty `go` commands would take all of the machine from the
 * server that is measured; fifty of these take a third of a core.
 *
 * Reads a {@linkcode Replay} from standard input and writes how many milliseconds each client took
 * as a JSON array to standard output. Ends with status 1 when an answer is no success.
 *
 * Limits: HTTP/1.1 to an IPv4 address; answers have a Content-Length or are chunked, without
 * trailers.
 */
import type { Replay } from "./replay.ts";

const { url, paths, clients, connections, thinkMs }: Replay = JSON.parse(
  await new Response(Deno.stdin.readable).text(),
);
const LATIN1 = new TextDecoder("latin1");
const { hostname, port } = new URL(url);

async function runClient(): Promise<number> {
  const startMs = performance.now();
  const queue = paths.values();
  await Promise.all(Array.from({ length: connections }, async () => {
    using connection = await Connection.open();
    // An iterator that several connections take from.
    for (const path of queue) {
      await connection.get(path);
      if (thinkMs > 0) await new Promise((resolve) => setTimeout(resolve, thinkMs));
    }
  }));
  return performance.now() - startMs;
}

class Connection implements Disposable {
  readonly #socket: Deno.TcpConn;
  readonly #buffer = new Uint8Array(65_536);
  /** What has been read and not used. */
  #rest = new Uint8Array();

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async open(): Promise<Connection> {
    const socket = await Deno.connect({ hostname, port: Number(port) });
    socket.setNoDelay();
    return new Connection(socket);
  }

  /** Reads the answer to its end. */
  async get(path: string): Promise<void> {
    const request = `GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
      "User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n";
    const bytes = new TextEncoder().encode(request);
    for (let done = 0; done < bytes.length;) {
      done += await this.#socket.write(bytes.subarray(done));
    }
    const head = await this.#readUntil("\r\n\r\n");
    if (!/^HTTP\/1\.1 200 /.test(head)) throw new Error(`${path}: ${head}`);
    const length = /^content-length: *(\d+)\r$/im.exec(head)?.[1];
    if (length !== undefined) return await this.#skip(Number(length));
    if (!/^transfer-encoding: *chunked\r$/im.test(head)) throw new Error(`${path}: ${head}`);
    for (let size = Infinity; size > 0;) {
      size = parseInt(await this.#readUntil("\r\n"), 16);
      await this.#skip(size + "\r\n".length);
    }
  }

  /** Including the end. */
  async #readUntil(end: string): Promise<string> {
    while (true) {
      const text = LATIN1.decode(this.#rest);
      const at = text.indexOf(end);
      if (at >= 0) {
        this.#rest = this.#rest.subarray(at + end.length);
        return text.slice(0, at + end.length);
      }
      const read = await this.#read();
      const both = new Uint8Array(this.#rest.length + read.length);
      both.set(this.#rest);
      both.set(read, this.#rest.length);
      this.#rest = both;
    }
  }

  async #skip(sizeBytes: number): Promise<void> {
    let left = sizeBytes - this.#rest.length;
    if (left <= 0) {
      this.#rest = this.#rest.subarray(sizeBytes);
      return;
    }
    while (left > 0) {
      const read = await this.#read();
      this.#rest = read.slice(Math.min(left, read.length));
      left -= read.length;
    }
  }

  /** Valid until the next call. */
  async #read(): Promise<Uint8Array<ArrayBuffer>> {
    const count = await this.#socket.read(this.#buffer);
    if (count === null) throw new Error("The server has closed the connection");
    return this.#buffer.subarray(0, count);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

// At the end, where the class is defined.
const times = await Promise.all(Array.from({ length: clients }, () => runClient()));
console.log(JSON.stringify(times));
