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
 * A file is lines of words, marks and quoted strings. A line that ends in `(` opens a block, and each line of the block
 * continues the word before the parenthesis. Follows the reader in golang.org/x/mod/modfile also in what it refuses,
 * because a file that the `go` command cannot read has no effect on it.
 */

/** A line of a go.mod file, or a line of a block with the block's word in front. */
export interface Directive {
  readonly verb: string;
  /** As written, quotes included; brackets and commas are arguments of their own. At most {@linkcode MAX_ARGUMENTS}. */
  readonly args: readonly string[];
  readonly inBlock: boolean;
}

/** How many arguments of a line are kept. None that we read has more than the five of `[v1.0.0, v1.1.0]`. */
export const MAX_ARGUMENTS = 8;

/** The `go` command cannot read the file. */
export class GoModError extends Error {
  override readonly name = "GoModError";
}

/**
 * The directives of a go.mod file in their order, known or not. Blocks that start with more than one word are left out:
 * none has a meaning yet.
 *
 * @throws {GoModError} when the text cannot be a go.mod file; what came before it does not count either.
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

/** Whether the parenthesis just taken is the last mark of its line, or is closed at once with nothing behind. */
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

const MARKS = "()[]{},";
/** What a word may hold beyond ASCII: what Go's `unicode.IsPrint` is true for. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/** The tokens of a text, one after the other. Past the end of the file there is nothing but that end. */
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
    const text = this.#text;
    while (" \t\r".includes(text.charAt(this.#at)) && this.#at < text.length) this.#at++;
    const first = text.charAt(this.#at);
    if (first === END_OF_FILE) return END_OF_FILE;
    if (text.startsWith("//", this.#at)) return this.#readComment();
    if (first === "\n" || MARKS.includes(first)) {
      this.#at++;
      return first;
    }
    return first === '"' || first === "`" ? this.#readQuoted(first) : this.#readWord();
  }

  #readComment(): string {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end < 0 ? this.#text.length : end + 1;
    return END_OF_LINE;
  }

  #readQuoted(quote: string): string {
    const text = this.#text;
    const start = this.#at;
    for (let at = start + 1; at < text.length && text.charAt(at) !== "\n"; at++) {
      if (text.charAt(at) === quote) {
        this.#at = at + 1;
        return text.slice(start, this.#at);
      }
      if (text.charAt(at) === "\\" && quote === '"') at++;
    }
    throw new GoModError("a quoted string is not closed");
  }

  /** A word ends before a blank, a mark or a comment; a quote within it has no meaning here. */
  #readWord(): string {
    const start = this.#at;
    while (this.#at < this.#text.length) {
      const sizeUnits = this.#wordCharacterUnits();
      if (sizeUnits === 0) break;
      this.#at += sizeUnits;
    }
    if (this.#at === start) throw new GoModError("a character that cannot be in a go.mod file");
    return this.#text.slice(start, this.#at);
  }

  /** How many code units the character here has, 0 if no word can hold it. */
  #wordCharacterUnits(): number {
    const text = this.#text;
    const character = text.charAt(this.#at);
    // After a word, "/*" is the next token's first character, and none can start with it.
    if (character === "/") return /[/*]/.test(text.charAt(this.#at + 1)) ? 0 : 1;
    if (character > " " && character <= "~") return MARKS.includes(character) ? 0 : 1;
    if (character < "\x80") return 0;
    const whole = String.fromCodePoint(text.codePointAt(this.#at) ?? 0);
    return PRINTABLE.test(whole) ? whole.length : 0;
  }
}
