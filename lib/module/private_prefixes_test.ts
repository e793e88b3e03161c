import assert from "node:assert/strict";
import fc from "fast-check";
import { ForbiddenError } from "../errors.ts";
import { type ModulePath, parseModulePath } from "./path.ts";
import { PrivatePrefixes } from "./private_prefixes.ts";

function prefixesOf(...prefixes: string[]) {
  return new PrivatePrefixes(prefixes.map((pathPrefix) => ({ pathPrefix })));
}

Deno.test("PrivatePrefixes.find() compares whole elements", async (t) => {
  const prefixes = prefixesOf("github.com/My-Org", "git.example.com");
  const rows = [
    { input: "github.com/My-Org", want: "github.com/My-Org" },
    { input: "github.com/My-Org/lib/v2", want: "github.com/My-Org" },
    { input: "git.example.com/a", want: "git.example.com" },
    { input: "github.com/My-Org2/lib", want: null },
    { input: "github.com/My-Or", want: null },
    { input: "github.com", want: null },
    { input: "sub.git.example.com/a", want: null },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => {
      assert.equal(prefixes.find(parseModulePath(input))?.pathPrefix ?? null, want);
    });
  }
  for (const input of ["github.com/my-org/lib", "github.com/MY-ORG"]) {
    await t.step(`${input} is neither private nor public`, () => {
      assert.throws(() => prefixes.find(parseModulePath(input)), ForbiddenError);
    });
  }
});

Deno.test("PrivatePrefixes.find() agrees with a comparison element by element", () => {
  const path = fc.array(fc.constantFrom("a", "b", "ab", "a-b"), { minLength: 1, maxLength: 4 })
    .map((elements) => elements.join("/"));
  fc.assert(fc.property(path, path, (pathPrefix, text) => {
    const prefixes = prefixesOf(pathPrefix);
    const want = pathPrefix.split("/").every((element, i) => element === text.split("/")[i]);
    assert.equal(prefixes.find(text as ModulePath) !== null, want);
  }));
});

Deno.test("PrivatePrefixes.mustHide() goes by whole elements, and tells no letter case", async (t) => {
  const prefixes = prefixesOf("git.example.com/Team", "example.org");
  const rows = [
    { input: "git.example.com/Team", want: true },
    { input: "git.example.com/Team/lib/v2", want: true },
    { input: "git.example.com/team/lib", want: true },
    { input: "git.example.com/Teams", want: false },
    { input: "git.example.com/Tea", want: false },
    { input: "git.example.com/other/Team", want: false },
    { input: "example.org/a", want: true },
    { input: "example.org.example.com/a", want: false },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(prefixes.mustHide(parseModulePath(input)), want));
  }
});
