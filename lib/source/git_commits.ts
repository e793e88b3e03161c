/**
 * The commits of a module's repository at one state of its refs, with what decides about versions:
 * the go.mod files in them, the tags before them and what the module has retracted.
 */
import { atPace, Pace } from "../async/pace.ts";
import { LimitExceededError, UnusableError } from "../errors.ts";
import type { Hash, Refs } from "../git/refs.ts";
import type { History, Repository, Snapshot } from "../git/repository.ts";
import { MAX_GO_MOD_SIZE_BYTES, type Retraction, scanGoMod } from "../module/go_mod.ts";
import { retractedBy } from "../module/retraction.ts";
import { parseSemver } from "../module/semver.ts";
import type { ModuleCommit } from "./commit_version.ts";
import { revisionName } from "./git_revision.ts";
import { type Tag, type TaggedVersions, taggedVersions, tagsOf } from "./git_tags.ts";
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
  #tags: Promise<readonly Tag[]> | undefined;
  #versions: Promise<TaggedVersions> | undefined;
  #isRetracted: Promise<(version: string) => boolean> | undefined;

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
    if (snapshot === null) return null;
    return new GitCommit(snapshot, { commits: this, tags: await this.tags(), ...options });
  }

  /** All tags of the repository, sorted by name. */
  tags(): Promise<readonly Tag[]> {
    return this.#tags ??= atPace(tagsOf(this.refs), this.#pace());
  }

  /** The versions of the module that are tagged. */
  versions(): Promise<TaggedVersions> {
    return this.#versions ??= this.#readVersions();
  }

  async #readVersions(): Promise<TaggedVersions> {
    return await atPace(taggedVersions(await this.tags(), this.#layout), this.#pace());
  }

  #pace(): Pace {
    return new Pace(this.#signal);
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

  /** Whether the module has retracted a version, as its highest tagged version says. */
  retracted(): Promise<(version: string) => boolean> {
    return this.#isRetracted ??= this.#readRetractions().then(retractedBy);
  }

  async #readRetractions(): Promise<readonly Retraction[]> {
    const { compatible } = await this.versions();
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
    return (await atPace(scanGoMod(found.goMod), this.#pace())).retractions;
  }
}

interface GitCommitOptions {
  /** The commits that it is one of. */
  readonly commits: GitCommits;
  readonly tags: readonly Tag[];
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

  constructor(snapshot: Snapshot, { commits, tags, signal }: GitCommitOptions) {
    this.hash = snapshot.commit.hash;
    this.time = new Date(snapshot.commit.timeSeconds * 1000);
    this.tags = tags;
    this.snapshot = snapshot;
    this.#commits = commits;
    this.#signal = signal;
  }

  goMod(dir: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const file = this.#goMods.get(dir) ?? this.#readGoMod(dir);
    this.#goMods.set(dir, file);
    return file;
  }

  async #readGoMod(dir: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const file = dir === "" ? "go.mod" : `${dir}/go.mod`;
    try {
      return await this.snapshot.readFile(file, {
        limitBytes: MAX_GO_MOD_SIZE_BYTES,
        signal: this.#signal,
      });
    } catch (cause) {
      if (!(cause instanceof LimitExceededError)) throw cause;
      const limit = `${MAX_GO_MOD_SIZE_BYTES / 2 ** 20} MiB`;
      const message = `Cannot use commit ${this.hash}: ${file} is larger than ${limit}`;
      throw new UnusableError(message, { cause });
    }
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
    return (await this.#commits.retracted())(version);
  }
}
