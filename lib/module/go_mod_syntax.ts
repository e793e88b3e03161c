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
}

/**
 * How many arguments of a line are kept. None that we read has more than the five of
 * `[v1.0.0, v1.1.0]`.
 */
export const MAX_ARGUMENTS = 8;

/** The `go` command cannot read the file. */
export class GoModError extends Error {
  override readonly name = "GoModError";
}

/**
 * The directives of a go.mod file in their order, known or not. Blocks that start with more than
 * one word are left out: none has a meaning yet.
 *
 * @throws {GoModError} when the text cannot be a go.mod file; what came before it does not count
 * either.
 */
export function* readDirectives(text: string): Generator<Directive, void> {
  const tokens = new Tokens(text);
  while (tokens.peek() !== END_OF_FILE) {
    const verb = tokens.take();
    if (verb !== END_OF_LINE) yield* readStatement(tokens, verb);
  }
}

function* readStatement(tokens: Tokens, verb: string): Generator<Directive, void> {
  const args: string[] = [];
  for (let token = tokens.take(); !endsLine(token); token = tokens.take()) {
    if (token === "(" && opensBlock(tokens)) {
      yield* readBlock(tokens, args.length === 0 ? verb : null);
      return;
    }
    if (args.length < MAX_ARGUMENTS) args.push(token);
  }
  yield { verb, args, inBlock: false };
}

/**
 * Whether the parenthesis just taken is the last mark of its line, or is closed at once with
 * nothing behind.
 */
function opensBlock(tokens: Tokens): boolean {
  return endsLine(tokens.peek()) || (tokens.peek() === ")" && endsLine(tokens.peekSecond()));
}

function* readBlock(tokens: Tokens, verb: string | null): Generator<Directive, void> {
  for (;;) {
    const token = tokens.take();
    if (token === END_OF_FILE) throw new GoModError("a block is not closed");
    if (token === END_OF_LINE) continue;
    if (token === ")") break;
    const args = readLine(tokens, token);
    if (verb !== null) yield { verb, args, inBlock: true };
  }
  if (!endsLine(tokens.take())) throw new GoModError("a block is closed within a line");
}

function readLine(tokens: Tokens, first: string): string[] {
  const args = [first];
  for (let token = tokens.take(); !endsLine(token); token = tokens.take()) {
    if (args.length < MAX_ARGUMENTS) args.push(token);
  }
  return args;
}

const END_OF_FILE = "";
/** Also stands for a comment, which reaches to the end of its line. */
const END_OF_LINE = "\n";

function endsLine(token: string): boolean {
  return token === END_OF_LINE || token === END_OF_FILE;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;
const STAR = 0x2a;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const BACK_QUOTE = 0x60;
const DELETE = 0x7f;
const BLANKS = charCodes(" \t\r");
const MARKS = charCodes("()[]{},");
/** What a word may hold beyond ASCII: what Go's `unicode.IsPrint` is true for. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/**
 * The tokens of a text, one after the other. Past the end of the file there is nothing but that
 * end.
 *
 * Goes by character codes, because a file may have 16 MiB and a regular expression for words or
 * quoted strings needs a stack as deep as they are long.
 */
class Tokens {
  readonly #text: string;
  /** Where reading goes on, behind the tokens that have been peeked at. */
  #at = 0;
  readonly #peeked: string[] = [];

  constructor(text: string) {
    this.#text = text;
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
    const first = this.#text.charCodeAt(this.#at);
    if (Number.isNaN(first)) return END_OF_FILE;
    if (first === NEWLINE) return this.#readLineEnds();
    if (first === SLASH && this.#text.charCodeAt(this.#at + 1) === SLASH) {
      return this.#readComment();
    }
    if (MARKS.has(first)) return this.#readTo(this.#at + 1);
    return first === QUOTE || first === BACK_QUOTE ? this.#readQuoted(first) : this.#readWord();
  }

  #skipBlanks(): void {
    while (BLANKS.has(this.#text.charCodeAt(this.#at))) this.#at++;
  }

  /** Blank lines mean nothing, so a row of line ends is one. */
  #readLineEnds(): string {
    while (this.#text.charCodeAt(this.#at) === NEWLINE) {
      this.#at++;
      this.#skipBlanks();
    }
    return END_OF_LINE;
  }

  #readComment(): string {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end < 0 ? this.#text.length : end + 1;
    return END_OF_LINE;
  }

  #readQuoted(quote: number): string {
    const text = this.#text;
    for (let at = this.#at + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === quote) return this.#readTo(at + 1);
      if (code === NEWLINE) break;
      if (code === BACKSLASH && quote === QUOTE) at++;
    }
    throw new GoModError("a quoted string is not closed");
  }

  /** A word ends before a blank, a mark or a comment; a quote within it has no meaning here. */
  #readWord(): string {
    let end = this.#at;
    for (let units = this.#wordUnits(end); units > 0; units = this.#wordUnits(end)) end += units;
    if (end === this.#at) throw new GoModError("a character that cannot be in a go.mod file");
    return this.#readTo(end);
  }

  /**
   * How many code units the character at `at` has, 0 if it cannot be in a word or starts a comment.
   */
  #wordUnits(at: number): number {
    const code = this.#text.charCodeAt(at);
    if (code === SLASH) {
      const next = this.#text.charCodeAt(at + 1);
      // Go has no block comments here: the word ends, and no token starts so.
      return next === SLASH || next === STAR ? 0 : 1;
    }
    if (code > SPACE && code < DELETE) return MARKS.has(code) ? 0 : 1;
    const point = this.#text.codePointAt(at);
    if (point === undefined || point <= DELETE) return 0;
    const character = this.#text.slice(at, at + (point > 0xffff ? 2 : 1));
    return PRINTABLE.test(character) ? character.length : 0;
  }

  #readTo(end: number): string {
    const token = this.#text.slice(this.#at, end);
    this.#at = end;
    return token;
  }
}

function charCodes(characters: string): ReadonlySet<number> {
  return new Set(Array.from(characters, (character) => character.charCodeAt(0)));
}
