import assert from "node:assert/strict";
import fc from "fast-check";
import { atOnce } from "../async/pace.ts";
import { type GoImport, matchGoImport, parseGoImports, sameGoImport } from "./go_import.ts";

const GIT = { prefix: "x.y/a", vcs: "git", url: "https://g.x/a", subdir: "" };
const META = '<meta name="go-import" content="x.y/a git https://g.x/a">';

const pages: readonly { name: string; input: string; want: readonly GoImport[] }[] = [
  { name: "nothing", input: "", want: [] },
  { name: "no tag", input: "not found", want: [] },
  { name: "three fields", input: META, want: [GIT] },
  {
    name: "four fields",
    input: '<meta name="go-import" content="x.y/a git https://g.x/a kit/sub">',
    want: [{ ...GIT, subdir: "kit/sub" }],
  },
  { name: "two fields", input: '<meta name="go-import" content="x.y/a git">', want: [] },
  { name: "five fields", input: '<meta name="go-import" content="a b c d e">', want: [] },
  { name: "no content", input: '<meta name="go-import">', want: [] },
  { name: "another name", input: META.replace("go-import", "go-source"), want: [] },
  {
    name: "a name in capitals is another name",
    input: META.replace("go-import", "GO-IMPORT"),
    want: [],
  },
  {
    name: "capitals and single quotes",
    input: META.toUpperCase().replace('"GO-IMPORT"', "'go-import'"),
    want: [{ prefix: "X.Y/A", vcs: "GIT", url: "HTTPS://G.X/A", subdir: "" }],
  },
  {
    name: "no quotes",
    input: "<meta name=go-import content='x.y/a git https://g.x/a'/>",
    want: [GIT],
  },
  {
    name: "attributes in the other order, line breaks",
    input: '<meta\n content = "x.y/a\n git\n https://g.x/a"\n name = "go-import"\n>',
    want: [GIT],
  },
  {
    name: "an attribute without a value",
    input: META.replace("<meta", "<meta hidden"),
    want: [GIT],
  },
  {
    name: "the first attribute of a name counts",
    input: META.replace(">", ' name="x" content="y">'),
    want: [GIT],
  },
  { name: "a > inside quotes", input: `<a title="1 > 0">${META}`, want: [GIT] },
  {
    name: "entities",
    input: '<meta name="go-import" content="x.y/a git https://g.x/a&amp;&#98;&#x63;&nbsp;">',
    want: [{ ...GIT, url: "https://g.x/a&bc&nbsp;" }],
  },
  {
    name: "a character that is none",
    input: '<meta name="go-import" content="x.y/a git https://g.x/&#9999999;">',
    want: [{ ...GIT, url: "https://g.x/&#9999999;" }],
  },
  {
    name: "the number behind the last character, in hex",
    input: '<meta name="go-import" content="x.y/a git https://g.x/&#x110000;">',
    want: [{ ...GIT, url: "https://g.x/&#x110000;" }],
  },
  {
    name: "half a character",
    input: '<meta name="go-import" content="x.y/a git https://g.x/&#xd800;&#57343;">',
    want: [{ ...GIT, url: "https://g.x/\ufffd\ufffd" }],
  },
  { name: "in a comment", input: `<!-- ${META} -->`, want: [] },
  { name: "behind a comment", input: `<!-- > -- ' -->${META}`, want: [GIT] },
  { name: "in an open comment", input: `<!-- ${META}`, want: [] },
  {
    name: "in the head",
    input: `<!DOCTYPE html><html><HEAD><title>a</title>${META}</HEAD>`,
    want: [GIT],
  },
  { name: "behind the head", input: `<head></head>${META}`, want: [] },
  { name: "in the body", input: `<Body class="x">${META}`, want: [] },
  { name: "a header is no head", input: `<header></header>${META}`, want: [GIT] },
  { name: "in a 404 page of text", input: `404 < page > not found ${META}`, want: [GIT] },
  { name: "cut off within", input: META.slice(0, -3), want: [] },
  {
    name: "mod goes first and hides its prefix",
    input:
      `${META}<meta name="go-import" content="x.y/b git https://g.x/b"><meta name="go-import" content="x.y/a mod https://p.x">`,
    want: [
      { prefix: "x.y/a", vcs: "mod", url: "https://p.x", subdir: "" },
      { prefix: "x.y/b", vcs: "git", url: "https://g.x/b", subdir: "" },
    ],
  },
];

Deno.test("parseGoImports()", async (t) => {
  for (const { name, input, want } of pages) {
    await t.step(name, () => assert.deepEqual(atOnce(parseGoImports(input)), want));
  }
});

Deno.test("parseGoImports() reads back any fields", () => {
  const field = fc.stringMatching(/^[!-~\u00a1-\u00ff]+$/);
  fc.assert(fc.property(field, field, field, (prefix, vcs, url) => {
    const escaped = `${prefix} ${vcs} ${url}`.replace(/&/g, "&amp;").replace(/"/g, "&quot;");
    assert.deepEqual(
      atOnce(parseGoImports(`<meta name="go-import" content="${escaped}">`)),
      [{ prefix, vcs, url, subdir: "" }],
    );
  }));
});

Deno.test("parseGoImports() takes any text, in linear time", () => {
  const piece = fc.constantFrom(
    "<",
    ">",
    '"',
    "'",
    "=",
    "/",
    "meta",
    " ",
    "<!--",
    "-->",
    "&",
    "#x",
    ";",
    "a",
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    atOnce(parseGoImports(pieces.join("")));
  }));
  for (const unit of ["<", '<a b="', "<a =", "<a '", "<a    ", "<!-", "<a b\n", "=\"'"]) {
    atOnce(parseGoImports(unit.repeat(200_000))); // Quadratic time would be minutes.
  }
});

const other = { ...GIT, prefix: "x.y" };
const proxy = { prefix: "x.y", vcs: "mod", url: "https://p.x", subdir: "" };
const matches: readonly {
  name: string;
  imports: GoImport[];
  path: string;
  want: GoImport | null;
}[] = [
  { name: "the path itself", imports: [GIT], path: "x.y/a", want: GIT },
  { name: "a path below", imports: [GIT], path: "x.y/a/b/v2", want: GIT },
  { name: "a path that only begins so", imports: [GIT], path: "x.y/ab", want: null },
  { name: "a path above", imports: [GIT], path: "x.y", want: null },
  { name: "several", imports: [GIT, other], path: "x.y/a", want: null },
  { name: "one of several", imports: [GIT, other], path: "x.y/b", want: other },
  { name: "mod before git", imports: [proxy, GIT], path: "x.y/a", want: proxy },
  { name: "two mod", imports: [proxy, { ...proxy, prefix: "x.y/a" }], path: "x.y/a", want: null },
  { name: "none", imports: [], path: "x.y/a", want: null },
];

Deno.test("matchGoImport()", async (t) => {
  for (const { name, imports, path, want } of matches) {
    await t.step(name, () => assert.deepEqual(matchGoImport(imports, path), want));
  }
});

Deno.test("sameGoImport() compares all four fields", () => {
  assert.ok(sameGoImport(GIT, { ...GIT }));
  for (const field of ["prefix", "vcs", "url", "subdir"]) {
    assert.ok(!sameGoImport(GIT, { ...GIT, [field]: "other" }), field);
  }
});
