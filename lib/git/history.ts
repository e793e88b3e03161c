/**
 * The history of a remote, in a bare repository that has its commits and tags and nothing else
 * (`--filter=tree:0`; everything, from a server that does not support filters).
 *
 * The remote's branches and tags have their own names in it, HEAD is `refs/origin/HEAD`.
 */
import { atPace, Pace } from "../async/pace.ts";
import { SingleFlight } from "../async/single_flight.ts";
import type { BareRepository, Generation, LocalRunOptions } from "./bare_repository.ts";
import { FATAL, readCommit } from "./commit.ts";
import { GitError, RefsMovedError } from "./errors.ts";
import { type Hash, isHash, objectFormatOf, type Refs, refsDigest } from "./refs.ts";
import type { Remote } from "./remote.ts";
import type { CallOptions, Commit, History } from "./repository.ts";

/** States of the refs for which a fetch may be running at the same time. */
const MAX_FLIGHTS = 1000;
/** States of the refs that are remembered. Forgetting one costs a fetch that finds nothing new. */
const MAX_DIGESTS = 100;
/** The commit graph makes questions about ancestors of large histories about seven times faster. */
const FETCH_ARGS = ["--prune", "--write-commit-graph"];
/** Commits and tags alone. */
const WITHOUT_TREES = "--filter=tree:0";
/**
 * The fallback where a tag leads to a commit's own tree: the filter above leaves the tree out, and
 * git then reports it missing.
 */
const WITHOUT_FILES = "--filter=blob:none";
/** git's exit code for a fetch that is not complete, or that took no ref. */
const INCOMPLETE = 1;
/** An abbreviated hash that more objects share identifies nothing. */
const MAX_CANDIDATES = 16;

export class HistoryMirror {
  readonly #repository: BareRepository;
  readonly #remote: Remote;
  readonly #flights = new SingleFlight<void>(MAX_FLIGHTS, { graceMs: 0 });
  /** The states of the refs that this generation has been fetched for; it may be ahead of them. */
  #fetched: { readonly generation: Generation | null; readonly digests: Set<string> };

  constructor(repository: BareRepository, remote: Remote) {
    this.#repository = repository;
    this.#remote = remote;
    this.#fetched = { generation: null, digests: new Set() };
  }

  /** The history that `refs` lead to, fetched. */
  async at(refs: Refs, { signal }: CallOptions): Promise<History> {
    const digest = await atPace(refsDigest(refs), new Pace(signal));
    const update = async (): Promise<void> => {
      if (refs.size === 0) return;
      await this.#flights.run(
        digest,
        (flight) => this.#update(refs, { digest, signal: flight.signal }),
        signal,
      );
    };
    await this.#repository.withRepair(update);
    return new FetchedHistory({ refs, update, repository: this.#repository });
  }

  async #update(
    refs: Refs,
    { digest, signal }: { digest: string; signal: AbortSignal },
  ): Promise<void> {
    const { generation, digests } = this.#fetched;
    if (generation === await this.#repository.generation() && digests.has(digest)) return;
    await this.#repository.exclusively(async () => {
      const current = await this.#repository.create(objectFormatOf(refs));
      const refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
      if (refs.has("HEAD")) refspecs.push("+HEAD:refs/origin/HEAD");
      await this.#remote.access(async ({ network }) => {
        const fetch = (filter: string) =>
          this.#repository.fetch(refspecs, { args: [...FETCH_ARGS, filter], network, signal });
        try {
          await fetch(WITHOUT_TREES);
        } catch (error) {
          if (!(error instanceof GitError && error.exitCode === INCOMPLETE)) throw error;
          await fetch(WITHOUT_FILES);
        }
      }, signal);
      const isNew = current !== this.#fetched.generation || digests.size >= MAX_DIGESTS;
      if (isNew) this.#fetched = { generation: current, digests: new Set() };
      this.#fetched.digests.add(digest);
    }, signal);
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
    if (!/^[0-9a-f]{7,64}$/.test(text)) return null;
    return await this.#lookUp(options, async () => {
      const objects = await this.#lines(["rev-parse", `--disambiguate=${text}`], {
        ...options,
        memory: "light",
        what: `look up ${text}`,
      });
      if (objects.length > MAX_CANDIDATES) return null;
      const found: Hash[] = [];
      for (const object of objects.filter(isHash)) {
        const commit = await readCommit(this.#repository, object, options);
        // A tag object stands for the commit that it leads to.
        if (commit !== null && await this.#isReachable(commit.hash, options)) {
          found.push(commit.hash);
        }
      }
      return found.length === 1 ? found[0] ?? null : null;
    });
  }

  async commit(hash: Hash, options: CallOptions = {}): Promise<Commit | null> {
    const found = await this.#lookUp(options, async () => {
      const commit = await readCommit(this.#repository, hash, options);
      return commit !== null && await this.#isReachable(hash, options) ? commit : null;
    });
    if (found === null) await this.#checkNotMoved(hash, options);
    return found;
  }

  async isAncestor(ancestor: Hash, descendant: Hash, options: CallOptions = {}): Promise<boolean> {
    const found = await this.#lookUp(options, async () => {
      const { exitCode } = await this.#repository.run(
        ["merge-base", "--is-ancestor", "--end-of-options", ancestor, descendant],
        {
          ...options,
          memory: "heavy",
          what: "compare two commits",
          exitCodes: [0, 1, FATAL],
        },
      );
      return exitCode === FATAL ? null : exitCode === 0;
    });
    if (found === null) {
      await this.#checkNotMoved(ancestor, options);
      await this.#checkNotMoved(descendant, options);
    }
    return found ?? false;
  }

  async tagsReachableFrom(hash: Hash, options: CallOptions = {}): Promise<string[]> {
    const names = await this.#lookUp(options, async () => {
      if (await readCommit(this.#repository, hash, options) === null) return null;
      return await this.#lines([
        ...["for-each-ref", `--merged=${hash}`, "--format=%(refname:lstrip=2)", "refs/tags"],
      ], { ...options, what: `find the tags before ${hash}` });
    });
    if (names === null) await this.#checkNotMoved(hash, options);
    // The mirror may be ahead of these refs.
    return names?.filter((name) => this.#refs.has(`refs/tags/${name}`)) ?? [];
  }

  /**
   * Runs `work` on the history, fetched again if it was lost. git often reports damaged objects as
   * missing; so before null is believed, git has to show that it can read the tips of its refs.
   */
  async #lookUp<T>(options: CallOptions, work: () => Promise<T | null>): Promise<T | null> {
    if (this.#refs.size === 0) return null;
    return await this.#repository.withRepair(async () => {
      await this.#update();
      const found = await work();
      if (found === null) {
        await this.#lines(["for-each-ref", "--format=%(objecttype)"], {
          ...options,
          what: "read the tips of a mirror",
        });
      }
      return found;
    });
  }

  /**
   * @throws {RefsMovedError} when a ref led to the commit `hash`, and no ref that we have fetched
   *   since does
   */
  async #checkNotMoved(hash: Hash, options: CallOptions): Promise<void> {
    if (!this.#refs.values().some((value) => value === hash)) return;
    // A tag may lead to a file or tree: the object exists and is in no history.
    const { exitCode, stdout } = await this.#repository.run(["cat-file", "-t", hash], {
      ...options,
      what: `look up ${hash}`,
      exitCodes: [0, FATAL],
    });
    const isOther = exitCode === 0 && new TextDecoder().decode(stdout) !== "commit\n";
    if (isOther || exitCode === 0 && await this.#isReachable(hash, options)) return;
    throw new RefsMovedError(`Cannot use commit ${hash}: the ref that led to it has changed`);
  }

  /** Whether a ref leads to a commit that exists here. */
  async #isReachable(hash: Hash, options: CallOptions): Promise<boolean> {
    const what = `find out where ${hash} belongs`;
    // The walk goes no further than it must, but wrong commit times may stop it too early; so a
    // negative answer is verified.
    const walk = ["rev-list", "--max-count=1", hash, "--not", "--all", "--"];
    if ((await this.#lines(walk, { ...options, what })).length === 0) return true;
    const search = ["for-each-ref", `--contains=${hash}`, "--count=1", "--format=%(refname)"];
    return (await this.#lines(search, { ...options, what })).length > 0;
  }

  async #lines(args: readonly string[], options: LocalRunOptions): Promise<string[]> {
    const { stdout } = await this.#repository.run(args, { memory: "heavy", ...options });
    return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
  }
}
