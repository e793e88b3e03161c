import assert from "node:assert/strict";
import fc from "fast-check";
import { ForbiddenError } from "../errors.ts";
import { type ModulePath, parseModulePath } from "./path.ts";
import { PrivatePrefixes } from "./private_prefixes.ts";
import { namesOfRemote } from "./repository_identity.ts";

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

Deno.test("PrivatePrefixes.find() refuses another name of what is private", async (t) => {
  const prefixes = new PrivatePrefixes([
    { pathPrefix: "git.example.com/team/secret" },
    { pathPrefix: "git.example.com/other/lib.git" },
    { pathPrefix: "corp.example.com/kit", repository: "https://git.example.com:8443/kits/one.git" },
    { pathPrefix: "github.com/my-org" },
  ]);
  const rows = [
    { input: "git.example.com/team/secret.git", want: "git.example.com/team/secret" },
    { input: "git.example.com/Team/secret.git.hg/v2", want: "git.example.com/team/secret" },
    { input: "git.example.com/team.git/secret", want: "git.example.com/team/secret" },
    { input: "git.example.com/other/lib", want: "git.example.com/other/lib.git" },
    { input: "gopkg.in/my-org/lib.v2", want: "github.com/my-org" },
    { input: "www.github.com/my-org/lib", want: "github.com/my-org" },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => {
      const path = parseModulePath(input);
      // Twice: what is remembered is no answer to this.
      for (const _ of [1, 2]) {
        assert.throws(() => prefixes.find(path), {
          name: "ForbiddenError",
          message: `Cannot serve "${input}": it is another name of a repository with the private ` +
            `prefix "${want}"; write the module path with that prefix`,
        });
        assert.throws(() => prefixes.checkPath?.(path), ForbiddenError);
      }
      assert.ok(prefixes.mustHide(path));
    });
  }
  for (
    const input of [
      "git.example.com/team/secrets",
      "git.example.com/team/open.git",
      "gopkg.in/yaml.v3",
      // Another server, for all that is known.
      "git.example.com/kits/one",
    ]
  ) {
    await t.step(`${input} is public`, () => {
      assert.equal(prefixes.find(parseModulePath(input)), null);
      assert.ok(!prefixes.mustHide(parseModulePath(input)));
    });
  }
  await t.step("a repository by its remote", () => {
    assert.ok(prefixes.isPrivate(namesOfRemote("ssh://git@git.example.com/team/secret.git")));
    assert.ok(prefixes.isPrivate(namesOfRemote("https://git.example.com:8443/kits/one")));
    assert.ok(!prefixes.isPrivate(namesOfRemote("https://git.example.com:9443/kits/one")));
    assert.ok(!prefixes.isPrivate(namesOfRemote("https://git.example.com/team/open")));
  });
});

Deno.test("PrivatePrefixes.find() serves what a prefix covers as it is written", () => {
  const prefixes = prefixesOf("git.example.com/team");
  const path = parseModulePath("git.example.com/team/secret.git");
  assert.equal(prefixes.find(path)?.pathPrefix, "git.example.com/team");
  assert.equal(prefixesOf().checkPath, undefined);
});
