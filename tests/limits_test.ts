/** The limits of the server, and its answers when they are exceeded. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { tap } from "./fakes/behaviours.ts";
import { type Server, startServer } from "./worlds/server.ts";
import { startUpstream, type Upstream, type UpstreamModule } from "./fakes/upstream.ts";
import { eventually } from "./support/eventually.ts";
import { runCommand } from "./support/run_command.ts";

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

interface World extends AsyncDisposable {
  readonly upstream: Upstream;
  readonly server: Server;
  readonly directory: string;
}

async function startWorld(limits: string, module = MODULE): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream({ modules: [module] }));
  const directory = await Deno.makeTempDir({ prefix: "limits-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.writeTextFile(`${directory}/config.yaml`, `limits: { ${limits} }\n`);
  const args = [
    "--workers",
    "1",
    "--config-file",
    `${directory}/config.yaml`,
    "--scratch-dir",
    `${directory}/scratch`,
  ];
  const server = stack.use(await startServer({ args, env: { GOPROXY: upstream.url } }));
  const all = stack.move();
  return { upstream, server, directory, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function answerOf(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init);
  const retryAfter = response.headers.get("Retry-After");
  return { status: response.status, retryAfter, body: await response.text() };
}

for (
  const { limit, name, status, retryAfter } of [
    { limit: "maxConcurrentRequests: 2", name: "all", status: 503, retryAfter: "5" },
    { limit: "maxConcurrentRequestsPerClient: 2", name: "client", status: 429, retryAfter: "1" },
  ]
) {
  Deno.test(`with ${limit} a third request is answered ${status}`, async () => {
    await using world = await startWorld(limit);
    const { upstream, server } = world;
    const held = tap();
    using _rule = upstream.misbehave(/zip$/, held.behaviour);
    const zip = `${server.url}/example.com/m/@v/v1.0.0.zip`;
    const first = answerOf(zip);
    const second = answerOf(zip);
    await held.arrived;
    const metrics = async () => (await answerOf(`${server.url}/metrics`)).body;
    const inFlight = /^gomodproxy_http_requests_in_flight 3$/m;
    await eventually("both requests to be under way", async () => inFlight.test(await metrics()));
    const third = await answerOf(`${server.url}/`);
    assert.equal(third.status, status);
    assert.equal(third.retryAfter, retryAfter);
    assert.match(third.body, /^Cannot take another request.*: 2 are in progress$/m);
    // Probes and metrics are still answered.
    assert.equal((await answerOf(`${server.url}/healthz`)).status, 200);
    assert.equal((await answerOf(`${server.url}/readyz`)).status, 200);
    const line = `gomodproxy_limited_requests_total{limit="${name}"} 1`;
    assert.ok((await metrics()).includes(line));
    held.release();
    assert.equal((await first).status, 200);
    assert.equal((await second).status, 200);
    assert.equal((await answerOf(`${server.url}/`)).status, 200);
  });
}

Deno.test("a full scratch directory stops new fetches, and nothing else", async () => {
  await using world = await startWorld("scratchMaxMiB: 1");
  const { server, directory } = world;
  const url = `${server.url}/example.com/m/@v/v1.0.0.info`;
  const run = [...Deno.readDirSync(`${directory}/scratch`)].find(({ name }) =>
    name.startsWith("run-")
  );
  const leftover = `${directory}/scratch/${run?.name}/leftover`;
  await Deno.writeFile(leftover, new Uint8Array(1024 * 1024));
  const refused = await answerOf(url);
  assert.equal(refused.status, 503);
  assert.equal(refused.retryAfter, "5");
  assert.match(refused.body, /1048576 of 1048576 bytes of scratch space/);
  const list = await answerOf(`${server.url}/example.com/m/@v/list`);
  assert.deepEqual([list.status, list.body], [200, "v1.0.0\n"]);
  await Deno.remove(leftover);
  // The measurement is at most a second old.
  await eventually("a fetch to be let in", async () => (await answerOf(url)).status !== 503);
  assert.equal((await answerOf(url)).status, 200);
});

Deno.test("a client that does not read a large zip loses its slot", async () => {
  await using world = await startWorld(
    "slowClientTimeoutSeconds: 1, maxConcurrentRequests: 1",
    LARGE,
  );
  const { server } = world;
  const { hostname, port } = new URL(server.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const path = "/example.com/large/@v/v1.0.0.zip";
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const status = async () => (await answerOf(`${server.url}/`)).status;
  await eventually("the client to take the only place", async () => await status() !== 200);
  // Its place is free after a second, and whoever reads gets everything.
  await eventually("the place to be free", async () => await status() !== 503);
  const response = await fetch(`${server.url}${path}`);
  assert.equal(response.status, 200);
  const bytes = await response.bytes();
  assert.equal(bytes.length, Number(response.headers.get("Content-Length")));
  // So is its file, although the client is still there: the body is watched.
  const { pid } = server;
  await eventually("the zip to be closed", async () => await openZips(pid) === 0);
  connection.close();
});

/**
 * How many zips of its store a process has open. By `ls`, because Deno lets no test look into
 * /proc.
 */
async function openZips(pid: number): Promise<number> {
  const { stdout } = await runCommand("ls", { args: ["-l", `/proc/${pid}/fd`] });
  return stdout.split("/example.com/large/").length - 1;
}

const REFUSED: { name: string; request: string; want: RegExp }[] = [
  {
    name: "a path of 9 KiB",
    request: `GET /${"a".repeat(9000)} HTTP/1.1`,
    want: /^HTTP\/1.1 404 /,
  },
  {
    name: "a query of 9 KiB",
    request: `GET /?${"a".repeat(9000)} HTTP/1.1`,
    want: /^HTTP\/1.1 414 /,
  },
  {
    name: "a GET with a body",
    request: "GET / HTTP/1.1\r\nContent-Length: 1",
    want: /^HTTP\/1.1 400 .*a GET with a body/s,
  },
  {
    name: "a GET with a body of unknown length",
    request: "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
    want: /^HTTP\/1.1 400 .*a GET with a body/s,
  },
  {
    name: "200 headers",
    request: `GET / HTTP/1.1${"\r\nX-A: b".repeat(200)}`,
    want: /^HTTP\/1.1 4/,
  },
  {
    name: "a header of 256 KiB",
    request: `GET / HTTP/1.1\r\nX-A: ${"b".repeat(256 * 1024)}`,
    want: /^HTTP\/1.1 4/,
  },
];

Deno.test("requests that are too large or malformed are refused", async (t) => {
  await using server = await startServer({ env: { GOPROXY: "off" } });
  const { hostname, port } = new URL(server.url);
  for (const { name, request, want } of REFUSED) {
    await t.step(name, async () => {
      using connection = await Deno.connect({ hostname, port: Number(port) });
      const text = `${request}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n1`;
      // It may close the connection before it has read everything.
      const sent = connection.write(new TextEncoder().encode(text)).catch(() => 0);
      const buffer = new Uint8Array(4096);
      const size = await connection.read(buffer) ?? 0;
      assert.match(new TextDecoder().decode(buffer.subarray(0, size)), want);
      await sent;
    });
  }
  const { status } = await answerOf(`${server.url}/`);
  assert.equal(status, 200);
});

Deno.test("M2: slow log-ins keep nobody out who has logged in", async () => {
  const dir = await Deno.makeTempDir({ prefix: "limits-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  await Deno.writeTextFile(
    `${dir}/config.yaml`,
    `
limits: { maxConcurrentRequests: 20, maxConcurrentUnauthenticatedRequests: 8 }
clientAuth:
  enabled: true
  acl: [{ access: allow }]
  authenticators: { accessToken: { audience: us, secret: "${"s".repeat(32)}" } }
  identities: [{ name: alice, password: a }]
`,
  );
  const args = ["--workers", "1", "--config-file", `${dir}/config.yaml`];
  const server = stack.use(await startServer({ args, env: { GOPROXY: "off" } }));
  const { hostname, port } = new URL(server.url);
  const alice = async () => {
    const headers = { Authorization: `Basic ${btoa("alice:a")}` };
    return (await answerOf(`${server.url}/`, { headers })).status;
  };
  assert.equal(await alice(), 200);
  const head = "POST /auth/userpassword HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 40\r\n\r\n{";
  const answers = await Promise.all(Array.from({ length: 60 }, async () => {
    const connection = stack.use(await Deno.connect({ hostname, port: Number(port) }));
    await connection.write(new TextEncoder().encode(head));
    return readStart(connection);
  }));
  await eventually("the log-ins of one address to be refused", async () => {
    const page = (await answerOf(`${server.url}/metrics`, {
      headers: { Authorization: `Basic ${btoa("alice:a")}` },
    })).body;
    return /^gomodproxy_limited_requests_total\{limit="unauthenticated"\} 54$/m.test(page);
  });
  assert.equal(await alice(), 200);
  const starts = await Promise.all(answers.map((answer) => answer.start));
  const count = (status: number) =>
    starts.filter((start) => start.startsWith(`HTTP/1.1 ${status} `)).length;
  // The bodies of those that were let in do not come in time.
  assert.deepEqual([count(429), count(400)], [54, 6]);
});

/** The first bytes that come. */
function readStart(connection: Deno.Conn): { readonly start: Promise<string> } {
  const buffer = new Uint8Array(4096);
  const start = connection.read(buffer)
    .then((size) => new TextDecoder().decode(buffer.subarray(0, size ?? 0)));
  return { start };
}
