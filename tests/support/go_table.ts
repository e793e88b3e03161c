/**
 * Reads the tables of Go's own tests out of their source text: a slice of structs with named fields
 * whose values are strings, lists of strings, `time.Date(…)` in UTC or names. Nothing else of Go is
 * understood; what is not is an error, so that no row gets lost.
 */
import assert from "node:assert/strict";
import { unquoteGo } from "../../lib/module/go_string.ts";

export type GoValue = string | readonly string[] | Date;
export type GoRow = Readonly<Record<string, GoValue>>;

const TOKEN =
  /\s*(?:\/\/[^\n]*\n|(?<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<mark>[{}:,])|(?<time>time\.Date\([^)]*\))|(?<word>\[\]string|[\w.]+))/y;

/**
 * The rows of `var name = []…{…}`.
 *
 * @param names the values of the names that rows use
 */
export function readGoTable(
  source: string,
  name: string,
  names: Readonly<Record<string, string>> = {},
): GoRow[] {
  const start = new RegExp(`^var ${name} = \\[\\](?:struct \\{[^}]*\\}|\\w+)\\{$`, "m").exec(
    source,
  );
  assert.ok(start !== null, `no table ${name}`);
  const end = source.indexOf("\n}\n", start.index + start[0].length);
  const tokens = new Tokens(source.slice(start.index + start[0].length, end), names);
  const rows: GoRow[] = [];
  while (!tokens.atEnd()) {
    rows.push(tokens.row());
    tokens.take(",");
  }
  return rows;
}

class Tokens {
  readonly #tokens: RegExpExecArray[] = [];
  readonly #names: Readonly<Record<string, string>>;

  constructor(text: string, names: Readonly<Record<string, string>>) {
    this.#names = names;
    const token = new RegExp(TOKEN);
    while (text.slice(token.lastIndex).trim() !== "") {
      const at = token.lastIndex;
      const match = token.exec(text);
      assert.ok(match !== null, `cannot read ${text.slice(at, at + 40)}`);
      if (!match[0].trimStart().startsWith("//")) this.#tokens.push(match);
    }
  }

  atEnd(): boolean {
    return this.#tokens.length === 0;
  }

  take(mark: string): void {
    assert.equal(this.#next().groups?.["mark"], mark);
  }

  row(): GoRow {
    const row: Record<string, GoValue> = {};
    this.take("{");
    while (!this.#accept("}")) {
      const field = this.#next().groups?.["word"];
      assert.ok(field !== undefined);
      this.take(":");
      row[field] = this.#value();
      if (!this.#accept(",")) {
        this.take("}");
        break;
      }
    }
    return row;
  }

  #value(): GoValue {
    const [token] = this.#tokens;
    const { time, word } = token?.groups ?? {};
    if (time !== undefined) {
      this.#next();
      return readTime(time);
    }
    if (word !== "[]string") return word === "nil" ? this.#nil() : this.#text();
    this.#next();
    this.take("{");
    const list: string[] = [];
    while (!this.#accept("}")) {
      list.push(this.#text());
      if (!this.#accept(",")) {
        this.take("}");
        break;
      }
    }
    return list;
  }

  #nil(): readonly string[] {
    this.#next();
    return [];
  }

  #text(): string {
    const { text, word = "" } = this.#next().groups ?? {};
    const value = text === undefined ? this.#names[word] : unquoteGo(text);
    assert.ok(value !== null && value !== undefined, `no value of ${text ?? word}`);
    return value;
  }

  #accept(mark: string): boolean {
    if (this.#tokens[0]?.groups?.["mark"] !== mark) return false;
    this.#tokens.shift();
    return true;
  }

  #next(): RegExpExecArray {
    const token = this.#tokens.shift();
    assert.ok(token !== undefined, "the table ends early");
    return token;
  }
}

function readTime(text: string): Date {
  const [year = 0, month = 0, ...rest] = text.match(/\d+/g)?.map(Number) ?? [];
  const [day = 0, hour = 0, minute = 0, second = 0] = rest;
  assert.ok(text.endsWith("time.UTC)"));
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}
