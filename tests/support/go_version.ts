/**
 * The version in a module's go line, for tests that call `createZip` with a commit of their own.
 */
import { atOnce } from "../../lib/async/pace.ts";
import { LimitExceededError } from "../../lib/errors.ts";
import { MAX_GO_MOD_SIZE_BYTES, scanGoMod } from "../../lib/module/go_mod.ts";
import type { CommitFiles } from "../../lib/zip/create.ts";

/** @param dir of the module; "" is the root */
export async function readGoVersion(commit: CommitFiles, dir: string): Promise<string | null> {
  const { signal } = new AbortController();
  const options = { limitBytes: MAX_GO_MOD_SIZE_BYTES, signal };
  try {
    const goMod = await commit.readFile(dir === "" ? "go.mod" : `${dir}/go.mod`, options);
    return goMod === null ? null : atOnce(scanGoMod(goMod)).goVersion;
  } catch (error) {
    // createZip() refuses such a file.
    if (error instanceof LimitExceededError) return null;
    throw error;
  }
}
