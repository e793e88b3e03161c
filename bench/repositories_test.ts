import assert from "node:assert/strict";
import { type Recipe, repository } from "./repositories.ts";
import { runCommand } from "../tests/support/run_command.ts";

const TINY: Recipe = { name: "tiny", files: 3, commits: 7, releases: 3, binaryBytes: 100 };

Deno.test("repository() is the same wherever it is made, and made once", async () => {
  const folder = await Deno.makeTempDir({ prefix: "repositories-" });
  try {
    const made = await repository(TINY, folder);
    assert.deepEqual(made.versions, ["v1.0.0", "v1.1.0", "v1.2.0"]);
    const refs = await git(made.path, ["for-each-ref", "--format=%(refname) %(objectname)"]);
    assert.deepEqual(refs.split("\n"), [
      "refs/heads/main 8fb9496f8b7d9a2e0cf33f4a81faa0c969237fd2",
      "refs/tags/v1.0.0 e683ef3372f58134149cec5e1c3630bd2c4bc70a",
      "refs/tags/v1.1.0 0ae3f371cce70fa427fe1e453d087b445f5ca27a",
      "refs/tags/v1.2.0 8fb9496f8b7d9a2e0cf33f4a81faa0c969237fd2",
    ]);
    assert.equal(await git(made.path, ["rev-list", "--count", "main"]), "7");
    const sizes = await git(made.path, ["ls-tree", "-r", "--format=%(objectsize)", "main"]);
    const sizeBytes = sizes.split("\n").reduce((sum, size) => sum + Number(size), 0);
    assert.equal(made.treeBytes, sizeBytes);
    assert.deepEqual(await repository(TINY, folder), made);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function git(gitDir: string, args: readonly string[]): Promise<string> {
  const { stdout } = await runCommand("git", { args: [`--git-dir=${gitDir}`, ...args] });
  return stdout.trim();
}
