/**
 * Versions that exist in their repository and can never be a module: 422, so that the go command
 * stops, nobody tries again, and the next proxy is not asked for a private path.
 */
import assert from "node:assert/strict";
import { UnusableError } from "../lib/errors.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseVersion } from "../lib/module/version.ts";
import { FAILURE_STATUSES } from "../routes/status.ts";
import { GitServer } from "./fakes/git_server.ts";
import { canServeGit, testWith } from "./support/requirements.ts";
import type { TestRepo } from "./worlds/git_repo.ts";
import { TestGitSource } from "./worlds/git_source.ts";

const SIGNAL = new AbortController().signal;
const PATH = parseModulePath("git.example.com/r.git");
const VERSION = parseVersion(PATH, "v1.0.0");
const MISSING = canServeGit() ? null : "no git http-backend; install git with its server programs";
const GO_MOD = `module ${PATH}\n`;

const ROWS: { name: string; make: (repo: TestRepo) => Promise<unknown>; want: RegExp }[] = [
  {
    name: "a go.mod of 17 MiB",
    make: (repo) => repo.commit({ "go.mod": GO_MOD + "\n".repeat(17 << 20) }, { tag: VERSION }),
    want: /go\.mod is larger than 16 MiB/,
  },
  {
    name: "a LICENSE of 17 MiB",
    make: (repo) =>
      repo.commit({ "go.mod": GO_MOD, "LICENSE": "x".repeat(17 << 20) }, { tag: VERSION }),
    want: /LICENSE/,
  },
  {
    name: "names that differ by case",
    make: (repo) => repo.commit({ "a.go": "package a", "A.go": "package a" }, { tag: VERSION }),
    want: /differ only by case/,
  },
  {
    name: "a .git entry in the tree",
    make: async (repo) => {
      const files = [[".git", "gitdir: elsewhere\n"], ["go.mod", GO_MOD]] as const;
      await commitOf(repo, await treeOf(repo, files));
    },
    want: /git does not check out a file named "\.git"/,
  },
  {
    name: "a .GIT directory beside the module",
    make: async (repo) => {
      const inner = await treeOf(repo, [["hooks", "x\n"]]);
      await commitOf(
        repo,
        await treeOf(repo, [["go.mod", GO_MOD]], [["sub", inner], [".GIT", inner]]),
      );
    },
    want: /git does not check out a file named "\.GIT\/hooks"/,
  },
  {
    name: "a commit dated year 10000",
    make: (repo) =>
      repo.commit({ "go.mod": GO_MOD }, {
        tag: VERSION,
        date: new Date("+010000-01-01T00:00:00Z"),
      }),
    want: /the year of its commit time does not have four digits/,
  },
  {
    name: "a tag of a file",
    make: async (repo) => {
      await repo.commit({ "go.mod": GO_MOD });
      await repo.setRef(`refs/tags/${VERSION}`, await blob(repo, "not a commit\n"));
    },
    want: /refs\/tags\/v1\.0\.0 does not lead to a commit/,
  },
  {
    name: "an annotated tag of a tree",
    make: async (repo) => {
      const hash = await repo.commit({ "go.mod": GO_MOD });
      await repo.tag(VERSION, await repo.git(["rev-parse", `${hash}^{tree}`]), { message: "tree" });
    },
    want: /refs\/tags\/v1\.0\.0 does not lead to a commit/,
  },
];

for (const { name, make, want } of ROWS) {
  testWith(MISSING, `${name} is a version that cannot be used`, async () => {
    await using server = await GitServer.start();
    await make(await server.createRepo("r"));
    await using git = await TestGitSource.start({
      page: () => null,
      serve: () => server.urlOf("r"),
    });
    const file = await Deno.makeTempFile();
    const module = { path: PATH, version: VERSION };
    const isUnusable = (error: unknown) => {
      assert.ok(error instanceof UnusableError, String(error));
      assert.match(error.message, want);
      return true;
    };
    try {
      await assert.rejects(git.source.fetch(module, { file, signal: SIGNAL }), isUnusable);
    } finally {
      await Deno.remove(file);
    }
  });
}

Deno.test("the status of what cannot be used stops the go command and is not worth a retry", () => {
  const { status, retryAfterSeconds } = FAILURE_STATUSES.unusable;
  assert.equal(status, 422);
  assert.equal(retryAfterSeconds, undefined);
});

async function commitOf(repo: TestRepo, tree: string): Promise<void> {
  const commit = await repo.git(["commit-tree", "-m", "odd", tree]);
  await repo.setRef("refs/heads/main", commit);
  await repo.tag(VERSION, commit);
}

/** A tree with names that git's other commands refuse. */
async function treeOf(
  repo: TestRepo,
  files: readonly (readonly [name: string, content: string])[],
  trees: readonly (readonly [name: string, hash: string])[] = [],
): Promise<string> {
  const entries = trees.map(([name, hash]) => `040000 tree ${hash}\t${name}\n`);
  for (const [name, content] of files) {
    entries.push(`100644 blob ${await blob(repo, content)}\t${name}\n`);
  }
  return await repo.git(["mktree"], new TextEncoder().encode(entries.join("")));
}

async function blob(repo: TestRepo, content: string): Promise<string> {
  return await repo.git(["hash-object", "-w", "--stdin"], new TextEncoder().encode(content));
}
