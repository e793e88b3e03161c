/**
 * Scratch space: a directory of this process alone, for what may be lost at any time.
 *
 * Each process works in `run-<random>/` below the scratch directory and holds the lock of
 * `run-<random>/lock` while it lives. The system drops the lock when a process ends, however it
 * ends; so a run whose lock can be had is dead, and the next process to start removes it. Several
 * processes may share one scratch directory.
 */

/** A scratch directory; disposing of it removes it. */
export interface Scratch extends AsyncDisposable {
  readonly directory: string;
}

const RUN_PREFIX = "run-";

/**
 * Makes this process's own directory below `parent` (created if missing), after removing what dead
 * processes left there.
 *
 * @throws {Deno.errors.PermissionDenied | Error} when `parent` cannot be written
 */
export async function openScratch(parent: string): Promise<Scratch> {
  await Deno.mkdir(parent, { recursive: true, mode: 0o700 });
  await sweep(parent);
  // It is not swept before it has its final name, and by then it is locked.
  const unlocked = await Deno.makeTempDir({ dir: parent, prefix: "new-" });
  const lock = await Deno.open(`${unlocked}/lock`, { createNew: true, write: true });
  await lock.lock(true);
  const directory = `${parent}/${RUN_PREFIX}${randomName()}`;
  await Deno.rename(unlocked, directory);
  return {
    directory,
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
