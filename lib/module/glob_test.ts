import assert from "node:assert/strict";
import { RE2JS } from "re2js";
import { GlobError, globSource } from "./glob.ts";

function matches(glob: string, text: string): boolean {
  return RE2JS.compile(`^(?:${globSource(glob)})$`).test(text);
}

// Each was answered alike by path.Match of Go 1.26, but for those that say otherwise.
Deno.test("globSource() matches as path.Match", async (t) => {
  const rows = [
    { glob: "abc", text: "abc", want: true },
    { glob: "*", text: "abc", want: true },
    { glob: "*", text: "", want: true },
    { glob: "*c", text: "abc", want: true },
    { glob: "a*", text: "a", want: true },
    { glob: "a*", text: "ab/c", want: false },
    { glob: "a*/b", text: "abc/b", want: true },
    { glob: "a*/b", text: "a/c/b", want: false },
    { glob: "a*b*c*d*e*/f", text: "axbxcxdxexxx/f", want: true },
    { glob: "a*b?c*x", text: "abxbbxdbxebxczzx", want: true },
    { glob: "ab[c]", text: "abc", want: true },
    { glob: "ab[b-d]", text: "abc", want: true },
    { glob: "ab[e-g]", text: "abc", want: false },
    { glob: "ab[^c]", text: "abc", want: false },
    { glob: "ab[^e-g]", text: "abc", want: true },
    { glob: "a\\*b", text: "a*b", want: true },
    { glob: "a\\*b", text: "ab", want: false },
    { glob: "a?b", text: "a☺b", want: true },
    { glob: "a[^a]b", text: "a☺b", want: true },
    { glob: "a???b", text: "a☺b", want: false },
    { glob: "[a-ζ]*", text: "α", want: true },
    { glob: "*[a-ζ]", text: "A", want: false },
    { glob: "a?b", text: "a/b", want: false },
    { glob: "a*b", text: "a/b", want: false },
    { glob: "[\\]a]", text: "]", want: true },
    { glob: "[\\-x]", text: "-", want: true },
    { glob: "[x\\-]", text: "z", want: false },
    { glob: "a.b", text: "axb", want: false },
    { glob: "(a|b)+$", text: "(a|b)+$", want: true },
    { glob: "[\\^x]", text: "^", want: true },
    // In Go a class may match a slash.
    { glob: "a[^b]c", text: "a/c", want: false },
    { glob: "a[.-0]c", text: "a/c", want: false },
    { glob: "a[.-0]c", text: "a0c", want: true },
  ];
  for (const { glob, text, want } of rows) {
    await t.step(`${glob} on ${text}`, () => assert.equal(matches(glob, text), want));
  }
});

Deno.test("globSource() refuses what is no glob", async (t) => {
  for (
    const glob of [
      "[",
      "[]",
      "[]a]",
      "[^",
      "[^]",
      "[a-",
      "[a-]",
      "[-x]",
      "[x-]",
      "[z-a]",
      "a\\",
      "[a\\",
      "[/]",
    ]
  ) {
    await t.step(glob, () => assert.throws(() => globSource(glob), GlobError));
  }
});
