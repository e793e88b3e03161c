import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createConnection } from "node:net";
import { connect } from "node:tls";
import { createAuthority } from "../tests/fakes/authority.ts";
import { eventually, within } from "../tests/support/eventually.ts";
import { createLogger } from "../lib/log/log.ts";
import { NO_METRICS } from "../lib/log/metrics.ts";
import { Connections, type ConnectionsOptions } from "./connections.ts";
import { type Handler, NativeServer } from "./native_server.ts";
import { type KeyPair, NodeServer, type TlsVersion } from "./node_server.ts";

const authority = await createAuthority();
const keyPair = await authority.issue();
const log = createLogger("silent");

type Server = NativeServer | NodeServer;

interface StartOptions {
  readonly minVersion: TlsVersion;
  readonly connections: Connections;
  readonly onError: (error: unknown) => Response;
}

/** A kind of server. */
interface Kind {
  readonly name: string;
  readonly scheme: "http" | "https";
  start(handler: Handler, options: StartOptions): Server | Promise<Server>;
}

const ADDRESS = { hostname: "127.0.0.1", port: 0 };

const NATIVE: Kind = {
  name: "NativeServer",
  scheme: "http",
  start: (handler, { connections, onError }) =>
    new NativeServer({ ...ADDRESS, reusePort: false, connections, onError }, handler),
};
const NODE: Kind = {
  name: "NodeServer",
  scheme: "http",
  start: (handler, { connections, onError }) =>
    NodeServer.listen({ ...ADDRESS, tls: null, connections, onError, log }, handler),
};
const SECURE: Kind = {
  name: "NodeServer with TLS",
  scheme: "https",
  start: (handler, { minVersion, connections, onError }) =>
    NodeServer.listen(
      { ...ADDRESS, tls: { keyPair, minVersion }, connections, onError, log },
      handler,
    ),
};
const KINDS = [NATIVE, NODE, SECURE];

interface Served extends AsyncDisposable {
  readonly server: Server;
  readonly connections: Connections;
  readonly url: string;
  readonly errors: unknown[];
  /** Over a connection of its own. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

interface ServeOptions extends Pick<ConnectionsOptions, "requestTimeoutMs" | "idleTimeoutMs"> {
  readonly minVersion?: TlsVersion;
  readonly max?: number;
}

async function serve(kind: Kind, handler: Handler, options: ServeOptions = {}): Promise<Served> {
  const { minVersion = "TLS1.2", max = 100, ...timeouts } = options;
  const errors: unknown[] = [];
  const connections = new Connections({ max, log, metrics: NO_METRICS, ...timeouts });
  const server = await kind.start(handler, {
    minVersion,
    connections,
    onError: (error) => {
      errors.push(error);
      return new Response("oh\n", { status: 500 });
    },
  });
  const url = `${kind.scheme}://127.0.0.1:${server.addr.port}`;
  const clients: Deno.HttpClient[] = [];
  return {
    server,
    connections,
    url,
    errors,
    fetch(path, init) {
      const client = Deno.createHttpClient({ caCerts: [authority.certificate] });
      clients.push(client);
      return fetch(url + path, { ...init, client });
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await server.shutdown();
      connections[Symbol.dispose]();
    },
  };
}

for (const kind of KINDS) {
  Deno.test(`${kind.name} hands requests on`, async () => {
    await using served = await serve(kind, async (request, { remoteAddr }) => {
      const { method, url, headers } = request;
      const said = { method, url, body: await request.text(), a: headers.get("X-A") };
      assert.ok(remoteAddr !== undefined && "hostname" in remoteAddr);
      assert.equal(remoteAddr.hostname, "127.0.0.1");
      assert.equal(headers.get("Host"), new URL(served.url).host);
      return Response.json(said, { status: 201, headers: [["X-B", "1"], ["X-B", "2"]] });
    });
    const response = await served.fetch("/m/%21a@v1?x=%20", {
      method: "POST",
      headers: { "X-A": "a, b" },
      body: "the body",
    });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("X-B"), "1, 2");
    assert.deepEqual(await response.json(), {
      method: "POST",
      url: `${served.url}/m/%21a@v1?x=%20`,
      body: "the body",
      a: "a, b",
    });
  });

  Deno.test(`${kind.name} answers HEAD and streams`, async () => {
    const chunk = new Uint8Array(1 << 16).fill(7);
    let pulls = 0;
    const headers = { "Content-Length": String(64 * chunk.length) };
    await using served = await serve(kind, ({ method }) => {
      if (method === "HEAD") return new Response(null, { headers });
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull(controller) {
          if (pulls++ === 64) controller.close();
          else controller.enqueue(chunk);
        },
      }, { highWaterMark: 0 });
      return new Response(body, { headers });
    });
    const head = await served.fetch("/", { method: "HEAD" });
    assert.equal(head.headers.get("Content-Length"), headers["Content-Length"]);
    assert.equal((await head.bytes()).length, 0);
    const response = await served.fetch("/");
    assert.equal((await response.bytes()).length, 64 * chunk.length);
  });

  Deno.test(`${kind.name} ends the body of a client that hangs up`, async () => {
    const cancelled = Promise.withResolvers<void>();
    const told = Promise.withResolvers<string>();
    await using served = await serve(kind, ({ signal }, { completed }) => {
      completed?.then(
        () => told.resolve("completed"),
        () => told.resolve(signal.aborted ? "cut" : "cut, and the signal is silent"),
      );
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)),
        cancel: () => cancelled.resolve(),
      });
      return new Response(body);
    });
    const response = await served.fetch("/");
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await cancelled.promise;
    // KNOWN LIMIT: the runtime says that such an answer was sent. `Deno.serve` does, too.
    assert.equal(await told.promise, kind === NATIVE ? "completed" : "cut");
  });

  Deno.test(`${kind.name} cuts a body that breaks off`, async () => {
    await using served = await serve(kind, () => {
      let isFirst = true;
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull(controller) {
          if (!isFirst) throw new Error("the store is gone");
          isFirst = false;
          controller.enqueue(new Uint8Array(10));
        },
      });
      return new Response(body);
    });
    await assert.rejects(async () => await (await served.fetch("/")).bytes());
  });

  Deno.test(`${kind.name} finishes what is in flight`, async () => {
    const arrived = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const served = await serve(kind, async () => {
      arrived.resolve();
      await release.promise;
      return new Response("late");
    });
    const answer = served.fetch("/");
    await arrived.promise;
    const down = served[Symbol.asyncDispose]();
    release.resolve();
    assert.equal(await (await answer).text(), "late");
    await down;
    await assert.rejects(served.fetch("/"));
  });
}

for (const kind of KINDS) {
  Deno.test(`${kind.name} answers many requests on one connection`, async () => {
    const large = new Uint8Array(3_000_000).fill(7);
    await using served = await serve(kind, async (request) => {
      if (request.method === "POST") return new Response(await request.bytes());
      return new Response(request.url.endsWith("/large") ? large : "ok");
    });
    using client = Deno.createHttpClient({
      caCerts: [authority.certificate],
      poolMaxIdlePerHost: 1,
      http2: false,
    });
    const ask = async (path: string, init: RequestInit = {}) => {
      const signal = AbortSignal.timeout(10_000);
      const response = await fetch(served.url + path, { ...init, client, signal });
      return await response.bytes();
    };
    for (let i = 0; i < 5; i++) {
      assert.equal(new TextDecoder().decode(await ask("/")), "ok");
      assert.deepEqual(await ask("/large"), large);
      assert.equal((await ask("/", { method: "POST", body: large })).length, large.length);
      assert.equal((await ask("/", { method: "HEAD" })).length, 0);
    }
    assert.equal(served.connections.size, 1);
  });

  Deno.test(`${kind.name} ends although an idle client stays`, async () => {
    await using served = await serve(kind, () => new Response("ok"));
    using client = Deno.createHttpClient({ caCerts: [authority.certificate] });
    assert.equal(await (await fetch(served.url, { client })).text(), "ok");
    await served.server.shutdown();
  });
}

for (const kind of KINDS) {
  Deno.test(`${kind.name} answers what a handler throws as onError says`, async () => {
    await using served = await serve(kind, () => {
      throw new Error("a bug");
    });
    const response = await served.fetch("/");
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "oh\n");
    assert.match(String(served.errors[0]), /a bug/);
  });

  Deno.test(`${kind.name} leaves the path of a URL as it was written`, async () => {
    await using served = await serve(kind, ({ url }) => new Response(url));
    const { port } = served.server.addr;
    const conn = kind === SECURE
      ? await Deno.connectTls({ ...ADDRESS, port, caCerts: [authority.certificate] })
      : await Deno.connect({ ...ADDRESS, port });
    await conn.write(
      new TextEncoder().encode(
        "GET /a/../%2e%2e/b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
      ),
    );
    const answer = await new Response(conn.readable).text();
    assert.ok(answer.includes(`${kind.scheme}://h/a/../%2e%2e/b`), answer);
  });
}

Deno.test("NodeServer has a new certificate for new connections, and speaks HTTP/1.1 alone", async () => {
  await using served = await serve(SECURE, () => new Response("ok"));
  const protocol = "http/1.1";
  assert.deepEqual(await peer(served), { protocol, fingerprint: fingerprintOf(keyPair) });
  const next = await authority.issue();
  setKeyPair(served, next);
  assert.deepEqual(await peer(served), { protocol, fingerprint: fingerprintOf(next) });
});

Deno.test("NodeServer keeps connections open when the certificate changes", async () => {
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  await using served = await serve(SECURE, async ({ url }) => {
    if (url.endsWith("/held")) {
      arrived.resolve();
      await released.promise;
    }
    return new Response("ok");
  });
  const client = Deno.createHttpClient({ caCerts: [authority.certificate] });
  try {
    const answer = fetch(`${served.url}/held`, { client });
    await arrived.promise;
    setKeyPair(served, await authority.issue());
    released.resolve();
    assert.equal(await (await answer).text(), "ok");
    assert.equal(await (await fetch(served.url, { client })).text(), "ok");
  } finally {
    client.close();
  }
});

function setKeyPair({ server }: Served, next: KeyPair): void {
  assert.ok(server instanceof NodeServer);
  server.setKeyPair(next);
}

for (const kind of KINDS) {
  Deno.test(`${kind.name} closes an idle connection, and none that is busy`, async () => {
    const arrived = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    await using served = await serve(kind, async ({ url }) => {
      if (url.endsWith("/held")) {
        arrived.resolve();
        await released.promise;
      }
      return new Response("ok");
    }, { idleTimeoutMs: 0 });
    const held = served.fetch("/held");
    await arrived.promise;
    assert.equal(await (await served.fetch("/")).text(), "ok");
    while (served.connections.size > 1) await nextTurn(() => served.connections.sweep());
    released.resolve();
    assert.equal(await (await held).text(), "ok");
    while (served.connections.size > 0) await nextTurn(() => served.connections.sweep());
  });
}

for (const kind of KINDS) {
  Deno.test(`${kind.name} closes a connection on which no request comes`, async () => {
    await using served = await serve(kind, () => new Response("ok"), { requestTimeoutMs: 0 });
    for (const opening of ["", "\x16\x03\x01\x02"]) {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: served.server.addr.port });
      await conn.write(new TextEncoder().encode(opening));
      let isOpen = true;
      const ended = conn.read(new Uint8Array(1)).catch(() => null).then(() => isOpen = false);
      while (isOpen) await nextTurn(() => served.connections.sweep());
      assert.equal(await ended, false);
    }
  });

  Deno.test(`${kind.name} makes room for new connections, and waits or refuses where all are busy`, async () => {
    const released = Promise.withResolvers<void>();
    let arrived = 0;
    await using served = await serve(kind, async ({ url }) => {
      arrived++;
      if (url.endsWith("/held")) await released.promise;
      return new Response("ok");
    }, { max: 2 });
    const { port } = served.server.addr;
    using silent = await Deno.connect({ hostname: "127.0.0.1", port });
    const held = [served.fetch("/held"), served.fetch("/held")];
    assert.equal(await silent.read(new Uint8Array(1)).catch(() => null), null);
    while (arrived < 2) await nextTurn();
    const third = served.fetch("/").then((response) => response.text());
    if (kind !== NATIVE) await assert.rejects(third);
    released.resolve();
    for (const answer of held) assert.equal(await (await answer).text(), "ok");
    if (kind === NATIVE) assert.equal(await third, "ok");
    assert.ok(served.connections.size <= 2);
  });
}

for (const kind of KINDS) {
  Deno.test(`${kind.name} ends a connection whose request is answered before its body has come`, async () => {
    await using served = await serve(kind, async ({ body }) => {
      const reader = body?.getReader();
      await reader?.read();
      // It must not wait for the client.
      await reader?.cancel();
      return new Response("enough", { status: 400 });
    }, { requestTimeoutMs: 0 });
    const { port } = served.server.addr;
    const socket = kind.scheme === "https"
      ? connect({ host: "127.0.0.1", port, ca: authority.certificate })
      : createConnection({ host: "127.0.0.1", port });
    // The end of a connection may be a reset.
    socket.on("error", () => {});
    socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{");
    try {
      const { promise: answered, resolve } = Promise.withResolvers<string>();
      socket.once("data", (bytes) => resolve(String(bytes)));
      assert.match(await within("an answer", answered), /^HTTP\/1.1 400 /);
      await eventually("no connection", () => {
        served.connections.sweep();
        return served.connections.size === 0;
      });
    } finally {
      socket.destroy();
    }
  });

  Deno.test(`${kind.name} answers on after a body that its handler did not read`, async () => {
    await using served = await serve(kind, () => new Response("ok"));
    const client = Deno.createHttpClient({ caCerts: [authority.certificate] });
    try {
      for (let i = 0; i < 3; i++) {
        const body = new Uint8Array(300_000);
        const answer = await fetch(served.url, { client, method: "POST", body });
        assert.equal(await answer.text(), "ok");
      }
    } finally {
      client.close();
    }
  });
}

/** Lets what has happened be seen, after another look. */
function nextTurn(look: () => void = () => {}): Promise<void> {
  look();
  return new Promise((resolve) => setTimeout(resolve));
}

const HELLOS: { offer: number; min: TlsVersion; want: "alert" | "handshake" }[] = [
  { offer: 0x0301, min: "TLS1.2", want: "alert" },
  { offer: 0x0302, min: "TLS1.2", want: "alert" },
  { offer: 0x0303, min: "TLS1.2", want: "handshake" },
  { offer: 0x0303, min: "TLS1.3", want: "alert" },
];

for (const { offer, min, want } of HELLOS) {
  Deno.test(`NodeServer from ${min} on answers 0x${offer.toString(16)} with ${want}`, async () => {
    await using served = await serve(SECURE, () => new Response("ok"), { minVersion: min });
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: served.server.addr.port });
    await conn.write(clientHello(offer));
    const record = new Uint8Array(1);
    await conn.read(record);
    assert.equal({ 21: "alert", 22: "handshake" }[record[0] ?? 0], want);
  });
}

/** A ClientHello up to TLS 1.2 (RFC 5246, 7.4.1.2), in a record of its own. */
function clientHello(version: number): Uint8Array<ArrayBuffer> {
  const u16 = (n: number) => [n >> 8, n & 255];
  const list = (bytes: readonly number[]) => [...u16(bytes.length), ...bytes];
  const suites = [0xc02f, 0xc030, 0xc013, 0xc014].flatMap(u16);
  const extensions = [
    ...u16(10), // supported_groups: x25519, secp256r1
    ...list(list([0x001d, 0x0017].flatMap(u16))),
    ...u16(11), // ec_point_formats: uncompressed
    ...list([1, 0]),
    ...u16(13), // signature_algorithms: rsa_pss_rsae_sha256, rsa_pkcs1_sha256, rsa_pkcs1_sha1
    ...list(list([0x0804, 0x0401, 0x0201].flatMap(u16))),
  ];
  const body = [
    ...u16(version),
    ...Array<number>(32).fill(1), // random
    0, // no session
    ...list(suites),
    1, // one compression method: none
    0,
    ...list(extensions),
  ];
  return new Uint8Array([22, 3, 1, ...list([1, 0, ...list(body)])]);
}

/** What a new connection is offered. */
function peer({ server }: Served): Promise<{ protocol: string; fingerprint: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: "127.0.0.1",
      port: server.addr.port,
      ca: authority.certificate,
      ALPNProtocols: ["h2", "http/1.1"],
    }, () => {
      const { fingerprint256: fingerprint } = socket.getPeerCertificate();
      const protocol = socket.alpnProtocol || "none";
      socket.destroy();
      resolve({ protocol, fingerprint });
    });
    socket.on("error", reject);
  });
}

function fingerprintOf({ certificate }: KeyPair): string {
  return new X509Certificate(certificate).fingerprint256;
}
