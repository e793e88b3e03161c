import assert from "node:assert/strict";
import fc from "fast-check";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { recordOf } from "../../tests/worlds/sum_database.ts";
import { UnverifiedError } from "./errors.ts";
import {
  batchAfter,
  decodeBatch,
  encodeBatch,
  follows,
  type LogBatch,
  MAX_NEW_RECORDS,
  newTexts,
  NO_BATCH,
} from "./log_batch.ts";
import { formatTilePath, TILE_WIDTH } from "./tile.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function textOf(id: number): Uint8Array<ArrayBuffer> {
  const { path, version, h1, goModH1 } = recordOf(`example.com/m${id}`);
  return encode(`${path} ${version} ${h1}\n${path} ${version}/go.mod ${goModH1}\n`);
}

function textsFrom(start: number, count: number): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: count }, (_, i) => textOf(start + i));
}

/** Batches of these sizes, one after the other. */
function batchesOf(sizes: readonly number[]): LogBatch[] {
  let last = NO_BATCH;
  return sizes.map((size) => last = batchAfter(last, textsFrom(last.tree.size, size)));
}

Deno.test("batches make the tree that another implementation makes of their records", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: MAX_NEW_RECORDS }), { maxLength: 6 });
  fc.assert(
    fc.property(sizes, (sizes) => {
      const remote = new Sumdb();
      for (const batch of batchesOf(sizes)) {
        for (const { id } of newTexts(batch)) {
          assert.equal(remote.append(recordOf(`example.com/m${id}`)), id);
        }
        const { size, hash } = batch.tree;
        const text = remote.latest().split("\n\n")[0];
        assert.equal(text, `go.sum database tree\n${size}\n${hash.toBase64()}`);
      }
    }),
    { numRuns: 20 },
  );
});

Deno.test("decodeBatch() is the opposite of encodeBatch()", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: MAX_NEW_RECORDS }), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(sizes, (sizes) => {
      let previous = NO_BATCH;
      for (const batch of batchesOf(sizes)) {
        const decoded = decodeBatch(encodeBatch(batch), batch.number);
        assert.deepEqual(encodeBatch(decoded), encodeBatch(batch));
        assert.deepEqual(decoded.tree, batch.tree);
        assert.deepEqual(
          decoded.full.map(({ tile }) => formatTilePath(tile)),
          batch.full.map(({ tile }) => formatTilePath(tile)),
        );
        assert.ok(follows(decoded, previous));
        previous = decoded;
      }
    }),
    { numRuns: 10 },
  );
});

Deno.test("a batch is a line for people, hashes, and records", () => {
  const [first, second] = batchesOf([TILE_WIDTH, 2]);
  assert.ok(first !== undefined && second !== undefined);
  const bytes = encodeBatch(second);
  const end = bytes.indexOf(10);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))), {
    format: 1,
    number: 2,
    previous: { size: 256, hash: first.tree.hash.toBase64() },
    size: 258,
    hash: second.tree.hash.toBase64(),
  });
  const records = new TextDecoder().decode(bytes.subarray(end + 1 + 32));
  assert.match(
    records,
    /^example\.com\/m256 v1\.0\.0 h1:\S{44}\nexample\.com\/m256 v1\.0\.0\/go\.mod h1:/,
  );
});

Deno.test("a batch makes the tiles full that it completes", () => {
  const paths = batchesOf([200, 100, 256]).map(({ full }) =>
    full.map(({ tile }) => formatTilePath(tile))
  );
  assert.deepEqual(paths, [
    [],
    ["tile/8/0/000", "tile/8/data/000"],
    ["tile/8/0/001", "tile/8/data/001"],
  ]);
});

Deno.test("decodeBatch() refuses what was tampered with", async (t) => {
  const batches = batchesOf([300, 7]);
  const batch = batches[1] ?? assert.fail();
  const bytes = encodeBatch(batch);
  const edit = (from: string | RegExp, to: string) => {
    const text = new TextDecoder("latin1").decode(bytes);
    const edited = text.replace(from, to);
    assert.notEqual(edited, text);
    return Uint8Array.from(edited, (character) => character.charCodeAt(0));
  };
  const end = bytes.indexOf(10);
  const rows = [
    { what: "nothing", bytes: new Uint8Array() },
    { what: "no line", bytes: bytes.slice(end + 1) },
    { what: "another format", bytes: edit('"format":1', '"format":2') },
    { what: "another number", bytes: edit('"number":2', '"number":3') },
    { what: "a bit of the edge", bytes: bytes.with(end + 1, (bytes[end + 1] ?? 0) ^ 1) },
    { what: "a bit of an old record", bytes: edit("m256 v1.0.0 h1", "m257 v1.0.0 h1") },
    { what: "a bit of a new record", bytes: edit("m306 v1.0.0 h1", "m307 v1.0.0 h1") },
    { what: "a record less", bytes: bytes.slice(0, bytes.lastIndexOf(10, -3)) },
    { what: "cut off in the edge", bytes: bytes.slice(0, end + 20) },
    { what: "one byte more", bytes: Uint8Array.from([...bytes, 10]) },
    { what: "the tree before it", bytes: edit(/"hash":"./, '"hash":"*') },
    { what: "the tree after it", bytes: edit(/("size":307,"hash":")./, "$1*") },
    { what: "a larger size", bytes: edit('"size":307', '"size":308') },
    { what: "nothing new", bytes: edit('"size":300', '"size":307') },
  ];
  for (const row of rows) {
    await t.step(row.what, () => {
      assert.throws(() => decodeBatch(row.bytes, 2), UnverifiedError);
    });
  }
  assert.throws(() => decodeBatch(bytes, 3), UnverifiedError);
  decodeBatch(bytes, 2);
});
