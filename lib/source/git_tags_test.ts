import assert from "node:assert/strict";
import { isHash, type Refs } from "../git/refs.ts";
import { parseModulePath } from "../module/path.ts";
import { atOnce } from "../async/pace.ts";
import {
  byMajor,
  type TaggedVersions,
  taggedVersions,
  tagsOf,
  tagState,
  type TagVersion,
  versionOfTag,
} from "./git_tags.ts";
import { layoutOf } from "./layout.ts";

const PSEUDO = "v0.0.0-20200101000000-abcdefabcdef";

function refsOf(hashes: Readonly<Record<string, string>>): Refs {
  return new Map(
    Object.entries(hashes).map(([ref, hash]) => {
      assert.ok(isHash(hash));
      return [ref, hash];
    }),
  );
}

function tagged(...tags: string[]): Refs {
  return refsOf(Object.fromEntries(tags.map((tag) => [`refs/tags/${tag}`, "a".repeat(40)])));
}

Deno.test("tagsOf() takes tags alone, sorted by name", () => {
  const hash = "a".repeat(40);
  const refs = refsOf({
    HEAD: hash,
    "refs/tags/v1": hash,
    "refs/heads/v2": hash,
    "refs/tags/a/v1": hash,
  });
  assert.deepEqual(atOnce(tagsOf(refs)).map(([name]) => name), ["a/v1", "v1"]);
});

const tags: readonly { tag: string; prefix: string; want: TagVersion | null }[] = [
  { tag: "v1.2.3", prefix: "", want: { version: "v1.2.3", isExact: true } },
  { tag: "v1.2.3-rc.1", prefix: "", want: { version: "v1.2.3-rc.1", isExact: true } },
  { tag: "v1.2.3+meta", prefix: "", want: { version: "v1.2.3", isExact: false } },
  { tag: "v2.0.0+incompatible", prefix: "", want: { version: "v2.0.0", isExact: false } },
  { tag: "kit/v1.2.3", prefix: "kit/", want: { version: "v1.2.3", isExact: true } },
  { tag: "kit/v1.2.3", prefix: "", want: null },
  { tag: "v1.2.3", prefix: "kit/", want: null },
  { tag: "v1.2", prefix: "", want: null },
  { tag: "v1", prefix: "", want: null },
  { tag: "1.2.3", prefix: "", want: null },
  { tag: "v1.2.03", prefix: "", want: null },
  { tag: "v1.2.3_x", prefix: "", want: null },
  { tag: "", prefix: "", want: null },
  { tag: "kit/", prefix: "kit/", want: null },
  { tag: PSEUDO, prefix: "", want: null },
  { tag: `kit/${PSEUDO}`, prefix: "kit/", want: null },
];

Deno.test("versionOfTag()", async (t) => {
  for (const { tag, prefix, want } of tags) {
    await t.step(`${tag} of ${prefix}`, () => assert.deepEqual(versionOfTag(tag, prefix), want));
  }
});

const ALL = tagged(
  "v0.1.0",
  "v1.10.0",
  "v1.9.0",
  "v1.9.0-rc.1",
  "v1.2",
  "v1",
  "v1.2.3+meta",
  "v2.0.0",
  "v2.0.0+incompatible",
  "v3.1.0",
  "v10.0.0",
  PSEUDO,
  "kit/v1.0.0",
  "kit/v2.0.0",
  `kit/${PSEUDO}`,
  "kit/v2/v2.1.0",
  "huh?",
  "1.0.1",
  "v1.🐕.🐄",
);

const lists: readonly { path: string; root?: string; want: TaggedVersions }[] = [
  {
    path: "x.y/r",
    want: {
      compatible: ["v0.1.0", "v1.9.0-rc.1", "v1.9.0", "v1.10.0"],
      incompatible: ["v2.0.0", "v3.1.0", "v10.0.0"],
    },
  },
  { path: "x.y/r/v2", want: { compatible: ["v2.0.0"], incompatible: [] } },
  { path: "x.y/r/v4", want: { compatible: [], incompatible: [] } },
  { path: "x.y/r/kit", want: { compatible: ["v1.0.0"], incompatible: [] } },
  { path: "x.y/r/kit/v2", want: { compatible: ["v2.0.0"], incompatible: [] } },
  { path: "x.y/r/k", want: { compatible: [], incompatible: [] } },
  {
    path: "gopkg.in/r.v3",
    root: "gopkg.in/r.v3",
    want: { compatible: ["v3.1.0"], incompatible: [] },
  },
  {
    path: "gopkg.in/r.v3-unstable",
    root: "gopkg.in/r.v3-unstable",
    want: { compatible: [], incompatible: [] },
  },
];

Deno.test("taggedVersions()", async (t) => {
  for (const { path, root = "x.y/r", want } of lists) {
    await t.step(path, () => {
      const layout = layoutOf(parseModulePath(path), { root, subdir: "" });
      assert.deepEqual(atOnce(taggedVersions(atOnce(tagsOf(ALL)), layout)), want);
    });
  }
});

Deno.test("byMajor() keeps the order", () => {
  assert.deepEqual(
    [...byMajor(["v2.0.0", "v2.1.0-rc.1", "v10.0.0"])],
    [["v2", ["v2.0.0", "v2.1.0-rc.1"]], ["v10", ["v10.0.0"]]],
  );
});

/** `prefixtagtests` of Go's test server; the sum is in cmd/go/testdata/script/reuse_git.txt. */
const PREFIX_TAGS = refsOf({
  "HEAD": "c3ee5d0dfbb9bf3c4d8bb2bce24cd8d14d2d4238",
  "refs/heads/master": "c3ee5d0dfbb9bf3c4d8bb2bce24cd8d14d2d4238",
  "refs/tags/sub/v0.0.10": "2b7c4692e12c109263cab51b416fcc835ddd7eae",
  "refs/tags/sub/v0.0.9": "883885166298d79a0561d571a3044ec5db2e7c28",
  "refs/tags/v0.1.0": "db89fc573cfb939faf0aa0660671eb4cf8b8b673",
  "refs/tags/v0.2.0": "1abe41965749e50828dd41de8d12c6ebc8e4e131",
});

function stateOf(refs: Refs, prefix: { tagPrefix: string; pathMajor: string }) {
  return atOnce(tagState(atOnce(tagsOf(refs)), prefix));
}

Deno.test("tagState() is that of the go command", () => {
  assert.deepEqual(stateOf(PREFIX_TAGS, { tagPrefix: "sub/", pathMajor: "" }), {
    tagPrefix: "sub/",
    tagSum: "t1:YGSbWkJ8dn9ORAr+BlKHFK/2ZhXLb9hVuYfTZ9D8C7g=",
  });
});

Deno.test("tagState() sees versions with build metadata, and of its major version alone", () => {
  const sum = (pathMajor: string, ...tags: string[]) =>
    stateOf(tagged(...tags), { tagPrefix: "", pathMajor }).tagSum;
  assert.equal(sum("", "v1.0.0", "x", "v1", PSEUDO), sum("", "v1.0.0"));
  assert.notEqual(sum("", "v1.0.0", "v1.0.0+meta"), sum("", "v1.0.0"));
  assert.equal(sum("/v2", "v1.0.0", "v20.0.0"), sum("/v2"));
  assert.notEqual(sum("/v2", "v2.0.0"), sum("/v2"));
  assert.equal(stateOf(tagged(), { tagPrefix: "kit/", pathMajor: ".v2" }).tagPrefix, "kit/v2.");
});
