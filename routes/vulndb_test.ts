import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import type { Advisories } from "../lib/advisories/advisories.ts";
import type { Client, Guard } from "../lib/auth/guard.ts";
import { createLogger } from "../lib/log/log.ts";
import { fakeEntry } from "../tests/fakes/vulndb.ts";
import { advisoriesOf, type AdvisoriesOptions } from "../tests/worlds/advisories.ts";
import { createApp } from "./app.ts";
import { vulndbRoute } from "./vulndb.ts";

const ENTRIES = [
  fakeEntry("GO-1", { modified: "2026-01-01T00:00:00Z" }),
  fakeEntry("GO-2", { name: "example.com/n", modified: "2026-02-01T00:00:00Z" }),
  fakeEntry("ORG-1", { name: "corp.example.com/a", modified: "2026-03-01T00:00:00Z" }),
];
const PRIVATE: AdvisoriesOptions = { isPrivate: (path) => path.startsWith("corp.example.com/") };

function guardOf(client: Partial<Client>): Guard {
  return {
    answersDiffer: true,
    admit: () => ({
      identity: "ci",
      mayRead: () => true,
      dependsOnRepository: () => false,
      admitTo: null,
      ...client,
    }),
  };
}

interface Asked {
  readonly advisories?: Pick<Advisories, "database" | "status">;
  readonly guard?: Guard;
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

async function ask(path: string, { advisories, guard = guardOf({}), ...init }: Asked = {}) {
  const app = createApp({
    routes: [vulndbRoute(advisories ?? await advisoriesOf(ENTRIES, PRIVATE))],
    guard,
    log: createLogger("error", { write: () => {} }),
    via: "1.1 test",
  });
  return await app(new Request(`http://proxy.test/-/vulndb/${path}`, init));
}

Deno.test("/-/vulndb/ serves the files of the protocol, and their gzips as files", async (t) => {
  const names = ["index/db", "index/modules", "index/vulns", "ID/GO-1"];
  for (const name of names) {
    await t.step(name, async () => {
      const plain = await ask(`${name}.json`);
      assert.equal(plain.headers.get("Content-Type"), "application/json");
      const bytes = await plain.bytes();
      // Whatever the client accepts: it would undo an encoding, and then look for a gzip.
      const zipped = await ask(`${name}.json.gz`, { headers: { "Accept-Encoding": "gzip" } });
      assert.equal(zipped.headers.get("Content-Type"), "application/gzip");
      assert.equal(zipped.headers.get("Content-Encoding"), null);
      const gzip = await zipped.bytes();
      assert.deepEqual(new Uint8Array(gunzipSync(gzip)), bytes);

      const head = await ask(`${name}.json.gz`, { method: "HEAD" });
      assert.equal(head.status, 200);
      assert.equal(head.headers.get("Content-Length"), String(gzip.length));
      assert.equal((await head.bytes()).length, 0);
      for (const header of ["ETag", "Last-Modified", "Cache-Control"]) {
        assert.equal(head.headers.get(header), zipped.headers.get(header));
      }
      assert.notEqual(plain.headers.get("ETag"), zipped.headers.get("ETag"));
    });
  }
});

Deno.test("/-/vulndb/ answers 304 to what the client has", async (t) => {
  const { headers } = await ask("ID/GO-2.json");
  const [etag, modified] = [headers.get("ETag") ?? "", headers.get("Last-Modified") ?? ""];
  assert.equal(modified, "Sun, 01 Feb 2026 00:00:00 GMT");
  const rows: { headers: Record<string, string>; want: number }[] = [
    { headers: { "If-None-Match": etag }, want: 304 },
    { headers: { "If-None-Match": `W/${etag}, "x"` }, want: 304 },
    { headers: { "If-None-Match": '"x"' }, want: 200 },
    { headers: { "If-Modified-Since": modified }, want: 304 },
    { headers: { "If-Modified-Since": "Sun, 01 Feb 2026 00:00:01 GMT" }, want: 304 },
    { headers: { "If-Modified-Since": "Sat, 31 Jan 2026 23:59:59 GMT" }, want: 200 },
    { headers: { "If-Modified-Since": "yesterday" }, want: 200 },
    // The ETag counts where both are given.
    { headers: { "If-None-Match": '"x"', "If-Modified-Since": modified }, want: 200 },
  ];
  for (const { headers, want } of rows) {
    await t.step(JSON.stringify(headers), async () => {
      assert.equal((await ask("ID/GO-2.json", { headers })).status, want);
    });
  }
});

Deno.test("/-/vulndb/ has nothing else", async (t) => {
  const paths = [
    "",
    "index",
    "index/db",
    "index/db.json.gz.gz",
    "index/other.json",
    "index/constructor.json",
    "ID/GO-9.json",
    "ID/GO-9.json.gz",
    "ID/.json",
    "ID/%2e%2e%2findex%2fdb.json",
    "vulndb.zip",
  ];
  for (const path of paths) {
    await t.step(path, async () => assert.equal((await ask(path)).status, 404));
  }
});

Deno.test("/-/vulndb/ hides what is about private modules that a client may not read", async (t) => {
  const all = "2026-03-01T00:00:00Z";
  const rows = [
    { name: "may read it", client: {}, want: ["GO-1", "GO-2", "ORG-1"], modified: all },
    // Of public modules, what is public.
    {
      name: "may read nothing",
      client: { mayRead: () => false },
      want: ["GO-1", "GO-2"],
      modified: "2026-02-01T00:00:00Z",
    },
    {
      name: "it depends on a repository",
      client: { dependsOnRepository: () => true },
      want: ["GO-1", "GO-2"],
      modified: "2026-02-01T00:00:00Z",
    },
  ];
  for (const { name, client, want, modified } of rows) {
    await t.step(name, async () => {
      const guard = guardOf(client);
      const json = async (path: string) => await (await ask(path, { guard })).json();
      const vulns: { id: string }[] = await json("index/vulns.json");
      assert.deepEqual(vulns.map(({ id }) => id), want);
      assert.deepEqual(await json("index/db.json"), { modified });
      const entry = await ask("ID/ORG-1.json", { guard });
      assert.equal(entry.status, want.includes("ORG-1") ? 200 : 404);
      // Not kept by caches in between for somebody else.
      const { headers } = await ask("index/modules.json.gz", { guard });
      assert.equal(headers.get("Cache-Control"), "private, max-age=60");
      assert.match(headers.get("Vary") ?? "", /Authorization/);
      // Nobody learns from the answer that there is one.
      const [hidden, unknown] = await Promise.all(
        ["ORG-1", "ORG-9"].map(async (id) => await (await ask(`ID/${id}.json`, { guard })).text()),
      );
      if (!want.includes("ORG-1")) {
        const text = (body: string | undefined) => body?.replace(/ORG-\d|request id: .*/g, "");
        assert.equal(text(hidden), text(unknown));
      }
    });
  }
});

Deno.test("/-/vulndb/ is 503 before a source was read, and says that it is stale", async () => {
  const unread = await ask("index/db.json", { advisories: await advisoriesOf(null) });
  assert.equal(unread.status, 503);
  assert.equal(unread.headers.get("Retry-After"), "30");
  assert.match(await unread.text(), /source "test" was never read/);
  let nowMs = Date.UTC(2026, 0, 1);
  const advisories = await advisoriesOf(ENTRIES, { now: () => nowMs });
  const warningOf = async () => (await ask("index/db.json", { advisories })).headers.get("Warning");
  assert.equal(await warningOf(), null);
  nowMs += 73 * 3_600_000;
  assert.match(await warningOf() ?? "", /^110 - "/);
});
