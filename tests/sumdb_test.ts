/**
 * Checksum databases through the product: which requests go outside, which answers may be cached,
 * and the real `go` command as a client that verifies everything.
 */
import assert from "node:assert/strict";
import type { SumDatabaseConfig } from "../lib/sumdb/config.ts";
import { startTestApp, type TestApp, type TestAppOptions } from "./worlds/app.ts";
import { FaultyStore } from "./fakes/faulty_store.ts";
import { goCommand, type GoResult, goTest } from "./support/go_command.ts";
import { Loopback } from "./fakes/loopback.ts";
import type { ModuleFiles } from "./support/module_zip.ts";
import { growTo } from "./worlds/sum_database.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { MemoryStore } from "./fakes/memory_store.ts";

const MODULES: readonly ModuleFiles[] = ["A", "b", "c", "d"].map((name) => ({
  path: `example.com/${name}`,
  version: "v1.0.0",
  files: { "go.mod": `module example.com/${name}\n` },
}));

interface World extends AsyncDisposable {
  readonly upstream: Upstream;
  readonly sumdb: Sumdb;
  readonly store: FaultyStore;
  readonly app: TestApp;
}

/**
 * The product in front of an upstream that supports a database, whose key it knows if `isKnown`.
 */
async function startWorld(
  { isKnown = true, ...options }: Partial<TestAppOptions> & { isKnown?: boolean } = {},
): Promise<World> {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream({ modules: MODULES }));
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  growTo(sumdb, 700);
  upstream.mount(sumdb);
  const store = new FaultyStore(new MemoryStore());
  const app = stack.use(
    await startTestApp({
      upstreams: [upstream.url],
      store,
      sumDatabases: isKnown ? [configOf(sumdb, "http://127.0.0.1:1")] : [],
      ...options,
    }),
  );
  return { upstream, sumdb, store, app, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function configOf({ name, verifierKey }: Sumdb, url: string): SumDatabaseConfig {
  return { name, publicKey: verifierKey.slice(`${name}+`.length), url };
}

Deno.test("/sumdb/ says how long each answer may be kept", async (t) => {
  await using world = await startWorld();
  const rows = [
    { file: "supported", type: null, cache: "public, max-age=60" },
    { file: "latest", type: "text/plain", cache: "public, max-age=60" },
    { file: "lookup/example.com/!a@v1.0.0", type: "text/plain", cache: /immutable/ },
    { file: "tile/8/0/000", type: "application/octet-stream", cache: /immutable/ },
    { file: "tile/8/1/000.p/2", type: "application/octet-stream", cache: "public, max-age=3600" },
    { file: "tile/8/data/000", type: "text/plain", cache: /immutable/ },
    { file: "tile/8/data/002.p/7", type: "text/plain", cache: "public, max-age=3600" },
  ];
  for (const { file, type, cache } of rows) {
    await t.step(file, async () => {
      const { status, headers, body } = await world.app.get(`sumdb/${world.sumdb.name}/${file}`);
      await body?.cancel();
      assert.equal(status, 200);
      assert.equal(headers.get("Content-Type")?.split(";")[0] ?? null, type);
      const cacheControl = headers.get("Cache-Control") ?? "";
      if (typeof cache === "string") assert.equal(cacheControl, cache);
      else assert.match(cacheControl, cache);
    });
  }
});

Deno.test("/sumdb/ answers invalid paths with 404 without asking the database", async (t) => {
  await using world = await startWorld();
  const files = [
    "",
    "nothing",
    "supported/x",
    "lookup/",
    "lookup/example.com/a",
    "lookup/example.com/a@",
    "lookup/example.com/a@main",
    "lookup/example.com/a@v1",
    "lookup/example.com/a@v2.0.0",
    "lookup/example.com/A@v1.0.0",
    "lookup/example.com/a@v1.0.0/go.mod",
    "lookup/../latest@v1.0.0",
    "tile/8/0/0",
    "tile/8/0/x000/000",
    "tile/8/0/000.p/256",
    "tile/7/0/000",
    "tile/8/9/000",
  ];
  for (const file of files) {
    await t.step(file, async () => {
      const { status } = await world.app.text(`sumdb/${world.sumdb.name}/${file}`);
      assert.equal(status, 404);
    });
  }
  assert.deepEqual(world.upstream.requests, []);
});

Deno.test("/sumdb/ says 502 where the database lies, with the reason", async () => {
  await using world = await startWorld();
  world.sumdb.alter = (path, bytes) => path.startsWith("/tile/") ? bytes.with(0, 0) : bytes;
  const answer = await world.app.text(`sumdb/${world.sumdb.name}/lookup/example.com/!a@v1.0.0`);
  assert.equal(answer.status, 502);
  assert.match(answer.body, /^Cannot use the tiles of the tree of 701 records: /);
});

Deno.test("/sumdb/ says 404 for what the database says does not exist", async () => {
  await using world = await startWorld();
  const answer = await world.app.text(`sumdb/${world.sumdb.name}/lookup/example.com/x@v1.0.0`);
  assert.deepEqual([answer.status, answer.body.split(":")[0]], [404, "not found"]);
});

Deno.test("/sumdb/ passes on a database without a known key, uncacheable", async () => {
  await using world = await startWorld({ isKnown: false });
  for (const file of ["latest", "lookup/example.com/!a@v1.0.0", "tile/8/0/000.p/3"]) {
    const response = await world.app.get(`sumdb/${world.sumdb.name}/${file}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("Cache-Control"), "no-store");
    assert.deepEqual(await response.bytes(), await world.sumdb.answer(`/${file}`).bytes());
  }
  assert.deepEqual(world.store.calls, []);
  const other = await world.app.text("sumdb/sum.example.org/supported");
  assert.equal(other.status, 404);
});

Deno.test("/sumdb/ never forwards a private path, whatever the database", async () => {
  for (const isKnown of [true, false]) {
    await using world = await startWorld({ isKnown, isPrivate: (path) => /\/A$/.test(path) });
    const answer = await world.app.text(`sumdb/${world.sumdb.name}/lookup/example.com/!a@v1.0.0`);
    assert.equal(answer.status, 404);
    assert.match(answer.body, /^not found: .*the path is private here; set GONOSUMDB or GOPRIVATE/);
    assert.deepEqual(world.upstream.requests, []);
  }
});

/**
 * A `go` command with empty caches that verifies with the database of the world through its server.
 */
async function newGo({ sumdb }: World, server: Loopback) {
  return await goCommand({ proxy: server.url, sumdb: sumdb.verifierKey });
}

const DOWNLOAD = ["mod", "download", ...MODULES.map(({ path, version }) => `${path}@${version}`)];

function assertOk({ code, stderr }: GoResult): void {
  assert.equal(code, 0, stderr);
}

goTest("go verifies through this server, and the second time nobody else is asked", async (t) => {
  await using world = await startWorld();
  await using server = new Loopback((request) => world.app.app(request));
  await using first = await newGo(world, server);

  await t.step("cold", async () => {
    assertOk(await first.run(DOWNLOAD));
    const asked = world.upstream.requests.map(({ path }) => path).filter((path) =>
      path.startsWith("/sumdb/")
    );
    assert.equal(new Set(asked).size, asked.length, "a file of the database was asked for twice");
    assert.equal(asked.filter((path) => path.includes("/lookup/")).length, MODULES.length);
    assert.equal(asked.filter((path) => path.endsWith("/supported")).length, 1);
  });

  world.upstream.requests.length = 0;
  await t.step("warm", async () => {
    await using go = await newGo(world, server);
    assertOk(await go.run(DOWNLOAD));
    assert.deepEqual(world.upstream.requests, []);
  });

  await world.upstream.down();
  await using restarted = await startTestApp({
    upstreams: [world.upstream.url],
    store: world.store,
    sumDatabases: [configOf(world.sumdb, "http://127.0.0.1:1")],
  });
  await using other = new Loopback((request) => restarted.app(request));
  await t.step("everything outside is off, after a restart", async () => {
    await using go = await newGo(world, other);
    assertOk(await go.run(DOWNLOAD));
  });
  await t.step("everything outside is off, for a client that has seen older trees", async () => {
    assertOk(await first.run(["clean", "-modcache"]));
    assertOk(await first.run(DOWNLOAD, { env: { GOPROXY: other.url } }));
  });
  assert.deepEqual([world.upstream.faults, world.sumdb.faults], [[], []]);
});

goTest(
  "go verifies with a database that no upstream supports and this server reaches",
  async () => {
    await using upstream = await startUpstream({ modules: MODULES });
    const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
    await using itself = sumdb.serve();
    await using app = await startTestApp({
      upstreams: [upstream.url],
      sumDatabases: [configOf(sumdb, itself.url)],
    });
    await using server = new Loopback((request) => app.app(request));
    await using go = await goCommand({ proxy: server.url, sumdb: sumdb.verifierKey });
    assertOk(await go.run(DOWNLOAD));
    assert.equal(upstream.count(/\/supported$/), 1);
    assert.equal(upstream.count(/^\/sumdb\//), 1);
    assert.deepEqual(sumdb.faults, []);
  },
);

goTest("go is told to keep a private path to itself, and nobody else hears of it", async () => {
  await using world = await startWorld({ isPrivate: (path) => path === "example.com/A" });
  await using server = new Loopback((request) => world.app.app(request));
  await using go = await newGo(world, server);
  const download = ["mod", "download", "example.com/A@v1.0.0"];
  const refused = await go.run(download);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /404 Not Found[^]*the path is private here; set GONOSUMDB/);
  assertOk(await go.run(download, { env: { GONOSUMDB: "example.com/A" } }));
  assert.equal(world.upstream.count(/^\/sumdb\//), 0);
  assert.deepEqual(world.sumdb.requests, []);
});

goTest("go hears why this server does not trust a database", async () => {
  await using world = await startWorld();
  await using server = new Loopback((request) => world.app.app(request));
  await using go = await newGo(world, server);
  const trunk = world.sumdb.fork();
  assertOk(await go.run(["mod", "download", "example.com/A@v1.0.0"]));
  // Another one than A comes first, and so the log has forked.
  world.upstream.mount(trunk);
  const { code, stderr } = await go.run(["mod", "download", "example.com/b@v1.0.0"]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /502 Bad Gateway\n\tserver response:\n\tCannot trust database sum\.example\.test: it has signed two trees/,
  );
});
