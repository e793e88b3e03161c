/**
 * The history of a remote, in a bare repository that has its commits and tags and nothing else (`--filter=tree:0`, or
 * everything, from a server that knows no filters).
 *
 * The remote's branches and tags have their own names in it, HEAD is `refs/remotes/origin/HEAD`.
 */
import { SingleFlight } from "../async/single_flight.ts";
import type { BareRepository, Generation, LocalRunOptions } from "./bare_repository.ts";
import type { GitOutput } from "./command.ts";
import { FATAL, readCommit } from "./commit.ts";
import { RefsMovedError } from "./errors.ts";
import { type Hash, isHash, objectFormatOf, type Refs, refsDigest } from "./refs.ts";
import type { Remote } from "./remote.ts";
import type { CallOptions, Commit, History } from "./repository.ts";

/** States of the refs for which a fetch may be under way at once. */
const MAX_FLIGHTS = 1000;
/** States of the refs that are remembered. To forget one costs a fetch that finds nothing new. */
const MAX_DIGESTS = 100;
/** An abbreviated hash that more objects share is as good as none. */
const MAX_CANDIDATES = 16;
/** The exit code of for-each-ref for a commit that is not there. */
const NO_SUCH_COMMIT = 129;

export class HistoryMirror {
  readonly #repository: BareRepository;
  readonly #remote: Remote;
  readonly #flights = new SingleFlight<void>(MAX_FLIGHTS);
  /** The states of the refs that this generation has been fetched for; it may be ahead of them. */
  #fetched: { readonly generation: Generation | null; readonly digests: Set<string> };

  constructor(repository: BareRepository, remote: Remote) {
    this.#repository = repository;
    this.#remote = remote;
    this.#fetched = { generation: null, digests: new Set() };
  }

  /** The history that `refs` lead to, fetched. */
  async at(refs: Refs, { signal }: CallOptions): Promise<History> {
    const digest = refsDigest(refs);
    const update = async (): Promise<void> => {
      if (refs.size === 0) return;
      await this.#flights.run(digest, () => this.#update(refs, digest), signal);
    };
    await this.#repository.healing(update);
    return new FetchedHistory({ refs, update, repository: this.#repository });
  }

  async #update(refs: Refs, digest: string): Promise<void> {
    const { generation, digests } = this.#fetched;
    if (generation === await this.#repository.generation() && digests.has(digest)) return;
    await this.#repository.exclusively(async () => {
      const current = await this.#repository.create(objectFormatOf(refs));
      const refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
      if (refs.has("HEAD")) refspecs.push("+HEAD:refs/remotes/origin/HEAD");
      await this.#remote.access((network) =>
        this.#repository.fetch(refspecs, { args: ["--prune", "--filter=tree:0"], network })
      );
      const isNew = current !== this.#fetched.generation || digests.size >= MAX_DIGESTS;
      if (isNew) this.#fetched = { generation: current, digests: new Set() };
      this.#fetched.digests.add(digest);
    });
  }
}

interface FetchedHistoryOptions {
  readonly refs: Refs;
  readonly repository: BareRepository;
  /** Fetches again what was lost. */
  readonly update: () => Promise<void>;
}

class FetchedHistory implements History {
  readonly #refs: Refs;
  readonly #repository: BareRepository;
  readonly #update: () => Promise<void>;

  constructor({ refs, repository, update }: FetchedHistoryOptions) {
    this.#refs = refs;
    this.#repository = repository;
    this.#update = update;
  }

  async resolve(text: string, options: CallOptions = {}): Promise<Hash | null> {
    if (this.#refs.size === 0 || !/^[0-9a-f]{7,64}$/.test(text)) return null;
    const what = `look up ${text}`;
    const objects = await this.#lines(["rev-parse", `--disambiguate=${text}`], {
      ...options,
      what,
      // A full hash of which there is no object.
      exitCodes: [0, FATAL],
    });
    if (objects.length > MAX_CANDIDATES) return null;
    const found: Hash[] = [];
    for (const object of objects.filter(isHash)) {
      const commit = await this.commit(object, options);
      // A tag object's hash leads to a commit with another hash, which is not what was asked for.
      if (commit?.hash === object) found.push(object);
    }
    return found.length === 1 ? found[0] ?? null : null;
  }

  async commit(hash: Hash, options: CallOptions = {}): Promise<Commit | null> {
    if (this.#refs.size === 0) return null;
    const commit = await this.#prepared(() => readCommit(this.#repository, hash, options));
    if (commit !== null && await this.#isReachable(hash, options)) return commit;
    await this.#checkNotMoved(hash, options);
    return null;
  }

  async isAncestor(
    ancestor: Hash,
    descendant: Hash,
    options: CallOptions = {},
  ): Promise<boolean> {
    if (this.#refs.size === 0) return false;
    const { exitCode } = await this.#run(
      ["merge-base", "--is-ancestor", "--end-of-options", ancestor, descendant],
      { ...options, what: "compare two commits", exitCodes: [0, 1, FATAL] },
    );
    if (exitCode === FATAL) {
      await this.#checkNotMoved(ancestor, options);
      await this.#checkNotMoved(descendant, options);
    }
    return exitCode === 0;
  }

  async tagsReachableFrom(hash: Hash, options: CallOptions = {}): Promise<string[]> {
    if (this.#refs.size === 0) return [];
    const names = await this.#lines([
      ...["for-each-ref", `--merged=${hash}`, "--format=%(refname:lstrip=2)", "refs/tags"],
    ], { ...options, what: `find the tags before ${hash}`, exitCodes: [0, NO_SUCH_COMMIT] });
    if (names.length === 0) await this.#checkNotMoved(hash, options);
    // The mirror may be ahead of these refs.
    return names.filter((name) => this.#refs.has(`refs/tags/${name}`));
  }

  /**
   * @throws {RefsMovedError} when a ref led to the commit `hash`, and no ref that we have fetched since does
   */
  async #checkNotMoved(hash: Hash, options: CallOptions): Promise<void> {
    if (!this.#refs.values().some((value) => value === hash)) return;
    // A tag may lead to a file or tree: it is there, and no history knows it.
    const { exitCode, stdout } = await this.#run(["cat-file", "-t", hash], {
      ...options,
      what: `look up ${hash}`,
      exitCodes: [0, FATAL],
    });
    const isOther = exitCode === 0 && new TextDecoder().decode(stdout) !== "commit\n";
    if (isOther || await this.#isReachable(hash, options)) return;
    throw new RefsMovedError(`Cannot use commit ${hash}: the ref that led to it has changed`);
  }

  async #isReachable(hash: Hash, options: CallOptions): Promise<boolean> {
    const refs = await this.#lines([
      ...["for-each-ref", `--contains=${hash}`, "--count=1", "--format=%(refname)"],
    ], { ...options, what: `find out where ${hash} belongs`, exitCodes: [0, NO_SUCH_COMMIT] });
    return refs.length > 0;
  }

  async #lines(args: readonly string[], options: LocalRunOptions): Promise<string[]> {
    const { stdout } = await this.#run(args, options);
    return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
  }

  async #run(args: readonly string[], options: LocalRunOptions): Promise<GitOutput> {
    return await this.#prepared(() => this.#repository.run(args, options));
  }

  async #prepared<T>(work: () => Promise<T>): Promise<T> {
    return await this.#repository.healing(async () => {
      await this.#update();
      return await work();
    });
  }
}
