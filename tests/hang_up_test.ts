/**
 * Clients that hang up: while they wait for an answer, while they send a request, while they are
 * sent a body. Nothing of the server's is at fault: no error in the log, no status of a failure,
 * with one thread, with several, and by https.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { stall } from "./fakes/behaviours.ts";
import { createAuthority } from "./fakes/authority.ts";
import { type Server, startServer } from "./worlds/server.ts";
import { startUpstream, type Upstream, type UpstreamModule } from "./fakes/upstream.ts";

const MODULE: UpstreamModule = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n", "m.go": "package m\n" },
};
/** More than the system buffers between two sockets. */
const LARGE: UpstreamModule = {
  path: "example.com/large",
  version: "v1.0.0",
  files: {
    "go.mod": "module example.com/large\n",
    "data.bin": new Uint8Array(randomBytes(32 * 1024 * 1024)),
  },
};
const CONFIG = `
clientAuth:
  enabled: true
  acl: [{ access: allow }]
  authenticators: { accessToken: { audience: "a", secret: { file: secret } } }
  identities: [{ name: dev, password: { file: secret } }]
`;
const TLS = "listen: { tls: { certificate: { file: cert.pem }, privateKey: { file: key.pem } } }";
const SECRET = "0123456789abcdef0123456789abcdef";
const AUTHORIZATION = `Authorization: Basic ${btoa(`dev:${SECRET}`)}`;
/** With two threads: each of them is asked. */
const CLIENTS = 12;

const authority = await createAuthority();

interface World extends AsyncDisposable {
  readonly server: Server;
  readonly upstream: Upstream;
  /** Sends the text over a connection of its own. */
  send(text: string): Promise<Deno.TcpConn | Deno.TlsConn>;
}

async function startWorld({ isTls, workers }: { isTls: boolean; workers: number }): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream({ modules: [MODULE, LARGE] }));
  const directory = await Deno.makeTempDir({ prefix: "hang-up-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const { certificate, privateKey } = await authority.issue();
  await Deno.writeTextFile(`${directory}/cert.pem`, certificate);
  await Deno.writeTextFile(`${directory}/key.pem`, privateKey);
  await Deno.writeTextFile(`${directory}/secret`, SECRET);
  await Deno.writeTextFile(`${directory}/config.yaml`, `${CONFIG}${isTls ? TLS : ""}\n`);
  const args = ["--workers", String(workers), "--config-file", `${directory}/config.yaml`];
  const server = stack.use(
    await startServer({
      args: [...args, "--log-level", "debug"],
      env: { GOPROXY: upstream.url },
      ...isTls ? { caCertificate: authority.certificate } : {},
    }),
  );
  if (workers > 1) await server.log(({ msg }) => msg === "all threads listen");
  const { hostname, port } = new URL(server.url);
  const address = { hostname, port: Number(port) };
  const all = stack.move();
  return {
    server,
    upstream,
    send: async (text) => {
      const conn = isTls
        ? await Deno.connectTls({ ...address, caCerts: [authority.certificate] })
        : await Deno.connect(address);
      await conn.write(new TextEncoder().encode(text));
      return conn;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function request(method: string, path: string, headers: readonly string[] = []): string {
  return [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1", ...headers, "", ""].join("\r\n");
}

for (
  const { name, isTls, workers } of [
    { name: "http", isTls: false, workers: 1 },
    { name: "http with two threads", isTls: false, workers: 2 },
    { name: "https", isTls: true, workers: 1 },
  ]
) {
  Deno.test(`${name}: a client that hangs up is no failure of the server`, async () => {
    await using world = await startWorld({ isTls, workers });
    const { server, upstream } = world;
    const held = stall();
    using _rule = upstream.misbehave(/example\.com\/m\//, held.behaviour);
    const ids: string[] = [];
    const id = (name: string) => {
      ids.push(name);
      return `X-Request-Id: ${name}`;
    };
    // While they wait for the source, for the whole of their own request, and with an answer on its
    // way.
    const waiting = Array.from(
      { length: CLIENTS },
      (_, i) =>
        world.send(request("GET", "/example.com/m/@v/v1.0.0.zip", [AUTHORIZATION, id(`zip-${i}`)])),
    );
    const listing = Array.from(
      { length: CLIENTS },
      (_, i) =>
        world.send(request("GET", "/example.com/m/@v/list", [AUTHORIZATION, id(`list-${i}`)])),
    );
    const posting = Array.from({ length: CLIENTS }, (_, i) => {
      const headers = [id(`post-${i}`), "Content-Type: application/json", "Content-Length: 100"];
      return world.send(`${request("POST", "/auth/userpassword", headers)}{"user": `);
    });
    const reading = Array.from({ length: CLIENTS }, (_, i) => {
      const headers = [AUTHORIZATION, id(`large-${i}`)];
      return world.send(request("GET", "/example.com/large/@v/v1.0.0.zip", headers));
    });
    await held.arrived;
    for (const conn of await Promise.all(reading)) await conn.read(new Uint8Array(100));
    for (const conn of await Promise.all([...waiting, ...listing, ...posting, ...reading])) {
      conn.close();
    }
    const lines = await Promise.all(
      ids.map((id) => server.log((line) => line["msg"] === "request" && line["id"] === id)),
    );
    for (const { id, level, status, aborted } of lines) {
      assert.equal(level, "info", String(id));
      if (String(id).startsWith("large")) assert.equal(status, 200, String(id));
      else assert.deepEqual({ id, status, aborted }, { id, status: 499, aborted: true });
    }
    held.release();
    const page = await metrics(server);
    assert.doesNotMatch(page, /^gomodproxy_http_requests_total\{.*status="5\d\d"/m);
    // That of the metrics, in each thread that has to do with it.
    assert.match(page, /^gomodproxy_http_requests_in_flight [12]$/m);
    assert.equal((await server.kill("SIGTERM")).code, 0);
    const noise = server.logs.filter(({ level, msg }) =>
      // That is up to the machine.
      level !== "info" && level !== "debug" && msg !== "the event loop was blocked"
    );
    assert.deepEqual(noise, []);
    // Each request is told of once.
    const told = server.logs.filter(({ msg, id }) => msg === "request" && ids.includes(String(id)));
    assert.equal(told.length, ids.length);
  });
}

async function metrics({ url }: Server): Promise<string> {
  using client = Deno.createHttpClient({ caCerts: [authority.certificate] });
  const headers = { Authorization: AUTHORIZATION.slice("Authorization: ".length) };
  return await (await fetch(`${url}/metrics`, { client, headers })).text();
}
