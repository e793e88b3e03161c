import assert from "node:assert/strict";
import { NotFoundError } from "../errors.ts";
import { type Hash, isHash } from "../git/refs.ts";
import { parseModulePath } from "../module/path.ts";
import { type ModuleCommit, versionOfCommit } from "./commit_version.ts";
import { layoutOf } from "./layout.ts";

function hash(digit: string): Hash {
  const text = digit.repeat(40);
  assert.ok(isHash(text));
  return text;
}

/**
 * The commit of all cases, 2026-01-02T03:04:05Z; `b…` comes before it, `c…` lies on another branch.
 */
const COMMIT = hash("a");
const STAMP = "20260102030405-aaaaaaaaaaaa";

interface Case {
  readonly name: string;
  readonly path?: string;
  readonly query?: string;
  /** Tag → `a` for the commit, `b` for one before it, `c` for one elsewhere. */
  readonly tags?: Readonly<Record<string, "a" | "b" | "c">>;
  /** Directory → declared module path. */
  readonly goMods?: Readonly<Record<string, string>>;
  readonly retracted?: readonly string[];
  /** Whether the history may be asked. Default: no. */
  readonly history?: true;
  readonly want: string | RegExp;
}

const ROOT = { "": "x.y/r" };

const cases: readonly Case[] = [
  // A name that is no version.
  { name: "nothing tagged", query: "main", want: `v0.0.0-${STAMP}` },
  { name: "nothing asked", want: `v0.0.0-${STAMP}` },
  { name: "tagged", query: "main", tags: { "v1.2.3": "a" }, want: "v1.2.3" },
  {
    name: "the highest of its tags",
    query: "main",
    tags: { "v1.9.0": "a", "v1.10.0": "a", x: "a" },
    want: "v1.10.0",
  },
  {
    name: "its highest tag is retracted",
    query: "main",
    tags: { "v1.0.0": "a", "v1.1.0": "a" },
    retracted: ["v1.1.0"],
    want: "v1.0.0",
  },
  {
    name: "its only tag is retracted",
    query: "main",
    tags: { "v1.0.0": "a" },
    retracted: ["v1.0.0"],
    history: true,
    want: `v0.0.0-${STAMP}`,
  },
  {
    name: "tagged elsewhere",
    query: "main",
    tags: { "v1.2.3": "c" },
    history: true,
    want: `v0.0.0-${STAMP}`,
  },
  {
    name: "tagged before",
    query: "main",
    tags: { "v1.2.3": "b", "v1.3.0": "c" },
    history: true,
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "the highest before",
    query: "main",
    tags: { "v1.9.0": "b", "v1.10.0-rc.1": "b" },
    history: true,
    want: `v1.10.0-rc.1.0.${STAMP}`,
  },
  {
    name: "the highest before is retracted",
    query: "main",
    tags: { "v1.2.3": "b", "v1.9.0": "b" },
    retracted: ["v1.9.0"],
    history: true,
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "tags that are no versions",
    query: "main",
    tags: { "v1.2": "a", "v1": "b", "version": "b" },
    history: true,
    want: `v0.0.0-${STAMP}`,
  },
  {
    name: "no tag begins with v",
    query: "main",
    tags: { "1.2.3": "a", release: "b" },
    want: `v0.0.0-${STAMP}`,
  },
  {
    name: "a tag with build metadata",
    query: "main",
    tags: { "v1.2.3+meta": "a" },
    history: true,
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "an equal tag without build metadata wins",
    query: "main",
    tags: { "v1.2.3+meta": "a", "v1.2.3": "a" },
    want: "v1.2.3",
  },
  {
    name: "a tag like a pseudo-version",
    query: "main",
    tags: { "v0.0.0-20200101000000-cccccccccccc": "a" },
    history: true,
    want: `v0.0.0-${STAMP}`,
  },

  // A version.
  { name: "a tagged version", query: "v1.2.3", tags: { "v1.2.3": "a" }, want: "v1.2.3" },
  {
    name: "of two tags the one asked for",
    query: "v1.0.0",
    tags: { "v1.0.0": "a", "v1.1.0": "a" },
    want: "v1.0.0",
  },
  {
    name: "a retracted version",
    query: "v1.0.0",
    tags: { "v1.0.0": "a" },
    retracted: ["v1.0.0"],
    want: "v1.0.0",
  },
  { name: "a short version", query: "v1", tags: { "v1": "a", "v1.0.0": "a" }, want: "v1.0.0" },
  {
    name: "build metadata",
    query: "v1.2.3+a",
    tags: { "v1.2.3+a": "a", "v1.2.3+b": "a" },
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "build metadata of an exact tag",
    query: "v1.2.3+a",
    tags: { "v1.2.3+a": "a", "v1.2.3": "a" },
    want: "v1.2.3",
  },
  {
    name: "a branch named like a version",
    query: "v1.2.3",
    tags: { "v0.1.0": "a" },
    want: /^x.y\/r@v1.2.3: invalid version: resolves to version v0.1.0 \(v1.2.3 is not a tag\)$/,
  },
  {
    name: "a branch named like a version, untagged",
    query: "v1.2.3",
    want: new RegExp(`resolves to version v0.0.0-${STAMP} \\(v1.2.3 is not a tag\\)`),
  },
  {
    name: "a suffix too many",
    query: "v1.0.0+incompatible",
    tags: { "v1.0.0": "a" },
    want:
      /@v1.0.0\+incompatible: invalid version: \+incompatible suffix not allowed: major version v1 is compatible$/,
  },
  {
    name: "the root has no go.mod",
    query: "v1.0.0",
    tags: { "v1.0.0": "a" },
    goMods: {},
    want: "v1.0.0",
  },

  // +incompatible.
  {
    name: "v2 without go.mod",
    query: "v2.0.0",
    tags: { "v2.0.0": "a" },
    goMods: {},
    want: "v2.0.0+incompatible",
  },
  {
    name: "v2 without go.mod, asked with the suffix",
    query: "v2.0.0+incompatible",
    tags: { "v2.0.0": "a" },
    goMods: {},
    want: "v2.0.0+incompatible",
  },
  {
    name: "v2 without go.mod, by branch",
    query: "main",
    tags: { "v1.0.0": "a", "v2.0.0": "a" },
    goMods: {},
    want: "v2.0.0+incompatible",
  },
  {
    name: "v2 with go.mod",
    query: "v2.0.0",
    tags: { "v2.0.0": "a" },
    want:
      /@v2.0.0: invalid version: module contains a go.mod file, so module path must match major version \("x.y\/r\/v2"\)$/,
  },
  {
    name: "v2 with go.mod, by branch",
    query: "main",
    tags: { "v1.0.0": "a", "v2.0.0": "a" },
    want: "v1.0.0",
  },
  {
    name: "v2 with v2/go.mod",
    query: "v2.0.0",
    tags: { "v2.0.0": "a" },
    goMods: { v2: "x.y/r/v2" },
    want: /module path must match major version/,
  },
  {
    name: "v2 with v2/go.mod, asked with the suffix",
    query: "v2.0.0+incompatible",
    tags: { "v2.0.0": "a" },
    goMods: { v2: "x.y/r/v2" },
    want: "v2.0.0+incompatible",
  },
  {
    name: "v3 with v2/go.mod",
    query: "main",
    tags: { "v2.0.0": "a", "v3.0.0": "a" },
    goMods: { v2: "x.y/r/v2" },
    want: "v3.0.0+incompatible",
  },
  {
    name: "v2 before",
    query: "main",
    tags: { "v2.0.0": "b" },
    goMods: {},
    history: true,
    want: `v2.0.1-0.${STAMP}+incompatible`,
  },
  {
    name: "v2 before, go.mod since",
    query: "main",
    tags: { "v1.0.0": "b", "v2.0.0": "b" },
    history: true,
    want: `v1.0.1-0.${STAMP}`,
  },
  {
    name: "v2 of a directory",
    path: "x.y/r/kit",
    query: "v2.0.0",
    tags: { "kit/v2.0.0": "a" },
    goMods: { kit: "x.y/r/kit" },
    want: /module contains a go.mod file/,
  },

  // Major versions in the path.
  {
    name: "/v2 branch",
    path: "x.y/r/v2",
    query: "v2.0.0",
    tags: { "v2.0.0": "a" },
    goMods: { "": "x.y/r/v2" },
    want: "v2.0.0",
  },
  {
    name: "/v2 directory, untagged",
    path: "x.y/r/v2",
    query: "main",
    goMods: { v2: "x.y/r/v2" },
    want: `v2.0.0-${STAMP}`,
  },
  {
    name: "/v2, only v1 before",
    path: "x.y/r/v2",
    query: "main",
    tags: { "v1.0.0": "b" },
    goMods: { v2: "x.y/r/v2" },
    history: true,
    want: `v2.0.0-${STAMP}`,
  },
  {
    name: "/v2 of a v1 commit",
    path: "x.y/r/v2",
    query: "main",
    want: new RegExp(
      `^x.y/r/v2@v2.0.0-${STAMP}: invalid version: go.mod has non-.../v2 module path "x.y/r" \\(and .../v2/go.mod does not exist\\) at revision aaaaaaaaaaaa$`,
    ),
  },
  {
    name: "/v2 asked for v1",
    path: "x.y/r/v2",
    query: "v1.0.0",
    tags: { "v1.0.0": "a" },
    goMods: { "": "x.y/r/v2" },
    want:
      /@v1.0.0: invalid version: module path includes a major version suffix, so major version must match$/,
  },
  {
    name: "directory tags",
    path: "x.y/r/kit",
    query: "main",
    tags: { "kit/v0.1.0": "b", "v1.0.0": "a" },
    goMods: { kit: "x.y/r/kit" },
    history: true,
    want: `v0.1.1-0.${STAMP}`,
  },
  {
    name: "directory without go.mod",
    path: "x.y/r/kit",
    query: "main",
    want: /missing x.y\/r\/kit\/go.mod at revision aaaaaaaaaaaa$/,
  },
  { name: "gopkg.in", path: "gopkg.in/r.v1", query: "main", goMods: {}, want: `v1.0.0-${STAMP}` },
  {
    name: "gopkg.in unstable",
    path: "gopkg.in/r.v2-unstable",
    query: "main",
    goMods: {},
    want: `v2.0.0-${STAMP}`,
  },

  // Pseudo-versions.
  {
    name: "without base",
    query: `v0.0.0-${STAMP}`,
    tags: { "v1.0.0": "b" },
    want: `v0.0.0-${STAMP}`,
  },
  {
    name: "with base",
    query: `v1.2.4-0.${STAMP}`,
    tags: { "v1.2.3": "b" },
    history: true,
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "with a base that is not the highest",
    query: `v1.2.4-0.${STAMP}`,
    tags: { "v1.2.3": "b", "v1.9.0": "b" },
    history: true,
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "with a pre-release for base",
    query: `v1.2.3-rc.1.0.${STAMP}`,
    tags: { "v1.2.3-rc.1": "b" },
    history: true,
    want: `v1.2.3-rc.1.0.${STAMP}`,
  },
  {
    name: "after build metadata on the commit itself",
    query: `v1.2.4-0.${STAMP}`,
    tags: { "v1.2.3+meta": "a" },
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "after build metadata",
    query: `v1.2.4-0.${STAMP}`,
    tags: { "v1.2.3+a": "c", "v1.2.3+b": "b" },
    history: true,
    want: `v1.2.4-0.${STAMP}`,
  },
  {
    name: "base elsewhere",
    query: `v1.2.4-0.${STAMP}`,
    tags: { "v1.2.3": "c" },
    history: true,
    want:
      /: invalid pseudo-version: revision aaaaaaaaaaaa is not a descendent of preceding tag \(v1.2.3\)$/,
  },
  {
    name: "no base",
    query: `v1.2.4-0.${STAMP}`,
    tags: { "v1.2.2": "b" },
    want: /: invalid pseudo-version: preceding tag \(v1.2.3\) not found$/,
  },
  {
    name: "base on the commit itself",
    query: `v1.2.4-0.${STAMP}`,
    tags: { "v1.2.3": "a" },
    want:
      /: invalid pseudo-version: tag \(v1.2.3\) found on revision aaaaaaaaaaaa is already canonical, so should not be replaced/,
  },
  {
    name: "v1 without base",
    query: `v1.0.0-${STAMP}`,
    want: /major version without preceding tag must be v0, not v1$/,
  },
  {
    name: "another time",
    query: "v0.0.0-20260102030406-aaaaaaaaaaaa",
    want: /does not match version-control timestamp \(expected 20260102030405\)$/,
  },
  {
    name: "no time",
    query: "v0.0.0-20269999999999-aaaaaaaaaaaa",
    want: /: invalid pseudo-version: malformed/,
  },
  {
    name: "fewer digits",
    query: "v0.0.0-20260102030405-aaaaaaaaaaa",
    want: /revision is shorter than canonical \(expected aaaaaaaaaaaa\)$/,
  },
  {
    name: "more digits",
    query: "v0.0.0-20260102030405-aaaaaaaaaaaaa",
    want: /revision is longer than canonical \(expected aaaaaaaaaaaa\)$/,
  },
  {
    name: "a branch named like digits",
    query: "v0.0.0-20260102030405-bbbbbbbbbbbb",
    want: /does not match short name of revision \(expected aaaaaaaaaaaa\)$/,
  },
  {
    name: "negative patch",
    query: `v1.2.0-0.${STAMP}`,
    want: /: invalid pseudo-version: malformed/,
  },
  {
    name: "v2 with go.mod, pseudo",
    query: `v2.0.1-0.${STAMP}`,
    tags: { "v2.0.0": "b" },
    want: /^x.y\/r@v2.0.1-0.*: invalid version: module contains a go.mod file/,
  },
  {
    name: "v2 without go.mod, pseudo",
    query: `v2.0.1-0.${STAMP}+incompatible`,
    tags: { "v2.0.0": "b" },
    goMods: {},
    history: true,
    want: `v2.0.1-0.${STAMP}+incompatible`,
  },
  {
    name: "v2 without go.mod, suffix left out",
    query: `v2.0.1-0.${STAMP}`,
    tags: { "v2.0.0": "b" },
    goMods: {},
    history: true,
    want: `v2.0.1-0.${STAMP}+incompatible`,
  },
  {
    name: "of /v2",
    path: "x.y/r/v2",
    query: `v2.0.0-${STAMP}`,
    goMods: { v2: "x.y/r/v2" },
    want: `v2.0.0-${STAMP}`,
  },
  {
    name: "of a directory",
    path: "x.y/r/kit",
    query: `v0.1.1-0.${STAMP}`,
    tags: { "kit/v0.1.0": "b" },
    goMods: { kit: "x.y/r/kit" },
    history: true,
    want: `v0.1.1-0.${STAMP}`,
  },
  {
    // The root's tag has nothing to do with the directory, but the go command takes it for the
    // directory's.
    name: "of a directory, the root's tag on the commit",
    path: "x.y/r/kit",
    query: `v0.1.1-0.${STAMP}`,
    tags: { "kit/v0.1.0": "b", "v0.1.0": "a" },
    goMods: { kit: "x.y/r/kit" },
    want:
      /: invalid pseudo-version: tag \(v0.1.0\) found on revision aaaaaaaaaaaa is already canonical/,
  },
  {
    name: "historic one of gopkg.in",
    path: "gopkg.in/r.v1",
    query: `v0.0.0-${STAMP}`,
    goMods: {},
    want: `v0.0.0-${STAMP}`,
  },
  {
    name: "historic one of gopkg.in v2",
    path: "gopkg.in/r.v2",
    query: `v0.0.0-${STAMP}`,
    goMods: {},
    want: /major version must match$/,
  },
];

Deno.test("versionOfCommit()", async (t) => {
  for (const row of cases) {
    await t.step(row.name, async () => {
      const { path = "x.y/r", query = "", want } = row;
      const root = path.startsWith("gopkg.in/") ? path : "x.y/r";
      const layout = layoutOf(parseModulePath(path), { root, subdir: "" });
      const chosen = versionOfCommit(layout, commitOf(row), query);
      if (typeof want === "string") {
        assert.equal((await chosen).version, want);
      } else {
        await assert.rejects(
          chosen,
          (error) => error instanceof NotFoundError && want.test(error.message),
        );
      }
    });
  }
});

Deno.test("versionOfCommit() tells where the module is", async () => {
  const layout = layoutOf(parseModulePath("x.y/r/kit/v2"), { root: "x.y/r", subdir: "" });
  const commit = commitOf({ name: "", goMods: { "kit/v2": "x.y/r/kit/v2" }, want: "" });
  const { dir } = await versionOfCommit(layout, commit, "");
  assert.equal(dir.dir, "kit/v2");
  assert.equal(new TextDecoder().decode(dir.goMod ?? undefined), "module x.y/r/kit/v2\n");
});

Deno.test("versionOfCommit() passes on what keeps it from reading the commit", async () => {
  const failure = new Error("broken");
  const commit = {
    ...commitOf({ name: "", want: "" }),
    goMod: () => Promise.reject(failure),
  };
  const layout = layoutOf(parseModulePath("x.y/r"), { root: "x.y/r", subdir: "" });
  await assert.rejects(versionOfCommit(layout, commit, ""), failure);
});

function commitOf({ tags = {}, goMods = ROOT, retracted = [], history }: Case): ModuleCommit {
  const assertHistory = () => assert.ok(history, "the history is not needed");
  return {
    hash: COMMIT,
    time: new Date("2026-01-02T03:04:05Z"),
    tags: Object.entries(tags).map(([name, digit]) => [name, hash(digit)]),
    goMod(dir) {
      const declared = goMods[dir];
      const file = declared === undefined ? null : new TextEncoder().encode(`module ${declared}\n`);
      return Promise.resolve(file);
    },
    tagsBefore() {
      assertHistory();
      const before = Object.entries(tags).filter(([, digit]) => digit !== "c");
      return Promise.resolve(before.map(([name]) => name));
    },
    descendsFrom(ancestor) {
      assertHistory();
      return Promise.resolve(ancestor !== hash("c"));
    },
    isRetracted: (version) => Promise.resolve(retracted.includes(version)),
  };
}
