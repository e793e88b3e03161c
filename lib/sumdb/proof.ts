/**
 * Proofs that a signed tree has a record, and that it continues an older tree (RFC 6962, sections
 * 2.1.1 and 2.1.2).
 *
 * A proof is a list of hashes, each of a range of the tree's records. The sizes alone determine
 * which ranges. The prover looks their hashes up; the verifier computes roots from them.
 * Verification needs only the signed hash, wherever the hashes of the proof come from.
 */
import {
  EMPTY_HASH,
  type Hash,
  hashNode,
  isSameHash,
  type Range,
  splitOf,
  type Tree,
} from "./merkle.ts";

/**
 * The ranges whose hashes prove record `id` of a tree of `size` records. `id` is less than `size`.
 */
export function recordProofRanges(id: number, size: number): Range[] {
  return recordWay(id, size).steps.map(({ sibling }) => sibling);
}

/** Whether the proof shows that the tree has a record with this hash at `id`. */
export function checkRecordProof(
  proof: readonly Hash[],
  { tree, id, hash }: { readonly tree: Tree; readonly id: number; readonly hash: Hash },
): boolean {
  if (id < 0 || id >= tree.size) return false;
  const { steps } = recordWay(id, tree.size);
  return proof.length === steps.length && isSameHash(climb(hash, steps, proof), tree.hash);
}

/**
 * The ranges whose hashes prove that a tree of `newSize` records continues one of `oldSize`, which
 * is not greater.
 */
export function treeProofRanges(oldSize: number, newSize: number): Range[] {
  if (oldSize === 0) return [];
  const { node, steps } = treeWay(oldSize, newSize);
  const siblings = steps.map(({ sibling }) => sibling);
  return isWhole(node, oldSize) ? siblings : [node, ...siblings];
}

/** Whether the proof shows that the newer tree begins with all records of the older one. */
export function checkTreeProof(
  proof: readonly Hash[],
  { older, newer }: { readonly older: Tree; readonly newer: Tree },
): boolean {
  if (older.size > newer.size) return false;
  // Every tree continues the empty one.
  if (older.size === 0) return proof.length === 0 && isSameHash(older.hash, EMPTY_HASH);
  const { node, steps } = treeWay(older.size, newer.size);
  const [hash, ...siblings] = isWhole(node, older.size) ? [older.hash, ...proof] : proof;
  if (hash === undefined || siblings.length !== steps.length) return false;
  // What is to the right of the path is new.
  const oldSteps = steps.filter(({ isLeft }) => isLeft);
  const oldSiblings = siblings.filter((_, i) => steps[i]?.isLeft);
  return isSameHash(climb(hash, steps, siblings), newer.hash) &&
    isSameHash(climb(hash, oldSteps, oldSiblings), older.hash);
}

/** The path from a node of a tree up to its root. */
interface Way {
  readonly node: Range;
  readonly steps: readonly Step[];
}

interface Step {
  readonly sibling: Range;
  /** Whether the sibling is to the left of the path. */
  readonly isLeft: boolean;
}

function recordWay(id: number, size: number): Way {
  return wayFrom(id + 1, size, ({ start, end }) => end - start === 1);
}

/** From the last node that both trees have. */
function treeWay(oldSize: number, newSize: number): Way {
  return wayFrom(oldSize, newSize, ({ end }) => end === oldSize);
}

/**
 * A node that the trees share as the whole older one has a known hash, which is not in the proof.
 */
function isWhole(node: Range, oldSize: number): boolean {
  return node.start === 0 && node.end === oldSize;
}

/** The path from the highest node that ends at `end` and satisfies `isIt`. */
function wayFrom(end: number, size: number, isIt: (node: Range) => boolean): Way {
  let node: Range = { start: 0, end: size };
  const steps: Step[] = [];
  while (!isIt(node)) {
    const middle = node.start + splitOf(node.end - node.start);
    const left = { start: node.start, end: middle };
    const right = { start: middle, end: node.end };
    const isRight = end > middle;
    steps.unshift({ sibling: isRight ? left : right, isLeft: isRight });
    node = isRight ? right : left;
  }
  return { node, steps };
}

/** The root above a node, given the hashes of as many siblings as there are steps. */
function climb(node: Hash, steps: readonly Step[], siblings: readonly Hash[]): Hash {
  return siblings.reduce(
    (root, sibling, i) => steps[i]?.isLeft ? hashNode(sibling, root) : hashNode(root, sibling),
    node,
  );
}
