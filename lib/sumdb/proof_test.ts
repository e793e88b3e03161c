/** Trees and proofs against Go's, and against a tree that is computed naively. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import golden from "../../tests/testdata/golden/sumdbs.json" with { type: "json" };
import {
  foldSubtrees,
  type Hash,
  hashRecord,
  type Range,
  subtreesOf,
  type Tree,
} from "./merkle.ts";
import { checkRecordProof, checkTreeProof, recordProofRanges, treeProofRanges } from "./proof.ts";

/** RFC 6962, 2.1, word for word. */
function naiveHash(records: readonly Uint8Array[]): Hash {
  const [first, ...others] = records;
  if (first === undefined) return sha256();
  if (others.length === 0) return sha256(Uint8Array.of(0), first);
  let k = 1;
  while (k * 2 < records.length) k *= 2;
  return sha256(Uint8Array.of(1), naiveHash(records.slice(0, k)), naiveHash(records.slice(k)));
}

function sha256(...parts: readonly Uint8Array[]): Hash {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

const RECORDS = Array.from(
  { length: 1000 },
  (_, i) => new TextEncoder().encode(`record ${i}\n`),
);

function naiveTree(size: number): Tree {
  return { size, hash: naiveHash(RECORDS.slice(0, size)) };
}

function naiveProof(ranges: readonly Range[]): Hash[] {
  return ranges.map(({ start, end }) => naiveHash(RECORDS.slice(start, end)));
}

Deno.test("trees and proofs are those that Go makes", async (t) => {
  for (const { size, hash, records, trees } of golden.trees) {
    await t.step(`${size} records`, () => {
      const tree = { size, hash: Uint8Array.fromBase64(hash) };
      assert.deepEqual(naiveTree(size), tree);
      for (const [id, want] of Object.entries(records)) {
        const proof = naiveProof(recordProofRanges(Number(id), size));
        assert.deepEqual(proof.map((node) => node.toBase64()), want);
        const record = RECORDS[Number(id)] ?? assert.fail();
        assert.ok(checkRecordProof(proof, { tree, id: Number(id), hash: hashRecord(record) }));
      }
      for (const [older, want] of Object.entries(trees)) {
        const proof = naiveProof(treeProofRanges(Number(older), size));
        assert.deepEqual(proof.map((node) => node.toBase64()), want);
        assert.ok(checkTreeProof(proof, { older: naiveTree(Number(older)), newer: tree }));
      }
    });
  }
});

/** A size of at least `min`, and a number up to it. */
const pairs = (min: number) =>
  fc.integer({ min: 1, max: 300 }).chain((size) =>
    fc.tuple(fc.constant(size), fc.integer({ min, max: size }))
  );

Deno.test("subtreesOf() gives a tree's hash by those of its greatest subtrees", () => {
  fc.assert(fc.property(fc.nat(300), (size) => {
    const hashes = subtreesOf({ start: 0, end: size }).map(({ level, number }) => {
      return naiveHash(RECORDS.slice(number * 2 ** level, (number + 1) * 2 ** level));
    });
    assert.deepEqual(foldSubtrees(hashes), naiveTree(size).hash);
  }));
});

Deno.test("a proof of a record holds for this record, this place and this tree alone", () => {
  fc.assert(
    fc.property(pairs(1), fc.nat(299), ([size, n], other) => {
      const id = n - 1;
      const hash = hashRecord(RECORDS[id] ?? assert.fail());
      const tree = naiveTree(size);
      const proof = naiveProof(recordProofRanges(id, size));
      assert.ok(checkRecordProof(proof, { tree, id, hash }));

      if (other !== id) {
        assert.ok(!checkRecordProof(proof, { tree, id: other, hash }));
        const wrong = hashRecord(RECORDS[other] ?? assert.fail());
        assert.ok(!checkRecordProof(proof, { tree, id, hash: wrong }));
      }
      assert.ok(!checkRecordProof(proof, { tree: naiveTree(size + 1), id, hash }));
      assertTied(proof, (changed) => checkRecordProof(changed, { tree, id, hash }));
    }),
    { numRuns: 40 },
  );
});

Deno.test("a proof of a tree holds for these two trees alone", () => {
  fc.assert(
    fc.property(pairs(0), ([newSize, oldSize]) => {
      const older = naiveTree(oldSize);
      const newer = naiveTree(newSize);
      const proof = naiveProof(treeProofRanges(oldSize, newSize));
      assert.ok(checkTreeProof(proof, { older, newer }));

      const forged = { size: oldSize, hash: sha256(older.hash) };
      assert.ok(!checkTreeProof(proof, { older: forged, newer }));
      assert.ok(!checkTreeProof(proof, { older: { ...older, size: newSize + 1 }, newer }));
      // Nothing about the newer tree is needed to continue no records.
      if (oldSize > 0) {
        const longer = { size: newSize, hash: sha256(newer.hash) };
        assert.ok(!checkTreeProof(proof, { older, newer: longer }));
      }
      assertTied(proof, (changed) => checkTreeProof(changed, { older, newer }));
    }),
    { numRuns: 40 },
  );
});

/** Asserts that the check rejects a proof with a flipped bit, a missing hash or an extra one. */
function assertTied(proof: readonly Hash[], check: (proof: readonly Hash[]) => boolean): void {
  for (const [i, hash] of proof.entries()) {
    assert.ok(!check(proof.with(i, hash.with(i % 32, (hash[i % 32] ?? 0) ^ 1))));
    assert.ok(!check(proof.toSpliced(i, 1)));
  }
  assert.ok(!check([...proof, sha256()]));
}

/** A log of equal records: its subtrees are equal too, so that no log is too long for a test. */
class EqualRecords {
  readonly #levels: Hash[] = [hashRecord(new Uint8Array())];

  hash({ start, end }: Range): Hash {
    return foldSubtrees(subtreesOf({ start, end }).map(({ level }) => this.#level(level)));
  }

  #level(level: number): Hash {
    const known = this.#levels[level];
    if (known !== undefined) return known;
    const below = this.#level(level - 1);
    return this.#levels[level] = sha256(Uint8Array.of(1), below, below);
  }
}

Deno.test("proofs hold in logs far longer than 2^32", () => {
  const log = new EqualRecords();
  const large = fc.bigInt({ min: 2n ** 31n, max: 2n ** 53n - 1n }).map(Number);
  fc.assert(fc.property(large, large, (a, b) => {
    const size = Math.max(a, b);
    const n = Math.min(a, b);
    const newer = { size, hash: log.hash({ start: 0, end: size }) };
    const older = { size: n, hash: log.hash({ start: 0, end: n }) };
    const proof = (ranges: Range[]) => ranges.map((range) => log.hash(range));
    const treeProof = proof(treeProofRanges(n, size));
    assert.ok(checkTreeProof(treeProof, { older, newer }));
    assert.ok(treeProof.length <= 54);
    const id = n - 1;
    const hash = log.hash({ start: id, end: n });
    const recordProof = proof(recordProofRanges(id, size));
    assert.ok(checkRecordProof(recordProof, { tree: newer, id, hash }));
    assert.ok(!checkRecordProof(recordProof, { tree: newer, id, hash: sha256() }));
  }));
});
