/**
 * How many files this process may have open (RLIMIT_NOFILE), which its children inherit. The
 * runtime does not report it, and `/proc/self/limits` may only be read with `--allow-all`. But git
 * runs an alias that begins with `!` by the shell, and `ulimit` is built into that.
 */
import { GitProcess } from "./process.ts";

/** It takes some milliseconds. */
const TIMEOUT_MS = 10_000;
const MAX_OUTPUT_BYTES = 100;

/** @returns null where it is unlimited, or nobody can tell */
export async function readFileLimit(
  { path }: { readonly path: string },
): Promise<number | null> {
  try {
    await using process = new GitProcess({
      args: ["-c", "alias.file-limit=!ulimit -n", "file-limit"],
      cwd: "/",
      env: {
        PATH: path,
        HOME: "/",
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_NOSYSTEM: "1",
      },
      guard: null,
    }, {
      what: "ask for the limit of open files",
      timeoutMs: TIMEOUT_MS,
      secrets: [],
      signals: [],
    });
    const { stdout } = await process.output({ maxOutputBytes: MAX_OUTPUT_BYTES });
    const limit = Number(new TextDecoder().decode(stdout).trim());
    return Number.isInteger(limit) && limit > 0 ? limit : null;
  } catch {
    // There is no git, or it cannot be started. Whoever needs it will say so.
    return null;
  }
}
