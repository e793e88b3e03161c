/**
 * One bare git repository on disk, written only by us, under a lock, and thrown away when it turns
 * out to be damaged.
 *
 * ```text
 * content.git/              the repository; `info/attributes` turns off export-ignore and
 *                           export-subst
 * content.git/generation    a random name, so that a process that finds one generation damaged
 *                           does not throw away the next one
 * content.git/fetching      exists during a fetch, and after one that was killed, which may have
 *                           left temporary files
 * content.lock              held by the process that fetches (file_lock.ts)
 * ```
 *
 * A repository appears by a rename, complete, and disappears by one.
 *
 * Readers need no lock: git adds objects and refs by renames, and repacks before it deletes.
 */
import { Semaphore } from "../async/semaphore.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { DeadlineError } from "../errors.ts";
import { type Git, type GitMemory, type NetworkAccess, ORIGIN } from "./command.ts";
import { filesBelow, removeIfThere, statOrNull } from "../scratch/folders.ts";
import { GitError, RepositoryTooLargeError } from "./errors.ts";
import { lock } from "./file_lock.ts";
import type { GitLimits } from "./limits.ts";
import type { GitOutput } from "./process.ts";
import { type Hash, isHash } from "./refs.ts";
import { withSizeLimit } from "./size_limit.ts";

export interface BareRepositoryOptions {
  readonly git: Git;
  /** The folder that the repository lies in, made when needed. */
  readonly folder: string;
  /** "content" for `content.git`. */
  readonly name: string;
  /**
   * How to have fewer packs: `-a`, or `--geometric=2`, which is faster but not for partial
   * repositories.
   */
  readonly repackArgs: readonly string[];
  readonly limits: GitLimits;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface FetchRunOptions {
  readonly args: readonly string[];
  readonly network: NetworkAccess;
  readonly signal?: AbortSignal | undefined;
}

export interface Received {
  readonly pack: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly shallow: readonly Hash[];
  readonly unshallow: ReadonlySet<Hash>;
  readonly refs: ReadonlyMap<Hash, string>;
}

export interface LocalRunOptions {
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  readonly input?: string | ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly timeoutMs?: number;
  readonly maxOutputBytes?: number;
  readonly exitCodes?: readonly number[];
  /** As for Git. Default: true, as is right for what reads objects and refs. */
  readonly isAlone?: boolean;
  /** As for Git. */
  readonly memory?: GitMemory;
}

/** Distinguishes a repository at a path from its successor at the same path. */
export type Generation = string & { readonly __brand: "Generation" };

/**
 * The output of git, except file contents and trees: those are streamed or have limits of their
 * own.
 */
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;
/** Callers that wait for the lock of one repository. */
const MAX_WAITING_FETCHES = 1000;
/** Generations that may be checked at the same time: one, and perhaps its successor. */
const MAX_CHECKS = 2;
/**
 * How long a repository that passed the check is not checked again, however often git fails in it.
 */
const SOUND_MS = 60_000;
/**
 * Bits of fsck's exit code: 1 objects that break a rule (as they came), 2 missing ones, 4 a bad
 * pack, 8 bad refs.
 */
const FSCK_RULES = 1;
const ALL_EXIT_CODES: readonly number[] = [...Array(256).keys()];

export class BareRepository {
  readonly #options: BareRepositoryOptions;
  /** `<folder>/<name>` */
  readonly #stem: string;
  readonly #path: string;
  readonly #writers: Semaphore;
  readonly #checks = new SingleFlight<boolean>(MAX_CHECKS);
  #soundUntilMs = 0;

  constructor(options: BareRepositoryOptions) {
    this.#options = options;
    this.#stem = `${options.folder}/${options.name}`;
    this.#path = `${this.#stem}.git`;
    this.#writers = new Semaphore({
      what: "fetch from this repository",
      permits: 1,
      maxWaiting: MAX_WAITING_FETCHES,
      maxWaitMs: options.limits.fetchTimeoutMs,
    });
  }

  /** The repository that is there now; null when there is none. */
  async generation(): Promise<Generation | null> {
    try {
      return await Deno.readTextFile(`${this.#path}/generation`) as Generation;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  /**
   * Runs `work` while no one else, in this process or another, fetches, creates or discards here.
   */
  async exclusively<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    using _turn = await this.#writers.acquire(signal);
    using _lock = await lock(`${this.#stem}.lock`, {
      exclusive: true,
      timeoutMs: this.#options.limits.fetchTimeoutMs,
    });
    return await work();
  }

  /** Creates the repository unless it exists. Call under {@linkcode exclusively}. */
  async create(objectFormat: "sha1" | "sha256"): Promise<Generation> {
    const existing = await this.generation();
    if (existing !== null) return existing;
    const generation = crypto.randomUUID();
    const fresh = `${this.#stem}.new-${generation}`;
    await this.#options.git.run(["init", "--quiet", "--bare", `--object-format=${objectFormat}`], {
      what: "create a mirror",
      gitDir: fresh,
      isAlone: true,
      timeoutMs: this.#options.limits.localTimeoutMs,
      maxOutputBytes: OUTPUT_MAX_BYTES,
    });
    await Deno.mkdir(`${fresh}/info`, { recursive: true });
    await Deno.writeTextFile(`${fresh}/info/attributes`, "* -export-subst -export-ignore\n");
    await Deno.writeTextFile(`${fresh}/generation`, generation);
    // A directory without a generation is half a repository: files were removed from outside.
    await this.#remove();
    await Deno.rename(fresh, this.#path);
    this.#soundUntilMs = 0;
    return generation as string as Generation;
  }

  /**
   * Fetches. Call under {@linkcode exclusively}, after {@linkcode create}.
   *
   * @throws {RepositoryTooLargeError} when the repository has become too large
   */
  async fetch(
    refspecs: readonly string[],
    { args, network, signal }: FetchRunOptions,
  ): Promise<void> {
    const { git, limits } = this.#options;
    await this.#grow((tooLarge) =>
      git.run([
        ...["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-show-forced-updates"],
        ...args,
        "--end-of-options",
        ORIGIN,
        ...refspecs,
      ], {
        what: `fetch from ${network.remote}`,
        gitDir: this.#path,
        network,
        timeoutMs: limits.fetchTimeoutMs,
        maxOutputBytes: OUTPUT_MAX_BYTES,
        signal: signal === undefined ? tooLarge : AbortSignal.any([tooLarge, signal]),
      })
    );
  }

  /**
   * Takes in what was fetched without git: a pack, which may build on what is here. Otherwise as
   * {@linkcode fetch}.
   *
   * @param refs what to call the commits in it, by hash
   */
  async receive({ pack, shallow, unshallow, refs }: Received): Promise<void> {
    await this.#grow(async (signal) => {
      const options = { signal, what: "take in a pack", isAlone: true };
      // What it adds, to make the pack whole, it takes as long to compress as for all the rest.
      await this.run(["-c", "core.compression=0", "index-pack", "--stdin", "--fix-thin"], {
        ...options,
        memory: "heavy",
        input: pack,
        timeoutMs: this.#options.limits.fetchTimeoutMs,
      });
      // Before they have a name, so that git does not look for their parents.
      await this.#writeShallow(
        new Set([...await this.shallow(), ...shallow]).difference(unshallow),
      );
      const input = [...refs].map(([hash, name]) => `update ${name} ${hash}\n`).join("");
      await this.run(["update-ref", "--stdin"], { ...options, input });
    });
  }

  /** Whether there is a ref of this name. Faster than to ask git, where mostly there is none. */
  async hasRef(name: string): Promise<boolean> {
    if (await statOrNull(`${this.#path}/${name}`) !== null) return true;
    const packed = await this.#readText("packed-refs");
    return packed.split("\n").some((line) => line.endsWith(` ${name}`));
  }

  /** The commits that are here without those before them. */
  async shallow(): Promise<Hash[]> {
    return (await this.#readText("shallow")).split("\n").filter(isHash);
  }

  /** A file of the repository's; empty where there is none. */
  async #readText(name: string): Promise<string> {
    try {
      return await Deno.readTextFile(`${this.#path}/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  async #writeShallow(commits: ReadonlySet<Hash>): Promise<void> {
    const file = `${this.#path}/shallow`;
    await Deno.writeTextFile(`${file}.lock`, [...commits].map((hash) => `${hash}\n`).join(""));
    await Deno.rename(`${file}.lock`, file);
  }

  async #grow(work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const { limits } = this.#options;
    const marker = `${this.#path}/fetching`;
    if (await statOrNull(marker) !== null) await this.#removeLeftovers();
    await Deno.writeTextFile(marker, "");
    try {
      const limit = {
        path: `${this.#path}/objects`,
        maxSizeBytes: limits.maxRepositorySizeBytes,
      };
      await withSizeLimit(work, limit);
      await this.#repack();
    } catch (error) {
      await this.#removeLeftovers();
      throw error;
    } finally {
      await removeIfThere(marker);
    }
  }

  /** Runs git on the repository, without network. */
  async run(args: readonly string[], options: LocalRunOptions): Promise<GitOutput> {
    return await this.#options.git.run(args, {
      isAlone: true,
      timeoutMs: this.#options.limits.localTimeoutMs,
      maxOutputBytes: OUTPUT_MAX_BYTES,
      ...options,
      gitDir: this.#path,
    });
  }

  /** As {@linkcode run}, for output of any size. */
  stream(
    args: readonly string[],
    options: Omit<LocalRunOptions, "exitCodes">,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#options.git.stream(args, {
      isAlone: true,
      timeoutMs: this.#options.limits.localTimeoutMs,
      ...options,
      gitDir: this.#path,
    });
  }

  /**
   * Runs `work`, which creates and fetches what it needs. If it fails because what was on disk is
   * damaged, or leaves no room for more, the repository is thrown away and `work` runs once more.
   */
  async withRepair<T>(work: () => Promise<T>): Promise<T> {
    const before = await this.generation();
    try {
      return await work();
    } catch (error) {
      if (!await this.#isLostSince(before, error)) {
        await this.discardIfDamaged(error);
        // An attempt that started with an empty disk fails the same way again.
        if (before === null || await this.generation() === before) throw error;
      }
    }
    try {
      return await work();
    } catch (error) {
      await this.discardIfDamaged(error);
      throw error;
    }
  }

  /** Whether git failed because the repository was removed or replaced in the meantime. */
  async #isLostSince(before: Generation | null, error: unknown): Promise<boolean> {
    return error instanceof GitError && before !== null && await this.generation() !== before;
  }

  /** Removes the repository if it is the reason for an error. */
  async discardIfDamaged(error: unknown): Promise<void> {
    const generation = await this.generation();
    if (generation === null) return;
    const isUnusable = error instanceof RepositoryTooLargeError ||
      error instanceof GitError &&
        await this.#checks.run(generation, () => this.#isDamaged());
    if (isUnusable) await this.#discard(generation);
  }

  /** Whether git finds the repository damaged. */
  async #isDamaged(): Promise<boolean> {
    if (this.#options.now() < this.#soundUntilMs) return false;
    try {
      const { exitCode } = await this.run(["fsck", "--no-progress", "--no-dangling"], {
        what: "check a mirror",
        timeoutMs: this.#options.limits.fetchTimeoutMs,
        exitCodes: ALL_EXIT_CODES,
        isAlone: false,
      });
      if ((exitCode & ~FSCK_RULES) !== 0) return true;
    } catch (error) {
      // Fetching it again takes no longer.
      if (error instanceof DeadlineError) return true;
      throw error;
    }
    this.#soundUntilMs = this.#options.now() + SOUND_MS;
    return false;
  }

  /** Removes the repository if it is still of that generation. Running readers may fail. */
  async #discard(generation: Generation): Promise<void> {
    await this.exclusively(async () => {
      if (await this.generation() === generation) await this.#remove();
    });
  }

  /** Renames it first, so that no one sees half of it. */
  async #remove(): Promise<void> {
    const trash = `${this.#stem}.old-${crypto.randomUUID()}`;
    try {
      await Deno.rename(this.#path, trash);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    await removeIfThere(trash);
  }

  /** Removes what a killed git leaves: its locks and unfinished packs. */
  async #removeLeftovers(): Promise<void> {
    for await (const file of filesBelow(this.#path)) {
      if (/\.lock$|\/tmp_[^/]*$/.test(file)) await removeIfThere(file);
    }
  }

  async #repack(): Promise<void> {
    let packs = 0;
    for await (const file of filesBelow(`${this.#path}/objects/pack`)) {
      if (file.endsWith(".pack")) packs++;
    }
    const { maxPacks, fetchTimeoutMs } = this.#options.limits;
    if (packs <= maxPacks) return;
    const options = { what: "tidy a mirror", timeoutMs: fetchTimeoutMs, isAlone: false };
    try {
      await this.run(["repack", "-d", "--quiet", ...this.#options.repackArgs], options);
      await this.run(["pack-refs", "--all"], options);
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      // It still works, only slower.
      await this.#removeLeftovers();
    }
  }
}
