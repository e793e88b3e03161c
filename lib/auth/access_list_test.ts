import assert from "node:assert/strict";
import fc from "fast-check";
import { type ModulePath, parseModulePath } from "../module/path.ts";
import { namesOfRemote } from "../module/repository_identity.ts";
import { AccessList } from "./access_list.ts";
import type { AccessRule } from "./config.ts";

const allow = "allow";
const deny = "deny";

/** The list of the original's example. */
const ORIGINAL: readonly AccessRule[] = [
  { identities: ["x"], moduleRegexp: "^github\\.com/myorg/", access: allow },
  { moduleRegexp: "^github\\.com/myorg/", access: deny },
  { access: allow },
];

function decide(rules: readonly AccessRule[], identity: string, path: string) {
  return new AccessList(rules).decide(identity, parseModulePath(path));
}

Deno.test("AccessList.decide() takes the first rule that applies", async (t) => {
  const rows = [
    { identity: "x", path: "github.com/myorg/a", want: { isAllowed: true, rule: 0 } },
    { identity: "y", path: "github.com/myorg/a", want: { isAllowed: false, rule: 1 } },
    { identity: "y", path: "github.com/other/a", want: { isAllowed: true, rule: 2 } },
    // The original's expression wants something below the organization.
    { identity: "y", path: "github.com/myorg", want: { isAllowed: true, rule: 2 } },
  ];
  for (const { identity, path, want } of rows) {
    await t.step(`${identity} ${path}`, () => {
      assert.deepEqual(decide(ORIGINAL, identity, path), want);
    });
  }
});

Deno.test("AccessList.decide() denies where no rule applies", () => {
  const none = { isAllowed: false, rule: null };
  assert.deepEqual(decide([], "x", "a.example.com/m"), none);
  assert.deepEqual(decide([{ access: allow, identities: ["y"] }], "x", "a.example.com/m"), none);
  assert.deepEqual(decide([{ access: allow, identities: [] }], "x", "a.example.com/m"), none);
});

Deno.test("AccessList.decide() searches for an expression anywhere in the path", () => {
  const rules = [{ moduleRegexp: "secret", access: deny }, { access: allow }] as const;
  assert.equal(decide(rules, "x", "example.com/top-secret/m").isAllowed, false);
  assert.equal(decide(rules, "x", "example.com/open/m").isAllowed, true);
});

Deno.test("AccessList.decide() reads globs as GOPRIVATE", async (t) => {
  const rows = [
    { glob: "github.com/my-org", path: "github.com/my-org", want: true },
    { glob: "github.com/my-org", path: "github.com/my-org/a/b/v2", want: true },
    { glob: "github.com/my-org/", path: "github.com/my-org/a", want: true },
    { glob: "github.com/my-org", path: "github.com/my-org2/a", want: false },
    { glob: "github.com/my-org", path: "github.com/my", want: false },
    { glob: "github.com/*", path: "github.com/a/b", want: true },
    { glob: "github.com/*", path: "github.com", want: false },
    { glob: "*.example.com", path: "git.example.com/a", want: true },
    { glob: "*.example.com", path: "a.git.example.com/a", want: true },
    { glob: "*.example.com", path: "example.com/a", want: false },
    { glob: "*.example.com", path: "evil.test/git.example.com/a", want: false },
    { glob: "*", path: "example.com/a", want: true },
    { glob: "github.com/*/lib", path: "github.com/a/lib/v2", want: true },
    { glob: "github.com/*/lib", path: "github.com/a/b/lib", want: false },
  ];
  for (const { glob, path, want } of rows) {
    await t.step(`${glob} on ${path}`, () => {
      assert.equal(decide([{ modules: [glob], access: allow }], "x", path).isAllowed, want);
    });
  }
});

Deno.test("AccessList.decide() wants all that a rule says to hold", () => {
  const rules = [{
    modules: ["example.com/a", "example.com/b"],
    moduleRegexp: "/v2$",
    access: allow,
  }] as const;
  assert.equal(decide(rules, "x", "example.com/a/v2").isAllowed, true);
  assert.equal(decide(rules, "x", "example.com/b/v2").isAllowed, true);
  assert.equal(decide(rules, "x", "example.com/a").isAllowed, false);
  assert.equal(decide(rules, "x", "example.com/c/v2").isAllowed, false);
});

Deno.test("AccessList.decide() denies every spelling of a denied path, and allows the one that is written", async (t) => {
  const secret = [{ modules: ["github.com/My-Org/Secret"], access: deny }, {
    access: allow,
  }] as const;
  const expression = [{ moduleRegexp: "^github\\.com/My-Org/", access: deny }, {
    access: allow,
  }] as const;
  const negated = [{ moduleRegexp: "^example\\.com/[^a]", access: deny }, {
    access: allow,
  }] as const;
  const only = [{ modules: ["github.com/my-org"], access: allow }] as const;
  const rows = [
    { rules: secret, path: "github.com/My-Org/Secret", want: false },
    { rules: secret, path: "github.com/my-org/secret", want: false },
    { rules: secret, path: "github.com/MY-ORG/SECRET/v2", want: false },
    { rules: secret, path: "github.com/my-org/secrets", want: true },
    { rules: expression, path: "github.com/my-org/a", want: false },
    { rules: ORIGINAL, path: "github.com/MyOrg/a", want: false },
    { rules: only, path: "github.com/My-Org/a", want: false },
    { rules: only, path: "github.com/my-org/A", want: true },
    // "Not a" in any case would leave out A, which is denied as it stands.
    { rules: negated, path: "example.com/A", want: false },
    { rules: negated, path: "example.com/a", want: true },
  ];
  for (const { rules, path, want } of rows) {
    await t.step(`${JSON.stringify(rules[0])} ${path}`, () => {
      assert.equal(decide(rules, "y", path).isAllowed, want);
    });
  }
});

Deno.test("AccessList.decide() denies every name of a repository, and allows the one that is written", async (t) => {
  const secret = [
    { identities: ["x"], modules: ["git.example.com/team/secret"] },
    { modules: ["git.example.com/team/secret"], access: deny },
    { access: allow },
  ].map((rule) => ({ access: allow, ...rule } as AccessRule));
  const suffix: AccessRule[] = [
    { modules: ["git.example.com/*/secret\\.git.HG"], access: deny },
    { access: allow },
  ];
  const expression: AccessRule[] = [
    { moduleRegexp: "^git\\.example\\.com/Team/secret$", access: deny },
    { access: allow },
  ];
  const both: AccessRule[] = [
    { moduleRegexp: "\\.git/v2$", modules: ["git.example.com/team/secret"], access: deny },
    { access: allow },
  ];
  const gitHub: AccessRule[] = [{ modules: ["github.com/a"], access: deny }, { access: allow }];
  const name = "git.example.com/team/secret";
  const rows = [
    { rules: secret, path: "git.example.com/team/secret", want: { isAllowed: false, rule: 1 } },
    { rules: secret, path: `${name}.git`, want: { isAllowed: false, rule: 1, name } },
    {
      rules: secret,
      path: `${name}.git/v2`,
      want: { isAllowed: false, rule: 1, name: `${name}/v2` },
    },
    {
      rules: secret,
      path: "git.example.com/Team.git/secret.hg",
      want: { isAllowed: false, rule: 1, name },
    },
    { rules: secret, path: `${name}s`, want: { isAllowed: true, rule: 2 } },
    { rules: suffix, path: name, want: { isAllowed: false, rule: 0, name } },
    { rules: suffix, path: `${name}.svn`, want: { isAllowed: false, rule: 0, name } },
    { rules: suffix, path: "git.example.com/team/open.git", want: { isAllowed: true, rule: 1 } },
    { rules: expression, path: `${name}.git`, want: { isAllowed: false, rule: 0, name } },
    { rules: expression, path: `${name}.git/v2`, want: { isAllowed: true, rule: 1 } },
    {
      rules: both,
      path: `${name}.git/v2`,
      want: { isAllowed: false, rule: 0, name: `${name}/v2` },
    },
    {
      rules: gitHub,
      path: "gopkg.in/A/b.v2",
      want: { isAllowed: false, rule: 0, name: "github.com/a/b" },
    },
    { rules: gitHub, path: "gopkg.in/c/b.v2", want: { isAllowed: true, rule: 1 } },
  ];
  for (const { rules, path, want } of rows) {
    await t.step(`${JSON.stringify(rules[0])} ${path}`, () => {
      assert.deepEqual(decide(rules, "y", path), want);
    });
  }
  await t.step("a rule that allows is for the spelling that is written", () => {
    assert.deepEqual(decide(secret, "x", name), { isAllowed: true, rule: 0 });
    assert.deepEqual(decide(secret, "x", `${name}.git`), { isAllowed: false, rule: 1, name });
  });
});

Deno.test("AccessList.decide() denies by the repository where an earlier rule than the allowing one does", () => {
  const list = new AccessList([
    { identities: ["x"], modules: ["go.example.com/kit"], access: allow },
    { identities: ["x", "y"], modules: ["git.example.com/team"], access: deny },
    { access: allow },
  ]);
  const path = parseModulePath("go.example.com/kit");
  const [name] = namesOfRemote("https://git.example.com/team/kit.git");
  assert.ok(name !== undefined);
  const rows = [
    { identity: "x", depends: false, want: { isAllowed: true, rule: 0 } },
    { identity: "y", depends: true, want: { isAllowed: false, rule: 1, name } },
    // No rule denies them anything.
    { identity: "z", depends: false, want: { isAllowed: true, rule: 2 } },
  ];
  for (const { identity, depends, want } of rows) {
    assert.equal(list.judge(identity, path).dependsOnRepository, depends);
    assert.deepEqual(list.decide(identity, path, [name]), want);
    assert.equal(list.decide(identity, path).isAllowed, true);
    assert.equal(
      list.decide(identity, path, namesOfRemote("https://a.example.com/b")).isAllowed,
      true,
    );
  }
});

Deno.test("AccessList.decide() does in no time what makes other engines backtrack for ever", () => {
  const path = `example.com/${"a".repeat(2000)}!` as ModulePath;
  const rules = [
    { moduleRegexp: "^(a|a)*$|(a+)+$|(.*)*;", access: deny },
    { modules: [`example.com/${"a*".repeat(30)}b`], access: deny },
    { access: allow },
  ] as const;
  const list = new AccessList(rules);
  const startMs = performance.now();
  assert.equal(list.decide("x", path).isAllowed, true);
  assert.ok(performance.now() - startMs < 1000);
});

const IDENTITIES = ["x", "y", "z"];

/**
 * The same rules over paths of few letters, by the plainest means: no regular expressions, no
 * compiling.
 */
function naively(rules: readonly AccessRule[], identity: string, path: string): boolean {
  for (const { access, identities, modules, moduleRegexp } of rules) {
    if (identities !== undefined && !identities.includes(identity)) continue;
    const fold = (text: string) => access === "deny" ? text.toLowerCase() : text;
    if (modules !== undefined && !modules.some((glob) => covers(fold(glob), fold(path)))) continue;
    if (moduleRegexp !== undefined && !fold(path).includes(fold(moduleRegexp))) continue;
    return access === "allow";
  }
  return false;
}

function covers(glob: string, path: string): boolean {
  const wanted = glob.split("/");
  const elements = path.split("/");
  return wanted.length <= elements.length &&
    wanted.every((part, i) => elementMatches(part, elements[i] ?? ""));
}

function elementMatches(glob: string, text: string): boolean {
  if (glob === "") return text === "";
  if (glob.startsWith("*")) {
    return Array.from({ length: text.length + 1 }, (_, i) => text.slice(i))
      .some((rest) => elementMatches(glob.slice(1), rest));
  }
  return text !== "" && (glob[0] === "?" || glob[0] === text[0]) &&
    elementMatches(glob.slice(1), text.slice(1));
}

Deno.test("AccessList.decide() agrees with a naive evaluator", () => {
  const joined = (letters: string[]) =>
    fc.array(fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 3 }), {
      minLength: 1,
      maxLength: 3,
    }).map((parts) => parts.join("/"));
  const path = joined(["a", "b", "A", "."]);
  const rule: fc.Arbitrary<AccessRule> = fc.record({
    access: fc.constantFrom("allow", "deny"),
    identities: fc.array(fc.constantFrom(...IDENTITIES)),
    // Letters only: as an expression and as a plain text they mean the same.
    moduleRegexp: joined(["a", "b", "A"]),
    modules: fc.array(joined(["a", "b", "A", ".", "*", "?"]), { minLength: 1, maxLength: 3 }),
  }, { requiredKeys: ["access"] });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 4 }), fc.array(path), (rules, paths) => {
      const list = new AccessList(rules);
      // Twice: what is remembered of one must not count for another.
      for (const path of [...paths, ...paths]) {
        for (const identity of IDENTITIES) {
          const { isAllowed } = list.decide(identity, path as ModulePath);
          assert.equal(isAllowed, naively(rules, identity, path));
        }
      }
    }),
    { numRuns: 500 },
  );
});
