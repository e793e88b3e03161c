import assert from "node:assert/strict";
import fc from "fast-check";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { InvalidRequestError, StorageError } from "../errors.ts";
import type { ModulePath } from "../module/path.ts";
import type { Version } from "../module/version.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent } from "../store/object_store.ts";
import { KeptDatabase, type KeptTree } from "./stored_database.ts";
import { EMPTY_HASH } from "./merkle.ts";
import { VerifierKey } from "./note.ts";
import { openTree } from "./signed_tree.ts";
import { edgeOf, formatTilePath } from "./tile.ts";

const SUMDB = new Sumdb();
const KEY = VerifierKey.parse(SUMDB.verifierKey);
const FOLDER = `s1/sum.example.test+${KEY.keyHash}`;
const MODULE = { path: "example.com/A" as ModulePath, version: "v1.0.0-RC1" as Version };
const encode = (text: string) => new TextEncoder().encode(text);

function open(store = new FaultyStore(new MemoryStore()), key = KEY) {
  return { store, kept: new KeptDatabase(store, { key, timeoutMs: 60_000 }) };
}

/** A signed tree that claims this many records, with any edge. */
function treeOf(size: number): KeptTree {
  const edge = edgeOf(size).map((tile) => {
    return [formatTilePath(tile), crypto.getRandomValues(new Uint8Array(32 * tile.width))] as const;
  });
  return { tree: openTree(encode(SUMDB.sign(size, EMPTY_HASH)), KEY), edge: new Map(edge) };
}

Deno.test("KeptDatabase has a key for everything it keeps", async () => {
  const { store, kept } = open();
  await kept.createRecord(MODULE, encode("record"));
  await kept.createTile({ level: 1, number: 1067, width: 256 }, encode("tile"));
  await kept.createTile({ level: "data", number: 0, width: 256 }, encode("records"));
  await kept.createTree(treeOf(771));
  await kept.createFork("report\n");
  assert.deepEqual(store.calls.map(({ key }) => key), [
    `${FOLDER}/lookup/example.com/!a/@v/v1.0.0-!r!c1`,
    `${FOLDER}/tile/8/1/x001/067`,
    `${FOLDER}/tile/8/data/000`,
    `${FOLDER}/latest/9007199254740220`,
    `${FOLDER}/fork`,
  ]);
  assert.equal(kept.forkKey, `${FOLDER}/fork`);
});

Deno.test("KeptDatabase keeps what was verified with one key from every other", async () => {
  const { store, kept } = open();
  await kept.createFork("of the first\n");
  const names = ["sum.example.test", "sum.example.test/private", "sum.example.test:8080", "a/B"];
  for (const name of names) {
    const other = VerifierKey.parse(new Sumdb({ name }).verifierKey);
    assert.equal(await open(store, other).kept.fork(), null);
  }
  const keys = store.calls.slice(1).map(({ key }) => key.replace(/\+[0-9a-f]{8}\/fork$/, ""));
  assert.deepEqual(keys, [
    "s1/sum.example.test",
    "s1/sum.example.test+2fprivate",
    "s1/sum.example.test+3a8080",
    "s1/a+2f+42",
  ]);
});

Deno.test("KeptDatabase gives back the trees it was given", async () => {
  const sizes = fc.oneof(fc.nat(100_000), fc.maxSafeNat());
  await fc.assert(fc.asyncProperty(sizes, async (size) => {
    const { kept } = open();
    assert.equal(await kept.tree(size), null);
    const tree = treeOf(size);
    assert.equal(await kept.createTree(tree), "created");
    assert.equal(await kept.createTree(treeOf(size)), "exists");
    assert.deepEqual(await kept.tree(size), tree);
  }));
});

Deno.test("KeptDatabase.largestTrees() begins with the largest", async () => {
  const sizes = fc.uniqueArray(fc.oneof(fc.nat(1000), fc.maxSafeNat()), { maxLength: 20 });
  await fc.assert(fc.asyncProperty(sizes, fc.integer({ min: 1, max: 9 }), async (sizes, limit) => {
    const { kept } = open();
    for (const size of sizes) await kept.createTree({ ...treeOf(size), edge: new Map() });
    const want = sizes.toSorted((a, b) => b - a).slice(0, limit);
    assert.deepEqual(await kept.largestTrees(limit), want);
  }));
});

Deno.test("KeptDatabase passes over what is not its own among the trees", async () => {
  const { store, kept } = open();
  for (const name of ["x", "123", "99999999999999999999", "-000000000000001"]) {
    await store.create(`${FOLDER}/latest/${name}`, bytesContent(encode("")));
  }
  await kept.createTree(treeOf(7));
  assert.deepEqual(await kept.largestTrees(10), [7]);
});

Deno.test("KeptDatabase refuses damaged trees", async (t) => {
  const lineOf = (note: string) => JSON.stringify({ format: 1, note });
  const line = lineOf(SUMDB.sign(3, EMPTY_HASH));
  const hashes = "x".repeat(96);
  const rows = [
    "",
    "\n",
    hashes,
    `${line}${hashes}`,
    `${line}\n`,
    `${line}\n${hashes.slice(1)}`,
    `${line}\n${hashes}x`,
    `${line.replace('"format":1', '"format":2')}\n${hashes}`,
    `${line.replace('"note"', '"text"')}\n${hashes}`,
    `${line.slice(1)}\n${hashes}`,
    `null\n${hashes}`,
    `${lineOf(SUMDB.sign(4, EMPTY_HASH))}\n${hashes}`,
    `${lineOf(new Sumdb().sign(3, EMPTY_HASH))}\n${hashes}`,
    `${lineOf("")}\n${hashes}`,
    `${line}${" ".repeat(200_000)}\n${hashes}`,
  ];
  for (const text of rows) {
    await t.step(text.slice(0, 120), async () => {
      const { store, kept } = open();
      const key = `${FOLDER}/latest/${Number.MAX_SAFE_INTEGER - 3}`;
      await store.create(key, bytesContent(encode(text)));
      await assert.rejects(kept.tree(3), StorageError);
    });
  }
});

Deno.test("KeptDatabase takes names that do not fit into a key for invalid requests", async () => {
  const { kept } = open();
  const path = `example.com/${"a".repeat(256)}` as ModulePath;
  await assert.rejects(kept.record({ ...MODULE, path }), InvalidRequestError);
  const long = `example.com${"/abcdefg".repeat(120)}` as ModulePath;
  await assert.rejects(kept.record({ ...MODULE, path: long }), InvalidRequestError);
});
