/**
 * The grammar of go.mod files: https://go.dev/ref/mod#go-mod-file-lexical
 *
 * ```
 * module example.com/m // a comment ends the line
 * retract (
 *     v1.0.0
 *     [v1.1.0, v1.2.0]
 * )
 * ```
 *
 * A file is lines of words, marks and quoted strings. A line that ends in `(` opens a block, and
 * each line of the block continues the word before the parenthesis. Follows the reader in
 * golang.org/x/mod/modfile also in what it refuses, because a file that the `go` command cannot
 * read has no effect on it.
 *
 * KNOWN LIMIT: Go reads words and strings of any length. Here one of over {@linkcode
 * MAX_TOKEN_BYTES} makes the file unreadable, so that no single step is long.
 */

/** A line of a go.mod file, or a line of a block with the block's word in front. */
export interface Directive {
  readonly verb: string;
  /**
   * As written, quotes included; brackets and commas are arguments of their own. At most
   * {@linkcode MAX_ARGUMENTS}.
   */
  readonly args: readonly string[];
  readonly inBlock: boolean;
  /**
   * The comments that are about the directive, `//` included: the lines right above it, then the
   * one behind it. A line of a block that has none, and no blank line above it, has those above the
   * block. At most {@linkcode MAX_COMMENT_LINES}.
   */
  readonly comments: readonly string[];
}

/** How many lines of comment are kept of those above a directive. */
export const MAX_COMMENT_LINES = 256;

/** How much of a line of comment is kept. */
export const MAX_COMMENT_BYTES = 4 * 1024;

/**
 * How many arguments of a line are kept. None that we read has more than the five of
 * `[v1.0.0, v1.1.0]`.
 */
export const MAX_ARGUMENTS = 8;

/**
 * How long a word or a quoted string may be. A module path has a few hundred characters at most.
 */
export const MAX_TOKEN_BYTES = 64 * 1024;

/** Read in one step: a millisecond. */
const STEP_BYTES = 16 * 1024;

/** The `go` command cannot read the file. */
export class GoModError extends Error {
  override readonly name = "GoModError";
}

/** A directive; or a number: so many bytes were read, and others may have their turn. */
type Step = Directive | number;

/**
 * The directives of a go.mod file in their order, known or not, and the steps of reading them.
 * Blocks that start with more than one word are left out: none has a meaning yet.
 *
 * @throws {GoModError} when it cannot be a go.mod file; what came before it does not count either.
 */
export function* readDirectives(file: Uint8Array): Generator<Step, void> {
  const tokens = new Tokens(file);
  let above: string[] = [];
  for (let token = tokens.take(); token !== END_OF_FILE; token = tokens.take()) {
    yield* tokens.steps();
    if (isComment(token)) {
      keepComment(above, token);
      continue;
    }
    // A comment with a blank line below it is about nothing.
    if (!endsLine(token)) yield* readStatement(tokens, { verb: token, above });
    if (above.length > 0) above = [];
  }
}

/** The beginning of a statement. */
interface Head {
  readonly verb: string;
  /** The comments above it. */
  readonly above: readonly string[];
}

function* readStatement(tokens: Tokens, { verb, above }: Head): Generator<Step, void> {
  const args: string[] = [];
  for (;;) {
    const token = tokens.take();
    yield* tokens.steps();
    if (endsLine(token)) {
      yield { verb, args, inBlock: false, comments: withSuffix(above, token) };
      return;
    }
    if (token === "(" && opensBlock(tokens)) {
      yield* readBlock(tokens, { verb: args.length === 0 ? verb : null, above });
      return;
    }
    if (args.length < MAX_ARGUMENTS) args.push(token);
  }
}

/**
 * Whether the parenthesis just taken is the last mark of its line, or is closed at once with
 * nothing behind.
 */
function opensBlock(tokens: Tokens): boolean {
  return endsLine(tokens.peek()) || (tokens.peek() === ")" && endsLine(tokens.peekSecond()));
}

function* readBlock(
  tokens: Tokens,
  { verb, above }: { readonly verb: string | null; readonly above: readonly string[] },
): Generator<Step, void> {
  // The end of the line with the parenthesis; a comment there is about the parenthesis.
  if (tokens.peek() !== END_OF_FILE && endsLine(tokens.peek())) tokens.take();
  let comments: string[] = [];
  let hasLines = false;
  // Whether something is between a line and the one before it, if only a blank line.
  let isApart = false;
  for (;;) {
    const token = tokens.take();
    yield* tokens.steps();
    if (token === END_OF_FILE) throw new GoModError("a block is not closed");
    if (isComment(token)) {
      keepComment(comments, token);
      isApart = true;
      continue;
    }
    if (endsLine(token)) {
      isApart ||= hasLines;
      continue;
    }
    if (token === ")") break;
    const { args, end } = yield* readLine(tokens, token);
    if (verb !== null) {
      const isBare = !isApart && !isComment(end);
      yield { verb, args, inBlock: true, comments: isBare ? above : withSuffix(comments, end) };
    }
    if (comments.length > 0) comments = [];
    hasLines = true;
    isApart = end === BLANK_LINES;
  }
  if (!endsLine(tokens.take())) throw new GoModError("a block is closed within a line");
}

/** The words of a line, and the token that ends it. */
function* readLine(
  tokens: Tokens,
  first: string,
): Generator<number, { readonly args: string[]; readonly end: string }> {
  const args = [first];
  for (;;) {
    const token = tokens.take();
    yield* tokens.steps();
    if (endsLine(token)) return { args, end: token };
    if (args.length < MAX_ARGUMENTS) args.push(token);
  }
}

const END_OF_FILE = "";
const END_OF_LINE = "\n";
/** The end of a line and blank lines behind it; or only the latter, behind a comment. */
const BLANK_LINES = "\n\n";

/** A comment reaches to the end of its line. */
function endsLine(token: string): boolean {
  return token === END_OF_LINE || token === BLANK_LINES || token === END_OF_FILE ||
    isComment(token);
}

/** No other token starts so: a word ends before a comment. */
function isComment(token: string): boolean {
  return token.startsWith("//");
}

function keepComment(comments: string[], token: string): void {
  if (comments.length < MAX_COMMENT_LINES) comments.push(token);
}

/** The comments above a line, and the one that ends it if it does. */
function withSuffix(above: readonly string[], end: string): readonly string[] {
  return isComment(end) ? [...above, end] : above;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;
const STAR = 0x2a;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const BACK_QUOTE = 0x60;
const DELETE = 0x7f;
const TAB = 0x09;
const RETURN = 0x0d;
const MARKS = charCodes("()[]{},");
/** What a word may hold beyond ASCII: what Go's `unicode.IsPrint` is true for. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/**
 * The tokens of a file, one after the other. Past the end of the file there is nothing but that
 * end.
 *
 * Goes by bytes, because a file may have 16 MiB: to make a string of it takes as long as several
 * steps, and a regular expression for words or quoted strings needs a stack as deep as they are
 * long.
 */
class Tokens {
  readonly #file: Uint8Array;
  /** Where reading goes on, behind the tokens that have been peeked at. */
  #at = 0;
  readonly #peeked: string[] = [];
  #stepAt = 0;

  constructor(file: Uint8Array) {
    this.#file = file;
  }

  /** What was read since the last step, when it is enough for one. */
  *steps(): Generator<number, void> {
    const bytes = this.#at - this.#stepAt;
    if (bytes < STEP_BYTES) return;
    this.#stepAt = this.#at;
    yield bytes;
  }

  take(): string {
    return this.#peeked.shift() ?? this.#read();
  }

  peek(): string {
    if (this.#peeked.length === 0) this.#peeked.push(this.#read());
    return this.#peeked[0] ?? END_OF_FILE;
  }

  peekSecond(): string {
    while (this.#peeked.length < 2) this.#peeked.push(this.#read());
    return this.#peeked[1] ?? END_OF_FILE;
  }

  #read(): string {
    this.#skipBlanks();
    const first = this.#file[this.#at];
    if (first === undefined) return END_OF_FILE;
    if (first === NEWLINE) return this.#readLineEnds();
    if (first === SLASH && this.#file[this.#at + 1] === SLASH) return this.#readComment();
    if (MARKS.has(first)) return this.#readTo(this.#at + 1);
    return first === QUOTE || first === BACK_QUOTE ? this.#readQuoted(first) : this.#readWord();
  }

  #skipBlanks(): void {
    const file = this.#file;
    let at = this.#at;
    // Within the bounds, the runtime is five times as fast: 16 MiB of blanks are one step.
    while (at < file.length && isBlank(file[at])) at++;
    this.#at = at;
  }

  /** A row of line ends is one token, or where it is very long a few. */
  #readLineEnds(): string {
    const file = this.#file;
    const limit = Math.min(file.length, this.#at + STEP_BYTES);
    let at = this.#at + 1;
    while (at < limit && isBlank(file[at])) at++;
    const token = at < limit && file[at] === NEWLINE ? BLANK_LINES : END_OF_LINE;
    while (at < limit && (file[at] === NEWLINE || isBlank(file[at]))) at++;
    this.#at = at;
    return token;
  }

  /** A comment with the end of its line. */
  #readComment(): string {
    const start = this.#at;
    const newline = this.#file.indexOf(NEWLINE, start);
    const end = newline < 0 ? this.#file.length : newline;
    this.#at = end + 1;
    return UTF8.decode(this.#file.subarray(start, Math.min(end, start + MAX_COMMENT_BYTES)));
  }

  #readQuoted(quote: number): string {
    const file = this.#file;
    const limit = Math.min(file.length, this.#at + MAX_TOKEN_BYTES);
    for (let at = this.#at + 1; at < limit; at++) {
      const code = file[at];
      if (code === quote) return this.#readTo(at + 1);
      if (code === NEWLINE) break;
      if (code === BACKSLASH && quote === QUOTE) at++;
    }
    throw new GoModError("a quoted string is not closed, or is too long");
  }

  /** A word ends before a blank, a mark or a comment; a quote within it has no meaning here. */
  #readWord(): string {
    let end = this.#at;
    for (let bytes = this.#wordBytes(end); bytes > 0; bytes = this.#wordBytes(end)) {
      end += bytes;
      if (end - this.#at > MAX_TOKEN_BYTES) throw new GoModError("a word is too long");
    }
    if (end === this.#at) throw new GoModError("a character that cannot be in a go.mod file");
    return this.#readTo(end);
  }

  /** How many bytes the character at `at` has, 0 if it cannot be in a word or starts a comment. */
  #wordBytes(at: number): number {
    const code = this.#file[at];
    if (code === undefined) return 0;
    if (code === SLASH) {
      const next = this.#file[at + 1];
      // Go has no block comments here: the word ends, and no token starts so.
      return next === SLASH || next === STAR ? 0 : 1;
    }
    if (code <= DELETE) return code > SPACE && code < DELETE && !MARKS.has(code) ? 1 : 0;
    const [character = ""] = UTF8.decode(this.#file.subarray(at, at + MAX_CHARACTER_BYTES));
    // What is not UTF-8 may be in a word, byte by byte.
    if (character === REPLACEMENT) return 1;
    return PRINTABLE.test(character) ? encodedBytes(character) : 0;
  }

  #readTo(end: number): string {
    const token = UTF8.decode(this.#file.subarray(this.#at, end));
    this.#at = end;
    return token;
  }
}

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });
const MAX_CHARACTER_BYTES = 4;
/** What bytes that are not UTF-8 are read as, each. */
const REPLACEMENT = "\ufffd";

function encodedBytes(character: string): number {
  const point = character.codePointAt(0) ?? 0;
  return point > 0xffff ? 4 : point > 0x7ff ? 3 : 2;
}

function isBlank(code: number | undefined): boolean {
  return code === SPACE || code === TAB || code === RETURN;
}

function charCodes(characters: string): ReadonlySet<number> {
  return new Set(Array.from(characters, (character) => character.charCodeAt(0)));
}
