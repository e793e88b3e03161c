/**
 * Finds licences in a text, by the words of the licences of the SPDX list (table.ts).
 *
 * 1. Sequences of {@linkcode GRAM_WORDS} words that text and licence have in common say which
 *    licences can be in the text, and where.
 * 2. There the whole licence is aligned with the text: the least number of words that must be
 *    inserted or removed to make one of the other (E. Myers, "An O(ND) Difference Algorithm and Its
 *    Variations", 1986; the alignment may begin and end anywhere in the text).
 * 3. Of alignments that overlap, the one with the most words in common and the fewest edits counts.
 *
 * Names of people and companies within a licence, and changes of single words, are a few edits.
 * Whether a licence is the right one is judged by {@linkcode LicenceMatch.confidence}, and whether
 * it is all that the text says by {@linkcode TextMatches.coverage}.
 *
 * Texts are untrusted. The work on one is limited ({@linkcode MAX_WORK}), and so is the memory, to
 * some 30 bytes for each word and some megabytes. Both go by the text alone, so that the same text
 * gives the same result everywhere.
 */
import { sortSteps, type Steps } from "../async/pace.ts";
import {
  alignIn,
  type Alignment,
  choose,
  confidenceOf,
  EDIT_WEIGHT,
  MIN_CONFIDENCE,
  rankOf,
  type Window,
  windowsOf,
  Work,
} from "./align.ts";
import { type Hunk, hunksOf, isFaithful } from "./edits.ts";
import { FileWords, GRAM_WORDS, hashAt, STEP_WORDS, WORD_COST } from "./grams.ts";
import type { LicenceTable, LicenceText } from "./table.ts";
import { wordsOf } from "./words.ts";

/** A licence that was found in a text. */
export interface LicenceMatch {
  /** The SPDX identifier. */
  readonly id: string;
  /** Whether the text of the licence was found, or a notice that names it. */
  readonly kind: LicenceText["kind"];
  /**
   * How many percent of the words are the same, of those of the licence and those that the text has
   * within it: 100 for a text that is word for word the licence.
   */
  readonly confidence: number;
  /**
   * Whether the text says what the licence says, as far as rules can tell (edits.ts): not where a
   * sentence was added or left out.
   */
  readonly isFaithful: boolean;
  /** The words of the text that it covers, end exclusive. */
  readonly start: number;
  readonly end: number;
}

export interface TextMatches {
  /** In the order of the text; they do not overlap. */
  readonly matches: readonly LicenceMatch[];
  /** How many percent of the text's words are part of a licence; copyright notices do not count. */
  readonly coverage: number;
  readonly words: number;
  /** The text was so intricate that it was not compared with all licences. */
  readonly isLimited: boolean;
}

const BUCKET_BITS = 18;
/** A licence is looked for if the text has so many of its sequences. */
const MIN_SHARE = 0.3;
/** How many licences a text is compared with. */
const MAX_CANDIDATES = 300;
/** In how many places licences are looked for. */
const MAX_WINDOWS = 20_000;

export class LicenceMatcher {
  readonly #table: LicenceTable;
  /** Where the entries of a bucket start. */
  readonly #buckets: Int32Array;
  readonly #hashes: Uint32Array;
  readonly #owners: Uint16Array;

  private constructor(
    table: LicenceTable,
    index: { buckets: Int32Array; hashes: Uint32Array; owners: Uint16Array },
  ) {
    this.#table = table;
    this.#buckets = index.buckets;
    this.#hashes = index.hashes;
    this.#owners = index.owners;
  }

  /** Makes the index of all sequences of all licences: some 10 MB. In steps. */
  static *create(table: LicenceTable): Steps<LicenceMatcher> {
    const buckets = new Int32Array((1 << BUCKET_BITS) + 1);
    let total = 0;
    for (const { start, end } of table.texts) {
      for (let at = start; at + GRAM_WORDS <= end; at++) {
        const bucket = bucketOf(hashAt(table.words, at));
        buckets[bucket + 1] = (buckets[bucket + 1] ?? 0) + 1;
        total++;
      }
      yield (end - start) * WORD_COST;
    }
    for (let i = 1; i < buckets.length; i++) buckets[i] = (buckets[i] ?? 0) + (buckets[i - 1] ?? 0);
    yield buckets.length;
    const hashes = new Uint32Array(total);
    const owners = new Uint16Array(total);
    const filled = buckets.slice();
    for (const [owner, { start, end }] of table.texts.entries()) {
      for (let at = start; at + GRAM_WORDS <= end; at++) {
        const hash = hashAt(table.words, at);
        const bucket = bucketOf(hash);
        const place = filled[bucket] ?? 0;
        filled[bucket] = place + 1;
        hashes[place] = hash;
        owners[place] = owner;
      }
      yield (end - start) * WORD_COST;
    }
    return new LicenceMatcher(table, { buckets, hashes, owners });
  }

  /** The licences in a text. In steps. */
  *match(text: string): Steps<TextMatches> {
    const words = yield* wordsOf(text);
    const numbers = Uint16Array.from(words, (word) => this.#table.numbers.get(word) ?? 0);
    const file = yield* FileWords.create(numbers);
    const work = new Work();
    const found = yield* this.#align(file, { windows: yield* this.#windows(file, work), work });
    const matches: LicenceMatch[] = [];
    for (const alignment of choose(found)) {
      const { text: { id, kind }, end } = alignment;
      matches.push({
        id,
        kind,
        confidence: confidenceOf(alignment),
        isFaithful: yield* this.#isFaithful(alignment, { file, words }),
        start: this.#headingStart(alignment, { words, limit: matches.at(-1)?.end ?? 0 }),
        end,
      });
    }
    const covered = matches.reduce((sum, { start, end }) => sum + end - start, 0);
    const coverage = words.length === 0 ? 0 : 100 * covered / words.length;
    return { matches, coverage, words: words.length, isLimited: work.isStopped };
  }

  /** The licences with which the text has enough in common, the likeliest first. */
  *#candidates(file: FileWords): Steps<LicenceText[]> {
    const counts = new Uint32Array(this.#table.texts.length);
    let done = 0;
    for (const hash of file.distinctHashes()) {
      const bucket = bucketOf(hash);
      const end = this.#buckets[bucket + 1] ?? 0;
      const start = this.#buckets[bucket] ?? 0;
      for (let i = start; i < end; i++) {
        if (this.#hashes[i] !== hash) continue;
        const owner = this.#owners[i] ?? 0;
        counts[owner] = (counts[owner] ?? 0) + 1;
      }
      done += end - start + 1;
      if (done < STEP_WORDS) continue;
      yield done * WORD_COST;
      done = 0;
    }
    return this.#table.texts
      .map((text, i) => {
        const grams = Math.max(1, text.end - text.start - GRAM_WORDS + 1);
        return { text, share: (counts[i] ?? 0) / grams, count: counts[i] ?? 0 };
      })
      .filter(({ share }) => share >= MIN_SHARE)
      .sort((a, b) => b.share * b.count - a.share * a.count)
      .slice(0, MAX_CANDIDATES)
      .map(({ text }) => text);
  }

  /** Where the licences may be, the likeliest first. */
  *#windows(file: FileWords, work: Work): Steps<Window[]> {
    const windows: Window[] = [];
    for (const text of yield* this.#candidates(file)) {
      const words = this.#table.words.subarray(text.start, text.end);
      windows.push(...yield* windowsOf(file, { text, words, work }));
      if (windows.length > MAX_WINDOWS) work.stop();
      if (work.isStopped) break;
    }
    return yield* sortSteps(windows, (a, b) => b.likeness - a.likeness);
  }

  *#align(
    file: FileWords,
    { windows, work }: { windows: readonly Window[]; work: Work },
  ): Steps<Alignment[]> {
    const found: Alignment[] = [];
    // The rank of the best alignment so far, for each word.
    const ranks = new Int32Array(file.words.length);
    for (const window of windows) {
      const { first, last, leastEdits, text } = window;
      const words = this.#table.words.subarray(text.start, text.end);
      // An alignment in the place of a better one does not count, so it need not be finished.
      const places = [first, (first + last) >> 1, last];
      const rival = Math.max(...places.map((place) => ranks[place] ?? 0));
      const maxEdits = Math.min(
        Math.floor(words.length * (100 / MIN_CONFIDENCE - 1)),
        Math.floor((words.length - rival) / EDIT_WEIGHT),
      );
      work.add(1);
      if (maxEdits < leastEdits) continue;
      const alignment = yield* alignIn(file.words, { words, window, maxEdits, work });
      if (work.isDone) break;
      if (alignment === null) continue;
      found.push(alignment);
      const rank = rankOf(alignment);
      for (let i = alignment.start; i < alignment.end; i++) {
        ranks[i] = Math.max(ranks[i] ?? 0, rank);
      }
    }
    return found;
  }

  /**
   * Where a match begins with what is before it and only names the licence: "The MIT License".
   */
  #headingStart(
    { text, start }: Alignment,
    { words, limit }: { words: readonly string[]; limit: number },
  ): number {
    const title = this.#table.words.subarray(text.start, text.start + text.titleWords);
    const own = new Set([
      ...text.name.toLowerCase().match(/[\p{L}\p{N}.]+/gu) ?? [],
      ...Array.from(title, (word) => this.#table.spelled[word - 1] ?? ""),
    ]);
    const isHeading = (word: string) => HEADING_WORDS.has(word) || own.has(word);
    const least = Math.max(limit, start - text.titleWords - MAX_HEADING_WORDS);
    let first = start;
    while (first > least && isHeading(words[first - 1] ?? "")) first--;
    return first;
  }

  *#isFaithful(
    { text, start, end, edits }: Alignment,
    { file, words }: { file: FileWords; words: readonly string[] },
  ): Steps<boolean> {
    const from = text.start + text.titleWords;
    const hunks = yield* hunksOf({
      licence: this.#table.words.subarray(from, text.end),
      text: file.words.subarray(start, end),
      maxEdits: edits,
    });
    const wordsOfLicence = ([first, last]: Hunk["licence"]) =>
      Array.from(
        this.#table.words.subarray(from + first, from + last),
        (word) => this.#table.spelled[word - 1] ?? "",
      );
    return hunks !== null && isFaithful(
      hunks.map(({ licence, text: [first, last] }) => ({
        removed: wordsOfLicence(licence),
        inserted: words.slice(start + first, start + last),
      })),
      text.kind,
    );
  }
}

const MAX_HEADING_WORDS = 16;
const HEADING_WORDS: ReadonlySet<string> = new Set(
  ("the this is a an of and for in to under terms by version license licensed software project " +
    "library package code copyright file source see below following released distributed")
    .split(" "),
);

function bucketOf(hash: number): number {
  return Math.imul(hash, 0x85ebca6b) >>> (32 - BUCKET_BITS);
}
