import assert from "node:assert/strict";
import {
  fetchFrom,
  growTo,
  hashesOf,
  moduleOf,
  OFFLINE,
  recordOf,
  testDatabase,
} from "../../tests/worlds/sum_database.ts";
import { type Call, FAULTS, FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { DeadlineError, NotFoundError, StorageError, UpstreamError } from "../errors.ts";
import type { SumDatabase } from "./database.ts";
import { KeptDatabase } from "./stored_database.ts";
import { VerifierKey } from "./note.ts";
import { readRecord } from "./record.ts";
import { type DataTile, parseTilePath, type Tile } from "./tile.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const A = recordOf("example.com/A");
const B = recordOf("example.com/b", "v1.0.0-20240102030405-0123456789ab");
/** The record is in the middle of some full tile, and not in the first one. */
const PLACE = 600;

function logWith(...records: (typeof A)[]): Sumdb {
  const sumdb = new Sumdb();
  growTo(sumdb, PLACE);
  for (const record of records) sumdb.append(record);
  growTo(sumdb, 1000);
  return sumdb;
}

function tileAt(path: string): Tile | DataTile {
  return parseTilePath(path) ?? assert.fail(`${path} is no tile`);
}

Deno.test("lookup() answers as the database does", async () => {
  const sumdb = logWith(A, B);
  const { database } = testDatabase(sumdb);
  for (const [i, record] of [A, B].entries()) {
    const { bytes, zipH1, goModH1 } = await database.lookup(moduleOf(record));
    const { path, version, h1, goModH1: mod } = record;
    assert.equal(
      decode(bytes),
      `${
        PLACE + i
      }\n${path} ${version} ${h1}\n${path} ${version}/go.mod ${mod}\n\n${sumdb.latest()}`,
    );
    assert.deepEqual([zipH1, goModH1], [h1, mod]);
  }
  assert.deepEqual(sumdb.faults, []);
});

Deno.test("lookup() asks the database once, and after a restart not at all", async () => {
  const sumdb = logWith(A);
  const { database, store } = testDatabase(sumdb);
  const [first] = await Promise.all([1, 2, 3].map(() => database.lookup(moduleOf(A))));
  assert.deepEqual(await database.lookup(moduleOf(A)), first);
  assert.deepEqual(sumdb.requests.sort(), [
    "/lookup/example.com/!a@v1.0.0",
    "/tile/8/0/002",
    "/tile/8/0/003.p/232",
    "/tile/8/1/000.p/3",
  ]);

  const restarted = testDatabase(sumdb, { store });
  restarted.fetch = OFFLINE;
  assert.deepEqual(await restarted.database.lookup(moduleOf(A)), first);
});

Deno.test("lookup() answers records of any age with the newest tree", async () => {
  const sumdb = logWith(A);
  const { database } = testDatabase(sumdb);
  await database.lookup(moduleOf(A));
  sumdb.append(B);
  growTo(sumdb, 1300);
  await database.lookup(moduleOf(B));
  const { bytes } = await database.lookup(moduleOf(A));
  assert.ok(decode(bytes).endsWith(`\n\n${sumdb.latest()}`));
});

Deno.test("lookup() takes a record with an older tree, and keeps to the newer", async () => {
  const sumdb = logWith(A);
  const older = sumdb.fork();
  growTo(sumdb, 1300);
  const test = testDatabase(sumdb);
  await test.database.latest();
  test.fetch = (path, options) =>
    fetchFrom(path.startsWith("lookup/") ? older : sumdb)(path, options);
  const { bytes } = await test.database.lookup(moduleOf(A));
  assert.ok(decode(bytes).endsWith(`\n\n${sumdb.latest()}`));
});

Deno.test("lookup() knows what is not there, and remembers it for nobody", async () => {
  const sumdb = logWith();
  const { database } = testDatabase(sumdb);
  await assert.rejects(database.lookup(moduleOf(A)), NotFoundError);
  assert.equal(await database.find(moduleOf(A)), null);
  sumdb.append(A);
  assert.deepEqual(await hashesOf(database.find(moduleOf(A))), {
    zipH1: A.h1,
    goModH1: A.goModH1,
  });
});

Deno.test("find() follows the trees of many answers in a few steps", async () => {
  const records = Array.from({ length: 40 }, (_, i) => recordOf(`example.com/m${i}`));
  const byPath = new Map(records.map((record) => [record.path, record]));
  // Each lookup appends a record, so that each answer has a larger tree.
  const sumdb = new Sumdb({ resolve: (path) => byPath.get(path) ?? null });
  growTo(sumdb, PLACE);
  const { database } = testDatabase(sumdb);
  const found = await Promise.all(records.map((record) => database.find(moduleOf(record))));
  assert.deepEqual(found.map((hashes) => hashes?.zipH1), records.map(({ h1 }) => h1));
  const steps = sumdb.requests.filter((path) => path.startsWith("/tile/8/0/002.p/"));
  assert.ok(steps.length <= 5, `${steps.length} widths of the last tile: ${steps}`);
});

Deno.test("find() does not wait for the record to be kept, and lookup() does", async () => {
  const gate = Promise.withResolvers<void>();
  const isRecord = ({ method, key }: Call) => method === "create" && key.includes("/lookup/");
  const store = new FaultyStore(
    new MemoryStore(),
    (call) => isRecord(call) ? gate.promise.then(() => null) : null,
  );
  const { database } = testDatabase(logWith(A), { store });
  const verified = await database.find(moduleOf(A));
  const lookup = database.lookup(moduleOf(A));
  let isAnswered = false;
  lookup.then(() => isAnswered = true);
  // Everything but the record is there: a lookup that did not wait for it would have answered by
  // now.
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isAnswered, false);
  gate.resolve();
  await verified?.written;
  assert.equal((await lookup).zipH1, A.h1);
  assert.equal(store.calls.filter(isRecord).length, 1);
});

Deno.test("a record that could not be kept is looked up again", async () => {
  let isDown = true;
  const store = new FaultyStore(
    new MemoryStore(),
    ({ method, key }) => isDown && method === "create" && key.includes("/lookup/") ? "fail" : null,
  );
  const sumdb = logWith(A);
  const { database } = testDatabase(sumdb, { store });
  const verified = await database.find(moduleOf(A));
  assert.ok(verified !== null);
  await assert.rejects(verified.written, StorageError);
  await assert.rejects(database.lookup(moduleOf(A)), StorageError);
  isDown = false;
  assert.equal((await database.lookup(moduleOf(A))).zipH1, A.h1);
  assert.equal(sumdb.requests.filter((path) => path.startsWith("/lookup/")).length, 3);
});

Deno.test("lookup() tells nobody about a private path", async () => {
  const sumdb = logWith(A);
  const { database } = testDatabase(sumdb, { isPrivate: (path) => path === A.path });
  await assert.rejects(
    database.lookup(moduleOf(A)),
    (error) => error instanceof NotFoundError && /private here; set GONOSUMDB/.test(error.message),
  );
  assert.equal(await database.find(moduleOf(A)), null);
  assert.deepEqual(sumdb.requests, []);
});

Deno.test("lookup() does not take a missing tile for a missing module", async () => {
  const sumdb = logWith(A);
  const { database } = testDatabase(sumdb);
  sumdb.alter = (path, bytes) => path.startsWith("/tile/") ? null : bytes;
  await assert.rejects(
    database.lookup(moduleOf(A)),
    (error) =>
      error instanceof UpstreamError && /has no such tile|does not have/.test(error.message),
  );
  await assert.rejects(database.find(moduleOf(A)), UpstreamError);
});

Deno.test("lookup() reads full tiles where the partial ones are gone", async () => {
  const sumdb = new Sumdb();
  sumdb.append(A);
  growTo(sumdb, 200);
  const older = sumdb.latest();
  growTo(sumdb, 300);
  const { database } = testDatabase(sumdb);
  sumdb.alter = (path, bytes) => {
    if (path === "/tile/8/0/000.p/200") return null;
    const text = decode(bytes).replace(sumdb.latest(), older);
    return path.startsWith("/lookup/") ? new TextEncoder().encode(text) : bytes;
  };
  assert.deepEqual(await hashesOf(database.find(moduleOf(A))), {
    zipH1: A.h1,
    goModH1: A.goModH1,
  });
  assert.deepEqual(sumdb.requests.slice(1), ["/tile/8/0/000.p/200", "/tile/8/0/000"]);
});

Deno.test("lookup() waits for no database for ever", async () => {
  const test = testDatabase(logWith(A), { limits: { fetchTimeoutMs: 1 } });
  test.fetch = () => new Promise(() => {});
  await assert.rejects(test.database.lookup(moduleOf(A)), DeadlineError);
});

Deno.test("lookup() lets one caller leave and answers the others", async () => {
  const { database } = testDatabase(logWith(A));
  const leaver = new AbortController();
  const left = database.lookup(moduleOf(A), leaver.signal);
  const stayed = database.lookup(moduleOf(A));
  leaver.abort(new Error("hung up"));
  await assert.rejects(left, /hung up/);
  assert.equal((await stayed).zipH1, A.h1);
});

Deno.test("latest() is asked for once a minute, and shared by all who ask", async () => {
  const sumdb = logWith();
  const { database, clock } = testDatabase(sumdb);
  const first = sumdb.latest();
  const notes = await Promise.all([database.latest(), database.latest()]);
  assert.deepEqual(notes.map(decode), [first, first]);
  growTo(sumdb, 1001);
  clock.nowMs += 59_999;
  assert.equal(decode(await database.latest()), first);
  clock.nowMs += 1;
  assert.equal(decode(await database.latest()), sumdb.latest());
  assert.equal(sumdb.requests.filter((path) => path === "/latest").length, 2);
});

Deno.test("latest() is the newest tree seen where the database cannot say or says less", async () => {
  const sumdb = logWith();
  const older = sumdb.fork();
  growTo(sumdb, 1001);
  const test = testDatabase(sumdb);
  await test.database.latest();
  for (const fetch of [OFFLINE, fetchFrom(older)]) {
    test.clock.nowMs += 60_000;
    test.fetch = fetch;
    assert.equal(decode(await test.database.latest()), sumdb.latest());
  }
  assert.equal(test.log.filter(({ level }) => level === "warn").length, 1);

  const { database } = Object.assign(testDatabase(sumdb), { fetch: OFFLINE });
  await assert.rejects(database.latest(), UpstreamError);
});

Deno.test("latest() takes the tree of an empty log", async () => {
  const sumdb = new Sumdb();
  const { database } = testDatabase(sumdb);
  assert.equal(decode(await database.latest()), sumdb.latest());
});

Deno.test("tile() has the tiles of the newest tree, in any width, and no others", async (t) => {
  const sumdb = logWith(A);
  const { database } = testDatabase(sumdb);
  await database.lookup(moduleOf(A));
  const rows = [
    "tile/8/0/000",
    "tile/8/0/002",
    "tile/8/0/002.p/1",
    "tile/8/0/002.p/255",
    "tile/8/0/003.p/1",
    "tile/8/0/003.p/232",
    "tile/8/1/000.p/2",
    "tile/8/1/000.p/3",
    "tile/8/data/000",
    "tile/8/data/002.p/100",
    "tile/8/data/003.p/232",
  ];
  for (const path of rows) {
    await t.step(path, async () => {
      const want = await sumdb.answer(`/${path}`).bytes();
      assert.deepEqual(new Uint8Array(await database.tile(tileAt(path))), want);
    });
  }
  for (const path of ["tile/8/0/003.p/233", "tile/8/0/003", "tile/8/1/001.p/1", "tile/8/2/000"]) {
    await t.step(path, async () => {
      await assert.rejects(database.tile(tileAt(path)), NotFoundError);
    });
  }
  assert.deepEqual(sumdb.faults, []);
});

Deno.test("tile() asks the database for a tile once, and for a narrower one not at all", async () => {
  const sumdb = logWith(A);
  const { database, store } = testDatabase(sumdb);
  await database.lookup(moduleOf(A));
  await database.tile(tileAt("tile/8/data/001"));
  sumdb.requests.length = 0;
  const restarted = testDatabase(sumdb, { store });
  for (const replica of [database, restarted.database]) {
    for (const width of ["", ".p/1", ".p/231"]) {
      await replica.tile(tileAt(`tile/8/0/002${width}`));
      await replica.tile(tileAt(`tile/8/data/001${width}`));
    }
    for (const width of [1, 100, 232]) await replica.tile(tileAt(`tile/8/0/003.p/${width}`));
    await replica.tile(tileAt("tile/8/1/000.p/3"));
  }
  assert.deepEqual(sumdb.requests, []);
});

Deno.test("tile() follows a client that knows a newer tree", async () => {
  const sumdb = logWith(A);
  const { database } = testDatabase(sumdb);
  await database.lookup(moduleOf(A));
  growTo(sumdb, 1100);
  sumdb.requests.length = 0;
  const want = await sumdb.fork().answer("/tile/8/0/004.p/76").bytes();
  assert.deepEqual(new Uint8Array(await database.tile(tileAt("tile/8/0/004.p/76"))), want);
  assert.equal(decode(await database.latest()), sumdb.latest());
  assert.deepEqual(sumdb.requests.sort(), [
    "/latest",
    // The edge of the new tree, and that of the old one, which is full now.
    "/tile/8/0/003",
    "/tile/8/0/004.p/76",
    "/tile/8/1/000.p/4",
  ]);
});

Deno.test("what one replica has verified, the others serve without asking", async () => {
  const sumdb = logWith(A, B);
  const one = testDatabase(sumdb);
  const other = testDatabase(sumdb, { store: one.store });
  await one.database.lookup(moduleOf(A));
  await other.database.lookup(moduleOf(A));
  growTo(sumdb, 2000);
  await other.database.lookup(moduleOf(B));
  sumdb.requests.length = 0;
  one.clock.nowMs += 60_000;
  const { bytes } = await one.database.lookup(moduleOf(B));
  assert.ok(decode(bytes).endsWith(`\n\n${sumdb.latest()}`));
  await one.database.tile(tileAt("tile/8/0/007.p/208"));
  assert.deepEqual(sumdb.requests, []);
});

Deno.test("replicas that go on from the same tree at the same time lose nothing of each other", async () => {
  const sumdb = new Sumdb();
  growTo(sumdb, 100);
  const store = new MemoryStore();
  const [one, other] = [testDatabase(sumdb, { store }), testDatabase(sumdb, { store })];
  await one.database.latest();
  await other.database.latest();
  growTo(sumdb, 300);
  sumdb.append(A);
  await one.database.lookup(moduleOf(A));
  // The tile of A is full now, which only matters to a client that compares with the tree of 301
  // records.
  growTo(sumdb, 600);
  sumdb.append(B);
  await other.database.lookup(moduleOf(B));

  const restarted = testDatabase(sumdb, { store });
  restarted.fetch = OFFLINE;
  const { bytes } = await restarted.database.lookup(moduleOf(A));
  assert.ok(decode(bytes).endsWith(`\n\n${sumdb.latest()}`));
  assert.deepEqual(restarted.log, []);
});

Deno.test("no failure of the store leaves anything wrong or lost", async (t) => {
  const sumdb = logWith(A, B);
  const steps = async (database: SumDatabase) => {
    await database.lookup(moduleOf(A));
    await database.tile(tileAt("tile/8/data/001"));
  };
  const counted = new FaultyStore(new MemoryStore());
  await steps(testDatabase(sumdb, { store: counted }).database);
  for (const fault of FAULTS) {
    for (const { index, method, key } of counted.calls) {
      await t.step(`${fault}: ${method} ${key}`, async () => {
        const store = new FaultyStore(
          new MemoryStore(),
          (call) => call.index === index ? fault : null,
        );
        const one = testDatabase(sumdb, { store });
        // Once a tree is known, trees of other replicas can wait.
        const isTolerated = index > 2 && method !== "create" && /fork$|latest$/.test(key);
        const outcome = steps(one.database);
        await (isTolerated ? outcome : assert.rejects(outcome, StorageError));
        await steps(one.database);
        await store.land();
        const restarted = testDatabase(sumdb, { store });
        restarted.fetch = OFFLINE;
        await steps(restarted.database);
      });
    }
  }
});

Deno.test("a record that is damaged in the store is asked for again", async (t) => {
  const { bytes } = await testDatabase(logWith(B)).database.lookup(moduleOf(B));
  const { record } = readRecord(bytes, moduleOf(B));
  const ofAnother = decode(record.bytes).replaceAll(B.path, A.path)
    .replaceAll(B.version, A.version);
  for (const damaged of ["", "damaged", decode(record.bytes), ofAnother]) {
    await t.step(JSON.stringify(damaged), async () => {
      const sumdb = logWith(A);
      const { database, store, log } = testDatabase(sumdb);
      const key = VerifierKey.parse(sumdb.verifierKey);
      const kept = new KeptDatabase(store, { key, timeoutMs: 60_000 });
      await kept.createRecord(moduleOf(A), new TextEncoder().encode(damaged));
      assert.deepEqual(await hashesOf(database.find(moduleOf(A))), {
        zipH1: A.h1,
        goModH1: A.goModH1,
      });
      assert.equal(log.filter(({ level }) => level === "error").length, 1);
    });
  }
});
