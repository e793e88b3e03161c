/**
 * A text as the words that count when licences are compared, after the SPDX License List Matching
 * Guidelines (https://spdx.github.io/spdx-spec/v2.3/license-matching-guidelines-and-templates/):
 *
 * - case, white space, punctuation, quotes and the marks of comments do not count (guidelines 3, 4,
 *   5 and 6), and neither do apostrophes within words;
 * - bullets and numbers of list items do not count (7), nor do the lines of copyright notices and
 *   "all rights reserved" (9);
 * - different spellings of a word are one word (8), `©` and `(c)` are `copyright` (9), `https` is
 *   `http`;
 * - tags and entities of HTML are no words.
 *
 * Line by line, so that there is no long step; what a file is about is in the order of its words
 * alone.
 */
import type { Steps } from "../async/pace.ts";

/** A longer line is cut: text of this length is worked through in about a millisecond. */
const MAX_LINE_CHARS = 16 * 1024;
/** Short lines are worked through together. */
const STEP_CHARS = 4 * 1024;
/** How much longer it takes to split a character into words than to inflate it. */
const CHAR_COST = 16;

/**
 * The words of a text, in steps.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { atOnce } from "../async/pace.ts";
 * const text = `// Copyright (c) 2024 The Authors. All rights reserved.
 * // 1. Sub-licence the "Work", Version 2.0;`;
 * assert.deepEqual(atOnce(wordsOf(text)), ["sub", "license", "the", "work", "version", "2.0"]);
 * ```
 */
export function* wordsOf(text: string): Steps<string[]> {
  const words: string[] = [];
  let chars = 0;
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const lineEnd = newline < 0 ? text.length : newline;
    const end = Math.min(lineEnd, start + MAX_LINE_CHARS);
    if (end > start) addWords(words, text.slice(start, end));
    chars += end - start + 1;
    start = end === lineEnd ? end + 1 : end;
    if (chars < STEP_CHARS) continue;
    yield chars * CHAR_COST;
    chars = 0;
  }
  return words;
}

/** The line of a notice: a sign, a year, a placeholder or a name is behind the word. */
const COPYRIGHT_LINE =
  /^[^\p{L}\p{N}©(<[]*(?:portions |parts )?(?:copyright\s*(?::|,|\(c\)|©|&copy;|[<[{]|(?:by|19\d\d|20\d\d|year|yyyy)\b)|(?:\(c\)|©|&copy;)\s*(?:copyright|[<[{]|19\d\d|20\d\d))/iu;
/** The word before a name; "Copyright Holders" and what is in capitals is part of a sentence. */
const NAMED_COPYRIGHT_LINE =
  /^[^\p{L}\p{N}]*(?:Portions )?Copyright (?!Notice|Holder|Owner|Law|Act|License|Licence|Interest|And|Or|In)\p{Lu}\p{Ll}/u;
/** A licence on one long line may begin with a notice. */
const MAX_NOTICE_CHARS = 200;
const HTML =
  /<\/?(?:a|b|i|p|br|hr|h[1-6]|ul|ol|li|em|strong|div|span|pre|code|html|head|body|title|center|table|tr|td|font|tt|u|blockquote|var|dl|dd|dt)(?:\s[^<>]{0,500})?\/?>|<!--|-->|&(?:[a-z]{2,8}|#\d{1,6});/g;
/** A number or letter before a list item, at the start of a line or in parentheses. */
const BULLET =
  /^[^\p{L}\p{N}(]*\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)](?=\s)|(?<=\s)\((?:\d{1,2}|[a-z]|[ivx]{1,4})\)(?=\s)/gu;
const RIGHTS = /\ball rights reserved\b\.?/g;
const APOSTROPHE = /(?<=\p{L})['’`](?=\p{L})/gu;
/** Elsewhere `(c)` is the number of a list item. */
const COPYRIGHT_SIGN = /\(c\)(?=\s*(?:19|20)\d\d)|(?<=copyright\s*)\(c\)|©|&copy;/g;
const WORD = /\d+(?:\.\d+)+|[\p{L}\p{N}]+/gu;

function addWords(words: string[], line: string): void {
  if (isCopyrightNotice(line)) return;
  const lower = line.toLowerCase();
  const text = lower.replaceAll(COPYRIGHT_SIGN, " copyright ").replaceAll(HTML, " ")
    .replaceAll(RIGHTS, " ").replaceAll(BULLET, " ").replaceAll(APOSTROPHE, "");
  for (const [word] of text.matchAll(WORD)) {
    const canonical = SPELLINGS.get(word) ?? word;
    if (canonical === "copyright" && words.at(-1) === "copyright") continue;
    words.push(canonical);
  }
}

function isCopyrightNotice(line: string): boolean {
  return line.length <= MAX_NOTICE_CHARS &&
    (COPYRIGHT_LINE.test(line) || NAMED_COPYRIGHT_LINE.test(line));
}

/** The equivalent words of the guidelines, and forms of them. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ["acknowledgement", "acknowledgment"],
  ["analogue", "analog"],
  ["analyse", "analyze"],
  ["artefact", "artifact"],
  ["authorisation", "authorization"],
  ["authorised", "authorized"],
  ["calibre", "caliber"],
  ["cancelled", "canceled"],
  ["catalogue", "catalog"],
  ["categorise", "categorize"],
  ["centre", "center"],
  ["copyrights", "copyright"],
  ["emphasised", "emphasized"],
  ["favour", "favor"],
  ["favourite", "favorite"],
  ["fulfil", "fulfill"],
  ["fulfilment", "fulfillment"],
  ["https", "http"],
  ["initialise", "initialize"],
  ["judgement", "judgment"],
  ["labelling", "labeling"],
  ["labour", "labor"],
  ["licence", "license"],
  ["licences", "licenses"],
  ["licenced", "licensed"],
  ["maximise", "maximize"],
  ["modelled", "modeled"],
  ["modelling", "modeling"],
  ["offence", "offense"],
  ["optimise", "optimize"],
  ["organisation", "organization"],
  ["organise", "organize"],
  ["owner", "holder"],
  ["owners", "holders"],
  ["practise", "practice"],
  ["programme", "program"],
  ["realise", "realize"],
  ["recognise", "recognize"],
  ["signalling", "signaling"],
  ["sublicence", "sublicense"],
  ["utilisation", "utilization"],
  ["whilst", "while"],
  ["wilful", "willful"],
]);
