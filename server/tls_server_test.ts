import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { createAuthority } from "../tests/fakes/authority.ts";
import { type KeyPair, type TlsHandler, TlsServer, type TlsVersion } from "./tls_server.ts";
import { within } from "../tests/support/eventually.ts";

const authority = await createAuthority();
const keyPair = await authority.issue();

interface Served extends AsyncDisposable {
  readonly server: TlsServer;
  readonly url: string;
  readonly errors: unknown[];
  /** With the authority's certificate; `http2: false` for HTTP/1.1. */
  fetch(path: string, init?: RequestInit & { http2?: boolean }): Promise<Response>;
}

async function serve(handler: TlsHandler, minVersion: TlsVersion = "TLS1.2"): Promise<Served> {
  const errors: unknown[] = [];
  const server = await TlsServer.listen({
    hostname: "127.0.0.1",
    port: 0,
    keyPair,
    minVersion,
    onError: (error) => {
      errors.push(error);
      return new Response("oh\n", { status: 500 });
    },
  }, handler);
  const url = `https://127.0.0.1:${server.addr.port}`;
  const clients: Deno.HttpClient[] = [];
  return {
    server,
    url,
    errors,
    fetch(path, { http2 = true, ...init } = {}) {
      const client = Deno.createHttpClient({ caCerts: [authority.certificate], http2 });
      clients.push(client);
      return fetch(url + path, { ...init, client });
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await server.shutdown();
    },
  };
}

for (const http2 of [true, false]) {
  const name = http2 ? "HTTP/2" : "HTTP/1.1";

  Deno.test(`TlsServer hands requests on over ${name}`, async () => {
    await using served = await serve(async (request, { remoteAddr }) => {
      const { method, url, headers } = request;
      const said = { method, url, body: await request.text(), a: headers.get("X-A") };
      assert.equal(remoteAddr.hostname, "127.0.0.1");
      assert.equal(headers.get("Host"), new URL(served.url).host);
      return Response.json(said, { status: 201, headers: [["X-B", "1"], ["X-B", "2"]] });
    });
    const response = await served.fetch("/m/%21a@v1?x=%20", {
      http2,
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

  Deno.test(`TlsServer answers HEAD and streams over ${name}`, async () => {
    const chunk = new Uint8Array(1 << 16).fill(7);
    let pulls = 0;
    const headers = { "Content-Length": String(64 * chunk.length) };
    await using served = await serve(({ method }) => {
      if (method === "HEAD") return new Response(null, { headers });
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull(controller) {
          if (pulls++ === 64) controller.close();
          else controller.enqueue(chunk);
        },
      }, { highWaterMark: 0 });
      return new Response(body, { headers });
    });
    const head = await served.fetch("/", { http2, method: "HEAD" });
    assert.equal(head.headers.get("Content-Length"), headers["Content-Length"]);
    assert.equal((await head.bytes()).length, 0);
    const response = await served.fetch("/", { http2 });
    assert.equal((await response.bytes()).length, 64 * chunk.length);
  });

  Deno.test(`TlsServer ends the body of a client that hangs up over ${name}`, async () => {
    const cancelled = Promise.withResolvers<void>();
    const told = Promise.withResolvers<string>();
    await using served = await serve(({ signal }, { completed }) => {
      completed.then(
        () => told.resolve("completed"),
        () => told.resolve(signal.aborted ? "cut" : "cut, and the signal is silent"),
      );
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)),
        cancel: () => cancelled.resolve(),
      });
      return new Response(body);
    });
    const response = await served.fetch("/", { http2 });
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await within("the body to be cancelled", cancelled.promise);
    assert.equal(await within("the end of the response", told.promise), "cut");
  });

  Deno.test(`TlsServer cuts a body that breaks off over ${name}`, async () => {
    await using served = await serve(() => {
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
    await assert.rejects(async () => await (await served.fetch("/", { http2 })).bytes());
  });

  Deno.test(`TlsServer finishes what is in flight over ${name}`, async () => {
    const arrived = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const served = await serve(async () => {
      arrived.resolve();
      await release.promise;
      return new Response("late");
    });
    const answer = served.fetch("/", { http2 });
    await within("the request to arrive", arrived.promise);
    const down = served[Symbol.asyncDispose]();
    release.resolve();
    assert.equal(await (await answer).text(), "late");
    await down;
    await assert.rejects(served.fetch("/", { http2 }));
  });
}

for (const protocol of ["h2", "http/1.1"]) {
  Deno.test(`TlsServer ends although an idle client stays, with ${protocol}`, async () => {
    await using served = await serve(() => new Response("ok"));
    const http2 = protocol === "h2";
    using client = Deno.createHttpClient({ caCerts: [authority.certificate], http2 });
    assert.equal(await (await fetch(served.url, { client })).text(), "ok");
    await served.server.shutdown();
  });
}

Deno.test("TlsServer answers what a handler throws as onError says", async () => {
  await using served = await serve(() => {
    throw new Error("a bug");
  });
  const response = await served.fetch("/");
  assert.equal(response.status, 500);
  assert.equal(await response.text(), "oh\n");
  assert.match(String(served.errors[0]), /a bug/);
});

Deno.test("TlsServer leaves the path of a URL as it was written", async () => {
  await using served = await serve(({ url }) => new Response(url));
  const conn = await Deno.connectTls({
    hostname: "127.0.0.1",
    port: served.server.addr.port,
    caCerts: [authority.certificate],
  });
  await conn.write(
    new TextEncoder().encode("GET /a/../%2e%2e/b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
  );
  const answer = await new Response(conn.readable).text();
  assert.match(answer, /\bhttps:\/\/h\/a\/\.\.\/%2e%2e\/b\b/);
});

Deno.test("TlsServer speaks HTTP/2 by ALPN, with a new certificate for new connections", async () => {
  await using served = await serve(() => new Response("ok"));
  assert.deepEqual(await peer(served), { protocol: "h2", fingerprint: fingerprintOf(keyPair) });
  const next = await authority.issue();
  served.server.setKeyPair(next);
  assert.deepEqual(await peer(served), { protocol: "h2", fingerprint: fingerprintOf(next) });
});

Deno.test("TlsServer keeps connections open when the certificate changes", async () => {
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  await using served = await serve(async ({ url }) => {
    if (url.endsWith("/held")) {
      arrived.resolve();
      await released.promise;
    }
    return new Response("ok");
  });
  const client = Deno.createHttpClient({ caCerts: [authority.certificate] });
  try {
    const answer = fetch(`${served.url}/held`, { client });
    await within("the request to arrive", arrived.promise);
    served.server.setKeyPair(await authority.issue());
    released.resolve();
    assert.equal(await (await answer).text(), "ok");
    assert.equal(await (await fetch(served.url, { client })).text(), "ok");
  } finally {
    client.close();
  }
});

const HELLOS: { offer: number; min: TlsVersion; want: "alert" | "handshake" }[] = [
  { offer: 0x0301, min: "TLS1.2", want: "alert" },
  { offer: 0x0302, min: "TLS1.2", want: "alert" },
  { offer: 0x0303, min: "TLS1.2", want: "handshake" },
  { offer: 0x0303, min: "TLS1.3", want: "alert" },
];

for (const { offer, min, want } of HELLOS) {
  Deno.test(`TlsServer from ${min} on answers 0x${offer.toString(16)} with ${want}`, async () => {
    await using served = await serve(() => new Response("ok"), min);
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

interface Peer {
  readonly protocol: string;
  readonly fingerprint: string;
}

/** What a new connection is offered. */
function peer({ server }: Served): Promise<Peer> {
  const { promise, resolve, reject } = Promise.withResolvers<Peer>();
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
  return within("the handshake", promise);
}

function fingerprintOf({ certificate }: KeyPair): string {
  return new X509Certificate(certificate).fingerprint256;
}
