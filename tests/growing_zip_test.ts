/**
 * Cold zips that clients get while they are spooled: all but the end at once, the end when the
 * whole is verified and published, and a broken transfer where it is not. Bytes that a client got
 * completely always equal the published copy.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { createAuthority } from "./fakes/authority.ts";
import { instead, status, tap, truncated } from "./fakes/behaviours.ts";
import { MemoryStore } from "./fakes/memory_store.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { eventually, within } from "./support/eventually.ts";
import { readAllBytes, readBytes } from "./support/read_bytes.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { buildModuleZip } from "./support/module_zip.ts";
import { startTestApp, type TestApp, type TestAppOptions } from "./worlds/app.ts";
import { type Server, startServer } from "./worlds/server.ts";
import { abortableFetch } from "../lib/http/abortable_fetch.ts";
import { zipKey } from "../lib/store/keys.ts";
import { bytesContent } from "../lib/store/object_store.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseVersion } from "../lib/module/version.ts";
import { parseH1 } from "../lib/module/h1.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const MIB = 1024 * 1024;
const HELD_BACK_BYTES = 128 * 1024;
const PATH = "example.com/large";
const VERSION = "v1.0.0";
const MODULE = {
  path: PATH,
  version: VERSION,
  files: {
    "go.mod": `module ${PATH}\n`,
    "data.bin": new Uint8Array(randomBytes(3 * MIB)),
    "large.go": "package large\n",
  },
};
const ZIP_URL = `${PATH}/@v/${VERSION}.zip`;
const HONEST = await buildModuleZip(MODULE);
const WRONG = await buildModuleZip({ ...MODULE, files: { ...MODULE.files, "large.go": "evil\n" } });
/** The same files, and other bytes. */
const RECOMPRESSED = await buildModuleZip(MODULE, { isCompressed: false });
const END = HONEST.bytes.length - HELD_BACK_BYTES;

async function withApp(
  test: (app: TestApp, upstream: Upstream) => Promise<void>,
  options: Omit<TestAppOptions, "upstreams"> = {},
): Promise<void> {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using app = await startTestApp({
    upstreams: [upstream.url],
    findHashes: ({ path, version }) => {
      const hashes = upstream.hashesOf(path, version);
      return Promise.resolve(
        hashes === null ? null : { zipH1: hashes.h1, goModH1: hashes.goModH1 },
      );
    },
    ...options,
  });
  await test(app, upstream);
  assert.deepEqual(upstream.faults, []);
  await eventually(
    "the scratch directory to be empty",
    async () => (await app.leftovers()).length === 0,
  );
}

/** Asks for the zip; its upstream holds the body back. */
async function ask(app: TestApp): Promise<ReadableStreamDefaultReader<Bytes>> {
  const response = await within("an answer", app.get(ZIP_URL));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("Content-Length"), String(HONEST.bytes.length));
  // Nobody may resume it with bytes of another zip.
  assert.equal(response.headers.get("ETag"), null);
  assert.equal(response.headers.get("Accept-Ranges"), null);
  assert.ok(response.body !== null);
  return response.body.getReader();
}

function assertBytes(found: Bytes, wanted: Bytes): void {
  assert.equal(Buffer.compare(found, wanted), 0, "other bytes");
}

Deno.test("a zip does not wait for the fetch of a copy that another replica has published", async () => {
  const store = new MemoryStore();
  await withApp(async (app, upstream) => {
    await withApp(async (other) => {
      const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      upstream.misbehave(/\.mod$/, async (_, honest) => {
        reached.resolve();
        await released.promise;
        return honest();
      }, { times: 1 });
      const slow = app.get(`${PATH}/@v/${VERSION}.mod`);
      await within("a fetch of the copy", reached.promise);
      assert.equal((await other.get(`${PATH}/@v/${VERSION}.info`)).status, 200);
      const zip = app.get(ZIP_URL).then(async (response) => [
        response.status,
        Buffer.from(await response.bytes()).equals(HONEST.bytes),
      ]);
      try {
        assert.deepEqual(await within("the zip", zip), [200, true]);
      } finally {
        released.resolve();
        assert.equal((await slow).status, 200);
      }
    }, { store });
  }, { store });
});

Deno.test("a cold zip is sent while it is spooled, to all who ask for it", () =>
  withApp(async (app, upstream) => {
    const held = tap();
    upstream.misbehave(/\.zip$/, held.behaviour);
    const asked = ask(app);
    await held.arrived;
    held.give(MIB);
    const first = await asked;
    assertBytes(await readBytes(first, MIB), HONEST.bytes.subarray(0, MIB));
    // HEAD and ranges wait for the published copy.
    const waiting = [
      app.get(ZIP_URL, { method: "HEAD" }),
      app.get(ZIP_URL, { headers: { Range: "bytes=0-99" } }),
    ];
    const second = await ask(app);
    assertBytes(await readBytes(second, MIB), HONEST.bytes.subarray(0, MIB));
    held.give(END - MIB);
    assertBytes(await readBytes(first, END - MIB), HONEST.bytes.subarray(MIB, END));
    assert.equal(await Promise.race([...waiting, Promise.resolve("waiting")]), "waiting");
    held.release();
    assertBytes(await readAllBytes(first), HONEST.bytes.subarray(END));
    assertBytes(await readAllBytes(second), HONEST.bytes.subarray(MIB));
    const [head, range] = await within("the published copy", Promise.all(waiting));
    assert.deepEqual([head?.status, range?.status], [200, 206]);
    assertBytes(await range?.bytes() ?? new Uint8Array(), HONEST.bytes.subarray(0, 100));
    const published = await app.get(ZIP_URL);
    assert.equal(published.headers.get("ETag"), `"${HONEST.h1}"`);
    assertBytes(await published.bytes(), HONEST.bytes);
    assert.equal(upstream.count(/\.zip$/), 1);
  }));

Deno.test("a slow client slows down nobody", () =>
  withApp(async (app, upstream) => {
    const held = tap();
    upstream.misbehave(/\.zip$/, held.behaviour);
    const asked = ask(app);
    await held.arrived;
    held.give(MIB);
    const slow = await asked;
    held.release();
    assertBytes(await (await app.get(ZIP_URL)).bytes(), HONEST.bytes);
    await eventually("the spool to be gone", async () => (await app.leftovers()).length === 0);
    assertBytes(await readAllBytes(slow), HONEST.bytes);
  }));

Deno.test("a zip with another hash than the recorded one breaks off before its end", () =>
  withApp(async (app, upstream) => {
    using rule = upstream.misbehave(/\.zip$/, instead(WRONG.bytes));
    const response = await app.get(ZIP_URL);
    assert.equal(response.status, 200);
    await assert.rejects(response.bytes(), /hash mismatch/);
    assert.deepEqual(await app.store.list(`z1/${PATH}/@v/${VERSION}`), []);
    rule[Symbol.dispose]();
    assertBytes(await (await app.get(ZIP_URL)).bytes(), HONEST.bytes);
  }));

Deno.test("an error before the first byte has its status and its reason", async (t) => {
  const small = { ...MODULE, files: { ...MODULE.files, "data.bin": "", "large.go": "evil\n" } };
  const wrong = (await buildModuleZip(small)).bytes;
  for (
    const { name, behaviour, want, reason } of [
      { name: "gone", behaviour: status(404), want: 502, reason: /its source no longer has it/ },
      { name: "failing", behaviour: status(503), want: 502, reason: /answered status 503/ },
      { name: "a small wrong zip", behaviour: instead(wrong), want: 502, reason: /hash mismatch/ },
    ]
  ) {
    await t.step(name, () =>
      withApp(async (app, upstream) => {
        upstream.misbehave(/\.zip$/, behaviour);
        const { status, body } = await app.text(ZIP_URL);
        assert.equal(status, want);
        assert.match(body, reason);
      }));
  }
});

Deno.test("a zip of unknown size is answered when it is published", () =>
  withApp(async (app, upstream) => {
    upstream.misbehave(/\.zip$/, async (_request, honest) => {
      const { body } = await honest();
      return new Response(body?.pipeThrough(new TransformStream()) ?? null);
    });
    const response = await app.get(ZIP_URL);
    assert.equal(response.headers.get("ETag"), `"${HONEST.h1}"`);
    assertBytes(await response.bytes(), HONEST.bytes);
  }));

Deno.test("a transfer goes on when the upstream breaks off and sends the same again", () =>
  withApp(async (app, upstream) => {
    upstream.misbehave(/\.zip$/, truncated("declared"), { times: 2 });
    assertBytes(await (await app.get(ZIP_URL)).bytes(), HONEST.bytes);
    assert.equal(upstream.count(/\.zip$/), 3);
  }));

Deno.test("a transfer breaks off when the upstream never sends what it announces", () =>
  withApp(async (app, upstream) => {
    upstream.misbehave(/\.zip$/, truncated("declared"));
    await assert.rejects((await app.get(ZIP_URL)).bytes(), /the connection broke/);
  }));

Deno.test("a transfer breaks off when the upstream sends other bytes when asked again", () =>
  withApp(async (app, upstream) => {
    const bytes = HONEST.bytes.slice();
    bytes[500_000] = (bytes[500_000] ?? 0) ^ 1;
    upstream.misbehave(/\.zip$/, (request) => truncated("declared")(request, answer(bytes)), {
      times: 1,
    });
    await assert.rejects((await app.get(ZIP_URL)).bytes(), /sent another zip when asked again/);
    assertBytes(await (await app.get(ZIP_URL)).bytes(), HONEST.bytes);
  }));

function answer(bytes: Bytes): () => Promise<Response> {
  return () =>
    Promise.resolve(
      new Response(bytes, { headers: { "content-length": String(bytes.length) } }),
    );
}

for (
  const { name, stored, isWhole } of [
    { name: "the same bytes", stored: HONEST.bytes, isWhole: true },
    { name: "the same files compressed otherwise", stored: RECOMPRESSED.bytes, isWhole: false },
  ]
) {
  Deno.test(
    `another replica stores ${name} first: the client ${
      isWhole ? "gets them" : "gets nothing else"
    }`,
    async () => {
      const store = new MemoryStore();
      await withApp(async (app, upstream) => {
        const held = tap();
        upstream.misbehave(/\.zip$/, held.behaviour);
        const asked = ask(app);
        await held.arrived;
        held.give(MIB);
        const client = await asked;
        const path = parseModulePath(PATH);
        const module = { path, version: parseVersion(path, VERSION) };
        const key = zipKey(module, parseH1(HONEST.h1));
        assert.equal(await store.create(key, bytesContent(stored)), "created");
        held.release();
        if (isWhole) assertBytes(await readAllBytes(client), HONEST.bytes);
        else await assert.rejects(readAllBytes(client), /other bytes was stored first/);
        assertBytes(await (await app.get(ZIP_URL)).bytes(), stored);
      }, { store });
    },
  );
}

Deno.test("a client that leaves ends a spool that nobody else follows", () =>
  withApp(async (app, upstream) => {
    const held = tap();
    using rule = upstream.misbehave(/\.zip$/, held.behaviour);
    const asked = ask(app);
    await held.arrived;
    held.give(MIB);
    const [leaving, staying] = [await asked, await ask(app)];
    await readBytes(leaving, MIB);
    await leaving.cancel();
    held.give(MIB);
    assertBytes(await readBytes(staying, 2 * MIB), HONEST.bytes.subarray(0, 2 * MIB));
    await staying.cancel();
    await eventually("the spool to end", async () => (await app.leftovers()).length === 0);
    rule[Symbol.dispose]();
    assertBytes(await (await app.get(ZIP_URL)).bytes(), HONEST.bytes);
    assert.equal(upstream.count(/\.zip$/), 2);
  }, { limits: { graceMs: 0 } }));

interface World extends AsyncDisposable {
  readonly upstream: Upstream;
  readonly server: Server;
  readonly sumdb: Sumdb;
  /** Trusts the server's certificate. */
  readonly client: Deno.HttpClient;
}

const authority = await createAuthority();

async function startWorld(
  { workers, isTls = false }: { workers: number; isTls?: boolean },
): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream({ modules: [MODULE] }));
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  const directory = await Deno.makeTempDir({ prefix: "growing-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const { certificate, privateKey } = await authority.issue();
  await Deno.writeTextFile(`${directory}/cert.pem`, certificate);
  await Deno.writeTextFile(`${directory}/key.pem`, privateKey);
  const { name, verifierKey: publicKey } = sumdb;
  const tls = { certificate: { file: "cert.pem" }, privateKey: { file: "key.pem" } };
  await Deno.writeTextFile(
    `${directory}/config.yaml`,
    JSON.stringify({
      storage: { disk: { path: `${directory}/store` } },
      parentProxy: { url: upstream.url },
      publicModules: { sumDatabase: { name, publicKey, url: `${upstream.url}/sumdb/${name}` } },
      ...isTls ? { listen: { tls } } : {},
    }),
  );
  const server = stack.use(
    await startServer({
      args: ["--config-file", `${directory}/config.yaml`, "--workers", String(workers)],
      ...isTls ? { caCertificate: authority.certificate } : {},
    }),
  );
  if (workers > 1) await server.log(({ msg }) => msg === "all threads listen");
  const client = stack.use(Deno.createHttpClient({ caCerts: [authority.certificate] }));
  const all = stack.move();
  return { upstream, server, sumdb, client, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

for (
  const { name, ...options } of [
    { name: "http", workers: 1 },
    { name: "http with two threads", workers: 2 },
    { name: "https", workers: 1, isTls: true },
  ]
) {
  Deno.test(`${name}: clients hang up while a zip is spooled, and others get all of it`, async () => {
    await using world = await startWorld(options);
    const { server, upstream, client } = world;
    const held = tap();
    using _rule = upstream.misbehave(/\.zip$/, held.behaviour);
    const hangUps: AbortController[] = [];
    const ask = (id: string, signal?: AbortSignal) =>
      // Nobody keeps the response: the signal of `fetch` might end with it.
      abortableFetch(`${server.url}/${ZIP_URL}`, {
        client,
        headers: { "X-Request-Id": id },
        ...signal && { signal },
      });
    const open = async (id: string) => {
      const hangUp = new AbortController();
      hangUps.push(hangUp);
      const { body } = await ask(id, hangUp.signal);
      assert.ok(body !== null);
      return body.getReader();
    };
    const leaving = [open("leaves-1"), open("leaves-2"), open("leaves-3")];
    const staying = ask("stays");
    await held.arrived;
    held.give(MIB);
    for (const reader of leaving) await (await reader).read();
    for (const hangUp of hangUps) hangUp.abort();
    for (const reader of leaving) {
      await assert.rejects(readAllBytes(await reader), { name: "AbortError" });
    }
    held.release();
    assertBytes(await (await staying).bytes(), HONEST.bytes);
    for (const id of ["leaves-1", "leaves-2", "leaves-3", "stays"]) {
      const line = await server.log((line) => line["msg"] === "request" && line["id"] === id);
      const { level, status, aborted, error } = line;
      const wanted = { level: "info", status: 200, error: undefined };
      assert.deepEqual({ level, status, error }, wanted, id);
      assert.equal(aborted, id === "stays" ? undefined : true, id);
    }
    assert.equal(upstream.count(/\.zip$/), 1);
  });

  Deno.test(`${name}: a zip that breaks off is recorded with the reason`, async () => {
    await using world = await startWorld(options);
    const { server, upstream, client } = world;
    using _rule = upstream.misbehave(/\.zip$/, instead(WRONG.bytes));
    const response = await fetch(`${server.url}/${ZIP_URL}`, { client });
    assert.equal(response.status, 200);
    await assert.rejects(response.bytes(), TypeError);
    const line = await server.log(({ msg, path }) => msg === "request" && path === `/${ZIP_URL}`);
    assert.match(String(line["error"]), /hash mismatch/);
    assert.equal(line["aborted"], true);
  });
}

goTest("go reports a zip that breaks off and keeps nothing of it", async () => {
  await using world = await startWorld({ workers: 2 });
  const { server, upstream, sumdb } = world;
  await using go = await goCommand({ proxy: server.url, sumdb: sumdb.verifierKey });
  const download = () => go.run(["mod", "download", "-json", `${PATH}@${VERSION}`]);
  using rule = upstream.misbehave(/\.zip$/, instead(WRONG.bytes));
  const broken = await download();
  assert.equal(broken.code, 1);
  assert.match(JSON.parse(broken.stdout).Error, /unexpected EOF|connection reset/);
  const cache = `${go.moduleCache}/cache/download/${PATH}/@v`;
  const names = [...Deno.readDirSync(cache)].map(({ name }) => name);
  assert.deepEqual(names.filter((name) => /zip/.test(name) && !name.endsWith(".lock")), []);
  assert.equal(upstream.count(/\.zip$/), 1);
  rule[Symbol.dispose]();
  const right = await download();
  assert.equal(right.code, 0, right.stdout);
  assertBytes(await Deno.readFile(`${cache}/${VERSION}.zip`), HONEST.bytes);
});
