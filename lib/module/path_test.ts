import assert from "node:assert/strict";
import fc from "fast-check";
import characters from "../../tests/testdata/golden/characters.json" with { type: "json" };
import golden from "../../tests/testdata/golden/paths.json" with { type: "json" };
import { unlessRefused } from "../../tests/support/unless_refused.ts";
import { InvalidRequestError } from "../errors.ts";
import { hasPathPrefix, matchesPathMajor, parseModulePath, splitPathVersion } from "./path.ts";

function parseOrNull(text: string): string | null {
  return unlessRefused(() => parseModulePath(text), InvalidRequestError);
}

Deno.test("parseModulePath() refuses what Go refuses", async (t) => {
  for (const { input, reason } of golden.modulePaths) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(parseOrNull(input), reason === "" ? input : null, `Go says: ${reason}`);
    });
  }
});

Deno.test("parseModulePath() allows the first element the characters that Go allows", () => {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  const got = ascii.filter((c) => parseOrNull(`a${c}z.b`) !== null).join("");
  assert.equal(got, characters.inFirstElement);
});

const REASONS: { input: string; want: string }[] = [
  { input: "", want: "empty string" },
  { input: "x.y//z", want: "empty path element" },
  { input: "/x.y", want: "leading slash" },
  { input: "x.y/", want: "trailing slash" },
  { input: "-x.y/z", want: "leading dash" },
  { input: "x.y/..", want: 'path element ".." has nothing but dots' },
  { input: "x.y/.z", want: "leading dot in path element" },
  { input: "x.y/z.", want: "trailing dot in path element" },
  { input: "x.y/z@v1", want: 'invalid character "@"' },
  { input: "x.y/\u00e9", want: 'invalid character "\\u{e9}"' },
  { input: "x.y/\ud800", want: "not valid Unicode" },
  { input: "x.y/cOn.d/z", want: '"cOn" is a reserved file name on Windows' },
  { input: "x.y/progra~1", want: "trailing tilde and digits in path element" },
  { input: "xy/z", want: "missing dot in first path element" },
  { input: "X.y/z", want: 'invalid character "X" in first path element' },
  {
    input: "x.y/v1",
    want: "a major version suffix must be /vN, N at least 2, without leading zeros or dots",
  },
  { input: "gopkg.in/z", want: "a gopkg.in path must end in .vN without leading zeros" },
];

Deno.test("parseModulePath() says why", async (t) => {
  for (const { input, want } of REASONS) {
    await t.step(want, () => {
      assert.throws(() => parseModulePath(input), (error) => {
        assert.ok(error instanceof InvalidRequestError);
        assert.match(error.message, /^Cannot read module path ".*": /);
        assert.equal(error.message.slice(error.message.indexOf('": ') + 3), want);
        return true;
      });
    });
  }
});

Deno.test("parseModulePath() returns its input or throws InvalidRequestError", () => {
  const path = fc.array(fc.oneof(
    fc.string({ unit: "binary", maxLength: 4 }),
    fc.constantFrom("x.y", "/", "v2", ".v3", "gopkg.in/", "~1", "con", "..", "Z"),
  )).map((parts) => parts.join(""));
  fc.assert(fc.property(path, (text) => {
    const parsed = parseOrNull(text);
    assert.ok(parsed === null || parsed === text);
  }));
});

Deno.test("splitPathVersion() splits as Go does", async (t) => {
  for (const { input, prefix, pathMajor } of golden.modulePaths) {
    const want = prefix === null || pathMajor === null ? null : { prefix, pathMajor };
    await t.step(JSON.stringify(input), () => assert.deepEqual(splitPathVersion(input), want));
  }
});

Deno.test("splitPathVersion() loses nothing", () => {
  fc.assert(fc.property(fc.string(), fc.constantFrom("", "/v2", ".v2", "/v1"), (start, end) => {
    const split = splitPathVersion(start + end);
    if (split !== null) assert.equal(split.prefix + split.pathMajor, start + end);
  }));
});

Deno.test("matchesPathMajor() agrees with Go", async (t) => {
  for (const { pathMajor, fits, unfit } of golden.pathMajors) {
    await t.step(JSON.stringify(pathMajor), () => {
      for (const version of fits) assert.ok(matchesPathMajor(version, pathMajor), version);
      for (const version of unfit) assert.ok(!matchesPathMajor(version, pathMajor), version);
    });
  }
});

Deno.test("hasPathPrefix() takes an empty prefix for nothing's", () => {
  assert.ok(!hasPathPrefix("a/b", ""));
  assert.ok(hasPathPrefix("a/b", "a"));
  assert.ok(hasPathPrefix("a/b", "a/"));
  assert.ok(!hasPathPrefix("ab", "a"));
});
