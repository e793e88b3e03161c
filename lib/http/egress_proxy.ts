/**
 * Connects `fetch` to checked addresses. The runtime's `fetch` looks names up itself and cannot be
 * given an address, but it can use a SOCKS5 proxy that looks them up. This is such a proxy, in this
 * process and only for it: it receives a host name, has it looked up and checked
 * (egress_routes.ts), and connects to the checked addresses. TLS passes through unchanged.
 *
 * Every connection goes through the proxy, so no redirect and no second lookup bypasses the check.
 *
 * SOCKS5 is RFC 1928, its user and password RFC 1929. The proxy starts with the first connection
 * and listens on loopback, on a port that the system chooses; other users of the machine do not
 * know the password.
 *
 * ```text
 * client: 05 01 02                               proxy: 05 02
 * client: 01 06 "egress" 20 <password>           proxy: 01 00
 * client: 05 01 00 03 0b "example.com" 01 bb     proxy: 05 00 00 01 00 00 00 00 00 00
 * ```
 */
import { timingSafeEqual } from "node:crypto";
import { withDeadline } from "../async/deadline.ts";
import { UpstreamError } from "../errors.ts";
import { type Destination, EgressError } from "./egress.ts";
import type { EgressRoutes } from "./egress_routes.ts";

/** What `Deno.createHttpClient` is given. */
export interface SocksAddress {
  readonly transport: "socks5";
  readonly url: string;
  readonly basicAuth: { readonly username: string; readonly password: string };
}

/** Concurrent connections, with two buffers each. Further ones are closed. */
const MAX_TUNNELS = 1024;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 20_000;
/** How long an attempt may take before the next address is tried in parallel (RFC 8305). */
const ATTEMPT_DELAY_MS = 250;
const BUFFER_BYTES = 32 * 1024;

const USERNAME = "egress";
const VERSION = 5;
const BY_PASSWORD = 2;
const CONNECT = 1;
/** Kinds of addresses. */
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
/** Answers. */
const SUCCEEDED = 0;
const FAILED = 1;
const NOT_ALLOWED = 2;
const UNREACHABLE = 4;
const REFUSED = 5;

export class EgressProxy implements Disposable {
  readonly #routes: EgressRoutes;
  readonly #password = crypto.getRandomValues(new Uint8Array(16)).toHex();
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  #tunnels = 0;

  constructor(routes: EgressRoutes) {
    this.#routes = routes;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    // The listener must not keep the process alive.
    this.#listener.unref();
    void this.#accept();
  }

  get address(): SocksAddress {
    return {
      transport: "socks5",
      // `socks5h`: the proxy looks names up.
      url: `socks5h://127.0.0.1:${this.#listener.addr.port}`,
      basicAuth: { username: USERNAME, password: this.#password },
    };
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let client: Deno.TcpConn;
      try {
        client = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        // No file descriptor is free, or the client has gone: the next attempt may succeed.
        await new Promise((resolve) => setTimeout(resolve, ATTEMPT_DELAY_MS));
        continue;
      }
      if (this.#tunnels < MAX_TUNNELS) void this.#serve(client);
      else close(client);
    }
  }

  /** Never rejects. */
  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#tunnels++;
    this.#connections.add(client);
    let remote: Deno.TcpConn | null = null;
    try {
      const destination = await withDeadline(() => this.#greet(client), {
        timeoutMs: HANDSHAKE_TIMEOUT_MS,
        what: "greet a client",
      });
      if (destination === null) return;
      remote = await this.#connect(client, destination);
      if (remote === null) return;
      this.#connections.add(remote);
      client.setNoDelay();
      remote.setNoDelay();
      await tunnel(client, remote);
    } catch {
      // Either end broke off, which the other one notices when both are closed.
    } finally {
      for (const connection of [client, remote]) {
        if (connection === null) continue;
        close(connection);
        this.#connections.delete(connection);
      }
      this.#tunnels--;
    }
  }

  /** The destination that the client requests; null for a client that is not ours. */
  async #greet(client: Deno.TcpConn): Promise<Destination | null> {
    const [version, methods = 0] = await readExactly(client, 2);
    const offered = await readExactly(client, methods);
    if (version !== VERSION || !offered.includes(BY_PASSWORD)) return null;
    await writeAll(client, [VERSION, BY_PASSWORD]);
    const [, userLength = 0] = await readExactly(client, 2);
    await readExactly(client, userLength);
    const [passwordLength = 0] = await readExactly(client, 1);
    const password = await readExactly(client, passwordLength);
    const expected = new TextEncoder().encode(this.#password);
    if (password.length !== expected.length || !timingSafeEqual(password, expected)) {
      await writeAll(client, [1, FAILED]);
      return null;
    }
    await writeAll(client, [1, SUCCEEDED]);
    const [, command, , kind] = await readExactly(client, 4);
    const hostname = await readHostname(client, kind);
    const [high = 0, low = 0] = await readExactly(client, 2);
    if (command !== CONNECT || hostname === null) return null;
    return { hostname, port: high * 256 + low };
  }

  /** The connection that was reported to the client; null if a failure was reported. */
  async #connect(client: Deno.TcpConn, destination: Destination): Promise<Deno.TcpConn | null> {
    try {
      const addresses = await this.#routes.addressesOf(destination);
      const remote = await dial(addresses, destination.port);
      await answer(client, SUCCEEDED);
      return remote;
    } catch (error) {
      await answer(client, answerFor(error));
      return null;
    }
  }
}

function answerFor(error: unknown): number {
  if (error instanceof EgressError) return NOT_ALLOWED;
  if (error instanceof Deno.errors.ConnectionRefused) return REFUSED;
  const isUnreachable = error instanceof UpstreamError ||
    error instanceof Deno.errors.NetworkUnreachable || error instanceof Deno.errors.TimedOut;
  return isUnreachable ? UNREACHABLE : FAILED;
}

function answer(client: Deno.TcpConn, reply: number): Promise<void> {
  return writeAll(client, [VERSION, reply, 0, IPV4, 0, 0, 0, 0, 0, 0]);
}

async function readHostname(
  client: Deno.TcpConn,
  kind: number | undefined,
): Promise<string | null> {
  switch (kind) {
    case NAME: {
      const [length = 0] = await readExactly(client, 1);
      return new TextDecoder().decode(await readExactly(client, length));
    }
    case IPV4:
      return (await readExactly(client, 4)).join(".");
    case IPV6: {
      const bytes = await readExactly(client, 16);
      return bytes.toHex().replace(/.{4}(?=.)/g, "$&:");
    }
    default:
      return null;
  }
}

/**
 * Connects to the first address that answers: each has a head start of {@linkcode ATTEMPT_DELAY_MS}
 * before the next one is tried, too.
 *
 * @throws the error of the last attempt
 */
export async function dial(addresses: readonly string[], port: number): Promise<Deno.TcpConn> {
  const ended = new AbortController();
  const attempts: Promise<Deno.TcpConn>[] = [];
  const timer = setTimeout(
    () => ended.abort(new Deno.errors.TimedOut("no address answered in time")),
    CONNECT_TIMEOUT_MS,
  );
  try {
    for (const hostname of addresses) {
      const attempt = Deno.connect({ hostname, port, signal: ended.signal });
      attempts.push(attempt);
      // It takes part in a race, and may be the last one to fail.
      attempt.catch(() => {});
      const first = await firstOf(attempts, ATTEMPT_DELAY_MS);
      if (first !== null) return keep(first, attempts);
    }
    return keep(await Promise.any(attempts), attempts);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors.at(-1) : error;
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

/** The first attempt that succeeds; null when all of them have failed, or after a while. */
async function firstOf(
  attempts: readonly Promise<Deno.TcpConn>[],
  timeoutMs: number,
): Promise<Deno.TcpConn | null> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), timeoutMs);
  try {
    return await Promise.race([Promise.any(attempts).catch(() => null), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Closes all other connections, now or when they open. */
function keep(
  winner: Deno.TcpConn,
  attempts: readonly Promise<Deno.TcpConn>[],
): Deno.TcpConn {
  for (const attempt of attempts) {
    attempt.then((connection) => connection === winner || close(connection), () => {});
  }
  return winner;
}

/** Forwards bytes in both directions until the client has closed its end. */
async function tunnel(client: Deno.TcpConn, remote: Deno.TcpConn): Promise<void> {
  // The client must receive the remote's last bytes before it closes the connection. A client that
  // has closed it does not need further ones.
  const back = pass(remote, client).then(() => client.closeWrite());
  // If it breaks first, the client is closed too, which ends the other direction.
  back.catch(() => close(client));
  await pass(client, remote);
}

async function pass(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  for (let size; (size = await from.read(buffer)) !== null;) {
    await writeAll(to, buffer.subarray(0, size));
  }
}

/** @throws {Deno.errors.UnexpectedEof} when the other side closes before */
async function readExactly(connection: Deno.TcpConn, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes);
  for (let done = 0; done < sizeBytes;) {
    const size = await connection.read(bytes.subarray(done));
    if (size === null) throw new Deno.errors.UnexpectedEof("the client has gone");
    done += size;
  }
  return bytes;
}

async function writeAll(
  connection: Deno.TcpConn,
  bytes: readonly number[] | Uint8Array,
): Promise<void> {
  for (let rest = bytes instanceof Uint8Array ? bytes : Uint8Array.from(bytes); rest.length > 0;) {
    rest = rest.subarray(await connection.write(rest));
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch (error) {
    // It is closed already.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
