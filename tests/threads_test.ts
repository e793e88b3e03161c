/**
 * A server with several threads, as users start it: every thread gives the same answers as a server
 * with one thread, `/metrics` sums up all threads, and shutdown is clean.
 */
import assert from "node:assert/strict";
import { tap } from "./fakes/behaviours.ts";
import { h1OfFiles } from "./support/module_zip.ts";
import { readZip } from "./support/read_zip.ts";
import { type Server, startServer } from "./worlds/server.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";

const PATH = "example.com/m";
const FILES = { "go.mod": `module ${PATH}\n`, "m.go": "package m\n" };
const MODULES = ["v1.0.0", "v1.1.0"].map((version) => ({ path: PATH, version, files: FILES }));
/**
 * The system gives each to one of the threads; that none comes to one of three has a chance of one
 * in 10^6.
 */
const CONNECTIONS = 35;

async function withThreads(
  test: (server: Server, upstream: Upstream) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> {
  await using upstream = await startUpstream({ modules: MODULES });
  await using server = await startServer({
    args: ["--workers", "3", ...args],
    env: { GOPROXY: upstream.url },
  });
  await server.log(({ msg }) => msg === "all threads listen");
  await test(server, upstream);
}

/** Asks by a connection of its own. */
async function askAnew(url: string, init: RequestInit = {}) {
  using client = Deno.createHttpClient({});
  const response = await fetch(url, { ...init, client });
  return { status: response.status, headers: response.headers, body: await response.bytes() };
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("every thread answers from the store, and passes on the rest", () =>
  withThreads(async (server, upstream) => {
    const base = `${server.url}/${PATH}/@v`;
    await Promise.all(Array.from({ length: CONNECTIONS }, async (_, i) => {
      const version = `v1.${i % 2}.0`;
      const info = await askAnew(`${base}/${version}.info`, {
        headers: { "X-Request-Id": `info-${i}` },
      });
      assert.equal(JSON.parse(textOf(info.body)).Version, version);
      assert.equal(info.headers.get("X-Request-Id"), `info-${i}`);
      const zip = await askAnew(`${base}/${version}.zip`);
      assert.equal(h1OfFiles(await readZip(zip.body)).slice(0, 3), "h1:");
      assert.equal(zip.body.length, Number(zip.headers.get("Content-Length")));
      const part = await askAnew(`${base}/${version}.zip`, { headers: { "Range": "bytes=2-9" } });
      assert.deepEqual([part.status, part.body], [206, zip.body.slice(2, 10)]);
      const same = await askAnew(`${base}/${version}.info`, {
        headers: { "If-None-Match": info.headers.get("ETag") ?? "" },
      });
      assert.deepEqual([same.status, same.body.length], [304, 0]);
      const head = await askAnew(`${base}/${version}.mod`, { method: "HEAD" });
      assert.deepEqual([head.status, head.headers.get("Content-Length")], [200, "21"]);
      assert.equal(textOf((await askAnew(`${base}/list`)).body), "v1.0.0\nv1.1.0\n");
      const unknown = await askAnew(`${base}/v9.9.9.info`);
      assert.equal(unknown.status, 404);
      assert.match(textOf(unknown.body), /^not found: /);
      assert.match(textOf((await askAnew(`${server.url}/x/../y/@v/list`)).body), /not found/);
      assert.equal((await askAnew(`${base}/list`, { method: "POST" })).status, 405);
      assert.equal((await askAnew(`${server.url}/healthz`)).status, 200);
    }));
    // Threads do not cause a second fetch.
    assert.equal(upstream.count(/\.zip$/), 2);
    const page = textOf((await askAnew(`${server.url}/metrics`)).body);
    const counted = [...page.matchAll(/^gomodproxy_http_requests_total\{.*\} (\d+)$/gm)]
      .map(([, count]) => Number(count));
    // The one more was /readyz, at the start.
    assert.equal(counted.reduce((sum, count) => sum + count, 0), 10 * CONNECTIONS + 1);
    // Lines are written some milliseconds late, but none is lost.
    assert.equal((await server.kill("SIGTERM")).code, 0);
    const lines = server.logs.filter(({ msg }) => msg === "request");
    assert.equal(lines.filter(({ id }) => String(id).startsWith("info-")).length, CONNECTIONS);
  }));

/** A list that may be taken for new for a minute, as module proxies say. */
async function forAMinute(_: Request, honest: () => Promise<Response>): Promise<Response> {
  const response = await honest();
  response.headers.set("Cache-Control", "public, max-age=60");
  return response;
}

Deno.test("a list is remembered by all threads, and names what another process has published", () =>
  withThreads(async (server, upstream) => {
    using _rule = upstream.misbehave(/list$/, forAMinute);
    await using other = await startServer({ dir: server.dir, env: { GOPROXY: upstream.url } });
    await upstream.addModule({ path: PATH, version: "v1.2.0", files: FILES, listed: false });
    const lists = async (id: string) => {
      const answers = Array.from({ length: CONNECTIONS }, async (_, i) => {
        const init = { headers: { "X-Request-Id": `${id}-${i}` } };
        return textOf((await askAnew(`${server.url}/${PATH}/@v/list`, init)).body);
      });
      return new Set(await Promise.all(answers));
    };
    assert.equal((await askAnew(`${server.url}/${PATH}/@v/list`)).status, 200);
    assert.deepEqual(await lists("again"), new Set(["v1.0.0\nv1.1.0\n"]));
    assert.equal((await askAnew(`${other.url}/${PATH}/@v/v1.2.0.mod`)).status, 200);
    assert.deepEqual(await lists("later"), new Set(["v1.0.0\nv1.1.0\nv1.2.0\n"]));
    assert.equal((await server.kill("SIGTERM")).code, 0);
    const hits = server.logs.filter(({ id, cache }) =>
      /^(again|later)-/.test(String(id)) && cache === "hit"
    );
    // Ten seconds may pass on a busy machine, and then the upstream is asked again.
    assert.ok(upstream.count(/list$/) < CONNECTIONS && hits.length >= CONNECTIONS);
  }));

Deno.test("a server with threads finishes what is in flight on any of them, then exits 0", () =>
  withThreads(async (server, upstream) => {
    const held = tap();
    using _rule = upstream.misbehave(/v1\.0\.0\.zip$/, held.behaviour);
    const inFlight = Array.from(
      { length: CONNECTIONS },
      () => askAnew(`${server.url}/${PATH}/@v/v1.0.0.zip`),
    );
    await held.arrived;
    // A connection that has not been accepted yet would be refused.
    await server.log(({ msg }) => msg === "all threads listen");
    held.release();
    for (const { status } of await Promise.all(inFlight)) assert.equal(status, 200);
    const { code, signal } = await server.kill("SIGTERM");
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
  }));

const CLIENT_AUTH = `
clientAuth:
  enabled: true
  acl: [{ identities: [reader], modules: [${PATH}] }]
  identities:
    - { name: reader, password: reader-pass }
    - { name: other, password: other-pass }
`;

Deno.test("every thread enforces access, and each denial is one line of audit", async () => {
  const configFile = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(configFile, CLIENT_AUTH);
    await withThreads(async (server) => {
      const info = `${server.url}/${PATH}/@v/v1.0.0.info`;
      const statusOf = async (user: string | null) => {
        const Authorization = `Basic ${btoa(`${user}:${user}-pass`)}`;
        return (await askAnew(info, user === null ? {} : { headers: { Authorization } })).status;
      };
      for (let i = 0; i < CONNECTIONS; i++) {
        const statuses = [];
        for (const user of ["reader", "other", null]) statuses.push(await statusOf(user));
        assert.deepEqual(statuses, [200, 403, 401]);
      }
      assert.equal(await statusOf("nobody"), 401);
      // Lines are written some milliseconds late, but none is lost.
      assert.equal((await server.kill("SIGTERM")).code, 0);
      const denials = server.logs.filter(({ audit }) => audit === "denied");
      assert.equal(denials.length, 2 * CONNECTIONS + 1);
      assert.equal(denials.filter(({ identity }) => identity === "other").length, CONNECTIONS);
    }, ["--config-file", configFile]);
  } finally {
    await Deno.remove(configFile);
  }
});
