/**
 * The commits of a module's repository at one state of its refs, with what decides about versions:
 * the go.mod files in them, the tags before them and what the module has retracted.
 */
import type { Hash, Refs } from "../git/refs.ts";
import type { History, Repository, Snapshot } from "../git/repository.ts";
import { MAX_GO_MOD_SIZE_BYTES, type Retraction, scanGoMod } from "../module/go_mod.ts";
import { compareSemver, parseSemver } from "../module/semver.ts";
import type { ModuleCommit } from "./commit_version.ts";
import { revisionName } from "./git_revision.ts";
import { taggedVersions, tagsOf } from "./git_tags.ts";
import type { Layout } from "./layout.ts";
import { findModuleDir, readGoMods } from "./module_dir.ts";

export interface GitCommitsOptions {
  readonly layout: Layout;
  readonly repository: Repository;
  /** Of this repository. */
  readonly refs: Refs;
  readonly signal: AbortSignal;
}

/** Methods throw what those of Repository throw. */
export class GitCommits {
  readonly refs: Refs;
  readonly #layout: Layout;
  readonly #repository: Repository;
  readonly #signal: AbortSignal;
  #retractions: Promise<readonly Retraction[]> | undefined;

  constructor({ layout, repository, refs, signal }: GitCommitsOptions) {
    this.refs = refs;
    this.#layout = layout;
    this.#repository = repository;
    this.#signal = signal;
  }

  /** @returns null when the hash is not that of a commit, or the refs do not lead to it */
  async at(hash: Hash): Promise<GitCommit | null> {
    const options = { signal: this.#signal };
    const snapshot = await this.#repository.snapshot(this.refs, hash, options);
    return snapshot === null ? null : new GitCommit(snapshot, { commits: this, ...options });
  }

  /** The commit that a version of the module is tagged on, or null. */
  async tagged(version: string): Promise<GitCommit | null> {
    const hash = this.refs.get(`refs/tags/${this.#layout.tagPrefix}${version}`);
    return hash === undefined ? null : await this.at(hash);
  }

  /** The commit that the first digits of a hash mean, or null. */
  async resolve(digits: string): Promise<Hash | null> {
    return await (await this.history()).resolve(digits, { signal: this.#signal });
  }

  history(): Promise<History> {
    return this.#repository.history(this.refs, { signal: this.#signal });
  }

  /** The versions that the module has retracted, as its highest tagged version says. */
  retractions(): Promise<readonly Retraction[]> {
    return this.#retractions ??= this.#readRetractions();
  }

  async #readRetractions(): Promise<readonly Retraction[]> {
    const { compatible } = taggedVersions(this.refs, this.#layout);
    const release = compatible.findLast((version) => parseSemver(version)?.prerelease === "");
    const version = release ?? compatible.at(-1);
    if (version === undefined) return [];
    const commit = await this.tagged(version);
    // A highest version that cannot be used retracts nothing.
    if (commit === null) return [];
    const files = await readGoMods(this.#layout, (dir) => commit.goMod(dir));
    const revision = revisionName(version, this.#layout.tagPrefix);
    const found = findModuleDir(this.#layout, files, { version, revision });
    if (typeof found === "string" || found.goMod === null) return [];
    return scanGoMod(found.goMod).retractions;
  }
}

interface GitCommitOptions {
  /** The commits that it is one of. */
  readonly commits: GitCommits;
  readonly signal: AbortSignal;
}

export class GitCommit implements ModuleCommit {
  readonly hash: Hash;
  readonly time: Date;
  readonly tags: ModuleCommit["tags"];
  readonly snapshot: Snapshot;
  readonly #commits: GitCommits;
  readonly #signal: AbortSignal;
  readonly #goMods = new Map<string, Promise<Uint8Array<ArrayBuffer> | null>>();

  constructor(snapshot: Snapshot, { commits, signal }: GitCommitOptions) {
    this.hash = snapshot.commit.hash;
    this.time = new Date(snapshot.commit.timeSeconds * 1000);
    this.tags = tagsOf(commits.refs);
    this.snapshot = snapshot;
    this.#commits = commits;
    this.#signal = signal;
  }

  goMod(dir: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const file = this.#goMods.get(dir) ?? this.#readGoMod(dir);
    this.#goMods.set(dir, file);
    return file;
  }

  #readGoMod(dir: string): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.snapshot.readFile(dir === "" ? "go.mod" : `${dir}/go.mod`, {
      limitBytes: MAX_GO_MOD_SIZE_BYTES,
      signal: this.#signal,
    });
  }

  async tagsBefore(): Promise<readonly string[]> {
    const history = await this.#commits.history();
    return await history.tagsReachableFrom(this.hash, { signal: this.#signal });
  }

  async descendsFrom(ancestor: Hash): Promise<boolean> {
    const history = await this.#commits.history();
    return await history.isAncestor(ancestor, this.hash, { signal: this.#signal });
  }

  async isRetracted(version: string): Promise<boolean> {
    return isRetracted(version, await this.#commits.retractions());
  }
}

export function isRetracted(version: string, retractions: readonly Retraction[]): boolean {
  return retractions.some(({ low, high }) =>
    compareSemver(low, version) <= 0 && compareSemver(version, high) <= 0
  );
}
