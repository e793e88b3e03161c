import assert from "node:assert/strict";
import { join } from "node:path";
import { type FakeEntry, fakeEntry, FakeVulndb, writeDatabase } from "../../tests/fakes/vulndb.ts";
import { buildZip } from "../../tests/support/module_zip.ts";
import { UpstreamError } from "../errors.ts";
import { createFetch } from "../http/client.ts";
import { type FeedReading } from "./feed.ts";
import { type FeedState, NO_STATE } from "./feed_log.ts";
import { InvalidAdvisoryError } from "./osv.ts";
import { OsvFeed } from "./osv_feed.ts";

const fetch = createFetch({ userAgent: "test", via: "1.1 test" });
const { signal } = new AbortController();
const CONTEXT = { signal, nowMs: Date.UTC(2026, 5, 1, 12, 30, 15, 500) };
const scratchDirectory = () => Promise.resolve(Deno.env.get("TMPDIR") ?? "/tmp");
const NPM = { ...fakeEntry("GHSA-npm"), affected: [{ package: { ecosystem: "npm", name: "m" } }] };

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "osv-" });
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function idsOf(reading: FeedReading): string[] | "unchanged" {
  return reading === "unchanged" ? reading : [...reading.entries.keys()];
}

function stateOf(reading: FeedReading): FeedState {
  assert.notEqual(reading, "unchanged");
  if (reading === "unchanged") return NO_STATE;
  const { entries, modified, validator } = reading;
  return { ...NO_STATE, entries, record: { checkedAtMs: 0, modified, validator, listed: 0 } };
}

const textOf = (entry: unknown) => JSON.stringify(entry, null, 2);

Deno.test("OsvFeed.read() reads the files of a directory", async () => {
  await inDirectory(async (directory) => {
    await Deno.mkdir(join(directory, "a/b"), { recursive: true });
    await Deno.mkdir(join(directory, ".git"));
    await Deno.writeTextFile(join(directory, "a/b/MAL-1.json"), textOf(fakeEntry("MAL-1")));
    await Deno.writeTextFile(join(directory, "ORG-1.json"), textOf(fakeEntry("ORG-1")));
    await Deno.writeTextFile(join(directory, "npm.json"), textOf(NPM));
    await Deno.writeTextFile(join(directory, "README.md"), "not an entry");
    await Deno.writeTextFile(join(directory, ".git/x.json"), "not an entry");
    await Deno.symlink("/etc/passwd", join(directory, "link.json"));
    const reading = await new OsvFeed({ directory }).read(NO_STATE, CONTEXT);
    assert.deepEqual(idsOf(reading), ["MAL-1", "ORG-1"]);
    // What has not changed is not parsed again.
    const again = await new OsvFeed({ directory }).read(stateOf(reading), CONTEXT);
    assert.equal(stateOf(again).entries.get("ORG-1"), stateOf(reading).entries.get("ORG-1"));
  });
});

Deno.test("OsvFeed.read() reads the directory of a database, without its indexes", async () => {
  await inDirectory(async (directory) => {
    await writeDatabase(directory, [fakeEntry("GO-1"), fakeEntry("GO-2")]);
    const reading = await new OsvFeed({ directory }).read(NO_STATE, CONTEXT);
    assert.deepEqual(idsOf(reading), ["GO-1", "GO-2"]);
  });
});

Deno.test("OsvFeed.read() reads a file: an entry, a list, a zip", async (t) => {
  const entries = [fakeEntry("A"), fakeEntry("B")];
  const rows: { name: string; content: string | Uint8Array; want: string[] }[] = [
    { name: "an entry", content: textOf(entries[0]), want: ["A"] },
    { name: "a list", content: textOf([...entries, NPM]), want: ["A", "B"] },
    { name: "a zip", content: await zipOf(entries), want: ["A", "B"] },
  ];
  for (const { name, content, want } of rows) {
    await t.step(name, () =>
      inDirectory(async (directory) => {
        const file = join(directory, "entries");
        if (typeof content === "string") await Deno.writeTextFile(file, content);
        else await Deno.writeFile(file, content);
        assert.deepEqual(idsOf(await new OsvFeed({ file }).read(NO_STATE, CONTEXT)), want);
      }));
  }
});

function zipOf(entries: readonly FakeEntry[]): Promise<Uint8Array<ArrayBuffer>> {
  return buildZip([
    ["index/db.json", "{}"],
    ["README.md", "text"],
    ...entries.map((entry) => [`deep/${entry.id}.json`, textOf(entry)] as const),
  ]);
}

Deno.test("OsvFeed.read() reads a URL again when it has changed", async () => {
  await using server = new FakeVulndb([]);
  server.setFile("all.zip", await zipOf([fakeEntry("A")]));
  const feed = new OsvFeed({ url: new URL(`${server.url}/all.zip`), fetch, scratchDirectory });
  const first = stateOf(await feed.read(NO_STATE, CONTEXT));
  assert.deepEqual([...first.entries.keys()], ["A"]);
  assert.equal(await feed.read(first, CONTEXT), "unchanged");
  server.setFile("all.zip", await zipOf([fakeEntry("A"), fakeEntry("B")]));
  assert.deepEqual(idsOf(await feed.read(first, CONTEXT)), ["A", "B"]);
});

Deno.test("an entry without a usable time gets that of its first reading, and keeps it", async () => {
  await inDirectory(async (directory) => {
    const file = join(directory, "GO-1.json");
    await Deno.writeTextFile(file, textOf(fakeEntry("GO-1", { modified: "0001-01-01T00:00:00Z" })));
    const feed = new OsvFeed({ file });
    const first = stateOf(await feed.read(NO_STATE, CONTEXT));
    const timeOf = (state: FeedState) => {
      const { json = new Uint8Array(), advisory } = state.entries.get("GO-1") ?? {};
      assert.equal(JSON.parse(new TextDecoder().decode(json)).modified, advisory?.modified);
      return advisory?.modified;
    };
    assert.equal(timeOf(first), "2026-06-01T12:30:15Z");
    const later = { ...CONTEXT, nowMs: CONTEXT.nowMs + 3_600_000 };
    const second = stateOf(await feed.read(first, later));
    assert.equal(timeOf(second), "2026-06-01T12:30:15Z");
    await Deno.writeTextFile(
      file,
      textOf(fakeEntry("GO-1", { modified: "0001-01-01T00:00:00Z", fixed: "9.0.0" })),
    );
    assert.equal(timeOf(stateOf(await feed.read(second, later))), "2026-06-01T13:30:15Z");
  });
});

Deno.test("OsvFeed.read() says what is wrong, and where", async (t) => {
  const rows: { name: string; files: Record<string, string>; want: RegExp }[] = [
    { name: "no JSON", files: { "a.json": "{" }, want: /a\.json": .*not JSON/ },
    { name: "not UTF-8", files: { "a.json": "\xff" }, want: /a\.json": .*not/ },
    {
      name: "one bad entry of two",
      files: { "a.json": textOf(fakeEntry("A")), "b.json": "{}" },
      want: /b\.json": .*id: /,
    },
    {
      name: "one id twice",
      files: { "a.json": textOf(fakeEntry("A")), "b.json": textOf(fakeEntry("A")) },
      want: /two have the id "A"/,
    },
    {
      name: "too large",
      files: { "a.json": textOf({ ...fakeEntry("A"), details: "x".repeat(1024 * 1024) }) },
      want: /larger than 1048576 bytes/,
    },
  ];
  for (const { name, files, want } of rows) {
    await t.step(name, () =>
      inDirectory(async (directory) => {
        for (const [file, text] of Object.entries(files)) {
          await Deno.writeTextFile(join(directory, file), text);
        }
        await assert.rejects(new OsvFeed({ directory }).read(NO_STATE, CONTEXT), (error) => {
          assert.ok(error instanceof InvalidAdvisoryError || error instanceof UpstreamError);
          assert.match(error.message, want);
          return true;
        });
      }));
  }
  await t.step("no directory", async () => {
    const feed = new OsvFeed({ directory: "/nonexistent/advisories" });
    await assert.rejects(feed.read(NO_STATE, CONTEXT), /Cannot read \/nonexistent.*does not exist/);
  });
  await t.step("a damaged zip", () =>
    inDirectory(async (directory) => {
      const file = join(directory, "all.zip");
      const zip = await zipOf([fakeEntry("A")]);
      await Deno.writeFile(file, zip.subarray(0, zip.length - 10));
      await assert.rejects(new OsvFeed({ file }).read(NO_STATE, CONTEXT), InvalidAdvisoryError);
    }));
});
