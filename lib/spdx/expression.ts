/**
 * Licence expressions, and whether they agree with a list of licences:
 * https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
 *
 * ```text
 * MIT
 * Apache-2.0 OR GPL-2.0-or-later
 * (MIT AND BSD-3-Clause) OR GPL-2.0-only WITH Classpath-exception-2.0
 * LicenseRef-Commons-Clause
 * ```
 *
 * `WITH` binds closer than `AND`, and `AND` closer than `OR`. Case does not count. Beside
 * expressions there are two values: {@linkcode NONE} for a module without a licence, and
 * {@linkcode UNKNOWN} for one whose licence was not recognized.
 *
 * Not the packages spdx-expression-parse and spdx-satisfies: they tell `mit` from `MIT`, do not say
 * what is wrong with a text, and know nothing of lists of what is denied.
 */
import { nearestTo } from "../schema/suggestion.ts";
import identifiers from "./identifiers.json" with { type: "json" };

/** No licence file was found. */
export const NONE = "NONE";
/** There is a licence file, and what it says was not recognized. */
export const UNKNOWN = "UNKNOWN";

/** Longer expressions are not read. */
export const MAX_EXPRESSION_CHARS = 500;
/** Expressions are no deeper than this. */
const MAX_DEPTH = 20;

export type Expression =
  | { readonly kind: "and" | "or"; readonly parts: readonly Expression[] }
  | Licence;

/** One licence. */
export interface Licence {
  readonly kind: "licence";
  /** As SPDX spells it. */
  readonly id: string;
  /** The exception to it; null where there is none. */
  readonly exception: string | null;
}

const LICENCE_IDS: ReadonlyMap<string, string> = byLowerCase([
  ...identifiers.current,
  ...identifiers.deprecated,
]);
const EXCEPTION_IDS: ReadonlyMap<string, string> = byLowerCase(identifiers.exceptions);
const REFERENCE = /^(?:DocumentRef-[a-z0-9.-]+:)?LicenseRef-[a-z0-9.-]+$/i;

function byLowerCase(ids: readonly string[]): ReadonlyMap<string, string> {
  return new Map(ids.map((id) => [id.toLowerCase(), id]));
}

/**
 * An expression; null for what is none, or names a licence that SPDX does not have.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const mit = { kind: "licence", id: "MIT", exception: null };
 * const bsd = { kind: "licence", id: "0BSD", exception: null };
 * assert.deepEqual(parseExpression("mit OR 0BSD"), { kind: "or", parts: [mit, bsd] });
 * assert.equal(parseExpression("MIT OR"), null);
 * assert.equal(parseExpression("MIT-style"), null);
 * ```
 */
export function parseExpression(text: string): Expression | null {
  if (text.length > MAX_EXPRESSION_CHARS) return null;
  const tokens = text.match(/[()]|[^\s()]+/g) ?? [];
  const reader = new ExpressionReader(tokens);
  const expression = reader.readOr(0);
  return reader.isAtEnd ? expression : null;
}

class ExpressionReader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  readOr(depth: number): Expression | null {
    return this.#readParts("or", () => this.#readParts("and", () => this.#readPart(depth)));
  }

  #readParts(kind: "and" | "or", read: () => Expression | null): Expression | null {
    const parts: Expression[] = [];
    do {
      const part = read();
      if (part === null) return null;
      parts.push(part);
    } while (this.#takes(kind));
    const [first] = parts;
    return parts.length === 1 && first !== undefined ? first : { kind, parts };
  }

  #readPart(depth: number): Expression | null {
    if (!this.#takes("(")) return this.#readLicence();
    if (depth === MAX_DEPTH) return null;
    const inner = this.readOr(depth + 1);
    return this.#takes(")") ? inner : null;
  }

  #readLicence(): Licence | null {
    const token = this.#tokens[this.#at++] ?? "";
    const id = REFERENCE.test(token) ? token : idOf(token);
    if (id === null) return null;
    if (!this.#takes("with")) return { kind: "licence", id, exception: null };
    const exception = EXCEPTION_IDS.get(this.#tokens[this.#at++]?.toLowerCase() ?? "");
    return exception === undefined ? null : { kind: "licence", id, exception };
  }

  #takes(token: string): boolean {
    const isNext = this.#tokens[this.#at]?.toLowerCase() === token;
    if (isNext) this.#at++;
    return isNext;
  }
}

/** A licence as SPDX spells it, with `+` behind it if the text has it; null for another word. */
function idOf(token: string): string | null {
  const known = LICENCE_IDS.get(token.toLowerCase());
  if (known !== undefined || !token.endsWith("+")) return known ?? null;
  const base = LICENCE_IDS.get(token.slice(0, -1).toLowerCase());
  return base === undefined ? null : `${base}+`;
}

/** An expression as text, with the parentheses that it needs. */
export function expressionText(expression: Expression): string {
  if (expression.kind === "licence") return licenceText(expression);
  return expression.parts
    .map((part) =>
      part.kind === "or" && expression.kind === "and"
        ? `(${expressionText(part)})`
        : expressionText(part)
    )
    .join(` ${expression.kind.toUpperCase()} `);
}

function licenceText({ id, exception }: Licence): string {
  return exception === null ? id : `${id} WITH ${exception}`;
}

/**
 * What licences may be, or must not be: a licence, perhaps with its exception, {@linkcode NONE},
 * {@linkcode UNKNOWN}, or the beginning of identifiers with `*` behind it (`CC-BY-NC-*`).
 */
export interface LicenceList {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/**
 * What is wrong with an entry of a list; null for a good one.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(licenceFault("Apache-2.0"), null);
 * assert.match(licenceFault("Apache2.0") ?? "", /did you mean "Apache-2.0"\?$/);
 * ```
 */
export function licenceFault(entry: string): string | null {
  if (entry === NONE || entry === UNKNOWN) return null;
  if (entry.endsWith("*")) {
    const start = entry.slice(0, -1).toLowerCase();
    const isKnown = start !== "" && [...LICENCE_IDS.keys()].some((id) => id.startsWith(start));
    return isKnown ? null : `no identifier of SPDX starts with "${entry.slice(0, -1)}"`;
  }
  const expression = parseExpression(entry);
  if (expression?.kind === "licence") return null;
  if (expression !== null) return `"${entry}" has several licences: name each by itself`;
  const first = entry.charAt(0).toLowerCase();
  const alike = [...LICENCE_IDS.values(), NONE, UNKNOWN]
    .filter((id) => id.charAt(0).toLowerCase() === first);
  const nearest = nearestTo(entry, alike);
  const hint = nearest === null ? "" : `; did you mean "${nearest}"?`;
  return `SPDX has no licence "${entry}"${hint}`;
}

/**
 * Tests licences against a list. Of an expression with `OR` one side must agree, of `AND` both. An
 * entry agrees with a licence as follows:
 *
 * - A licence that is denied is not wanted; where something is allowed, nor is one that is not.
 * - `-only`, `-or-later`, `+` and the deprecated names without any of them: a denied
 *   `GPL-3.0-only` also is `GPL-3.0-or-later`, because a text says nothing about later versions; a
 *   denied `GPL-2.0-or-later` also is `GPL-3.0-only`. A licence of which a later version may be
 *   chosen is allowed where that version is.
 * - An exception only adds permissions: `GPL-2.0-only WITH Classpath-exception-2.0` is allowed
 *   where `GPL-2.0-only` is, and denied where it is, unless it is allowed by its whole name.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const check = new LicenceCheck({ deny: ["AGPL-3.0-only", "UNKNOWN"] });
 * assert.deepEqual(check.unwanted(["MIT"]), []);
 * assert.deepEqual(check.unwanted(["MIT", "AGPL-3.0-or-later"]), ["AGPL-3.0-or-later"]);
 * assert.deepEqual(check.unwanted(["MIT OR AGPL-3.0-only"]), []);
 * ```
 */
export class LicenceCheck {
  readonly #allow: readonly Entry[] | null;
  readonly #deny: readonly Entry[];

  /** Entries with a {@linkcode licenceFault} agree with nothing. */
  constructor({ allow, deny = [] }: LicenceList) {
    this.#allow = allow?.map(parseEntry) ?? null;
    this.#deny = deny.map(parseEntry);
  }

  /**
   * Those of the found licences that are not wanted. All must be: a set of licences says nothing
   * about how they are to be combined.
   *
   * @param found expressions, {@linkcode NONE} or {@linkcode UNKNOWN}
   */
  unwanted(found: readonly string[]): string[] {
    return found.filter((text) => !this.#agrees(text));
  }

  #agrees(text: string): boolean {
    const isValue = text === NONE || text === UNKNOWN;
    const expression = isValue ? null : parseExpression(text);
    if (expression !== null) return this.#isWanted(expression);
    // What cannot be read is not known.
    const value = isValue ? text : UNKNOWN;
    const names = (entry: Entry) => entry.text === value;
    return !this.#deny.some(names) && (this.#allow?.some(names) ?? true);
  }

  #isWanted(expression: Expression): boolean {
    if (expression.kind !== "licence") {
      const { kind, parts } = expression;
      const isWanted = (part: Expression) => this.#isWanted(part);
      return kind === "and" ? parts.every(isWanted) : parts.some(isWanted);
    }
    const whole = licenceText(expression);
    const isNamed = expression.exception !== null &&
      (this.#allow?.some(({ text }) => text === whole) ?? false);
    if (isNamed) return !this.#deny.some(({ text }) => text === whole);
    return !this.#deny.some((entry) => denies(entry, expression)) &&
      (this.#allow?.some((entry) => allows(entry, expression)) ?? true);
  }
}

/** An entry of a list. */
interface Entry {
  readonly text: string;
  /** What identifiers begin with, in lower case, or null. */
  readonly start: string | null;
  readonly licence: Licence | null;
}

function parseEntry(entry: string): Entry {
  if (entry.endsWith("*") && entry.length > 1) {
    return { text: entry, start: entry.slice(0, -1).toLowerCase(), licence: null };
  }
  const licence = parseExpression(entry);
  return licence?.kind === "licence"
    ? { text: licenceText(licence), start: null, licence }
    : { text: entry, start: null, licence: null };
}

function denies(entry: Entry, { id, exception }: Licence): boolean {
  if (entry.start !== null) return id.toLowerCase().startsWith(entry.start);
  if (entry.licence === null) return false;
  if (entry.licence.exception !== null && entry.licence.exception !== exception) return false;
  const denied = familyOf(entry.licence.id);
  const own = familyOf(id);
  return own.family === denied.family &&
    (own.version === denied.version || denied.isOpen && own.version > denied.version);
}

function allows(entry: Entry, { id, exception }: Licence): boolean {
  if (entry.start !== null) return id.toLowerCase().startsWith(entry.start);
  if (entry.licence === null) return false;
  if (entry.licence.exception !== null && entry.licence.exception !== exception) return false;
  const allowed = familyOf(entry.licence.id);
  const own = familyOf(id);
  return own.family === allowed.family && (own.version === allowed.version ||
    allowed.isOpen && own.version > allowed.version ||
    own.isOpen && allowed.version > own.version);
}

/** A licence in its versions. */
interface Family {
  readonly family: string;
  readonly version: number;
  /** Whether a later version will do, too. */
  readonly isOpen: boolean;
}

/** `GPL-2.0-or-later` is the family `GPL`, the version 2.0, open. */
function familyOf(id: string): Family {
  const [, name, version, end = ""] = /^(.+?)-(\d+\.\d+)(-only|-or-later|\+)?$/.exec(id) ?? [];
  if (name === undefined) return { family: id.replace(/\+$/, ""), version: 0, isOpen: false };
  return { family: name, version: Number(version), isOpen: end === "-or-later" || end === "+" };
}
