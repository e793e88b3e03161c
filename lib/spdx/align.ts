/**
 * Aligns a licence with the parts of a text that are like it (matcher.ts, 2 and 3).
 */
import type { Steps } from "../async/pace.ts";
import { type FileWords, GRAM_WORDS, hashAt, WORD_COST } from "./grams.ts";
import type { LicenceText } from "./table.ts";

/** A text less similar than this, in percent, is another one. */
export const MIN_CONFIDENCE = 80;

/** How much work one text may be, in words compared: a second or two. */
export const MAX_WORK = 50_000_000;

/** How many places are looked at where text and licence have a sequence in common. */
const MAX_HITS = 64 * 1024;

/** What the work on a text has cost. */
export class Work {
  #words = 0;
  #isStopped = false;

  add(words: number): void {
    this.#words += words;
    this.#isStopped ||= this.isDone;
  }

  /** There is more to look for, and it is not looked for. */
  stop(): void {
    this.#isStopped = true;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  get isDone(): boolean {
    return this.#words > MAX_WORK;
  }
}

/** Where in a text a licence may be: it begins at one of the words from `from` on. */
export interface Window {
  readonly text: LicenceText;
  readonly from: number;
  readonly starts: number;
  readonly to: number;
  /** The first and the last word that it has in common with the licence for certain. */
  readonly first: number;
  readonly last: number;
  /** By the sequences that the two have not in common: an edit breaks {@linkcode GRAM_WORDS}. */
  readonly leastEdits: number;
  /** How many sequences they have in common, less those that only the licence has. */
  readonly likeness: number;
}

/** A run of sequences that text and licence have in the same order. */
interface Run {
  firstFile: number;
  firstLicence: number;
  lastFile: number;
  lastLicence: number;
  hits: number;
}

/** So far may the places of a run move against each other, in words. */
const MAX_SHIFT = 80;
/** How many runs are followed at a time. */
const OPEN_RUNS = 4;

export function* windowsOf(
  file: FileWords,
  { text, words, work }: { text: LicenceText; words: Uint16Array; work: Work },
): Steps<Window[]> {
  const sequences = sequencesOf(words);
  const limit = Math.max(1, Math.floor(MAX_HITS / words.length));
  // A place in the file and one in the licence in one number: these are sorted fast.
  const hits: number[] = [];
  for (const [hash, licence] of sequences) {
    for (const place of file.placesOf(hash, limit)) hits.push(place * MAX_LICENCE_WORDS + licence);
  }
  work.add(words.length + 4 * hits.length);
  yield (words.length + 4 * hits.length) * WORD_COST;
  const runs = runsOf(Float64Array.from(hits).sort());
  yield hits.length * WORD_COST;
  const least = Math.max(1, 0.15 * (words.length - GRAM_WORDS + 1));
  const slack = Math.min(MAX_SHIFT, 8 + (words.length >> 3));
  const windows = runs.filter((run) => run.hits >= least).map((run): Window => {
    const start = run.firstFile - run.firstLicence;
    const from = Math.max(0, start - slack);
    const to = Math.min(
      file.words.length,
      run.lastFile + (words.length - run.lastLicence) + 2 * slack,
    );
    const { firstFile: first, lastFile: last } = run;
    const leastEdits = Math.ceil((sequences.size - text.titleWords - run.hits) / GRAM_WORDS);
    return {
      text,
      from,
      starts: Math.max(1, start + slack + 1 - from),
      to,
      first,
      last,
      leastEdits: Math.max(0, leastEdits),
      likeness: 2 * run.hits - sequences.size,
    };
  });
  return windows.filter(({ from }, i) => from !== windows[i - 1]?.from);
}

/** The sequences that a licence has once, with their places. */
function sequencesOf(words: Uint16Array): Map<number, number> {
  const places = new Map<number, number>();
  const repeated = new Set<number>();
  for (let at = 0; at + GRAM_WORDS <= words.length; at++) {
    const hash = hashAt(words, at);
    if (places.has(hash)) repeated.add(hash);
    else places.set(hash, at);
  }
  for (const hash of repeated) places.delete(hash);
  return places;
}

/** More than any text has. */
const MAX_LICENCE_WORDS = 1 << 16;

function runsOf(hits: Float64Array): Run[] {
  const runs: Run[] = [];
  let open: Run[] = [];
  for (const hit of hits) {
    const file = Math.floor(hit / MAX_LICENCE_WORDS);
    const licence = hit % MAX_LICENCE_WORDS;
    const run = open.find((run) =>
      licence > run.lastLicence &&
      Math.abs(file - run.lastFile - (licence - run.lastLicence)) <= MAX_SHIFT
    );
    if (run !== undefined) {
      run.lastFile = file;
      run.lastLicence = licence;
      run.hits++;
      continue;
    }
    const opened: Run = {
      firstFile: file,
      firstLicence: licence,
      lastFile: file,
      lastLicence: licence,
      hits: 1,
    };
    runs.push(opened);
    open = [opened, ...open.slice(0, OPEN_RUNS - 1)];
  }
  return runs;
}

/** A licence and the words of a text that it is most like. */
export interface Alignment {
  readonly text: LicenceText;
  readonly start: number;
  readonly end: number;
  /** Words in common. */
  readonly matched: number;
  /** Words that only one of the two has. */
  readonly edits: number;
}

/**
 * Aligns all of a licence but its title with part of a window, with the least edits. On the
 * diagonal k are the pairs of the word x of the window and the word x - k of the licence; for each
 * the furthest x that is reached with some number of edits is kept, and where that path began. Null
 * where it takes too many edits.
 */
export function* alignIn(
  file: Uint16Array,
  { words, window, maxEdits, work }: {
    words: Uint16Array;
    window: Window;
    maxEdits: number;
    work: Work;
  },
): Steps<Alignment | null> {
  const { text } = window;
  const licence = words.subarray(text.titleWords);
  const content = file.subarray(window.from, window.to);
  const low = -maxEdits - 1;
  const reached = new Int32Array(window.starts + 2 * maxEdits + 3).fill(-1);
  const begun = new Int32Array(reached.length);
  for (let edits = 0; edits <= maxEdits; edits++) {
    const first = -edits;
    const last = window.starts - 1 + edits;
    let best: { x: number; start: number } | null = null;
    // With one more edit, a path comes from a diagonal beside it: in place, since those with as
    // many edits are two diagonals apart, except for paths that begin with no edit on any.
    let left = -1;
    let leftBegun = 0;
    for (let k = first; k <= last; k++) {
      const i = k - low;
      const own = reached[i] ?? -1;
      const ownBegun = begun[i] ?? 0;
      const right = reached[i + 1] ?? -1;
      let x = -1;
      let start = 0;
      if (edits === 0) {
        x = k;
        start = k;
      } else {
        // A word of the text is left out, or one of the licence.
        if (left >= 0 && left + 1 > x) [x, start] = [left + 1, leftBegun];
        if (right > x) [x, start] = [right, begun[i + 1] ?? 0];
        if (own > x) [x, start] = [own, ownBegun];
      }
      left = own;
      leftBegun = ownBegun;
      if (x < 0 || x < k || x - k > licence.length) continue;
      const from = x;
      while (x < content.length && x - k < licence.length && content[x] === licence[x - k]) x++;
      work.add(x - from);
      if (x > content.length) x = content.length;
      reached[i] = x;
      begun[i] = start;
      if (x - k >= licence.length && (best === null || x - start < best.x - best.start)) {
        best = { x, start };
      }
    }
    work.add(last - first + 1);
    if (edits % 16 === 0) yield 16 * (last - first + 1) * WORD_COST / 4;
    if (work.isDone) return null;
    if (best !== null) {
      const span = best.x - best.start;
      const missing = Math.max(0, (edits - span + licence.length) / 2);
      const matched = licence.length - missing;
      const end = window.from + best.x;
      return { text, start: window.from + best.start, end, matched, edits };
    }
  }
  return null;
}

export function confidenceOf({ matched, edits }: Pick<Alignment, "matched" | "edits">): number {
  return 100 * matched / (matched + edits);
}

/** How many words an edit outweighs. */
export const EDIT_WEIGHT = 3;

/** The best alignments that do not overlap, in the order of the text. */
export function choose(found: readonly Alignment[]): Alignment[] {
  const chosen: Alignment[] = [];
  const ranked = found
    .filter((alignment) => confidenceOf(alignment) >= MIN_CONFIDENCE)
    .map((alignment) => ({ alignment, rank: rankOf(alignment) }))
    .sort((a, b) => b.rank - a.rank);
  for (const { alignment } of ranked) {
    const next = countBefore(chosen, alignment.start);
    const isFree = (chosen[next - 1]?.end ?? 0) <= alignment.start &&
      (chosen[next]?.start ?? Infinity) >= alignment.end;
    if (isFree) chosen.splice(next, 0, alignment);
  }
  return chosen;
}

/** How many of the alignments, which are in order, begin before a place. */
function countBefore(alignments: readonly Alignment[], start: number): number {
  let low = 0;
  let high = alignments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((alignments[middle]?.start ?? Infinity) < start) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function rankOf({ matched, edits }: Alignment): number {
  return matched - EDIT_WEIGHT * edits;
}
