/**
 * Reading a tree from corrupted tiles. All records of the log are the same, so that it can be of
 * any length: its tiles are one hash repeated.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { UnverifiedError } from "./errors.ts";
import { foldSubtrees, type Hash, hashNode, hashRecord, type Range, subtreesOf } from "./merkle.ts";
import {
  edgeOf,
  formatTilePath,
  recordsUpTo,
  type Tile,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TileNodes,
} from "./tile.ts";
import { TreeTiles } from "./tree_tiles.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const RECORD = hashRecord(new TextEncoder().encode("record\n"));
const LEVELS: Hash[] = [RECORD];
for (let level = 1; level <= 53; level++) {
  const below = LEVELS[level - 1] ?? assert.fail();
  LEVELS.push(hashNode(below, below));
}

function hashOf(range: Range): Hash {
  return foldSubtrees(subtreesOf(range).map(({ level }) => LEVELS[level] ?? assert.fail()));
}

function genuine({ level, width }: Tile): Bytes {
  const hash = LEVELS[TILE_HEIGHT * level] ?? assert.fail();
  const bytes = new Uint8Array(width * hash.length);
  for (let i = 0; i < width; i++) bytes.set(hash, i * hash.length);
  return bytes;
}

interface Reading {
  readonly tiles: Promise<TreeTiles>;
  /** The tiles that were loaded and those that were stored, in order. */
  readonly loaded: Tile[];
  readonly kept: Tile[];
}

/**
 * Reads the tree of this many records; `serve` gives the database's tiles, `stored` those of our
 * own store.
 */
function read(
  size: number,
  { serve = genuine, stored = () => null }: {
    serve?: (tile: Tile) => Bytes;
    stored?: (tile: Tile) => Bytes | null;
  } = {},
): Reading {
  const loaded: Tile[] = [];
  const kept: Tile[] = [];
  const tiles = TreeTiles.open({ size, hash: hashOf({ start: 0, end: size }) }, {
    authentic: new Map<string, TileNodes>(),
    load: (tile, { fresh }) => {
      loaded.push(tile);
      const own = fresh ? null : stored(tile);
      return Promise.resolve({ bytes: own ?? serve(tile), isKept: own !== null });
    },
    keep: (tile, bytes) => {
      assert.deepEqual(bytes, genuine(tile), "a tile that is not authentic was kept");
      kept.push(tile);
      return Promise.resolve();
    },
  });
  // Callers that need it await it.
  tiles.catch(() => {});
  return { tiles, loaded, kept };
}

async function prove(reading: Reading, id: number): Promise<boolean> {
  return await (await reading.tiles).hasRecord({ id, hash: RECORD });
}

const sizes = fc.oneof(
  fc.integer({ min: 1, max: 100_000 }),
  fc.maxSafeNat(),
  fc.tuple(fc.nat(52), fc.integer({ min: -2, max: 2 })).map(([level, d]) => 2 ** level + d),
).filter((size) => size > 0 && Number.isSafeInteger(size));
const sizesAndIds = sizes.chain((size) =>
  fc.tuple(fc.constant(size), fc.integer({ min: 0, max: size - 1 }))
);

Deno.test("TreeTiles proves records and older trees of logs of any length", async () => {
  await fc.assert(
    fc.asyncProperty(sizesAndIds, async ([size, id]) => {
      const reading = read(size);
      const tiles = await reading.tiles;
      assert.ok(await tiles.hasRecord({ id, hash: RECORD }));
      assert.ok(!await tiles.hasRecord({ id, hash: LEVELS[1] ?? assert.fail() }));
      const older = { size: id, hash: hashOf({ start: 0, end: id }) };
      assert.ok(await tiles.continues(older));
      assert.ok(!await tiles.continues({ ...older, hash: RECORD }) || id === 1);
      // Its edge, and a path to each of two places.
      assert.ok(reading.loaded.length <= 7 + 2 * 7);
    }),
    { numRuns: 30 },
  );
});

Deno.test("TreeTiles loads and keeps a tile once, and keeps none of the edge", async () => {
  await fc.assert(
    fc.asyncProperty(sizesAndIds, async ([size, id]) => {
      const reading = read(size);
      await Promise.all([prove(reading, id), prove(reading, id)]);
      await prove(reading, id);
      const loaded = reading.loaded.map(formatTilePath);
      assert.equal(new Set(loaded).size, loaded.length);
      assert.deepEqual(
        new Set(reading.kept.map(formatTilePath)),
        new Set(loaded).difference(new Set(edgeOf(size).map(formatTilePath))),
      );
    }),
    { numRuns: 30 },
  );
});

/**
 * Sizes with several greatest subtrees in one tile of the edge, and with one; with and without gaps
 * between levels.
 */
const SIZES = [1, 7, 255, 256, 257, 0x303, 0x10000, 0x10101, 0x30303, 0x7f00ff01, 2 ** 40 + 0x303];

Deno.test("TreeTiles refuses every tile with a bit flipped (CVE-2026-56865)", async (t) => {
  for (const size of SIZES) {
    await t.step(`${size} records`, async () => {
      for (const id of new Set([0, Math.floor(size / 2), size - 1])) {
        const honest = read(size);
        assert.ok(await prove(honest, id));
        for (const tile of honest.loaded) {
          for (const at of new Set([0, tile.width >> 1, tile.width - 1])) {
            const flip = (bytes: Bytes) => bytes.with(32 * at + 7, (bytes[32 * at + 7] ?? 0) ^ 1);
            await assertRefused(size, id, { tile, spoil: flip });
          }
        }
      }
    });
  }
});

Deno.test("TreeTiles refuses tiles of other widths and levels", async (t) => {
  const rows: { what: string; spoil: (bytes: Bytes, tile: Tile) => Bytes }[] = [
    { what: "empty", spoil: () => new Uint8Array() },
    { what: "a hash less", spoil: (bytes) => bytes.slice(0, -32) },
    { what: "a byte less", spoil: (bytes) => bytes.slice(0, -1) },
    { what: "a byte more", spoil: (bytes) => Uint8Array.of(...bytes, 0) },
    { what: "a hash more", spoil: (bytes) => Uint8Array.of(...bytes, ...bytes.slice(-32)) },
    { what: "two hashes for four", spoil: (bytes) => bytes.slice(0, bytes.length / 2) },
    { what: "another level", spoil: (_, tile) => genuine({ ...tile, level: tile.level + 1 }) },
  ];
  for (const { what, spoil } of rows) {
    await t.step(what, async () => {
      for (const size of [7, 0x303, 0x30303]) {
        const honest = read(size);
        await prove(honest, 0);
        for (const tile of honest.loaded) {
          await assertRefused(size, 0, { tile, spoil: (bytes) => spoil(bytes, tile) });
        }
      }
    });
  }
});

/** A changed tile is rejected, and no tile is stored that was not authenticated. */
async function assertRefused(
  size: number,
  id: number,
  { tile, spoil }: { tile: Tile; spoil: (bytes: Bytes) => Bytes },
): Promise<void> {
  const path = formatTilePath(tile);
  const serve = (asked: Tile) =>
    formatTilePath(asked) === path ? spoil(genuine(asked)) : genuine(asked);
  const reading = read(size, { serve });
  await assert.rejects(prove(reading, id), UnverifiedError, `${path} of ${size}`);
  assert.ok(!reading.kept.some((kept) => formatTilePath(kept) === path));
}

Deno.test("TreeTiles asks the database for a tile that is damaged in our own store", async () => {
  const size = 0x30303;
  const honest = read(size);
  await prove(honest, 0);
  for (const damaged of honest.loaded) {
    const path = formatTilePath(damaged);
    const stored = (tile: Tile) =>
      formatTilePath(tile) === path ? genuine(tile).fill(0) : genuine(tile);
    const reading = read(size, { stored });
    assert.ok(await prove(reading, 0));
    const isFull = damaged.width === TILE_WIDTH;
    assert.deepEqual(reading.kept.map(formatTilePath), isFull ? [path] : []);

    const lied = read(size, { stored, serve: (tile) => genuine(tile).fill(1) });
    await assert.rejects(prove(lied, 0), UnverifiedError);
  }
});

Deno.test("TreeTiles.tile() is as wide as the tree has it", async () => {
  const size = 0x30303;
  const tiles = await read(size).tiles;
  for (const tile of [...edgeOf(size), { level: 0, number: 5, width: TILE_WIDTH }]) {
    assert.deepEqual((await tiles.tile(tile)).bytes, genuine(tile));
    const next = { ...tile, number: tile.number + 1 };
    if (recordsUpTo({ ...next, width: 1 }) > size) {
      await assert.rejects(tiles.tile(next), /has no tile/);
    }
  }
});

Deno.test("TreeTiles.open() takes the empty tree, and no other hash for it", async () => {
  const options = {
    authentic: new Map<string, TileNodes>(),
    load: () => assert.fail("there is nothing to load"),
    keep: () => assert.fail("there is nothing to keep"),
  };
  const empty = { size: 0, hash: hashOf({ start: 0, end: 0 }) };
  assert.ok(await (await TreeTiles.open(empty, options)).continues(empty));
  await assert.rejects(TreeTiles.open({ size: 0, hash: RECORD }, options), UnverifiedError);
});
