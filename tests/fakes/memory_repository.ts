/**
 * A git repository in memory, for tests of decisions that depend on a repository's content. It
 * counts its calls, and its refs can move between two reads. Archives need real git.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { RefsMovedError } from "../../lib/git/errors.ts";
import { type Hash, isHash, type Refs } from "../../lib/git/refs.ts";
import { parseRemoteUrl, type RemoteUrl } from "../../lib/git/remote_url.ts";
import type {
  Commit,
  History,
  RefsOptions,
  Repository,
  Snapshot,
} from "../../lib/git/repository.ts";
import { Seeds } from "../../lib/zip/reusable_zips.ts";

export interface MemoryCommit {
  /** Path → content. */
  readonly files?: Readonly<Record<string, string>>;
  readonly parents?: readonly Hash[];
  /** Seconds since 1970; default: 2026-01-02T03:04:05Z. */
  readonly timeSeconds?: number;
  /**
   * Refs that lead to the commit from now on, without `refs/`: `tags/v1.0.0`, `heads/main`, `HEAD`.
   */
  readonly refs?: readonly string[];
  /** Digits that the hash begins with. */
  readonly hash?: string;
}

interface StoredCommit extends Commit {
  readonly files: Readonly<Record<string, string>>;
  readonly parents: readonly Hash[];
}

export class MemoryRepository implements Repository {
  readonly remote: RemoteUrl = parseRemoteUrl("https://git.example.com/r");
  readonly seeds = new Seeds("/nonexistent");
  /** `refs 0`, `history`, `snapshot abcdef1`: the calls so far; refs with their maximal age. */
  readonly calls: string[] = [];
  /** What {@linkcode refs} throws, if anything. */
  failure: Error | null = null;
  /** How many times using a state of the refs fails because they have moved. */
  moves = 0;
  readonly #commits = new Map<Hash, StoredCommit>();
  readonly #refs = new Map<string, Hash>();

  movedTo(): Promise<null> {
    return Promise.resolve(null);
  }

  commit(
    { files = {}, parents = [], timeSeconds, refs = [], hash: start = "" }: MemoryCommit,
  ): Hash {
    const digest = createHash("sha1").update(String(this.#commits.size)).digest("hex");
    const hash = start + digest.slice(start.length);
    assert.ok(isHash(hash));
    this.#commits.set(hash, {
      hash,
      tree: hash,
      timeSeconds: timeSeconds ?? Date.parse("2026-01-02T03:04:05Z") / 1000,
      files,
      parents,
    });
    for (const ref of refs) this.setRef(ref, hash);
    return hash;
  }

  /** @param name as in {@linkcode MemoryCommit.refs} */
  setRef(name: string, hash: Hash): void {
    this.#refs.set(name === "HEAD" ? name : `refs/${name}`, hash);
  }

  refs({ maxAgeMs = 0 }: RefsOptions = {}): Promise<Refs> {
    this.calls.push(`refs ${maxAgeMs}`);
    return this.failure === null
      ? Promise.resolve(new Map(this.#refs))
      : Promise.reject(this.failure);
  }

  history(refs: Refs): Promise<History> {
    this.calls.push("history");
    const reachable = this.#before([...refs.values()]);
    const isIn = (hash: Hash) => reachable.has(hash);
    return Promise.resolve({
      resolve(text) {
        const found = [...reachable].filter((hash) => hash.startsWith(text));
        return Promise.resolve(found.length === 1 ? found[0] ?? null : null);
      },
      commit: (hash) => Promise.resolve(isIn(hash) ? this.#commits.get(hash) ?? null : null),
      isAncestor: (ancestor, descendant) =>
        Promise.resolve(isIn(descendant) && this.#before([descendant]).has(ancestor)),
      tagsReachableFrom: (hash) => {
        const before = this.#before([hash]);
        const tags = [...refs].filter(([ref, at]) =>
          ref.startsWith("refs/tags/") && before.has(at)
        );
        return Promise.resolve(tags.map(([ref]) => ref.slice("refs/tags/".length)));
      },
    });
  }

  snapshot(refs: Refs, hash: Hash): Promise<Snapshot | null> {
    if (this.moves > 0) {
      this.moves--;
      return Promise.reject(new RefsMovedError("Cannot fetch: the refs have moved"));
    }
    this.calls.push(`snapshot ${hash.slice(0, 7)}`);
    const commit = this.#commits.get(hash);
    const isReachable = this.#before([...refs.values()]).has(hash);
    if (commit === undefined || !isReachable) return Promise.resolve(null);
    return Promise.resolve({
      commit,
      readFile(path) {
        const content = commit.files[path];
        return Promise.resolve(content === undefined ? null : new TextEncoder().encode(content));
      },
      listTree: () => noArchive(),
      listFiles: () => noArchive(),
      archive: () => noArchive(),
    });
  }

  #before(hashes: readonly Hash[]): Set<Hash> {
    const found = new Set<Hash>();
    const open = [...hashes];
    for (let hash = open.pop(); hash !== undefined; hash = open.pop()) {
      const commit = this.#commits.get(hash);
      if (commit === undefined || found.has(hash)) continue;
      found.add(hash);
      open.push(...commit.parents);
    }
    return found;
  }
}

function noArchive(): never {
  throw new Error("there are no archives in memory");
}
