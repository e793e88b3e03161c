/**
 * A database, or an upstream before it, that sends false answers: each is rejected, nothing of it
 * is stored, and later correct answers are accepted.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  fetchFrom,
  growTo,
  hashesOf,
  moduleOf,
  recordOf,
  testDatabase,
} from "../../tests/worlds/sum_database.ts";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { UpstreamError } from "../errors.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { readAll } from "../store/object_store.ts";
import { ForkError, UnverifiedError } from "./errors.ts";
import { parseTilePath } from "./tile.ts";

const A = recordOf("example.com/a");
const B = recordOf("example.com/b");
const C = recordOf("example.com/c");
type Bytes = Uint8Array<ArrayBuffer>;

/** Three tiles are needed to prove A: one full, two of the edge. */
function logWithModules(): Sumdb {
  const sumdb = new Sumdb();
  growTo(sumdb, 300);
  for (const record of [A, B, C]) sumdb.append(record);
  growTo(sumdb, 771);
  return sumdb;
}

function text(change: (text: string) => string): (bytes: Bytes) => Bytes {
  return (bytes) => {
    const before = new TextDecoder().decode(bytes);
    const after = change(before);
    assert.notEqual(after, before, "the lie is the truth");
    return new TextEncoder().encode(after);
  };
}

const NOTE = /\n\n(go\.sum[^]*)$/;
const stranger = logWithModules();
const lies: { what: string; path: RegExp; lie: (bytes: Bytes, sumdb: Sumdb) => Bytes }[] = [
  // The record.
  { what: "another h1", path: /lookup/, lie: text((t) => t.replace("v1.0.0 h1:", "v1.0.0 h1:A")) },
  { what: "another hash", path: /lookup/, lie: text((t) => t.replace(A.h1, B.h1)) },
  { what: "another go.mod", path: /lookup/, lie: text((t) => t.replace(A.goModH1, B.goModH1)) },
  { what: "another number", path: /lookup/, lie: text((t) => t.replace("300", "301")) },
  { what: "a number past the tree", path: /lookup/, lie: text((t) => t.replace("300", "771")) },
  { what: "a number past 2^32", path: /lookup/, lie: text((t) => t.replace("300", "4294967596")) },
  {
    what: "another module's record",
    path: /lookup/,
    lie: (_, sumdb) => bytesOf(sumdb, "/lookup/example.com/b@v1.0.0"),
  },
  {
    what: "another module's record, renamed",
    path: /lookup/,
    lie: (_, sumdb) =>
      text((t) => t.replaceAll("/b ", "/a "))(bytesOf(sumdb, "/lookup/example.com/b@v1.0.0")),
  },
  {
    what: "a line more in the record",
    path: /lookup/,
    lie: text((t) => t.replace("\n\n", "\nexample.com/a v1.0.0 h2:x\n\n")),
  },
  // Lines that the tree says nothing about (CVE-2026-42501).
  {
    what: "lines between record and note",
    path: /lookup/,
    lie: text((t) => t.replace("\n\n", `\n\n${A.path} ${A.version} ${B.h1}\n`)),
  },
  {
    what: "a paragraph between record and note",
    path: /lookup/,
    lie: text((t) => t.replace("\n\n", `\n\n${A.path} ${A.version} ${B.h1}\n\n`)),
  },
  {
    what: "lines behind the note",
    path: /lookup/,
    lie: text((t) => `${t}${A.path} ${A.version} ${B.h1}\n`),
  },
  {
    what: "a paragraph behind the note",
    path: /lookup/,
    lie: text((t) => `${t}\n${A.path} ${A.version} ${B.h1}\n`),
  },
  // The note.
  { what: "no note", path: /lookup/, lie: text((t) => t.replace(NOTE, "\n\n")) },
  {
    what: "a note without signature",
    path: /lookup/,
    lie: text((t) => t.replace(/\n— .*\n$/, "\n")),
  },
  { what: "a bad signature", path: /lookup/, lie: text((t) => t.replace(/.{9}\n$/, "AAAAAAA=\n")) },
  { what: "a smaller tree", path: /lookup/, lie: text((t) => t.replace("tree\n771", "tree\n770")) },
  { what: "a larger tree", path: /lookup/, lie: text((t) => t.replace("tree\n771", "tree\n1771")) },
  {
    what: "another key",
    path: /lookup/,
    lie: text((t) => t.replace(NOTE, `\n\n${stranger.latest()}`)),
  },
  // Tiles.
  { what: "no tile", path: /tile/, lie: () => new Uint8Array() },
  { what: "an HTML page", path: /tile/, lie: () => new TextEncoder().encode("<!doctype html>") },
  { what: "a truncated tile", path: /tile/, lie: (bytes) => bytes.slice(0, -32) },
  { what: "a tile cut in a hash", path: /tile/, lie: (bytes) => bytes.slice(0, -1) },
  {
    what: "a wider tile",
    path: /tile/,
    lie: (bytes) => Uint8Array.of(...bytes, ...bytes.slice(0, 32)),
  },
  { what: "a narrower partial tile", path: /\.p\/3$/, lie: (bytes) => bytes.slice(0, 64) },
  {
    what: "the next tile",
    path: /tile\/8\/0\/001$/,
    lie: (_, sumdb) => bytesOf(sumdb, "/tile/8/0/002"),
  },
  // A bit in every tile that is read.
  ...["0/001", "0/003.p/3", "1/000.p/3"].flatMap((tile) =>
    [0, 40, 95].map((at) => ({
      what: `bit ${8 * at} flipped in ${tile}`,
      path: new RegExp(`tile/8/${tile}$`),
      lie: (bytes: Bytes) => bytes.with(at, (bytes[at] ?? 0) ^ 1),
    }))
  ),
];

function bytesOf(sumdb: Sumdb, path: string): Bytes {
  const honest = sumdb.fork();
  let sent: Bytes | null = null;
  honest.alter = (_, bytes) => sent = bytes;
  honest.answer(path);
  return sent ?? assert.fail(`${path} is not there`);
}

Deno.test("lookup() refuses every lie, stores nothing of it, and believes the truth", async (t) => {
  const honest = new FaultyStore(new MemoryStore());
  const origin = logWithModules();
  await testDatabase(origin, { store: honest }).database.lookup(moduleOf(A));
  const truth = await contentOf(honest);
  assert.equal(truth.size, 3);
  for (const { what, path, lie } of lies) {
    await t.step(what, async () => {
      const sumdb = origin.fork();
      const store = new FaultyStore(new MemoryStore());
      const { database } = testDatabase(sumdb, { store });
      let isTold = false;
      sumdb.alter = (asked, bytes) => {
        if (!path.test(asked)) return bytes;
        isTold = true;
        return lie(bytes, sumdb);
      };
      await assert.rejects(database.lookup(moduleOf(A)), UnverifiedError);
      assert.ok(isTold);
      for (const [key, bytes] of await contentOf(store)) {
        assert.ok(!key.includes("/lookup/"), key);
        assert.deepEqual(bytes, truth.get(key), key);
      }
      sumdb.alter = (_path, bytes) => bytes;
      assert.deepEqual(await hashesOf(database.find(moduleOf(A))), {
        zipH1: A.h1,
        goModH1: A.goModH1,
      });
      assert.deepEqual(await contentOf(store), truth);
    });
  }
});

Deno.test("tile() and latest() refuse what is not in the tree, and store nothing of it", async (t) => {
  const rows: { asked: string; path: RegExp; what: string; lie: (bytes: Bytes) => Bytes }[] = [
    { asked: "tile/8/0/000", path: /0\/000$/, what: "bits", lie: (bytes) => bytes.with(9, 9) },
    { asked: "tile/8/0/000.p/7", path: /0\/000$/, what: "cut", lie: (b) => b.slice(0, 7 * 32) },
    { asked: "tile/8/data/000", path: /data/, what: "text", lie: (bytes) => bytes.with(30, 0x41) },
    { asked: "tile/8/data/000", path: /data/, what: "cut", lie: (bytes) => bytes.slice(0, -1) },
    { asked: "tile/8/data/000.p/9", path: /data/, what: "cut before", lie: (b) => b.slice(1) },
    { asked: "tile/8/data/003.p/2", path: /data/, what: "none", lie: () => new Uint8Array() },
    {
      asked: "tile/8/data/003.p/2",
      path: /data/,
      what: "others",
      lie: () => bytesOf(logWithModules(), "/tile/8/data/002.p/2"),
    },
  ];
  for (const { asked, path, what, lie } of rows) {
    await t.step(`${asked}: ${what}`, async () => {
      const sumdb = logWithModules();
      const store = new FaultyStore(new MemoryStore());
      const { database } = testDatabase(sumdb, { store });
      const tile = parseTilePath(asked) ?? assert.fail();
      sumdb.alter = (asked, bytes) => path.test(asked) ? lie(bytes) : bytes;
      await assert.rejects(database.tile(tile), UnverifiedError);
      assert.ok(![...(await contentOf(store)).keys()].some((key) => path.test(key)));
      sumdb.alter = (_path, bytes) => bytes;
      await database.tile(tile);
    });
  }
  await t.step("latest", async () => {
    const sumdb = logWithModules();
    const store = new FaultyStore(new MemoryStore());
    const { database } = testDatabase(sumdb, { store });
    const smaller = text((t) => t.replace("771", "770"));
    sumdb.alter = (_path, bytes) => smaller(bytes);
    await assert.rejects(database.latest(), UnverifiedError);
    assert.equal((await contentOf(store)).size, 0);
  });
});

/** Everything that was created. */
async function contentOf(store: FaultyStore): Promise<Map<string, Bytes>> {
  const content = new Map<string, Bytes>();
  for (const { method, key } of [...store.calls]) {
    const object = method === "create" ? await store.get(key) : null;
    if (object !== null) content.set(key, await readAll(object));
  }
  return content;
}

/** Two logs under one key that diverge after `common` records; they then have `sizes`. */
function forkedLogs(
  common: number,
  sizes: readonly [number, number],
  trunk = new Sumdb(),
): [Sumdb, Sumdb] {
  growTo(trunk, common);
  const [left, right] = [trunk.fork(), trunk.fork()];
  left.append(A);
  right.append(B);
  growTo(left, sizes[0]);
  growTo(right, sizes[1]);
  return [left, right];
}

Deno.test("a fork is found out, whichever tree is larger, and refused for good", async (t) => {
  const rows: { common: number; sizes: readonly [number, number]; what: string }[] = [
    { common: 0, sizes: [1, 1], what: "of one record" },
    { common: 5, sizes: [7, 7], what: "of the same size" },
    { common: 5, sizes: [7, 8], what: "larger, in the same tile" },
    { common: 5, sizes: [7, 900], what: "larger, by some tiles" },
    { common: 300, sizes: [513, 514], what: "larger, with the same tiles of higher levels" },
    { common: 300, sizes: [512, 513], what: "larger by one record, in full tiles" },
    { common: 700, sizes: [771, 770], what: "smaller, in the same tile" },
  ];
  for (const { common, sizes, what } of rows) {
    await t.step(what, async () => {
      const [left, right] = forkedLogs(common, sizes);
      const store = new FaultyStore(new MemoryStore());
      const first = testDatabase(left, { store });
      const other = testDatabase(left, { store });
      await first.database.lookup(moduleOf(A));
      await other.database.lookup(moduleOf(A));
      // The tree that is the newest already is shown once more.
      await first.database.latest();
      const before = await contentOf(store);

      first.fetch = fetchFrom(right);
      const small = Math.min(...sizes);
      const message = new RegExp(
        `^Cannot trust database sum\\.example\\.test: .* of ${small} records with hash \\S+ and of ${
          Math.max(...sizes)
        } records with hash `,
      );
      const isFork = (error: unknown) =>
        error instanceof ForkError && error instanceof UpstreamError && message.test(error.message);
      await assert.rejects(first.database.lookup(moduleOf(B)), isFork);

      // Nothing is stored but the report, which has the evidence against the database.
      const after = await contentOf(store);
      const news = [...after.keys()].filter((key) => !before.has(key));
      assert.deepEqual(news.map((key) => key.replace(/^.*\//, "")), ["fork"]);
      const report = new TextDecoder().decode(after.get(news[0] ?? ""));
      for (const { note } of [left, right].map((log) => ({ note: log.latest() }))) {
        assert.ok(report.includes(note));
      }
      assert.ok(
        first.log.some(({ level, report: logged }) => level === "error" && logged === report),
      );

      // From now on nothing is requested or answered: here, after a restart, and by the others
      // within a minute.
      first.fetch = fetchFrom(left);
      other.clock.nowMs += 60_000;
      left.requests.length = 0;
      for (const { database } of [first, testDatabase(left, { store }), other]) {
        await assert.rejects(database.lookup(moduleOf(A)), isFork);
        await assert.rejects(database.find(moduleOf(C)), isFork);
        await assert.rejects(database.latest(), isFork);
        await assert.rejects(database.tile({ level: 0, number: 0, width: 1 }), isFork);
      }
      assert.deepEqual(left.requests, []);
    });
  }
});

Deno.test("a fork is found out by replicas that were shown one branch each", async (t) => {
  for (const sizes of [[7, 9], [9, 7], [7, 7]] as const) {
    await t.step(`${sizes}`, async () => {
      const trunk = new Sumdb();
      const [left, right] = forkedLogs(5, sizes, trunk);
      const store = new MemoryStore();
      const one = testDatabase(trunk, { store });
      const other = testDatabase(trunk, { store });
      // What both have seen, and what is in the store, is what the branches have in common.
      await one.database.latest();
      await other.database.latest();
      one.fetch = fetchFrom(left);
      other.fetch = fetchFrom(right);
      await one.database.lookup(moduleOf(A));
      await assert.rejects(other.database.lookup(moduleOf(B)), ForkError);
      one.clock.nowMs += 60_000;
      await assert.rejects(one.database.lookup(moduleOf(A)), ForkError);
    });
  }
});

Deno.test("a fork is refused also while the store does not take the report", async () => {
  const [left, right] = forkedLogs(5, [7, 9]);
  let isBroken = true;
  const store = new FaultyStore(
    new MemoryStore(),
    ({ method, key }) => isBroken && method === "create" && /\/fork$/.test(key) ? "fail" : null,
  );
  const test = testDatabase(left, { store });
  await test.database.lookup(moduleOf(A));
  test.fetch = fetchFrom(right);
  await assert.rejects(test.database.lookup(moduleOf(B)), ForkError);
  await assert.rejects(test.database.lookup(moduleOf(A)), ForkError);
  isBroken = false;
  await assert.rejects(test.database.lookup(moduleOf(A)), ForkError);
  await assert.rejects(testDatabase(left, { store }).database.lookup(moduleOf(A)), ForkError);
});

Deno.test("whatever is shown in whatever order, only one branch is ever believed", async () => {
  const shown = fc.array(
    fc.record({ branch: fc.nat(1), by: fc.integer({ min: 0, max: 300 }), again: fc.boolean() }),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(600), shown, async (common, shown) => {
      const branches = forkedLogs(common, [common + 1, common + 1]);
      const test = testDatabase(branches[0], { limits: { latestTtlMs: 0 } });
      const believed = new Set<number>();
      for (const { branch, by, again } of shown) {
        const log = branches[branch] ?? assert.fail();
        test.fetch = fetchFrom(log);
        growTo(log, log.size + by);
        const record = recordOf(`example.com/new/b${branch}-${log.size}`);
        log.append(record);
        try {
          await test.database.lookup(moduleOf(record));
          believed.add(branch);
          if (again) await test.database.latest();
        } catch (error) {
          assert.ok(error instanceof UpstreamError, String(error));
          assert.ok(!believed.has(branch) || error instanceof ForkError);
        }
        assert.ok(believed.size <= 1, "both branches were believed");
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("tiles that fit no tree are no fork: what they say is forgotten", async () => {
  const [left, right] = forkedLogs(300, [400, 771]);
  const test = testDatabase(left);
  await test.database.lookup(moduleOf(A));
  growTo(left, 771);
  // The true tree, with tiles of another.
  test.fetch = (path, options) => fetchFrom(path.startsWith("tile/") ? right : left)(path, options);
  await assert.rejects(
    test.database.lookup(moduleOf(recordOf("example.com/unrelated/m500"))),
    UnverifiedError,
  );
  test.fetch = fetchFrom(left);
  await test.database.lookup(moduleOf(recordOf("example.com/unrelated/m500")));
});
