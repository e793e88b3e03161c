/**
 * Scratch space: a directory of this process alone, for what may be lost at any time.
 *
 * Each process works in `run-<random>/` below the scratch directory and holds the lock of
 * `run-<random>/lock` while it lives. The system drops the lock when a process ends, however it
 * ends; so a run whose lock can be had is dead, and the next process to start removes it. Several
 * processes may share one scratch directory, if it belongs to the user they run as
 * (trusted_directory.ts).
 */
import { openTrustedDirectory } from "./trusted_directory.ts";

/** A scratch directory; disposing of it removes it. */
export interface Scratch extends AsyncDisposable {
  readonly directory: string;
  /** The directory above it, for what other processes and later ones use too: git mirrors. */
  readonly parent: string;
}

const RUN_PREFIX = "run-";
/** Git mirrors are in it: lib/open/git.ts. */
export const GIT_FOLDER = "git";

/**
 * Makes this process's own directory below `parent` (created if missing), after removing what dead
 * processes left there.
 *
 * @param path of `parent`; null for one of this process alone in the system's temporary directory,
 *   which is removed with it
 * @throws {ConfigError} when `parent` cannot be written, or somebody else can write to it
 */
export async function openScratch(path: string | null): Promise<Scratch> {
  if (path !== null) return await openRun(path);
  // makeTempDir makes a new directory for its owner only, whoever else may write beside it.
  const temporary = await Deno.makeTempDir({ prefix: "go-mod-proxy-" });
  const scratch = await openRun(temporary);
  return {
    ...scratch,
    async [Symbol.asyncDispose]() {
      await scratch[Symbol.asyncDispose]();
      await Deno.remove(temporary, { recursive: true });
    },
  };
}

async function openRun(path: string): Promise<Scratch> {
  const parent = await openTrustedDirectory(path, {
    what: "scratch directory",
    folders: [GIT_FOLDER],
  });
  await sweep(parent);
  // It is not swept before it has its final name, and by then it is locked.
  const unlocked = await Deno.makeTempDir({ dir: parent, prefix: "new-" });
  const lock = await Deno.open(`${unlocked}/lock`, { createNew: true, write: true });
  await lock.lock(true);
  const directory = `${parent}/${RUN_PREFIX}${randomName()}`;
  await Deno.rename(unlocked, directory);
  return {
    directory,
    parent,
    async [Symbol.asyncDispose]() {
      await Deno.remove(directory, { recursive: true });
      lock.close();
    },
  };
}

/** Short, because the path of a unix socket below it has at most 107 bytes. */
function randomName(): string {
  return crypto.getRandomValues(new Uint8Array(6)).toHex();
}

async function sweep(parent: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(parent)) {
    if (isDirectory && name.startsWith(RUN_PREFIX)) await removeIfDead(`${parent}/${name}`);
  }
}

async function removeIfDead(run: string): Promise<void> {
  try {
    using lock = await Deno.open(`${run}/lock`, { write: true });
    if (await lock.tryLock(true)) await Deno.remove(run, { recursive: true });
  } catch (error) {
    // Another process that starts now may remove it under our hands.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
