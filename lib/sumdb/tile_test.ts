import assert from "node:assert/strict";
import fc from "fast-check";
import golden from "../../tests/testdata/golden/sumdbs.json" with { type: "json" };
import { hashNode, subtreesOf } from "./merkle.ts";
import {
  type DataTile,
  edgeOf,
  formatTilePath,
  parseTilePath,
  placeOf,
  recordsUpTo,
  type Tile,
  tileIn,
  TileNodes,
} from "./tile.ts";

const sizes = fc.oneof(
  fc.nat(100_000),
  fc.maxSafeNat(),
  // Next to powers of two, where digits carry.
  fc.tuple(fc.nat(52), fc.integer({ min: -2, max: 2 })).map(([level, d]) => 2 ** level + d),
).filter((size) => size > 0 && Number.isSafeInteger(size));

Deno.test("parseTilePath() takes the paths that Go takes", async (t) => {
  for (const { input, level, number, width } of golden.tiles) {
    await t.step(JSON.stringify(input), () => {
      const want = level === null ? null : { level: level === -1 ? "data" : level, number, width };
      assert.deepEqual(parseTilePath(input), want);
    });
  }
});

Deno.test("parseTilePath() refuses heights that nobody uses and logs that nobody has", () => {
  const rows = [
    "tile/1/0/000",
    "tile/10/0/000",
    "tile/8/7/000",
    "tile/8/6/032",
    "tile/8/0/x035/x184/x372/x088/832",
    `tile/8/0/${"x999/".repeat(100)}999`,
  ];
  for (const path of rows) assert.equal(parseTilePath(path), null, path);
});

Deno.test("parseTilePath() is the inverse of formatTilePath()", () => {
  const place = { number: fc.maxSafeNat(), width: fc.integer({ min: 1, max: 256 }) };
  const tiles: fc.Arbitrary<Tile | DataTile> = fc.oneof(
    fc.record({ level: fc.nat(6), ...place }, { noNullPrototype: true }),
    fc.record({ level: fc.constant("data" as const), ...place }, { noNullPrototype: true }),
  ).filter((tile) => Number.isSafeInteger(recordsUpTo(tile)));
  fc.assert(fc.property(tiles, (tile) => {
    assert.deepEqual(parseTilePath(formatTilePath(tile)), tile);
  }));
});

Deno.test("edgeOf() has all greatest subtrees of a log, and only partial tiles", () => {
  fc.assert(fc.property(sizes, (size) => {
    const edge = new Set(edgeOf(size).map(formatTilePath));
    const needed = subtreesOf({ start: 0, end: size }).map((subtree) => {
      return formatTilePath(tileIn(size, placeOf(subtree)));
    });
    assert.deepEqual(edge, new Set(needed));
    for (const tile of edgeOf(size)) {
      assert.ok(tile.width < 256 && tile.width > 0);
      assert.deepEqual(tileIn(size, tile), tile);
    }
  }));
});

Deno.test("tileIn() has the tiles of a log and no others", () => {
  assert.deepEqual(tileIn(257, { level: 0, number: 0 }), { level: 0, number: 0, width: 256 });
  assert.deepEqual(tileIn(257, { level: 0, number: 1 }), { level: 0, number: 1, width: 1 });
  assert.deepEqual(tileIn(257, { level: 1, number: 0 }), { level: 1, number: 0, width: 1 });
  for (const place of [{ level: 0, number: 2 }, { level: 1, number: 1 }, { level: 2, number: 0 }]) {
    assert.throws(() => tileIn(257, place), /has no tile/);
  }
});

Deno.test("TileNodes.node() has all hashes above those of a tile, and no others", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(5 * 32));
  const hash = (i: number) => bytes.subarray(i * 32, (i + 1) * 32);
  const tile = new TileNodes(bytes);
  const low = hashNode(hash(0), hash(1));
  const high = hashNode(hash(2), hash(3));
  assert.deepEqual(tile.node(0, 4), hash(4));
  assert.deepEqual(tile.node(1, 0), low);
  assert.deepEqual(tile.node(1, 1), high);
  assert.deepEqual(tile.node(2, 0), hashNode(low, high));
  for (const [height, index] of [[0, 5], [1, 2], [2, 1], [3, 0]] as const) {
    assert.throws(() => tile.node(height, index), /has no node/);
  }
});
