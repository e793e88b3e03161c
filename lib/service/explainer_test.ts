import assert from "node:assert/strict";
import { DeadlineError, StorageError } from "../errors.ts";
import { GitError } from "../git/errors.ts";
import { createLogger } from "../log/log.ts";
import { moduleVersion } from "../module/module_version.ts";
import type { Source } from "../source/source.ts";
import { Explainer } from "./explainer.ts";

const nobody = () => Promise.reject(new Error("not asked for"));

function failing(description: string, error: Error): Source {
  return {
    description,
    list: nobody,
    resolve: nobody,
    latest: nobody,
    describe: () => Promise.reject(error),
    fetchZip: nobody,
    fetch: nobody,
  };
}

Deno.test("Explainer tells no paths of this machine and no words of git", async () => {
  const log: string[] = [];
  const explainer = new Explainer({
    copies: {
      read: () => Promise.reject(new StorageError("Cannot read /srv/data/m1/x")),
      openZip: nobody,
    },
    sourcesOf: () => ({
      privatePrefix: null,
      sources: [
        failing(
          "git",
          new GitError("fetch from https://git.example.com/a/b", {
            exitCode: 128,
            stderr: "fatal: cannot create directory at '/srv/scratch/git'",
          }),
        ),
        failing("slow", new DeadlineError('Cannot lock "/srv/scratch/git/lock": held for 10 s')),
        failing("broken", new Error("No such file: /srv/scratch/x")),
      ],
    }),
    databaseFor: () => null,
    accessList: null,
    policy: null,
    log: createLogger("info", { write: (line) => void log.push(line) }),
  });
  const { published, sources } = await explainer.explain(
    moduleVersion("git.example.com/a/b", "v1.0.0"),
    { identities: [], signal: new AbortController().signal },
  );
  assert.deepEqual(published, { failed: "store", reason: "the module store failed" });
  assert.deepEqual(sources, [
    {
      source: "git",
      failed: "bad-upstream",
      reason: "Cannot fetch from https://git.example.com/a/b: git ended with 128",
    },
    { source: "slow", failed: "timeout", reason: 'Cannot lock "…": held for 10 s' },
    { source: "broken", failed: "internal", reason: "internal error" },
  ]);
  // Whoever runs the server finds everything.
  for (const path of ["/srv/data/m1/x", "/srv/scratch/git'", "/srv/scratch/x"]) {
    assert.ok(log.some((line) => line.includes(path)), path);
  }
});
