/**
 * In what a text differs from a licence, and whether it is still that licence.
 *
 * The matching guidelines of SPDX mark the parts of each licence that may be replaced or left out,
 * but the texts of the list do not have the marks. So what may differ is judged by rules:
 *
 * - up to {@linkcode MAX_INSERTED_WORDS} words in a row may be new, as names are, and up to
 *   {@linkcode MAX_REMOVED_WORDS} may be missing;
 * - no word that turns a permission around may be new or missing: not, only, except, commercial;
 * - in a notice, which only names its licence, nor a word that names one, or a version.
 *
 * A licence with a sentence more or less is another one: it may forbid what the licence allows.
 */
import type { Steps } from "../async/pace.ts";

/** Words of the two texts that stand in the same place and differ. */
export interface Edit {
  /** Of the licence. */
  readonly removed: readonly string[];
  /** Of the text. */
  readonly inserted: readonly string[];
}

export const MAX_INSERTED_WORDS = 14;
export const MAX_REMOVED_WORDS = 20;

/** These turn a permission around where they are added. */
const TURNING_WORDS: ReadonlySet<string> = new Set(
  ("not no never only except excluding exclude unless until without prohibited forbidden " +
    "restricted commercial noncommercial evil fee fees pay payment paid military weapons consent " +
    "approval approved denied reject rejected")
    .split(" "),
);
/** And these where they are missing. */
const NEGATIONS: ReadonlySet<string> = new Set("not no never only except unless".split(" "));
/** In a notice these say which licence it is. */
const NAMING_WORDS =
  /^(?:\d(?:\.\d+)*|later|lesser|affero|mozilla|apache|eclipse|mit|isc|bsd|gpl|lgpl|agpl|mpl)$/;

/** Whether a text with these edits is still the licence. */
export function isFaithful(edits: readonly Edit[], kind: "text" | "notice"): boolean {
  return edits.every((edit) => isHarmless(edit, kind));
}

function isHarmless({ removed, inserted }: Edit, kind: "text" | "notice"): boolean {
  if (inserted.length > MAX_INSERTED_WORDS || removed.length > MAX_REMOVED_WORDS) return false;
  const added = difference(inserted, removed);
  const missing = difference(removed, inserted);
  if (added.some((word) => TURNING_WORDS.has(word))) return false;
  if (missing.some((word) => NEGATIONS.has(word))) return false;
  if (missing.includes("without") && added.length > 0) return false;
  return kind === "text" || ![...added, ...missing].some((word) => NAMING_WORDS.test(word));
}

function difference(words: readonly string[], others: readonly string[]): string[] {
  const rest = [...others];
  return words.filter((word) => {
    const at = rest.indexOf(word);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** The words of both, by number. */
export interface Pair {
  readonly licence: Uint16Array;
  readonly text: Uint16Array;
  /** More differences are not looked for. */
  readonly maxEdits: number;
}

/** Where the two differ: ranges of both, ends exclusive. */
export interface Hunk {
  readonly licence: readonly [number, number];
  readonly text: readonly [number, number];
}

/** What a word costs, in the unit of a step. */
const WORD_COST = 16;

/**
 * The fewest differences between all of a licence and all of a text (E. Myers, 1986), in order.
 * Null where there are more than the limit. Memory: four bytes for each pair of an edit and one
 * before it. In steps.
 */
export function* hunksOf({ licence, text, maxEdits }: Pair): Steps<Hunk[] | null> {
  const trace: Int32Array[] = [];
  const offset = maxEdits + 1;
  const reached = new Int32Array(2 * offset + 1);
  for (let edits = 0; edits <= maxEdits; edits++) {
    trace.push(reached.slice(offset - edits, offset + edits + 1));
    for (let k = -edits; k <= edits; k += 2) {
      let x = startOf(reached, { at: offset + k, k, edits });
      while (x < text.length && x - k < licence.length && text[x] === licence[x - k]) x++;
      reached[offset + k] = x;
      if (x >= text.length && x - k >= licence.length) {
        return backtrack(trace, { x: text.length, y: licence.length });
      }
    }
    yield (edits + 1) * WORD_COST;
  }
  return null;
}

/** How far the diagonal k is reached with one edit more. */
function startOf(
  reached: Int32Array,
  { at, k, edits }: { at: number; k: number; edits: number },
): number {
  if (edits === 0) return 0;
  const below = reached[at - 1] ?? 0;
  const above = reached[at + 1] ?? 0;
  return k === -edits || k !== edits && below < above ? above : below + 1;
}

function backtrack(trace: readonly Int32Array[], end: { x: number; y: number }): Hunk[] {
  const hunks: Hunk[] = [];
  let { x, y } = end;
  for (let edits = trace.length - 1; edits > 0; edits--) {
    const before = trace[edits] ?? new Int32Array();
    const k = x - y;
    const at = (diagonal: number) => before[diagonal + edits] ?? 0;
    const isRemoval = k === -edits || k !== edits && at(k - 1) < at(k + 1);
    const previous = isRemoval ? k + 1 : k - 1;
    const fromX = at(previous);
    const fromY = fromX - previous;
    const [toX, toY] = isRemoval ? [fromX, fromY + 1] : [fromX + 1, fromY];
    const last = hunks.at(-1);
    if (last !== undefined && last.text[0] === toX && last.licence[0] === toY) {
      hunks[hunks.length - 1] = {
        licence: [fromY, last.licence[1]],
        text: [fromX, last.text[1]],
      };
    } else {
      hunks.push({ licence: [fromY, toY], text: [fromX, toX] });
    }
    [x, y] = [fromX, fromY];
  }
  return hunks.reverse();
}
