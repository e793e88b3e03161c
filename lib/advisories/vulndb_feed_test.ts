import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { type FakeEntry, fakeEntry, FakeVulndb, writeDatabase } from "../../tests/fakes/vulndb.ts";
import { buildZip } from "../../tests/support/module_zip.ts";
import { ProxyError } from "../errors.ts";
import { createFetch } from "../http/client.ts";
import { type FeedState, NO_STATE } from "./feed_log.ts";
import { InvalidAdvisoryError } from "./osv.ts";
import { MANY_ENTRIES, VulndbFeed } from "./vulndb_feed.ts";

const fetch = createFetch({ userAgent: "test", via: "1.1 test" });
const { signal } = new AbortController();
const CONTEXT = { signal, nowMs: Date.UTC(2026, 5, 1) };
const scratchDirectory = () => Promise.resolve(Deno.env.get("TMPDIR") ?? "/tmp");

function feedOf({ url }: { url: string }): VulndbFeed {
  return new VulndbFeed({ url: new URL(url), fetch, scratchDirectory });
}

/** What is known after a reading. */
async function stateAfter(feed: VulndbFeed, known: FeedState = NO_STATE): Promise<FeedState> {
  const reading = await feed.read(known, CONTEXT);
  if (reading === "unchanged") return known;
  const { entries, modified, validator } = reading;
  const record = { checkedAtMs: 0, modified, validator, listed: entries.size };
  return { ...NO_STATE, count: 1, record, entries };
}

const idsOf = ({ entries }: FeedState) => [...entries.keys()];

Deno.test("VulndbFeed.read() reads a whole database, then only what has changed", async () => {
  const entries = ["GO-3", "GO-1", "GO-2"].map((id) => fakeEntry(id));
  await using vulndb = new FakeVulndb(entries);
  const feed = feedOf(vulndb);
  const first = await stateAfter(feed);
  assert.deepEqual(idsOf(first), ["GO-1", "GO-2", "GO-3"]);
  assert.equal(first.record?.modified, "2026-01-01T00:00:00Z");
  assert.equal(vulndb.requests.length, 6);

  vulndb.requests.length = 0;
  assert.equal(await feed.read(first, CONTEXT), "unchanged");
  assert.deepEqual(vulndb.requests, ["index/db.json.gz"]);

  vulndb.requests.length = 0;
  const changed = fakeEntry("GO-2", { modified: "2026-02-01T00:00:00Z", fixed: "2.0.0" });
  const added = fakeEntry("GO-4", { modified: "2026-01-15T00:00:00Z" });
  vulndb.set([...entries.filter(({ id }) => id === "GO-1"), changed, added]);
  const second = await stateAfter(feed, first);
  assert.deepEqual(idsOf(second), ["GO-1", "GO-2", "GO-4"]);
  assert.deepEqual(second.entries.get("GO-2")?.advisory.affected[0]?.ranges, [">=0 <2.0.0"]);
  assert.deepEqual(vulndb.requests.filter((path) => path.startsWith("ID/")).sort(), [
    "ID/GO-2.json.gz",
    "ID/GO-4.json.gz",
  ]);
});

Deno.test("VulndbFeed.read() reads a directory", async () => {
  const directory = await Deno.makeTempDir({ prefix: "vulndb-" });
  try {
    await writeDatabase(directory, [fakeEntry("GO-1"), fakeEntry("GO-2")]);
    const state = await stateAfter(new VulndbFeed({ directory }));
    assert.deepEqual(idsOf(state), ["GO-1", "GO-2"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("VulndbFeed.read() takes many entries from vulndb.zip, if it is as the index says", async () => {
  const entries = Array.from({ length: MANY_ENTRIES }, (_, i) => fakeEntry(`GO-${i}`));
  await using vulndb = new FakeVulndb(entries);
  const old = entries.slice(0, 2).map(({ id }) =>
    fakeEntry(id, { modified: "2025-01-01T00:00:00Z" })
  );
  vulndb.setFile("vulndb.zip", await zipOf([...old, ...entries.slice(2, -1)]));
  const state = await stateAfter(feedOf(vulndb));
  assert.equal(state.entries.size, MANY_ENTRIES);
  assert.deepEqual(
    vulndb.requests.filter((path) => path.startsWith("ID/")).sort(),
    [
      "ID/GO-0.json.gz",
      "ID/GO-1.json.gz",
      `ID/GO-${MANY_ENTRIES - 1}.json.gz`,
    ].sort(),
  );
  vulndb.requests.length = 0;
  vulndb.setFile("vulndb.zip", new TextEncoder().encode("no zip"));
  assert.equal((await stateAfter(feedOf(vulndb))).entries.size, MANY_ENTRIES);
});

function zipOf(entries: readonly FakeEntry[]): Promise<Uint8Array<ArrayBuffer>> {
  return buildZip([
    ...entries.map((entry) => [`ID/${entry.id}.json`, JSON.stringify(entry)] as const),
    ["index/vulns.json", "[]"],
  ]);
}

Deno.test("VulndbFeed.read() takes a gzip that was undone on the way", async () => {
  await using vulndb = new FakeVulndb([fakeEntry("GO-1")]);
  const text = JSON.stringify({ modified: "2026-01-01T00:00:00Z" });
  vulndb.misbehaviour.set(
    "index/db.json.gz",
    () => new Response(new Uint8Array(gzipSync(text)), { headers: { "Content-Encoding": "gzip" } }),
  );
  assert.deepEqual(idsOf(await stateAfter(feedOf(vulndb))), ["GO-1"]);
});

Deno.test("VulndbFeed.read() refuses what does not agree", async (t) => {
  const answer = (value: unknown) => () =>
    new Response(
      new Uint8Array(gzipSync(typeof value === "string" ? value : JSON.stringify(value))),
    );
  const time = "2026-01-01T00:00:00Z";
  const vulns = (...ids: string[]) => ids.map((id) => ({ id, modified: time }));
  const modules = (path: string, ...ids: string[]) => [{ path, vulns: vulns(...ids) }];
  const rows = [
    { name: "no JSON", path: "index/db.json.gz", value: "<html>", want: /not JSON/ },
    { name: "no time", path: "index/db.json.gz", value: {}, want: /index\/db of .*modified/ },
    {
      name: "an entry less",
      path: "index/modules.json.gz",
      value: modules("example.com/m", "GO-1"),
      want: /lacks "GO-2 example.com\/m"/,
    },
    {
      name: "an entry more",
      path: "index/modules.json.gz",
      value: modules("example.com/m", "GO-1", "GO-2", "GO-3"),
      want: /no entry is about "GO-3 /,
    },
    { name: "cut off", path: "index/modules.json.gz", value: [], want: /lacks/ },
    {
      name: "another id",
      path: "ID/GO-1.json.gz",
      value: fakeEntry("GO-9"),
      want: /its id is another one/,
    },
    {
      name: "another time",
      path: "ID/GO-1.json.gz",
      value: fakeEntry("GO-1", { modified: "2025-01-01T00:00:00Z" }),
      want: /another time/,
    },
    { name: "no entry", path: "ID/GO-1.json.gz", value: [], want: /"GO-1" cannot be used/ },
    { name: "twice", path: "index/vulns.json.gz", value: vulns("GO-1", "GO-1"), want: /twice/ },
    {
      name: "a path as an id",
      path: "index/vulns.json.gz",
      value: vulns("../../etc/passwd"),
      want: /not the id/,
    },
    {
      name: "an index of before, from a cache",
      path: "index/db.json.gz",
      value: { modified: "2026-06-01T00:00:00Z" },
      want: /not that of its latest entry/,
    },
    {
      name: "the database is earlier",
      path: "index/db.json.gz",
      value: { modified: "2025-01-01T00:00:00Z" },
      want: /not that of its latest entry/,
    },
  ];
  for (const { name, path, value, want } of rows) {
    await t.step(name, async () => {
      await using vulndb = new FakeVulndb([fakeEntry("GO-1"), fakeEntry("GO-2")]);
      vulndb.misbehaviour.set(path, answer(value));
      await assert.rejects(feedOf(vulndb).read(NO_STATE, CONTEXT), (error) => {
        assert.ok(error instanceof InvalidAdvisoryError);
        assert.match(messagesOf(error), want);
        return true;
      });
    });
  }
  await t.step("older than what is known", async () => {
    await using vulndb = new FakeVulndb([fakeEntry("GO-1", { modified: "2026-03-01T00:00:00Z" })]);
    const known = await stateAfter(feedOf(vulndb));
    vulndb.set([fakeEntry("GO-1", { modified: "2026-02-01T00:00:00Z" })]);
    await assert.rejects(feedOf(vulndb).read(known, CONTEXT), /before 2026-03-01T00:00:00Z/);
  });
});

function messagesOf(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

Deno.test("VulndbFeed.read() ends at its limits", async (t) => {
  const rows: { name: string; path: string; response: () => Response; want: RegExp }[] = [
    {
      name: "status 500",
      path: "index/db.json.gz",
      response: () => new Response("", { status: 500 }),
      want: /status 500/,
    },
    {
      name: "a bomb",
      path: "ID/GO-1.json.gz",
      response: () => new Response(new Uint8Array(gzipSync(new Uint8Array(2 * 1024 * 1024)))),
      want: /larger than 1048576 bytes/,
    },
    {
      name: "a large body",
      path: "ID/GO-1.json.gz",
      response: () => new Response(new Uint8Array(2 * 1024 * 1024)),
      want: /larger than 1048576 bytes \(limit: advisories\)/,
    },
    {
      name: "half a gzip",
      path: "ID/GO-1.json.gz",
      response: () => new Response(new Uint8Array(gzipSync("x".repeat(100)).subarray(0, 12))),
      want: /damaged/,
    },
  ];
  for (const { name, path, response, want } of rows) {
    await t.step(name, async () => {
      await using vulndb = new FakeVulndb([fakeEntry("GO-1")]);
      vulndb.misbehaviour.set(path, response);
      await assert.rejects(feedOf(vulndb).read(NO_STATE, CONTEXT), (error) => {
        assert.ok(error instanceof ProxyError, String(error));
        assert.match(messagesOf(error), want);
        return true;
      });
    });
  }
});
