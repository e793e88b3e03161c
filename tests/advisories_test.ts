/**
 * Advisories in a server as users start it, with several threads: mirrored from a database,
 * answered by every thread, there again after a restart without the database, and shared by
 * replicas.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { startUpstream } from "./fakes/upstream.ts";
import { fakeEntry, FakeVulndb } from "./fakes/vulndb.ts";
import { eventually } from "./support/eventually.ts";
import { type Server, startServer } from "./worlds/server.ts";

const ENTRIES = Array.from({ length: 20 }, (_, i) => fakeEntry(`GO-2026-${i + 10}`));
/** Enough that each of two threads gets some. */
const CONNECTIONS = 20;

interface World extends AsyncDisposable {
  readonly vulndb: FakeVulndb;
  start(args?: readonly string[]): Promise<Server>;
}

async function openWorld({ maxStale = "72h" } = {}): Promise<World> {
  const directory = await Deno.makeTempDir({ prefix: "advisories-" });
  const vulndb = new FakeVulndb(ENTRIES);
  const file = join(directory, "config.yaml");
  await Deno.writeTextFile(
    file,
    JSON.stringify({
      storage: { disk: { path: join(directory, "store") } },
      parentProxy: { url: "off" },
      advisories: { maxStale, sources: [{ name: "go", url: vulndb.url }] },
    }),
  );
  return {
    vulndb,
    start: (args = []) => startServer({ args: ["--config-file", file, ...args] }),
    async [Symbol.asyncDispose]() {
      await vulndb[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** Waits until the source was read. */
async function read(server: Server): Promise<void> {
  await eventually("the source to be read", async () => {
    const response = await fetch(`${server.url}/-/vulndb/index/db.json`);
    await response.body?.cancel();
    return response.status === 200;
  });
}

/** The ids in the index, by a connection of its own. */
async function idsAt(server: Server): Promise<string[]> {
  using client = Deno.createHttpClient({});
  const url = `${server.url}/-/vulndb/index/vulns.json.gz`;
  const response = await fetch(url, { client });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("Content-Type"), "application/gzip");
  const text = new TextDecoder().decode(gunzipSync(await response.bytes()));
  return JSON.parse(text).map(({ id }: { id: string }) => id);
}

const WANT = ENTRIES.map(({ id }) => id);

Deno.test("every thread answers /-/vulndb/", async () => {
  await using world = await openWorld();
  await using server = await world.start(["--workers", "2"]);
  await read(server);
  const answers = await Promise.all(Array.from({ length: CONNECTIONS }, () => idsAt(server)));
  for (const ids of answers) assert.deepEqual(ids, WANT);
  const page = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(page, /^gomodproxy_advisories_entries 20$/m);
  assert.match(page, /^gomodproxy_advisories_stale 0$/m);
  assert.match(page, /^gomodproxy_advisories_last_success_timestamp_seconds \d{10}/m);
  assert.match(page, /^gomodproxy_advisories_refreshes_total\{outcome="changed"\} 1$/m);
  assert.equal(await (await fetch(`${server.url}/readyz`)).text(), "ok\n");
});

Deno.test("advisories are there after a restart, and for other replicas, without their source", async () => {
  await using world = await openWorld();
  {
    await using server = await world.start();
    await read(server);
  }
  await world.vulndb.down();
  await using one = await world.start();
  await using other = await world.start();
  for (const server of [one, other]) assert.deepEqual(await idsAt(server), WANT);
});

Deno.test("before a source was read there is no database, and /readyz says so", async () => {
  await using world = await openWorld();
  world.vulndb.misbehaviour.set("index/db.json.gz", () => new Response("", { status: 500 }));
  await using server = await world.start();
  await server.log(({ msg }) => msg === "cannot read advisories; what is known stays");
  const response = await fetch(`${server.url}/-/vulndb/index/db.json`);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("Retry-After"), "30");
  await response.body?.cancel();
  const ready = await fetch(`${server.url}/readyz`);
  assert.equal(ready.status, 200);
  assert.equal(await ready.text(), 'ok\nadvisories of "go" were never read\n');
});

Deno.test("stale advisories are served, and said to be stale", async () => {
  await using world = await openWorld({ maxStale: "1ms" });
  await using server = await world.start();
  await read(server);
  const ready = await (await fetch(`${server.url}/readyz`)).text();
  assert.match(ready, /^ok\nadvisories of "go" are stale: last read 20\d\d-.*Z\n$/);
  assert.deepEqual(await idsAt(server), WANT);
  const page = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(page, /^gomodproxy_advisories_stale 1$/m);
});

Deno.test("a rule of the policy denies malware, and decides nothing before all sources were read", async () => {
  const directory = await Deno.makeTempDir({ prefix: "advisories-" });
  await using upstream = await startUpstream({
    modules: ["example.com/evil", "example.com/good"].map((path) => ({
      path,
      version: "v1.0.0",
      files: { "go.mod": `module ${path}\n`, "m.go": "package m\n" },
    })),
  });
  await using vulndb = new FakeVulndb(ENTRIES);
  try {
    const config = join(directory, "config.yaml");
    await Deno.writeTextFile(join(directory, "malware"), "example.com/evil # steals tokens\n");
    await Deno.writeTextFile(
      config,
      JSON.stringify({
        storage: { disk: { path: join(directory, "store") } },
        publicModules: { sumDatabase: "off" },
        advisories: {
          sources: [
            { name: "go", url: vulndb.url },
            { name: "ours", kind: "malware", file: "malware" },
          ],
        },
        policy: { rules: [{ name: "malware", advisories: { malicious: true }, action: "deny" }] },
      }),
    );
    const start = () =>
      startServer({
        args: ["--config-file", config],
        env: { GOPROXY: upstream.url },
        isReady: false,
      });
    const zipOf = async (server: Server, name: string) => {
      const response = await fetch(`${server.url}/example.com/${name}/@v/v1.0.0.zip`);
      return { status: response.status, text: await response.text() };
    };
    {
      vulndb.misbehaviour.set("index/db.json.gz", () => new Response("", { status: 500 }));
      await using server = await start();
      const { status, text } = await zipOf(server, "good");
      assert.equal(status, 503);
      assert.match(text, /advisories .*source "go" was never read/);
      const ready = await fetch(`${server.url}/readyz`);
      assert.equal(ready.status, 503);
      assert.match(await ready.text(), /advisories of "go" were never read/);
      vulndb.misbehaviour.clear();
    }
    await using server = await start();
    await eventually(
      "all sources to be read",
      async () => (await zipOf(server, "good")).status === 200,
    );
    const { status, text } = await zipOf(server, "evil");
    assert.equal(status, 403);
    assert.match(text, /MAL-ours-/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
