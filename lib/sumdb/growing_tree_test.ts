import assert from "node:assert/strict";
import { GrowingTree } from "./growing_tree.ts";
import { foldSubtrees, type Hash, hashNode, hashRecord, subtreesOf } from "./merkle.ts";
import { formatTilePath, TILE_WIDTH } from "./tile.ts";

/** All records are the same, so that the hash of a subtree depends on its level alone. */
const LEVELS: Hash[] = [hashRecord(new TextEncoder().encode("record\n"))];
for (let level = 1; level <= 20; level++) {
  const below = LEVELS[level - 1] ?? assert.fail();
  LEVELS.push(hashNode(below, below));
}
const levelHash = (level: number) => LEVELS[level] ?? assert.fail();

function hashOf(size: number): string {
  return foldSubtrees(subtreesOf({ start: 0, end: size }).map(({ level }) => levelHash(level)))
    .toBase64();
}

Deno.test("GrowingTree grows as the definition says, through all levels of tiles", () => {
  let tree = new GrowingTree(0, new Map());
  const full: string[] = [];
  const sizes = [0, 1, 2, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 65_800];
  let size = 0;
  for (const want of sizes) {
    for (; size < want; size++) tree.append(levelHash(0));
    assert.deepEqual([tree.tree().size, tree.tree().hash.toBase64()], [want, hashOf(want)]);
    for (const { tile, bytes } of tree.full) {
      full.push(formatTilePath(tile));
      const hash = levelHash(8 * tile.level).toHex();
      assert.equal(bytes.toHex(), hash.repeat(TILE_WIDTH));
    }
    // The tree can be continued from the edge alone.
    tree = new GrowingTree(want, tree.edge());
  }
  const tiles = Array.from({ length: 257 }, (_, i) => `tile/8/0/${String(i).padStart(3, "0")}`);
  assert.deepEqual(full, [...tiles.slice(0, 256), "tile/8/1/000", ...tiles.slice(256)]);
});
