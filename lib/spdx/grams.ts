/**
 * Sequences of words, by which licences are looked up in a text and places in it.
 */
import type { Steps } from "../async/pace.ts";

/** How many words in a row are looked up. */
export const GRAM_WORDS = 4;
/** What the work on a word costs, in the unit of a step. */
export const WORD_COST = 64;
/** How many words are worked on in a step. */
export const STEP_WORDS = 8 * 1024;

/** Sequences that fall together by chance, or by intent, are left out past this number. */
const MAX_CHAIN = 64;

/** A number for a sequence of words. Two sequences may have the same. */
export function hashAt(words: Uint16Array, at: number): number {
  let hash = 0;
  for (let i = at; i < at + GRAM_WORDS; i++) {
    hash = Math.imul(hash ^ (words[i] ?? 0), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/** The words of a text by number, 0 for those that no licence has, and where each sequence is. */
export class FileWords {
  readonly words: Uint16Array;
  readonly #heads: Int32Array;
  readonly #mask: number;
  /** Of the sequence that starts at a word. */
  readonly #hashes: Uint32Array;
  /** The next word of the bucket at which another sequence starts for the first time. */
  readonly #nextInBucket: Int32Array;
  /** The next word at which the same sequence starts. */
  readonly #nextSame: Int32Array;
  readonly #first: number[] = [];

  private constructor(words: Uint16Array) {
    this.words = words;
    const size = 1 << Math.max(8, 33 - Math.clz32(words.length));
    this.#mask = size - 1;
    this.#heads = new Int32Array(size).fill(-1);
    this.#hashes = new Uint32Array(words.length);
    this.#nextInBucket = new Int32Array(words.length).fill(-1);
    this.#nextSame = new Int32Array(words.length).fill(-1);
  }

  static *create(words: Uint16Array): Steps<FileWords> {
    const file = new FileWords(words);
    const last = new Int32Array(words.length).fill(-1);
    let unknownAt = -1;
    for (let i = 0; i < words.length; i++) {
      if (words[i] === 0) unknownAt = i;
      const start = i - GRAM_WORDS + 1;
      if (start > unknownAt) file.#add(start, last);
      if (i % STEP_WORDS === 0) yield STEP_WORDS * WORD_COST;
    }
    return file;
  }

  *distinctHashes(): Iterable<number> {
    for (const at of this.#first) yield this.#hashes[at] ?? 0;
  }

  /** The first `limit` places where the sequence with this hash starts, in order. */
  placesOf(hash: number, limit: number): number[] {
    const places: number[] = [];
    for (
      let at = this.#find(hash);
      at >= 0 && places.length < limit;
      at = this.#nextSame[at] ?? -1
    ) {
      places.push(at);
    }
    return places;
  }

  #add(at: number, last: Int32Array): void {
    const hash = hashAt(this.words, at);
    this.#hashes[at] = hash;
    const first = this.#find(hash);
    if (first === FULL) return;
    if (first < 0) {
      const slot = hash & this.#mask;
      this.#nextInBucket[at] = this.#heads[slot] ?? -1;
      this.#heads[slot] = at;
      this.#first.push(at);
      last[at] = at;
    } else {
      this.#nextSame[last[first] ?? first] = at;
      last[first] = at;
    }
  }

  #find(hash: number): number {
    let at = this.#heads[hash & this.#mask] ?? -1;
    for (let length = 0; at >= 0 && this.#hashes[at] !== hash; length++) {
      if (length === MAX_CHAIN) return FULL;
      at = this.#nextInBucket[at] ?? -1;
    }
    return at;
  }
}

/** No place: the bucket has no room for another sequence. */
const FULL = -2;
