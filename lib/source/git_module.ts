/**
 * A module in its git repository, at one state of the repository's refs: its versions and their
 * commits.
 *
 * Everything about one version is read from one commit, found once by its hash. A tag that moves
 * meanwhile has no effect (or the repository throws `RefsMovedError`, and the caller starts over
 * with new refs).
 */
import { atPace, eachStep, Pace } from "../async/pace.ts";
import { NotFoundError, UnusableError } from "../errors.ts";
import type { Hash, Refs } from "../git/refs.ts";
import type { Repository, Snapshot } from "../git/repository.ts";
import type { Origin } from "../module/info.ts";
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { compareSemver, parseSemver } from "../module/semver.ts";
import { canonicalVersion, parseVersion, type Version } from "../module/version.ts";
import { versionOfCommit } from "./commit_version.ts";
import { GitCommits, type GitCommitsOptions } from "./git_commits.ts";
import { matchRevision, revisionName } from "./git_revision.ts";
import { byMajor, type TaggedVersions, tagState } from "./git_tags.ts";
import type { Layout } from "./layout.ts";
import type { ModuleDir } from "./module_dir.ts";
import type { VersionInfo } from "./source.ts";

/** A version with its commit and the module's directory there. */
export interface FoundVersion {
  readonly info: VersionInfo;
  readonly dir: ModuleDir;
  readonly snapshot: Snapshot;
}

/**
 * Methods throw what those of Repository throw, and NotFoundError in the words of the `go` command.
 */
export class GitModule {
  readonly #layout: Layout;
  readonly #repository: Repository;
  readonly #refs: Refs;
  readonly #commits: GitCommits;
  readonly #signal: AbortSignal;
  #list: Promise<readonly Version[]> | undefined;

  constructor(options: GitCommitsOptions) {
    this.#layout = options.layout;
    this.#repository = options.repository;
    this.#refs = options.refs;
    this.#commits = new GitCommits(options);
    this.#signal = options.signal;
  }

  /**
   * The tagged versions in ascending order, including retracted ones; those with `+incompatible`
   * come last.
   */
  async list(): Promise<readonly Version[]> {
    return await (this.#list ??= this.#readList());
  }

  async #readList(): Promise<Version[]> {
    const tagged = await this.#commits.versions();
    const names = [...tagged.compatible, ...await this.#incompatible(tagged)];
    const versions: Version[] = [];
    const parse = (name: string) => void versions.push(parseVersion(this.#layout.path, name));
    await atPace(eachStep(names, parse), this.#pace());
    return versions;
  }

  /**
   * The versions of v2 and higher that count for a path without major version, with their suffix.
   */
  async #incompatible({ compatible, incompatible }: TaggedVersions): Promise<string[]> {
    if (incompatible.length === 0) return [];
    const highest = compatible.at(-1);
    // With a go.mod there, the author uses modules, and v2 tags are meant for the path …/v2.
    if (highest !== undefined && await this.#hasGoMod(highest)) return [];
    const names: string[] = [];
    for (const ofMajor of byMajor(incompatible).values()) {
      if (await this.#hasGoMod(ofMajor.at(-1) ?? "")) continue;
      names.push(...ofMajor.map((version) => `${version}+incompatible`));
    }
    return names;
  }

  /** The highest tagged version that is not retracted, otherwise the version at HEAD. */
  async latest(): Promise<FoundVersion> {
    const version = await this.#highest(await this.list());
    return version === null ? await this.head() : await this.#find(version);
  }

  /** The commit that HEAD leads to. */
  async head(): Promise<FoundVersion> {
    const hash = this.#refs.get("HEAD");
    if (hash === undefined) throw new NotFoundError("no commits");
    return await this.#foundAt(hash, { query: "", ref: "HEAD" });
  }

  /**
   * What a version, tag, branch, commit or version prefix means.
   *
   * A prefix (`v1`, `v1.2`) means the highest matching version that is not retracted; if there is
   * none, a tag or branch of that name. A version with build metadata that is not tagged means the
   * version without.
   */
  async find(query: string): Promise<FoundVersion> {
    const highest = await this.#highestWithPrefix(query);
    if (highest !== null) return await this.#find(highest);
    try {
      return await this.#find(query);
    } catch (error) {
      const version = canonicalVersion(query);
      const hasMetadata = query.includes("+") && version !== query;
      if (!(error instanceof NotFoundError) || !hasMetadata || version === null) throw error;
      return await this.#find(version).catch((later) => {
        throw later instanceof NotFoundError ? error : later;
      });
    }
  }

  async #highestWithPrefix(query: string): Promise<string | null> {
    if (!isPrefix(query)) return null;
    const matching: Version[] = [];
    const match = (version: Version) => {
      // v1.2 is not v1.2.0-rc.1, which comes before v1.2.0.
      const isMatch = version.startsWith(`${query}.`) && compareSemver(version, query) >= 0;
      if (isMatch) matching.push(version);
    };
    await atPace(eachStep(await this.list(), match), this.#pace());
    return await this.#highest(matching);
  }

  /**
   * The highest release of a list in ascending order, else the highest pre-release, that is not
   * retracted.
   */
  async #highest(versions: readonly Version[]): Promise<Version | null> {
    if (versions.length === 0) return null;
    let release: Version | null = null;
    let prerelease: Version | null = null;
    const isRetracted = await this.#commits.retracted();
    const look = (version: Version) => {
      if (release !== null || isRetracted(version)) return;
      if (parseSemver(version)?.prerelease === "") release = version;
      else prerelease ??= version;
    };
    await atPace(eachStep(versions.toReversed(), look), this.#pace());
    return release ?? prerelease;
  }

  async #find(query: string): Promise<FoundVersion> {
    const revision = revisionName(query, this.#layout.tagPrefix);
    const match = matchRevision(this.#refs, revision);
    if (match.kind === "ref") {
      return await this.#foundAt(match.hash, { query, ref: match.ref, revision });
    }
    if (match.kind === "ambiguous") throw this.#invalid(query, `ambiguous revision ${revision}`);
    const hash = match.kind === "digits" ? await this.#commits.resolve(revision) : null;
    if (hash === null) throw this.#invalid(query, `unknown revision ${revision}`);
    return await this.#foundAt(hash, { query, ref: null, revision });
  }

  async #foundAt(
    hash: Hash,
    { query, ref, revision = hash }: { query: string; ref: string | null; revision?: string },
  ): Promise<FoundVersion> {
    const commit = await this.#commits.at(hash);
    if (commit === null) {
      throw ref === null
        ? this.#invalid(query, `unknown revision ${revision}`)
        : this.#unusable(query, `${ref} does not lead to a commit`);
    }
    const { time, snapshot } = commit;
    if (!(time.getUTCFullYear() >= 0 && time.getUTCFullYear() <= 9999)) {
      throw this.#unusable(query, "the year of its commit time does not have four digits");
    }
    const { version, dir } = await versionOfCommit(this.#layout, commit, query);
    const info = {
      version: parseVersion(this.#layout.path, version),
      time: time.toISOString().replace(".000Z", "Z"),
      origin: await this.#originOf(commit.hash, { version, query, ref }),
    };
    return { info, dir, snapshot };
  }

  async #originOf(
    hash: Hash,
    { version, query, ref }: { version: string; query: string; ref: string | null },
  ): Promise<Origin> {
    const { codeDir } = this.#layout;
    // A pseudo-version without base that was requested by its name does not depend on tags.
    const dependsOnTags = isPseudoVersion(version) &&
      !(version === query && version.startsWith("v0.0.0-"));
    const state = dependsOnTags
      ? await atPace(tagState(await this.#commits.tags(), this.#layout), this.#pace())
      : null;
    return {
      vcs: "git",
      url: this.#repository.remote,
      ...(codeDir !== "" && { subdir: codeDir }),
      hash,
      ...(state !== null && state.tagPrefix !== "" && { tagPrefix: state.tagPrefix }),
      ...(state !== null && { tagSum: state.tagSum }),
      ...(ref !== null && { ref }),
    };
  }

  /** Whether a tagged version of the root has a go.mod there. */
  async #hasGoMod(version: string): Promise<boolean> {
    const commit = await this.#commits.tagged(version);
    if (commit === null) {
      throw this.#unusable(version, `refs/tags/${version} does not lead to a commit`);
    }
    return await commit.goMod("") !== null;
  }

  #pace(): Pace {
    return new Pace(this.#signal);
  }

  #invalid(query: string, fault: string): NotFoundError {
    return new NotFoundError(this.#fault(query, fault));
  }

  /** For what a tag or branch leads to. */
  #unusable(query: string, fault: string): UnusableError {
    return new UnusableError(this.#fault(query, fault));
  }

  #fault(query: string, fault: string): string {
    const asked = query === "" ? "HEAD" : query;
    return `${this.#layout.path}@${asked}: invalid version: ${fault}`;
  }
}

/** `v1`, `v1.2`. */
function isPrefix(query: string): boolean {
  return /^v\d+(?:\.\d+)?$/.test(query) && parseSemver(query) !== null;
}
