import assert from "node:assert/strict";
import { parseModulePath } from "./path.ts";
import {
  namesByPlace,
  namesOfPath,
  namesOfRemote,
  withoutSuffixes,
} from "./repository_identity.ts";

Deno.test("namesOfPath() folds what servers take for the same", async (t) => {
  const rows = [
    { input: "git.example.com/Team/Secret", want: ["git.example.com/team/secret"] },
    { input: "git.example.com/team/secret.git", want: ["git.example.com/team/secret"] },
    { input: "git.example.com/team/secret.Git.GIT", want: ["git.example.com/team/secret"] },
    { input: "git.example.com/team/secret.hg.git.svn", want: ["git.example.com/team/secret"] },
    { input: "git.example.com/a.bzr/b.fossil/v2", want: ["git.example.com/a/b/v2"] },
    { input: "git.example.com/a.git/b", want: ["git.example.com/a/b"] },
    // A host ends as it ends.
    { input: "example.git/a", want: ["example.git/a"] },
    { input: "git.example.com/a.github", want: ["git.example.com/a.github"] },
    { input: "git.example.com/a.git.b", want: ["git.example.com/a.git.b"] },
    { input: "www.github.com/a/b", want: ["github.com/a/b"] },
    { input: "gopkg.in/yaml.v3", want: ["gopkg.in/yaml.v3", "github.com/go-yaml/yaml"] },
    { input: "gopkg.in/A/b.v1/c.git", want: ["gopkg.in/a/b.v1/c", "github.com/a/b/c"] },
    { input: "gopkg.in/a/b.v1-unstable", want: ["gopkg.in/a/b.v1-unstable", "github.com/a/b"] },
    { input: "gopkg.in/a/b.git.v2", want: ["gopkg.in/a/b.git.v2", "github.com/a/b"] },
    { input: "gopkg.in.example.com/a.v1", want: ["gopkg.in.example.com/a.v1"] },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.deepEqual(namesOfPath(input), want));
  }
});

Deno.test("namesOfRemote() reads what git and pages write", async (t) => {
  const secret = ["git.example.com/team/secret"];
  const rows = [
    { input: "https://git.example.com/team/secret.git", want: secret },
    { input: "https://GIT.example.com.:443/Team//secret.git/", want: secret },
    { input: "http://git.example.com:80/team/./x/../secret", want: secret },
    { input: "https://git.example.com/team/%73ecret%2egit", want: secret },
    { input: "https://git.example.com/team/%2573ecret", want: secret },
    { input: "https://git.example.com/team%2Fsecret", want: secret },
    { input: "https://git.example.com/team\\secret", want: secret },
    { input: "https://git.example.com/team/secret/.git", want: secret },
    { input: "https://git.example.com/team/secret.git.", want: secret },
    { input: "https://user:pw@git.example.com/team/secret?a#b", want: secret },
    { input: "ssh://git@git.example.com:22/team/secret.git", want: secret },
    { input: "git+ssh://git@git.example.com/team/secret.git", want: secret },
    { input: "git://git.example.com:9418/team/secret", want: secret },
    { input: "git@git.example.com:team/secret.git", want: secret },
    { input: "git.example.com:/team/secret.git", want: secret },
    { input: "https:/git.example.com/team/secret.git", want: secret },
    {
      input: "https://git.example.com:8443/team/secret",
      want: ["git.example.com:8443/team/secret", ...secret],
    },
    {
      input: "ssh://git@ssh.github.com:443/a/b.git",
      want: ["ssh.github.com:443/a/b", "github.com/a/b"],
    },
    { input: "https://gopkg.in/a/b.v2", want: ["gopkg.in/a/b.v2", "github.com/a/b"] },
    { input: "https://constructor/a", want: ["constructor/a"] },
    { input: "file:///srv/git/a", want: [] },
    { input: "/srv/git/a", want: [] },
    { input: "", want: [] },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.deepEqual(namesOfRemote(input), want));
  }
});

Deno.test("namesByPlace() has the paths by which a module could be read from its repository", async (t) => {
  const rows = [
    { path: "a.example.com/x", remote: "https://b.example.com/r.git", want: ["b.example.com/r"] },
    {
      path: "a.example.com/x/kit/v3",
      remote: "https://b.example.com/r",
      subdir: "Kit",
      want: ["b.example.com/r/kit/v3"],
    },
    { path: "a.example.com/x.v3", remote: "https://b.example.com/r", want: ["b.example.com/r"] },
    { path: "b.example.com/R.git/kit", remote: "https://b.example.com/r", subdir: "kit", want: [] },
    {
      path: "b.example.com/r/kit/v2",
      remote: "https://b.example.com:8443/r",
      want: [
        "b.example.com:8443/r/v2",
        "b.example.com/r/v2",
      ],
    },
    // The page of a host may name another directory of a repository there.
    {
      path: "b.example.com/r/open",
      remote: "https://b.example.com/r",
      subdir: "secret",
      want: ["b.example.com/r/secret"],
    },
    { path: "gopkg.in/a/b.v2", remote: "https://gopkg.in/a/b.v2", want: [] },
    { path: "gopkg.in/a/b.v2", remote: "https://github.com/a/b", want: [] },
  ];
  for (const { path, remote, subdir, want } of rows) {
    await t.step(`${path} at ${remote}`, () => {
      assert.deepEqual(namesByPlace(parseModulePath(path), { remote, subdir }), want);
    });
  }
});

Deno.test("withoutSuffixes() leaves the rest of a pattern as it is", async (t) => {
  const rows = [
    { input: "git.example.com/a.git", want: "git.example.com/a" },
    { input: "git.example.com/a\\.git.HG/b.git/*", want: "git.example.com/a/b/*" },
    { input: "git.example.com/*.git", want: "git.example.com/*" },
    { input: "*.git/a", want: "*.git/a" },
    { input: "git.example.com/a.github", want: "git.example.com/a.github" },
    { input: "git.example.com/a\\\\.git", want: "git.example.com/a\\\\" },
    { input: "git.example.com/.git", want: "git.example.com/.git" },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(withoutSuffixes(input), want));
  }
});
