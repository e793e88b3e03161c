/**
 * Clients that open connections and send nothing, or nearly nothing: as many as the process may
 * have files, against http with one thread and with two, and https. Meanwhile and afterwards
 * everybody else is served.
 */
import assert from "node:assert/strict";
import { createAuthority } from "./fakes/authority.ts";
import { type Server, startServer } from "./worlds/server.ts";

const FILE_LIMIT = 256;
/** More than the process may have files. */
const ATTACKERS = 300;
/** How many of them come between two requests of somebody else. */
const BATCH = 30;
const ANSWER_TIMEOUT_MS = 10_000;

const authority = await createAuthority();

interface Protocol {
  readonly name: string;
  readonly isTls: boolean;
  readonly workers: number;
}

const PROTOCOLS: readonly Protocol[] = [
  { name: "http", isTls: false, workers: 1 },
  { name: "http with two threads", isTls: false, workers: 2 },
  { name: "https", isTls: true, workers: 1 },
];

/** What an attacker sends. */
const OPENINGS: readonly { name: string; http: string; https: string }[] = [
  { name: "nothing", http: "", https: "" },
  {
    name: "the beginning of a request",
    http: "GET /healthz HTTP/1.1\r\nHost: proxy.exa",
    https: "\x16\x03\x01\x02",
  },
];

interface World extends AsyncDisposable {
  readonly server: Server;
  /** `/healthz`, over a connection of its own. */
  ask(): Promise<number>;
  metrics(): Promise<string>;
  /** A connection on which so much has been sent. */
  connect(opening: string): Promise<Deno.TcpConn>;
}

async function startWorld({ isTls, workers }: Protocol, config = ""): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "connections-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const { certificate, privateKey } = await authority.issue();
  await Deno.writeTextFile(`${directory}/cert.pem`, certificate);
  await Deno.writeTextFile(`${directory}/key.pem`, privateKey);
  const listen =
    "listen: { tls: { certificate: { file: cert.pem }, privateKey: { file: key.pem } } }";
  await Deno.writeTextFile(`${directory}/config.yaml`, `${config}\n${isTls ? listen : ""}\n`);
  const server = stack.use(
    await startServer({
      args: ["--workers", String(workers), "--config-file", `${directory}/config.yaml`],
      env: { GOPROXY: "off" },
      fileLimit: FILE_LIMIT,
      ...isTls ? { caCertificate: authority.certificate } : {},
    }),
  );
  if (workers > 1) await server.log(({ msg }) => msg === "all threads listen");
  const { hostname, port } = new URL(server.url);
  const get = async (path: string) => {
    using client = Deno.createHttpClient({ caCerts: [authority.certificate] });
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const response = await fetch(`${server.url}${path}`, { client, signal });
    return { status: response.status, body: await response.text() };
  };
  const all = stack.move();
  return {
    server,
    ask: async () => (await get("/healthz")).status,
    metrics: async () => (await get("/metrics")).body,
    connect: async (opening) => {
      const connection = await Deno.connect({ hostname, port: Number(port) });
      await connection.write(new TextEncoder().encode(opening)).catch(() => 0);
      return connection;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function closeAll(connections: readonly Deno.TcpConn[]): void {
  for (const connection of connections) connection.close();
}

function valueOf(page: string, metric: string): number {
  const line = page.split("\n").find((line) => line.startsWith(`${metric} `));
  return Number(line?.slice(metric.length) ?? 0);
}

for (const protocol of PROTOCOLS) {
  for (const opening of OPENINGS) {
    const bytes = protocol.isTls ? opening.https : opening.http;
    Deno.test(`${protocol.name}: everybody is served while many connections send ${opening.name}`, async () => {
      await using world = await startWorld(protocol);
      const connections: Deno.TcpConn[] = [];
      try {
        while (connections.length < ATTACKERS) {
          for (let i = 0; i < BATCH; i++) connections.push(await world.connect(bytes));
          assert.equal(await world.ask(), 200);
        }
        const page = await world.metrics();
        const open = valueOf(page, "gomodproxy_connections");
        assert.ok(open > 0 && open < FILE_LIMIT * 0.8, `${open} connections`);
        const closed = valueOf(page, 'gomodproxy_connections_closed_total{reason="room"}');
        assert.ok(closed >= ATTACKERS - FILE_LIMIT, `${closed} closed`);
      } finally {
        closeAll(connections);
      }
      for (let i = 0; i < BATCH; i++) assert.equal(await world.ask(), 200);
      // One warning of each thread, however many there were.
      const warnings = world.server.logs.filter(({ level, msg }) =>
        // That is up to the machine.
        level !== "info" && msg !== "the event loop was blocked"
      );
      assert.deepEqual(
        [...new Set(warnings.map(({ msg }) => msg))],
        ["closed connections to make room for others"],
      );
      assert.ok(warnings.length <= protocol.workers);
      assert.equal((await world.server.kill("SIGTERM")).code, 0);
    });
  }

  Deno.test(`${protocol.name}: a request whose head never comes to its end is cut off`, async () => {
    await using world = await startWorld(protocol);
    const silent = await world.connect("");
    const slow = await world.connect(protocol.isTls ? "\x16\x03\x01\x02" : "GET / HTTP/1.1\r\nX: ");
    const timer = setInterval(() => void slow.write(new Uint8Array([0x31])).catch(() => 0), 100);
    try {
      const startMs = performance.now();
      await Promise.all([ended(silent), ended(slow)]);
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs > 5_000, `cut off after ${tookMs} ms`);
    } finally {
      clearInterval(timer);
      closeAll([silent, slow]);
    }
    const page = await world.metrics();
    assert.equal(valueOf(page, 'gomodproxy_connections_closed_total{reason="no-request"}'), 2);
  });

  Deno.test(`${protocol.name}: a server that had no file left for a connection accepts again`, async () => {
    await using world = await startWorld(protocol, "limits: { connections: 100000 }");
    const connections: Deno.TcpConn[] = [];
    try {
      while (connections.length < ATTACKERS) connections.push(await world.connect(""));
      if (protocol.isTls) {
        await world.server.log(({ msg }) => String(msg).endsWith("listening again"));
      }
      assert.equal(await world.ask(), 200);
    } finally {
      closeAll(connections);
    }
    assert.equal(await world.ask(), 200);
  });
}

const END_TIMEOUT_MS = 30_000;

/** Waits until the server has closed the connection. */
async function ended(connection: Deno.TcpConn): Promise<void> {
  const timer = setTimeout(() => connection.close(), END_TIMEOUT_MS);
  const buffer = new Uint8Array(4096);
  try {
    while (await connection.read(buffer) !== null);
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  } finally {
    clearTimeout(timer);
  }
}
