/**
 * "Nothing gets lost": what was answered once is answered without the database, to clients that
 * trust nothing, whatever tree they have seen last, by any replica, however the log has grown
 * meanwhile.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  growTo,
  moduleOf,
  OFFLINE,
  recordOf,
  type TestDatabase,
  testDatabase,
} from "../../tests/worlds/sum_database.ts";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import type { SumDatabase } from "./database.ts";
import { VerifierKey } from "./note.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import { readRecord } from "./record.ts";
import { openTree } from "./signed_tree.ts";
import type { TileNodes } from "./tile.ts";
import { TreeTiles } from "./tree_tiles.ts";

/**
 * What the `go` command does with a database, with nothing in its cache but the newest tree it has
 * seen.
 */
class Client {
  readonly #key: VerifierKey;
  /** The trees that it has seen, each the newest of its time. */
  readonly trees: ReturnType<typeof openTree>[] = [];

  constructor(key: VerifierKey) {
    this.#key = key;
  }

  async verify(database: SumDatabase, module: ModuleVersion): Promise<void> {
    const { bytes } = await database.lookup(module);
    const { record, rest } = readRecord(bytes, module);
    const shown = openTree(rest, this.#key);
    const latest = this.trees.at(-1) ?? shown;
    const [older, newer] = shown.size > latest.size ? [latest, shown] : [shown, latest];
    const tiles = await TreeTiles.open(newer, {
      authentic: new Map<string, TileNodes>(),
      load: async (tile) => ({ bytes: await database.tile(tile), isKept: false }),
      keep: () => Promise.resolve(),
    });
    assert.ok(await tiles.continues(older));
    assert.ok(await tiles.hasRecord(record));
    this.trees.push(newer);
  }
}

/**
 * Events: the log grows, a replica is asked for one more module or the latest tree, a minute
 * passes.
 */
const events = fc.array(
  fc.oneof(
    fc.record({ what: fc.constant("grow" as const), by: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ what: fc.constant("ask" as const), replica: fc.nat(1) }),
    fc.record({ what: fc.constant("latest" as const), replica: fc.nat(1) }),
    fc.record({ what: fc.constant("wait" as const) }),
  ),
  { maxLength: 24 },
);

Deno.test("what was answered once is answered without the database", async () => {
  await fc.assert(
    fc.asyncProperty(events, async (events) => {
      const sumdb = new Sumdb();
      const key = VerifierKey.parse(sumdb.verifierKey);
      const store = new MemoryStore();
      const replicas = [0, 1].map(() => ({
        test: testDatabase(sumdb, { store, limits: { latestTtlMs: 0 } }),
        client: new Client(key),
      }));
      const asked: ModuleVersion[] = [];
      for (const event of events) {
        if (event.what === "grow") growTo(sumdb, sumdb.size + event.by);
        if (event.what === "wait") { for (const { test } of replicas) test.clock.nowMs += 60_000; }
        if (event.what === "latest") await replicas[event.replica]?.test.database.latest();
        if (event.what === "ask") {
          const record = recordOf(`example.com/m${asked.length}`);
          sumdb.append(record);
          asked.push(moduleOf(record));
          const { test, client } = replicas[event.replica] ?? assert.fail();
          await client.verify(test.database, moduleOf(record));
        }
      }

      const restarted = { test: testDatabase(sumdb, { store }), client: new Client(key) };
      for (const { test } of [...replicas, restarted]) Object.assign(test, { fetch: OFFLINE });
      sumdb.requests.length = 0;
      for (const { client } of [...replicas, restarted]) {
        for (const module of asked) await client.verify(restarted.test.database, module);
      }
      // Clients that have not asked for long come back with any tree that they were shown.
      for (const tree of replicas.flatMap(({ client }) => client.trees)) {
        const late = new Client(key);
        late.trees.push(tree);
        for (const module of asked) await late.verify(restarted.test.database, module);
      }
      assert.deepEqual([sumdb.requests, sumdb.faults], [[], []]);
      assert.deepEqual(warnings(restarted.test), []);
    }),
    { numRuns: 30 },
  );
});

function warnings({ log }: TestDatabase): unknown[] {
  return log.filter(({ level }) => level === "warn" || level === "error");
}
