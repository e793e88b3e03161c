/**
 * The set of repositories that this server has asked for, each with its mirror in the scratch
 * directory.
 *
 * ```text
 * <directory>/<32 hex digits of the remote's SHA-256>/
 *   lock                                   modified when the mirror was last used
 *   history.git, content.git, seeds, …
 * <directory>/trash-<…>/                   being removed
 * ```
 *
 * A repository is used under a lease. When the mirrors together are larger than their limit, those
 * that are not in use are removed, least recently used first. The limit is checked after a lease
 * has ended, at most every {@linkcode EVICTION_INTERVAL_MS}: between two checks the mirrors may be
 * larger.
 *
 * Several processes may share the directory: a lease holds a shared lock, removal needs an
 * exclusive one.
 */
import { createHash } from "node:crypto";
import { describeError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { directorySizeBytes, removeIfThere, statOrNull } from "../scratch/folders.ts";
import { lock, tryLock } from "./file_lock.ts";
import { LOCKS, Mirror, type MirrorOptions } from "./mirror.ts";
import type { RemoteUrl } from "./remote_url.ts";
import type { Repository } from "./repository.ts";

/**
 * While it is held, the mirror stays. The caller disposes of it after the last stream from it has
 * ended.
 */
export interface Lease extends AsyncDisposable {
  readonly repository: Repository;
}

export interface MirrorsOptions extends Omit<MirrorOptions, "remote" | "folder"> {
  /** For mirrors only. Created if it does not exist. */
  readonly directory: string;
  /** Disk space of all mirrors together. Mirrors in use are not removed, so it may be exceeded. */
  readonly maxTotalSizeBytes: number;
  readonly log: Logger;
}

/** How long the mirrors may grow before the limit is checked. */
export const EVICTION_INTERVAL_MS = 30_000;
/** Mirrors not in use whose refs and commits are remembered; that is worth little memory. */
const MAX_IDLE = 1000;
/** How long a process that removes a mirror may hold its lock: it does one rename. */
const LOCK_TIMEOUT_MS = 10_000;

interface Entry {
  readonly mirror: Mirror;
  users: number;
  /** Held from the first user to the last. */
  lock: Promise<Disposable> | null;
}

export class Mirrors implements AsyncDisposable {
  readonly #options: MirrorsOptions;
  /** By remote, the most recently used last. */
  readonly #entries = new Map<RemoteUrl, Entry>();
  #lookedAtMs: number;
  #eviction: Promise<void> = Promise.resolve();

  private constructor(options: MirrorsOptions) {
    this.#options = options;
    this.#lookedAtMs = options.now();
  }

  /** Takes over what an earlier process has left in the directory. */
  static async start(options: MirrorsOptions): Promise<Mirrors> {
    await Deno.mkdir(options.directory, { recursive: true, mode: 0o700 });
    for await (const { name } of Deno.readDir(options.directory)) {
      if (name.startsWith("trash-")) await removeIfThere(`${options.directory}/${name}`);
    }
    const mirrors = new Mirrors(options);
    await mirrors.evict();
    return mirrors;
  }

  /** A lease of the repository. Fetches nothing. */
  async open(remote: RemoteUrl): Promise<Lease> {
    const entry = this.#entryOf(remote);
    entry.users++;
    entry.lock ??= this.#lock(remote);
    let isHeld = true;
    const release = async () => {
      if (isHeld) await this.#release(entry);
      isHeld = false;
    };
    try {
      await entry.lock;
    } catch (error) {
      await release();
      throw error;
    }
    return { repository: entry.mirror, [Symbol.asyncDispose]: release };
  }

  /**
   * Removes mirrors that are not in use until the rest is within the limit. Also runs automatically
   * from time to time.
   */
  async evict(): Promise<void> {
    const { directory, maxTotalSizeBytes, log } = this.#options;
    const mirrors = await this.#measure();
    let totalSizeBytes = mirrors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    mirrors.sort((a, b) => a.usedAtMs - b.usedAtMs);
    for (const { name, sizeBytes } of mirrors) {
      if (totalSizeBytes <= maxTotalSizeBytes) return;
      if (!await removeUnlessUsed(directory, name)) continue;
      totalSizeBytes -= sizeBytes;
      log.info({ mirror: name, sizeBytes, totalSizeBytes }, "mirror evicted");
    }
  }

  /** Waits for a removal that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#eviction;
  }

  #entryOf(remote: RemoteUrl): Entry {
    const entry = this.#entries.get(remote) ?? {
      mirror: new Mirror({ ...this.#options, remote, folder: this.#folderOf(remote) }),
      users: 0,
      lock: null,
    };
    this.#entries.delete(remote);
    this.#entries.set(remote, entry);
    for (const [idle, { users }] of this.#entries) {
      if (this.#entries.size <= MAX_IDLE) break;
      if (users === 0 && idle !== remote) this.#entries.delete(idle);
    }
    return entry;
  }

  #folderOf(remote: RemoteUrl): string {
    const name = createHash("sha256").update(remote).digest("hex").slice(0, 32);
    return `${this.#options.directory}/${name}`;
  }

  async #lock(remote: RemoteUrl): Promise<Disposable> {
    const path = `${this.#folderOf(remote)}/lock`;
    const held = await lock(path, { exclusive: false, timeoutMs: LOCK_TIMEOUT_MS });
    const now = new Date(this.#options.now());
    await Deno.utime(path, now, now);
    return held;
  }

  async #release(entry: Entry): Promise<void> {
    entry.users--;
    if (entry.users > 0) return;
    const held = entry.lock;
    entry.lock = null;
    try {
      (await held)?.[Symbol.dispose]();
    } catch {
      // It was never acquired, and open() has thrown that.
    }
    const now = this.#options.now();
    if (now - this.#lookedAtMs < EVICTION_INTERVAL_MS) return;
    this.#lookedAtMs = now;
    this.#eviction = this.evict().catch((error) => {
      this.#options.log.error({ error: describeError(error) }, "cannot evict mirrors");
    });
  }

  async #measure(): Promise<{ name: string; sizeBytes: number; usedAtMs: number }[]> {
    const { directory } = this.#options;
    const mirrors = [];
    for await (const { name } of Deno.readDir(directory)) {
      if (!/^[0-9a-f]{32}$/.test(name)) continue;
      const sizeBytes = await directorySizeBytes(`${directory}/${name}`);
      const usedAtMs = (await statOrNull(`${directory}/${name}/lock`))?.mtime?.getTime() ?? 0;
      mirrors.push({ name, sizeBytes, usedAtMs });
    }
    return mirrors;
  }
}

/** Removes a mirror unless it is leased or being fetched. Returns whether it was removed. */
async function removeUnlessUsed(directory: string, name: string): Promise<boolean> {
  using locks = new DisposableStack();
  for (const file of ["lock", ...LOCKS]) {
    const held = await tryLock(`${directory}/${name}/${file}`, { exclusive: true });
    if (held === null) return false;
    locks.use(held);
  }
  const trash = `${directory}/trash-${crypto.randomUUID()}`;
  await Deno.rename(`${directory}/${name}`, trash);
  await removeIfThere(trash);
  return true;
}
