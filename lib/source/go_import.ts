/**
 * `go-import` meta tags, with which a web page says where the code of an import path is:
 * https://go.dev/ref/mod#vcs-find, https://pkg.go.dev/cmd/go#hdr-Remote_import_paths
 *
 * ```html
 * <meta name="go-import" content="example.com/tool git https://git.example.com/tool">
 * <meta name="go-import" content="example.com/kit git https://git.example.com/mono kit">
 * ```
 *
 * Three fields: the prefix of the path, the version control system (or `mod`, a module proxy) and
 * the URL. An optional fourth (Go 1.25) is the directory in the repository. Tags after `</head>` or
 * `<body>` do not count.
 *
 * The `go` command reads the page as lax XML, so this is a lexer of tags and not an HTML parser:
 * elements do not nest or close others and have no content of their own. An HTML parser from npm
 * would be six packages and 15 ms of start-up for one tag. Unlike the `go` command's parser, this
 * lexer skips what it cannot read.
 */
import type { Steps } from "../async/pace.ts";
import { characterOf } from "../module/code_point.ts";
import { hasPathPrefix } from "../module/path.ts";

export interface GoImport {
  readonly prefix: string;
  /** `git`, `hg`, `mod`, … */
  readonly vcs: string;
  readonly url: string;
  /** From the repository's root; empty for the root itself. */
  readonly subdir: string;
}

/**
 * The go-import tags of a page, those of kind `mod` first. A `mod` tag hides the other tags of its
 * prefix. A page may have 100,000 attributes, so it is read in steps (async/pace.ts).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { atOnce } from "../async/pace.ts";
 * const page = '<meta name="go-import" content="example.com/a git https://git.example.com/a">';
 * assert.deepEqual(atOnce(parseGoImports(page)), [
 *   { prefix: "example.com/a", vcs: "git", url: "https://git.example.com/a", subdir: "" },
 * ]);
 * ```
 */
export function* parseGoImports(html: string): Steps<GoImport[]> {
  const imports: GoImport[] = [];
  for (const tag of tagsOf(html)) {
    if (typeof tag === "number") {
      yield tag;
      continue;
    }
    if (tag.name === "body" || tag.name === "/head") break;
    if (tag.name !== "meta" || tag.attributes.get("name") !== "go-import") continue;
    const [prefix, vcs, url, subdir = "", ...rest] =
      tag.attributes.get("content")?.trim().split(/\s+/) ?? [];
    if (prefix === undefined || vcs === undefined || url === undefined) continue;
    if (rest.length === 0) imports.push({ prefix, vcs, url, subdir });
  }
  const proxies = imports.filter(({ vcs }) => vcs === "mod");
  const hidden = new Set(proxies.map(({ prefix }) => prefix));
  return [...proxies, ...imports.filter(({ vcs, prefix }) => vcs !== "mod" && !hidden.has(prefix))];
}

/**
 * The only tag for `path`; null when there is none, or several and no `mod` tag that takes
 * precedence.
 */
export function matchGoImport(imports: readonly GoImport[], path: string): GoImport | null {
  const [first, second] = imports.filter(({ prefix }) => hasPathPrefix(path, prefix));
  if (first === undefined) return null;
  if (second === undefined) return first;
  return first.vcs === "mod" && second.vcs !== "mod" ? first : null;
}

export function sameGoImport(a: GoImport, b: GoImport): boolean {
  return a.prefix === b.prefix && a.vcs === b.vcs && a.url === b.url && a.subdir === b.subdir;
}

interface Tag {
  /** In lower case, an end tag's with its slash. */
  readonly name: string;
  /** By their names in lower case. */
  readonly attributes: ReadonlyMap<string, string>;
}

const TAG_START = /<!--|<(?<name>\/?[A-Za-z][^\s/>]*)/g;
/** No two parts of it can match the same characters, so it does not backtrack far. */
const ATTRIBUTE =
  /[\s/]*(?:=|(?<name>[^\s/>=]+)(?:\s*=\s*(?:"(?<double>[^"]*)"|'(?<single>[^']*)'|(?<bare>[^\s"'>][^\s>]*)))?)/y;

/** Tags and attributes in one step, and what each costs, in the unit of {@linkcode Pace.spend}. */
const STEP_ITEMS = 1024;
const ITEM_COST_BYTES = 1024;

/** The tags; or a number: so much was read, and others may have their turn. */
function* tagsOf(html: string): Generator<Tag | number, void> {
  const start = new RegExp(TAG_START);
  const attribute = new RegExp(ATTRIBUTE);
  let items = 0;
  for (let match = start.exec(html); match !== null; match = start.exec(html)) {
    if (++items % STEP_ITEMS === 0) yield STEP_ITEMS * ITEM_COST_BYTES;
    const name = match.groups?.["name"];
    if (name === undefined) {
      const end = html.indexOf("-->", start.lastIndex);
      if (end < 0) return;
      start.lastIndex = end;
      continue;
    }
    const attributes = new Map<string, string>();
    attribute.lastIndex = start.lastIndex;
    for (let found = attribute.exec(html); found !== null; found = attribute.exec(html)) {
      if (++items % STEP_ITEMS === 0) yield STEP_ITEMS * ITEM_COST_BYTES;
      start.lastIndex = attribute.lastIndex;
      const { name = "", double, single, bare } = found.groups ?? {};
      const key = name.toLowerCase();
      // The first of its name counts.
      if (!attributes.has(key)) attributes.set(key, decode(double ?? single ?? bare ?? ""));
    }
    yield { name: name.toLowerCase(), attributes };
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/**
 * The five entities of XML and numeric references; all others stay as they are. As in the `go`
 * command, a surrogate becomes U+FFFD.
 */
function decode(value: string): string {
  return value.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/gi,
    (entity, dec, hex, name) => {
      if (name !== undefined) return ENTITIES[name] ?? entity;
      const codePoint = dec === undefined ? parseInt(hex, 16) : parseInt(dec, 10);
      return characterOf(codePoint) ?? (codePoint > 0x10ffff ? entity : "\ufffd");
    },
  );
}
