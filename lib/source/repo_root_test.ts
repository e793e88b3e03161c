import assert from "node:assert/strict";
import { NotFoundError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import { findRepoRoot, type RepoRoot } from "./repo_root.ts";

function onHost(root: string, vcs = "git"): RepoRoot {
  return { root, vcs, repository: root };
}

const places: readonly { input: string; want: RepoRoot | null }[] = [
  { input: "github.com/a/b", want: onHost("github.com/a/b") },
  { input: "github.com/A/b.c/d/e/v2", want: onHost("github.com/A/b.c") },
  { input: "github.com.example.com/a/b", want: null },
  { input: "bitbucket.org/a/b/c", want: onHost("bitbucket.org/a/b") },
  { input: "hub.jazz.net/git/user/name.x/sub", want: onHost("hub.jazz.net/git/user/name.x") },
  { input: "hub.jazz.net/other/user/name", want: null },
  { input: "git.apache.org/x_2.y.git/sub", want: onHost("git.apache.org/x_2.y.git") },
  { input: "git.openstack.org/a/b/c", want: onHost("git.openstack.org/a/b") },
  { input: "git.openstack.org/a/b.git/c", want: onHost("git.openstack.org/a/b.git") },
  {
    input: "chiselapp.com/user/a/repository/b",
    want: onHost("chiselapp.com/user/a/repository/b", "fossil"),
  },
  {
    input: "git.example.com/a/b.git/c/v2",
    want: { root: "git.example.com/a/b.git", vcs: "git", repository: "git.example.com/a/b" },
  },
  {
    input: "git.example.com/~a/b.git/~c",
    want: { root: "git.example.com/~a/b.git", vcs: "git", repository: "git.example.com/~a/b" },
  },
  {
    input: "git.example.com/a.git/b.hg",
    // Not the shortest: the pattern of the go command gives up an element's suffix only when
    // nothing else matches.
    want: { root: "git.example.com/a.git/b.hg", vcs: "hg", repository: "git.example.com/a.git/b" },
  },
  {
    input: "git.example.com/a.git.git",
    want: { root: "git.example.com/a.git.git", vcs: "git", repository: "git.example.com/a.git" },
  },
  {
    input: "example.com/a.svn",
    want: { root: "example.com/a.svn", vcs: "svn", repository: "example.com/a" },
  },
  { input: "example.git/a", want: null }, // A suffix of the host is none.
  { input: "example.com/a.git2", want: null },
  { input: "example.com/a.gitx/b", want: null },
  { input: "example.com/a.git/b~c", want: null },
  { input: "example.com/a", want: null },
  { input: "gopkg.in/yaml.v3", want: null },
];

Deno.test("findRepoRoot()", async (t) => {
  for (const { input, want } of places) {
    await t.step(input, () => assert.deepEqual(findRepoRoot(parseModulePath(input)), want));
  }
});

const refused = [
  "github.com/a",
  "github.com/a/b~c",
  "github.com/a/b.git",
  "github.com/a/b.hg/c",
  "bitbucket.org/a/b.svn",
  "hub.jazz.net/git/USER/name",
  "git.apache.org/a/b",
  "git.openstack.org/a",
  "chiselapp.com/a/repository/b",
];

Deno.test("findRepoRoot() knows that some paths do not exist", async (t) => {
  for (const input of refused) {
    await t.step(
      input,
      () => assert.throws(() => findRepoRoot(parseModulePath(input)), NotFoundError),
    );
  }
});
