/**
 * A module in its git repository, at one state of the repository's refs: its versions, and the commits that they are.
 *
 * Everything about one version is read from one commit, found once by its hash. A tag that moves meanwhile has no effect
 * (or the repository throws `RefsMovedError`, and the caller starts over with new refs).
 */
import { NotFoundError } from "../errors.ts";
import type { Hash, Refs } from "../git/refs.ts";
import type { History, Repository, Snapshot } from "../git/repository.ts";
import { MAX_GO_MOD_SIZE_BYTES, type Retraction, scanGoMod } from "../module/go_mod.ts";
import type { Origin } from "../module/info.ts";
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { compareSemver, parseSemver } from "../module/semver.ts";
import { canonicalVersion, parseVersion, type Version } from "../module/version.ts";
import { type CommitView, versionOfCommit } from "./commit_version.ts";
import { matchRevision, revisionName } from "./git_revision.ts";
import {
  highestOfMajors,
  type TaggedVersions,
  taggedVersions,
  tagsOf,
  tagState,
} from "./git_tags.ts";
import type { Layout } from "./layout.ts";
import { findModuleDir, type ModuleDir, readGoMods } from "./module_dir.ts";
import type { VersionInfo } from "./source.ts";

export interface GitModuleOptions {
  readonly layout: Layout;
  readonly repository: Repository;
  /** Of this repository. */
  readonly refs: Refs;
  readonly signal: AbortSignal;
}

/** A version with its commit, and where in it the module is. */
export interface FoundVersion {
  readonly info: VersionInfo;
  readonly dir: ModuleDir;
  readonly snapshot: Snapshot;
}

/** Methods throw what those of Repository throw, and NotFoundError in the words of the `go` command. */
export class GitModule {
  readonly #layout: Layout;
  readonly #repository: Repository;
  readonly #refs: Refs;
  readonly #signal: AbortSignal;
  #retractions: Promise<readonly Retraction[]> | undefined;

  constructor({ layout, repository, refs, signal }: GitModuleOptions) {
    this.#layout = layout;
    this.#repository = repository;
    this.#refs = refs;
    this.#signal = signal;
  }

  /** The tagged versions, in ascending order, retracted ones too; those with `+incompatible` at the end. */
  async list(): Promise<Version[]> {
    const tagged = taggedVersions(this.#refs, this.#layout);
    const names = [...tagged.compatible, ...await this.#incompatible(tagged)];
    return names.map((name) => parseVersion(this.#layout.path, name));
  }

  /** Those of v2 and higher that count as versions of a path without major version, with their suffix. */
  async #incompatible({ compatible, incompatible }: TaggedVersions): Promise<string[]> {
    if (incompatible.length === 0) return [];
    const highest = compatible.at(-1);
    // With a go.mod in it, the author has gone over to modules and means v2 tags for the path …/v2.
    if (highest !== undefined && await this.#hasGoMod(highest)) return [];
    const names: string[] = [];
    for (const [major, highest] of highestOfMajors(incompatible)) {
      if (await this.#hasGoMod(highest)) continue;
      const ofMajor = incompatible.filter((version) => version.startsWith(`${major}.`));
      names.push(...ofMajor.map((version) => `${version}+incompatible`));
    }
    return names;
  }

  /** The highest tagged version that is not retracted, else what HEAD is. */
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
   * A prefix (`v1`, `v1.2`) means the highest version that begins so and is not retracted, and a tag or branch of that
   * name where there is none. A version with build metadata that is not tagged means the version without.
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
    const matching = (await this.list()).filter((version) =>
      // v1.2 is not v1.2.0-rc.1, which comes before v1.2.0.
      version.startsWith(`${query}.`) && compareSemver(version, query) >= 0
    );
    return await this.#highest(matching);
  }

  /** The highest release of a list in ascending order, else the highest pre-release, that is not retracted. */
  async #highest(versions: readonly Version[]): Promise<Version | null> {
    if (versions.length === 0) return null;
    const retractions = await this.#retracted();
    const usable = versions.filter((version) => !isRetracted(version, retractions));
    const release = usable.findLast((version) => parseSemver(version)?.prerelease === "");
    return release ?? usable.at(-1) ?? null;
  }

  async #find(query: string): Promise<FoundVersion> {
    const revision = revisionName(query, this.#layout.tagPrefix);
    const match = matchRevision(this.#refs, revision);
    if (match.kind === "ref") {
      return await this.#foundAt(match.hash, { query, ref: match.ref, revision });
    }
    if (match.kind === "ambiguous") throw this.#invalid(query, `ambiguous revision ${revision}`);
    const hash = match.kind === "digits"
      ? await (await this.#history()).resolve(revision, { signal: this.#signal })
      : null;
    if (hash === null) throw this.#invalid(query, `unknown revision ${revision}`);
    return await this.#foundAt(hash, { query, ref: null, revision });
  }

  async #foundAt(
    hash: Hash,
    { query, ref, revision = hash }: { query: string; ref: string | null; revision?: string },
  ): Promise<FoundVersion> {
    const snapshot = await this.#snapshot(hash);
    if (snapshot === null) throw this.#invalid(query, `unknown revision ${revision}`);
    const time = new Date(snapshot.commit.timeSeconds * 1000);
    if (!(time.getUTCFullYear() >= 0 && time.getUTCFullYear() <= 9999)) {
      throw this.#invalid(query, "the year of its commit's time has not four digits");
    }
    const view = this.#viewOf(snapshot, time);
    const { version, dir } = await versionOfCommit(this.#layout, view, query);
    const info = {
      version: parseVersion(this.#layout.path, version),
      time: time.toISOString().replace(".000Z", "Z"),
      origin: this.#originOf(snapshot.commit.hash, { version, query, ref }),
    };
    return { info, dir, snapshot };
  }

  #viewOf(snapshot: Snapshot, time: Date): CommitView {
    const { hash } = snapshot.commit;
    const goMods = new Map<string, Promise<Uint8Array<ArrayBuffer> | null>>();
    return {
      hash,
      time,
      tags: tagsOf(this.#refs),
      goMod: (dir) => {
        const file = goMods.get(dir) ?? this.#readGoMod(snapshot, dir);
        goMods.set(dir, file);
        return file;
      },
      tagsBefore: async () =>
        await (await this.#history()).tagsReachableFrom(hash, { signal: this.#signal }),
      descendsFrom: async (ancestor) =>
        await (await this.#history()).isAncestor(ancestor, hash, { signal: this.#signal }),
      isRetracted: async (version) => isRetracted(version, await this.#retracted()),
    };
  }

  #originOf(
    hash: Hash,
    { version, query, ref }: { version: string; query: string; ref: string | null },
  ): Origin {
    const { codeDir } = this.#layout;
    // A pseudo-version without base that was asked for by its name is that, whatever is tagged.
    const dependsOnTags = isPseudoVersion(version) &&
      !(version === query && version.startsWith("v0.0.0-"));
    const state = dependsOnTags ? tagState(this.#refs, this.#layout) : null;
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

  /** The versions that the module has taken back, by the go.mod of its highest one. */
  #retracted(): Promise<readonly Retraction[]> {
    return this.#retractions ??= this.#readRetractions();
  }

  async #readRetractions(): Promise<readonly Retraction[]> {
    const { compatible } = taggedVersions(this.#refs, this.#layout);
    const release = compatible.findLast((version) => parseSemver(version)?.prerelease === "");
    const version = release ?? compatible.at(-1);
    if (version === undefined) return [];
    const snapshot = await this.#tagged(version);
    // A highest version that cannot be used takes nothing back.
    if (snapshot === null) return [];
    const files = await readGoMods(this.#layout, (dir) => this.#readGoMod(snapshot, dir));
    const revision = revisionName(version, this.#layout.tagPrefix);
    const found = findModuleDir(this.#layout, files, { version, revision });
    if (typeof found === "string" || found.goMod === null) return [];
    return scanGoMod(found.goMod).retractions;
  }

  /** Whether a tagged version of the root has a go.mod there. */
  async #hasGoMod(version: string): Promise<boolean> {
    const snapshot = await this.#tagged(version);
    if (snapshot === null) throw this.#invalid(version, `unknown revision ${version}`);
    return await this.#readGoMod(snapshot, "") !== null;
  }

  async #tagged(version: string): Promise<Snapshot | null> {
    const hash = this.#refs.get(`refs/tags/${this.#layout.tagPrefix}${version}`);
    return hash === undefined ? null : await this.#snapshot(hash);
  }

  #snapshot(hash: Hash): Promise<Snapshot | null> {
    return this.#repository.snapshot(this.#refs, hash, { signal: this.#signal });
  }

  #history(): Promise<History> {
    return this.#repository.history(this.#refs, { signal: this.#signal });
  }

  #readGoMod(snapshot: Snapshot, dir: string): Promise<Uint8Array<ArrayBuffer> | null> {
    return snapshot.readFile(dir === "" ? "go.mod" : `${dir}/go.mod`, {
      limitBytes: MAX_GO_MOD_SIZE_BYTES,
      signal: this.#signal,
    });
  }

  #invalid(query: string, fault: string): NotFoundError {
    const asked = query === "" ? "HEAD" : query;
    return new NotFoundError(`${this.#layout.path}@${asked}: invalid version: ${fault}`);
  }
}

function isRetracted(version: string, retractions: readonly Retraction[]): boolean {
  return retractions.some(({ low, high }) =>
    compareSemver(low, version) <= 0 && compareSemver(version, high) <= 0
  );
}

/** `v1`, `v1.2`. */
function isPrefix(query: string): boolean {
  return /^v\d+(?:\.\d+)?$/.test(query) && parseSemver(query) !== null;
}
