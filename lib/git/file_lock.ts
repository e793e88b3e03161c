/**
 * Locks between processes that share a folder: flock(2) on a file, which the system releases when
 * its holder dies.
 *
 * The holder of an exclusive lock may remove the file together with its folder. So a lock counts
 * only if the file is still at its path once the lock is acquired.
 */
import { dirname } from "node:path";
import { DeadlineError } from "../errors.ts";

export interface LockOptions {
  /** Whether the lock excludes all others, or only exclusive ones. */
  readonly exclusive: boolean;
}

export interface WaitOptions extends LockOptions {
  readonly timeoutMs: number;
}

/**
 * How often an attempt to get a lock that another process holds is repeated. flock(2) can wait, but
 * not until a deadline.
 */
const RETRY_MS = 50;

/**
 * @returns null when it is held elsewhere, in this process or another, or when the file's folder is
 *   gone
 */
export async function tryLock(path: string, options: LockOptions): Promise<Disposable | null> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { create: true, write: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  let isHeld = false;
  try {
    isHeld = await file.tryLock(options.exclusive) && await isStillAt(path, file);
  } finally {
    if (!isHeld) file.close();
  }
  return isHeld ? file : null;
}

/**
 * Waits for the lock. Creates the file's folder if it does not exist or is removed in the meantime.
 *
 * @throws {DeadlineError} when it is not released in time
 */
export async function lock(path: string, options: WaitOptions): Promise<Disposable> {
  const { timeoutMs } = options;
  for (let waitedMs = 0; waitedMs <= timeoutMs; waitedMs += RETRY_MS) {
    await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const held = await tryLock(path, options);
    if (held !== null) return held;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new DeadlineError(
    `Cannot use a mirror: another process held its lock for ${timeoutMs / 1000} s`,
  );
}

async function isStillAt(path: string, file: Deno.FsFile): Promise<boolean> {
  try {
    const [here, held] = await Promise.all([Deno.stat(path), file.stat()]);
    return here.ino === held.ino && here.dev === held.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
