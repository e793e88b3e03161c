/**
 * The contents of commits of a remote, each fetched at depth 1 and kept under
 * `refs/commits/<hash>`, so that the next fetch has something to build on and repacking keeps it.
 */
import { Budget } from "../async/budget.ts";
import { SingleFlight } from "../async/single_flight.ts";
import type { BareRepository, Generation, LocalRunOptions } from "./bare_repository.ts";
import { LimitExceededError, UpstreamError } from "../errors.ts";
import { MAX_MEMORY_BYTES } from "./command.ts";
import { FATAL, readCommit } from "./commit.ts";
import { GitError, RefsMovedError } from "./errors.ts";
import { type GitLimits, gitReadLimits } from "./limits.ts";
import type { GitOutput } from "./process.ts";
import type { Hash } from "./refs.ts";
import type { Remote, RemoteAccess } from "./remote.ts";
import type { ArchiveOptions, CallOptions, Commit, Snapshot, TreeEntry } from "./repository.ts";
import { parseTree } from "./tree.ts";

/** A commit to be fetched. */
export interface Wanted {
  readonly hash: Hash;
  /** The name of a ref that leads to it; null when it has to be fetched by its hash. */
  readonly ref: string | null;
  /** Whether the remote has a HEAD. */
  readonly hasHead: boolean;
}

/** Fetches of commits that may run or wait at the same time. */
const MAX_FLIGHTS = 1000;
/** Commits that are fetched together. */
const MAX_JOINT = 50;
/** Commits offered to the server so that it sends only the difference: the latest ones fetched. */
const MAX_HAVES = 64;
const SHA1_DIGITS = 40;
/** A larger file may take more memory than a heavy git may have, where it cannot be streamed. */
const MAX_HEAVY_FILE_BYTES = MAX_MEMORY_BYTES.heavy / 3;
/** git's exit code when an option names an object that does not exist. */
const USAGE = 129;
/** What `git cat-file --batch` prints besides a file's content: a hash, a type, a size. */
const BATCH_HEADER_MAX_BYTES = 128;
/** Commits remembered as present. Forgetting one costs a look into the repository. */
const MAX_REMEMBERED = 10_000;

export class ContentMirror {
  readonly #repository: BareRepository;
  readonly #remote: Remote;
  readonly #limits: GitLimits;
  readonly #flights = new SingleFlight<Commit | null>(MAX_FLIGHTS, { graceMs: 0 });
  /** Commits waiting to be fetched. */
  readonly #waiting = new Set<Wanted>();
  /** The commits that this generation is known to have. */
  #present: { readonly generation: Generation | null; readonly commits: Map<Hash, Commit> };

  constructor(
    repository: BareRepository,
    { remote, limits }: { readonly remote: Remote; readonly limits: GitLimits },
  ) {
    this.#repository = repository;
    this.#remote = remote;
    this.#limits = limits;
    this.#present = { generation: null, commits: new Map() };
  }

  /** The commit with its files, fetched if necessary; null when `hash` is not that of a commit. */
  async snapshot(wanted: Wanted, options: CallOptions): Promise<Snapshot | null> {
    const commit = await this.#repository.withRepair(() => this.#open(wanted, options));
    if (commit === null) return null;
    return {
      commit,
      readFile: (path, options) => this.#readFile(wanted, path, options),
      listTree: (dir, options = {}) => this.#listTree(wanted, dir, options),
      listFiles: (paths, options = {}) => this.#listFiles(wanted, paths, options),
      archive: (dir, options = {}) => this.#archive(wanted, dir, options),
    };
  }

  async #open(
    wanted: Wanted,
    { signal }: { readonly signal?: AbortSignal | undefined },
  ): Promise<Commit | null> {
    const { generation, commits } = this.#present;
    const known = commits.get(wanted.hash);
    if (known !== undefined && generation === await this.#repository.generation()) return known;
    const key = `${wanted.hash} ${wanted.ref}`;
    return await this.#flights.run(key, (flight) => this.#fetch(wanted, flight.signal), signal);
  }

  async #fetch(wanted: Wanted, signal: AbortSignal): Promise<Commit | null> {
    const { hash, ref } = wanted;
    this.#waiting.add(wanted);
    try {
      return await this.#repository.exclusively(async () => {
        this.#waiting.delete(wanted);
        const generation = await this.#repository.create(hash.length === 64 ? "sha256" : "sha1");
        // It may have been fetched along with another commit, by another process, or by us before
        // we forgot it.
        const mayBeHere = await this.#repository.hasRef(nameOf(hash));
        let commit = mayBeHere ? await readCommit(this.#repository, nameOf(hash)) : null;
        if (commit?.hash !== hash) {
          await this.#remote.access((access) => this.#fetchFrom(access, wanted), signal);
          commit = await readCommit(this.#repository, nameOf(hash));
        }
        if (commit === null) return await this.#explainNoCommit(hash);
        if (commit.hash !== hash) {
          await this.#run(["update-ref", "-d", nameOf(hash)], { what: "forget a commit" });
          throw new RefsMovedError(`Cannot use commit ${hash}: ${ref} leads to ${commit.hash} now`);
        }
        this.#remember(commit, generation);
        return commit;
      }, signal);
    } finally {
      this.#waiting.delete(wanted);
    }
  }

  /**
   * Fetches a commit together with those that others wait for, unless one of them makes that fail.
   */
  async #fetchFrom(access: RemoteAccess, wanted: Wanted): Promise<void> {
    const others = [...this.#waiting].filter(({ hash }) => hash !== wanted.hash);
    const batch = [wanted, ...others.slice(0, MAX_JOINT - 1)];
    if (await this.#receiveFrom(access, batch)) return;
    if (batch.length === 1) return await this.#fetchByGit(access, wanted);
    try {
      await this.#fetchShallow(access, batch);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      // The others are tried one by one.
      for (const other of others) this.#waiting.delete(other);
      await this.#fetchByGit(access, wanted);
    }
  }

  /** Fetches without git. Returns whether the first commit of the batch has arrived. */
  async #receiveFrom({ http, credentials, signal }: RemoteAccess, batch: readonly Wanted[]) {
    const [first] = batch;
    if (first === undefined || first.hash.length !== SHA1_DIGITS) return false;
    const names = batch.flatMap(({ ref }) => ref ?? []);
    const haves = (await this.#repository.shallow()).slice(-MAX_HAVES);
    const wants = [...new Set(batch.map(({ hash }) => hash))];
    const isThere = await http.fetch({ wants, haves, names }, {
      credentials,
      signal,
      work: async ({ pack, shallow, unshallow }, listing) => {
        const refs = await listing;
        const led = batch.filter(({ hash, ref }) => ref === null || refs?.get(ref) === hash);
        await this.#repository.receive({
          pack,
          shallow,
          unshallow: new Set(unshallow),
          refs: new Map(led.map(({ hash }) => [hash, nameOf(hash)])),
        });
        return led.includes(first);
      },
    });
    return isThere ?? false;
  }

  async #fetchShallow({ network, signal }: RemoteAccess, batch: readonly Wanted[]): Promise<void> {
    const refspecs = batch.map(({ hash, ref }) => `+${ref ?? hash}:${nameOf(hash)}`);
    await this.#repository.fetch(refspecs, { args: ["--depth=1"], network, signal });
  }

  async #fetchByGit(access: RemoteAccess, wanted: Wanted): Promise<void> {
    try {
      await this.#fetchShallow(access, [wanted]);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      // The server may not support depth, or not serve commits by hash; it does not say so in a
      // form that programs understand.
      await this.#fetchAllFrom(access, wanted);
    }
  }

  async #fetchAllFrom(
    { network, signal }: RemoteAccess,
    { hash, hasHead }: Wanted,
  ): Promise<void> {
    const isShallow = await this.#text(["rev-parse", "--is-shallow-repository"]) === "true";
    const args = isShallow ? ["--prune", "--unshallow"] : ["--prune"];
    const refspecs = ["+refs/heads/*:refs/origin/heads/*", "+refs/tags/*:refs/origin/tags/*"];
    if (hasHead) refspecs.push("+HEAD:refs/origin/HEAD");
    await this.#repository.fetch(refspecs, { args, network, signal });
    // Its presence is not enough: it may have arrived before its ref moved away.
    if (!await this.#isFetched("--points-at", hash) && !await this.#isFetched("--contains", hash)) {
      throw new RefsMovedError(`Cannot use commit ${hash}: the ref that led to it has changed`);
    }
    await this.#run(["update-ref", nameOf(hash), hash], { what: `keep commit ${hash}` });
  }

  /** Whether one of the remote's refs points to an object or (`--contains`) leads to a commit. */
  async #isFetched(how: "--points-at" | "--contains", hash: Hash): Promise<boolean> {
    const { stdout } = await this.#run(
      ["for-each-ref", `${how}=${hash}`, "--count=1", "--format=%(refname)", "refs/origin"],
      { memory: "heavy", what: `find out where ${hash} belongs`, exitCodes: [0, FATAL, USAGE] },
    );
    return stdout.length > 0;
  }

  /**
   * Returns null when what was fetched is not a commit, because a tag led to a file or tree.
   *
   * @throws {GitError} when it is not there
   */
  async #explainNoCommit(hash: Hash): Promise<null> {
    const type = await this.#text(["cat-file", "-t", `${nameOf(hash)}^{}`]);
    if (type === "commit") throw new UpstreamError(`Cannot read commit ${hash}`);
    return null;
  }

  #remember(commit: Commit, generation: Generation): void {
    const isNew = generation !== this.#present.generation ||
      this.#present.commits.size >= MAX_REMEMBERED;
    if (isNew) this.#present = { generation, commits: new Map() };
    this.#present.commits.set(commit.hash, commit);
  }

  async #readFile(
    wanted: Wanted,
    path: string,
    { limitBytes, signal }: CallOptions & { readonly limitBytes: number },
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const options = { signal, what: `read ${path} of ${wanted.hash}` };
    return await this.#prepared(wanted, { signal }, async () => {
      const { stdout } = await this.#run(["cat-file", "--batch", "-z"], {
        ...options,
        input: `${wanted.hash}:${path}\0`,
        maxOutputBytes: limitBytes + BATCH_HEADER_MAX_BYTES,
      });
      const content = contentOf(stdout) ?? await this.#explainNoFile(wanted, path, options);
      if (content !== null && content.length > limitBytes) {
        throw new LimitExceededError(
          `Cannot read ${path} of ${wanted.hash}: it is larger than ${limitBytes} bytes`,
        );
      }
      return content;
    });
  }

  /**
   * Returns null when there is no file of this name.
   *
   * @throws {GitError} when there is one
   */
  async #explainNoFile(
    { hash }: Wanted,
    path: string,
    options: LocalRunOptions,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const args = ["ls-tree", "-z", "-l", "--full-tree", "--end-of-options", hash, path];
    const { stdout } = await this.#run(args, options);
    const entries = parseTree(new Blob([stdout]).stream(), this.#treeBudget(hash));
    const { value: entry } = await entries.next();
    if (entry === undefined || entry.kind === "submodule") return null;
    // A file that is listed but cannot be read is damaged.
    return (await this.#run(["cat-file", "blob", entry.hash], options)).stdout;
  }

  async *#listTree(
    wanted: Wanted,
    dir: string,
    { signal }: CallOptions,
  ): AsyncGenerator<TreeEntry> {
    const args = ["ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", wanted.hash];
    const stream = this.#stream(wanted, dir === "" ? args : [...args, `${dir}/`], {
      signal,
      memory: "heavy",
      what: `list the files of ${wanted.hash}`,
    });
    for await (const entry of parseTree(stream, this.#treeBudget(wanted.hash))) {
      // Asked for what is below a submodule, git lists the submodule.
      if (dir === "" || entry.path.startsWith(`${dir}/`)) yield entry;
    }
  }

  async *#listFiles(
    wanted: Wanted,
    paths: readonly string[],
    { signal }: CallOptions,
  ): AsyncGenerator<TreeEntry> {
    const args = ["ls-tree", "-z", "-l", "--full-tree", "--end-of-options", wanted.hash, ...paths];
    const stream = this.#stream(wanted, args, {
      signal,
      what: `look up files of ${wanted.hash}`,
    });
    yield* parseTree(stream, this.#treeBudget(wanted.hash));
  }

  #treeBudget(hash: Hash): Budget {
    return new Budget(gitReadLimits(this.#limits).tree, { what: `the files of ${hash}` });
  }

  #archive(
    wanted: Wanted,
    dir: string,
    options: ArchiveOptions,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const { signal, paths = dir === "" ? [] : [dir] } = options;
    const { isConverted = true, largestFileBytes = 0 } = options;
    // To convert a file, git holds it and what it becomes. The threshold is git's own, which the go
    // command leaves as it is: what is larger is not converted.
    const threshold = isConverted ? ["-c", "core.bigFileThreshold=512m"] : [];
    return this.#stream(wanted, [
      ...["-c", "core.autocrlf=input", "-c", "core.eol=lf", ...threshold],
      ...["archive", "--format=tar", "--end-of-options", wanted.hash],
      ...paths,
    ], {
      signal,
      memory: largestFileBytes > MAX_HEAVY_FILE_BYTES ? "huge" : "heavy",
      what: `pack the files of ${wanted.hash}`,
      timeoutMs: this.#limits.archiveTimeoutMs,
    });
  }

  /**
   * The output of git. Until the first bytes are out, a damaged repository is replaced without the
   * reader noticing.
   */
  #stream(
    wanted: Wanted,
    args: readonly string[],
    options: Omit<LocalRunOptions, "exitCodes">,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | null = null;
    let isCancelled = false;
    const start = () =>
      this.#prepared(wanted, options, async () => {
        reader = this.#repository.stream(args, options).getReader();
        if (isCancelled) await reader.cancel();
        return await reader.read();
      });
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          const { done, value } = await (reader === null ? start() : reader.read());
          if (isCancelled) return;
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          await this.#repository.discardIfDamaged(error);
          throw error;
        }
      },
      cancel: async (reason) => {
        isCancelled = true;
        await reader?.cancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** Runs `work` with the commit present, fetched again if it was lost. */
  async #prepared<T>(
    wanted: Wanted,
    { signal }: { readonly signal?: AbortSignal | undefined },
    work: () => Promise<T>,
  ): Promise<T> {
    return await this.#repository.withRepair(async () => {
      await this.#open(wanted, { signal });
      return await work();
    });
  }

  async #text(args: readonly string[]): Promise<string> {
    const { stdout } = await this.#run(args, { what: "look into a mirror" });
    return new TextDecoder().decode(stdout).trim();
  }

  async #run(args: readonly string[], options: LocalRunOptions): Promise<GitOutput> {
    return await this.#repository.run(args, options);
  }
}

/**
 * What `git cat-file --batch` prints of one file, `<hash> blob <size>\n<content>\n`; null for
 * anything else.
 */
function contentOf(printed: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
  const newline = printed.indexOf("\n".charCodeAt(0));
  const header = new TextDecoder().decode(printed.subarray(0, Math.max(newline, 0)));
  const sizeBytes = /^[0-9a-f]+ blob (\d+)$/.exec(header)?.[1];
  return sizeBytes === undefined
    ? null
    : printed.subarray(newline + 1, newline + 1 + Number(sizeBytes));
}

/** The ref that keeps a commit. */
function nameOf(hash: Hash): string {
  return `refs/commits/${hash}`;
}
