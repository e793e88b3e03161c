/**
 * The few facts that a proxy needs from a go.mod file: https://go.dev/ref/mod#go-mod-file
 *
 * Follows `ParseLax` and `ModulePath` of golang.org/x/mod/modfile. What only the main module may
 * say (`replace`, `exclude`) and what we do not know is skipped. As with the `go` command, a file
 * with a fault in a directive that counts for a dependency (`module`, `go`, `require`, `ignore`)
 * has no language version and retracts nothing; its module path is then that of the first line that
 * starts with `module`, so that a fault elsewhere does not hide it.
 *
 * One difference: of a file that can be read, the path is always the one that `ParseLax` sees.
 * `ModulePath` alone, which the `go` command uses to look for a module in a commit, takes the block
 * form `module (` for a module named `(`.
 *
 * The language version decides which vendored files a module zip has, and so the zip's hash. That
 * is why faults in `require` lines count here.
 */
import { type Directive, GoModError, MAX_TOKEN_BYTES, readDirectives } from "./go_mod_syntax.ts";
import { unquoteGo } from "./go_string.ts";
import { matchesPathMajor, type ModulePath, splitPathVersion } from "./path.ts";
import { canonicalVersion, type Version } from "./version.ts";

/**
 * Versions that their author has taken back, from `low` to `high`, both included. Not checked to be
 * versions.
 */
export interface Retraction {
  readonly low: string;
  readonly high: string;
}

/** A retraction with its author's reason. */
export interface ExplainedRetraction extends Retraction {
  /** Lines of text; empty where the author gave none. */
  readonly rationale: string;
}

/**
 * What the author of a module says in a go.mod file about the module's versions. The `go` command
 * goes by the file of the highest version (service/module_notices.ts).
 */
export interface GoModNotices {
  readonly retractions: readonly ExplainedRetraction[];
  /**
   * The message of a `// Deprecated:` comment on the module line: lines of text, never empty. Null
   * where there is none.
   */
  readonly deprecation: string | null;
}

export interface GoMod {
  /** As declared, not checked to be a module path; null if there is none. */
  readonly modulePath: string | null;
  /**
   * The language version of the `go` line, `"1.24"`, `"1.21rc2"`, `"1.23.0"`; null if there is
   * none.
   */
  readonly goVersion: string | null;
  readonly retractions: readonly Retraction[];
}

/** A line of `require`. Its path is not checked to be a module path. */
export interface Requirement {
  readonly path: string;
  readonly version: Version;
}

/** What a go.mod file says about the module graph. */
export interface GoModRequirements {
  /** As {@linkcode GoMod.goVersion}. */
  readonly goVersion: string | null;
  /** In their order; at most {@linkcode MAX_REQUIREMENTS}. */
  readonly requirements: readonly Requirement[];
}

/** The longest go.mod file that the `go` command reads. */
export const MAX_GO_MOD_SIZE_BYTES = 16 << 20;

/**
 * How many retractions of a file count; the others are passed over. A file of 16 MiB could hold a
 * million.
 */
export const MAX_RETRACTIONS = 10_000;

/** How many requirements of a file count; the largest graphs in use have some thousand. */
export const MAX_REQUIREMENTS = 10_000;

/**
 * What a go.mod file says. Never throws: a file that is no go.mod file, or is too long, says
 * nothing. A file may have 16 MiB, so it is read in steps (async/pace.ts).
 */
export function* scanGoMod(bytes: Uint8Array): Generator<number, GoMod, void> {
  if (bytes.length > MAX_GO_MOD_SIZE_BYTES) return EMPTY;
  const parsed = yield* parseGoMod(bytes);
  if (parsed === null) return { ...EMPTY, modulePath: yield* modulePathLine(bytes) };
  const { modulePath, goVersion } = parsed;
  const retractions = parsed.retractions.map(({ low, high }) => ({ low, high }));
  return { modulePath, goVersion, retractions };
}

/**
 * What a go.mod file retracts and deprecates, with the reasons. Never throws: a file that the `go`
 * command cannot read says nothing. In steps, as {@linkcode scanGoMod}.
 *
 * Comments count as in the `go` command: those right above a line and behind it, or for a line of a
 * block that has none those above the block.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { atOnce } from "../async/pace.ts";
 * const goMod = `// Deprecated: use example.com/m/v2.
 * module example.com/m
 *
 * retract [v1.0.0, v1.0.3] // Loses data.
 * `;
 * assert.deepEqual(atOnce(scanGoModNotices(new TextEncoder().encode(goMod))), {
 *   retractions: [{ low: "v1.0.0", high: "v1.0.3", rationale: "Loses data." }],
 *   deprecation: "use example.com/m/v2.",
 * });
 * ```
 */
export function* scanGoModNotices(bytes: Uint8Array): Generator<number, GoModNotices, void> {
  const parsed = bytes.length > MAX_GO_MOD_SIZE_BYTES ? null : yield* parseGoMod(bytes);
  if (parsed === null) return { retractions: [], deprecation: null };
  return { retractions: parsed.retractions, deprecation: parsed.deprecation };
}

/**
 * What a go.mod file requires. A file that is no go.mod file, or is too long, requires nothing. In
 * steps, as {@linkcode scanGoMod}.
 */
export function* scanRequirements(
  bytes: Uint8Array,
): Generator<number, GoModRequirements, void> {
  const parsed = bytes.length > MAX_GO_MOD_SIZE_BYTES ? null : yield* parseGoMod(bytes);
  if (parsed === null) return NO_REQUIREMENTS;
  return { goVersion: parsed.goVersion, requirements: parsed.requirements };
}

/**
 * The path on the first line that starts with `module`, null if there is none: `ModulePath` of
 * x/mod. By it alone the `go` command knows a module's directory in a repository, whatever else the
 * file says: `module (` in a block is the path `(`. In steps.
 */
export function* modulePathLine(bytes: Uint8Array): Generator<number, string | null, void> {
  for (let at = 0, steppedAt = 0; at < bytes.length;) {
    const start = skipSpace(bytes, at);
    const end = endOfLine(bytes, start);
    if (startsWith(bytes, { start, word: MODULE })) {
      const path = skipSpace(bytes, start + MODULE.length);
      const isPath = path > start + MODULE.length && path < end &&
        !startsWith(bytes, { start: path, word: COMMENT });
      if (isPath) return readPath(bytes.subarray(path, Math.min(end, path + MAX_TOKEN_BYTES)));
    }
    at = end + 1;
    if (at - steppedAt >= STEP_BYTES) {
      yield (at - steppedAt) * PARSE_COST;
      steppedAt = at;
    }
  }
  return null;
}

const MODULE = new TextEncoder().encode("module");
const COMMENT = new TextEncoder().encode("//");

/** Lines are looked through in steps of so many bytes. */
const STEP_BYTES = 16 * 1024;
/**
 * How much longer it takes to parse a byte than to inflate it, which is the unit of a step's cost.
 */
const PARSE_COST = 12;

/**
 * Whether a `.mod` is the go.mod that the module's zip stands for: the one in it, or a synthetic
 * one where it has none (`inZip` is null). Not everybody writes the synthetic one as the `go`
 * command does: it may lack the final newline or have other white space, and the path may be
 * quoted.
 */
export function isGoModOfZip(
  goMod: Uint8Array,
  { path, inZip }: { readonly path: ModulePath; readonly inZip: Uint8Array | null },
): boolean {
  if (inZip === null) return isSyntheticGoMod(goMod, path);
  return goMod.length === inZip.length && goMod.every((byte, i) => byte === inZip[i]);
}

/** The go.mod file of a module that has none. */
export function syntheticGoMod(path: ModulePath): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`module ${path}\n`); // No module path needs quotes.
}

/** Whether a file says that it is of the module at `path`, and nothing else. */
function isSyntheticGoMod(goMod: Uint8Array, path: ModulePath): boolean {
  if (goMod.length > MAX_SYNTHETIC_SIZE_BYTES) return false;
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(goMod);
  const words = text.split(/[ \t\r\n]+/).filter((word) => word !== "");
  return words.length === 2 && words[0] === "module" &&
    (words[1] === path || words[1] === `"${path}"`) &&
    /^[ \t\r\n]*module[ \t]/.test(text);
}

/** A path is as long as a URL at most. */
const MAX_SYNTHETIC_SIZE_BYTES = 16 * 1024;

const EMPTY: GoMod = { modulePath: null, goVersion: null, retractions: [] };
const NO_REQUIREMENTS: GoModRequirements = { goVersion: null, requirements: [] };

interface ParsedGoMod extends GoModNotices, GoModRequirements {
  readonly modulePath: string | null;
}

/** Null when the `go` command would refuse the file of a dependency. */
function* parseGoMod(bytes: Uint8Array): Generator<number, ParsedGoMod | null, void> {
  try {
    return yield* parseDirectives(bytes);
  } catch (error) {
    if (error instanceof GoModError) return null;
    throw error;
  }
}

/** @throws {GoModError} when the `go` command would refuse the file of a dependency. */
function* parseDirectives(bytes: Uint8Array): Generator<number, ParsedGoMod, void> {
  let modulePath: string | null = null;
  let deprecation: string | null = null;
  let goVersion: string | null = null;
  const retractions: ExplainedRetraction[] = [];
  const comments = new Comments();
  const requirements: Requirement[] = [];
  for (const directive of readDirectives(bytes)) {
    if (typeof directive === "number") {
      yield directive * PARSE_COST;
      continue;
    }
    switch (directive.verb) {
      case "module":
        if (modulePath !== null) throw new GoModError("repeated module line");
        modulePath = onlyArgument(directive);
        deprecation = deprecationIn(comments.textOf(directive));
        break;
      case "go":
        if (directive.inBlock) break;
        if (goVersion !== null) throw new GoModError("repeated go line");
        goVersion = parseGoVersion(directive);
        break;
      case "retract": {
        const retraction = parseRetraction(directive.args);
        if (retraction !== null && retractions.length < MAX_RETRACTIONS) {
          retractions.push({ ...retraction, rationale: comments.textOf(directive) });
        }
        break;
      }
      case "require": {
        const requirement = parseRequirement(directive);
        if (requirements.length < MAX_REQUIREMENTS) requirements.push(requirement);
        break;
      }
      case "ignore":
        onlyArgument(directive);
        break;
    }
  }
  return { modulePath: modulePath || null, goVersion, retractions, deprecation, requirements };
}

/** The texts of comments. Those above a block are about each of its lines, and are joined once. */
class Comments {
  #last: readonly string[] = [];
  #text = "";

  textOf({ comments }: Directive): string {
    if (comments.length === 0) return "";
    if (comments !== this.#last) {
      this.#last = comments;
      this.#text = comments.map((line) => trimSpace(line.slice("//".length))).join("\n");
    }
    return this.#text;
  }
}

/** A paragraph of its own. */
const DEPRECATED = /(?:^|\n\n)Deprecated: *([^]*?)(?:$|\n\n)/;

function deprecationIn(comment: string): string | null {
  return DEPRECATED.exec(comment)?.[1] || null;
}

function onlyArgument({ verb, args: [text, ...rest] }: Directive): string {
  if (text === undefined || rest.length > 0) throw new GoModError(`${verb} has not one argument`);
  return stringValue(text);
}

/** A word, or a string in double quotes. Back quotes are kept for later by Go. */
function stringValue(token: string): string {
  const value = token.startsWith('"') ? unquoteGo(token) : /["'`]/.test(token) ? null : token;
  if (value === null) throw new GoModError("a string that cannot be read");
  return value;
}

const GO_VERSION = /^[1-9][0-9]*\.(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))?(?:[a-z]+[0-9]+)?$/;
/** What a dependency may write, now and in years to come: its beginning counts. */
const LAX_GO_VERSION = /^v?(?<version>[1-9][0-9]*\.(?:0|[1-9][0-9]*))[^0-9]/;

function parseGoVersion({ args: [text, ...rest] }: Directive): string {
  if (text === undefined || rest.length > 0) throw new GoModError("go has not one argument");
  if (GO_VERSION.test(text)) return text;
  const version = LAX_GO_VERSION.exec(text)?.groups?.["version"];
  if (version === undefined) throw new GoModError("not a language version");
  return version;
}

/** An interval or a version; null for forms that later Go versions may give a meaning. */
function parseRetraction(args: readonly string[]): Retraction | null {
  try {
    const [first, low, comma, high, end] = args;
    if (first === undefined || first === "(") return null;
    if (first !== "[") return { low: stringValue(first), high: stringValue(first) };
    if (low === undefined || comma !== "," || high === undefined || end !== "]") return null;
    return { low: stringValue(low), high: stringValue(high) };
  } catch (error) {
    if (error instanceof GoModError) return null;
    throw error;
  }
}

function parseRequirement({ args }: Directive): Requirement {
  const [path, version, ...rest] = args.map(stringValue);
  if (path === undefined || version === undefined || rest.length > 0) {
    throw new GoModError("require has not a path and a version");
  }
  const canonical = canonicalVersion(version);
  const split = splitPathVersion(path);
  if (canonical === null || split === null || !matchesPathMajor(canonical, split.pathMajor)) {
    throw new GoModError("require has a version that does not fit the path");
  }
  return { path, version: canonical };
}

/** What stands behind `module` in a line. */
function readPath(line: Uint8Array): string | null {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(line);
  const comment = text.indexOf("//");
  const path = trimEnd(comment < 0 ? text : text.slice(0, comment));
  return /^["`]/.test(path) ? unquoteGo(path) || null : path;
}

function startsWith(
  bytes: Uint8Array,
  { start, word }: { readonly start: number; readonly word: Uint8Array },
): boolean {
  // Mostly the first byte says no.
  return bytes[start] === word[0] && word.every((byte, i) => bytes[start + i] === byte);
}

function endOfLine(bytes: Uint8Array, at: number): number {
  const newline = bytes.indexOf(NEWLINE, at);
  return newline < 0 ? bytes.length : newline;
}

/** The first place from `at` on that has no white space, or the end of a line. */
function skipSpace(bytes: Uint8Array, at: number): number {
  for (let size = 1; size > 0; at += size) {
    // Within the bounds, the runtime is five times as fast: 16 MiB of blanks are one step.
    while (at < bytes.length && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
    size = spaceBytes(bytes, at);
  }
  return at;
}

/**
 * How many bytes the white space at `at` has that is not the end of a line; 0 for anything else.
 */
function spaceBytes(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] ?? 0;
  if (byte < 0x80) return byte === 0x20 || byte >= 0x09 && byte <= 0x0d && byte !== NEWLINE ? 1 : 0;
  if (byte === 0xc2) return bytes[at + 1] === 0x85 || bytes[at + 1] === 0xa0 ? 2 : 0;
  if (byte < 0xe1 || byte > 0xe3) return 0;
  const point = (byte & 0xf) << 12 | ((bytes[at + 1] ?? 0) & 0x3f) << 6 |
    (bytes[at + 2] ?? 0) & 0x3f;
  const isWhole = ((bytes[at + 1] ?? 0) & 0xc0) === 0x80 && ((bytes[at + 2] ?? 0) & 0xc0) === 0x80;
  return isWhole && LONG_SPACES.has(point) ? 3 : 0;
}

/** The characters with Unicode's property White_Space that have three bytes in UTF-8. */
const LONG_SPACES: ReadonlySet<number> = new Set([
  ...[0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000],
  ...Array.from({ length: 11 }, (_, i) => 0x2000 + i),
]);
const NEWLINE = 0x0a;

function trimSpace(text: string): string {
  let start = 0;
  while (start < text.length && /\p{White_Space}/u.test(text.charAt(start))) start++;
  return trimEnd(text.slice(start));
}

/** As Go trims: `trimEnd` of JavaScript takes a byte order mark for a space. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}
