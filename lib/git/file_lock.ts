/**
 * Locks between processes that share a folder: flock(2) on a file, which the system gives up when its holder dies.
 *
 * The file may be removed together with its folder by whoever holds it exclusively. So a lock counts only if the file
 * is still where it was when the lock was got.
 */
import { dirname } from "node:path";
import { DeadlineError } from "../errors.ts";

export interface LockOptions {
  /** Alone, or together with others that are not exclusive either. */
  readonly exclusive: boolean;
}

export interface WaitOptions extends LockOptions {
  readonly timeoutMs: number;
}

/** How often a lock that another process holds is tried again. flock(2) can wait, but not until a deadline. */
const RETRY_MS = 50;

/**
 * @returns null when somebody else has it, in this process or another; or when the file's folder is gone
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
 * Waits for the lock. Makes the file's folder if it is not there, or is removed meanwhile.
 *
 * @throws {DeadlineError} when it did not come free in time
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
