/**
 * Which version of a module a commit is (`convert` and `validatePseudoVersion` in
 * cmd/go/internal/modfetch; https://go.dev/ref/mod#vcs-version,
 * https://go.dev/ref/mod#pseudo-versions):
 *
 * 1. A commit requested by a pseudo-version is that pseudo-version if everything in it is true: the
 *    hash, the time, and that its base version is tagged on an earlier commit.
 * 2. A commit requested by a tagged version is that version.
 * 3. Any other name means the highest version that is tagged on the commit, else a pseudo-version
 *    after the highest one that is tagged on the commits before it. Both skip retracted versions.
 *
 * The result must fit: the commit has the module's go.mod in the right directory, and its major
 * version is that of the path, or is v2 or higher of a module without go.mod and gets the suffix
 * `+incompatible`.
 *
 * Everything about the commit is read through {@linkcode ModuleCommit}, and only what the question
 * needs. The messages are those of the `go` command.
 */
import { Pace } from "../async/pace.ts";
import { NotFoundError } from "../errors.ts";
import type { Hash } from "../git/refs.ts";
import { matchesPathMajor } from "../module/path.ts";
import {
  formatPseudoVersion,
  isPseudoVersion,
  parsePseudoVersion,
} from "../module/pseudo_version.ts";
import { compareSemver, majorOf } from "../module/semver.ts";
import { isCanonicalVersion } from "../module/version.ts";
import { pseudoRevision, revisionName, withoutIncompatible } from "./git_revision.ts";
import { versionOfTag } from "./git_tags.ts";
import type { Layout } from "./layout.ts";
import { findModuleDir, type ModuleDir, readGoMods } from "./module_dir.ts";

/** What decides a commit's version. An error that a method throws is passed on. */
export interface ModuleCommit {
  readonly hash: Hash;
  /** The committer's time, in whole seconds of the years 0 to 9999. */
  readonly time: Date;
  /** All tags of the repository and the commits that they lead to, sorted by name. */
  readonly tags: readonly (readonly [name: string, hash: Hash])[];
  /** The go.mod in a directory of the commit (empty: the root), or null. */
  goMod(dir: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** The names of the tags on the commit and on the commits before it. */
  tagsBefore(): Promise<readonly string[]>;
  /** Whether the commit is `hash` or a descendant of it. */
  descendsFrom(hash: Hash): Promise<boolean>;
  /** Whether the module has retracted this version. */
  isRetracted(version: string): Promise<boolean>;
}

export interface ChosenVersion {
  readonly version: string;
  readonly dir: ModuleDir;
}

/**
 * @param query what was asked for: a version, a branch, …; empty for "what this commit is" @throws
 *   {NotFoundError} when the commit is not a version of the module, or not the requested one
 */
export function versionOfCommit(
  layout: Layout,
  commit: ModuleCommit,
  query: string,
): Promise<ChosenVersion> {
  const choice = new Choice(layout, commit, query);
  return isPseudoVersion(query) ? choice.ofPseudoVersion() : choice.ofName();
}

/** The number of digits of the hash in a pseudo-version. */
const SHORT_HASH_DIGITS = 12;
/** What it costs to look at a tag, as if it were so much content (async/pace.ts). */
const TAG_COST_BYTES = 1024;

class Choice {
  readonly #layout: Layout;
  readonly #commit: ModuleCommit;
  readonly #query: string;
  readonly #shortHash: string;
  /** The names of the tags on the commit. */
  readonly #ownTags: readonly string[];
  /** A repository may have 200,000 tags. */
  readonly #pace = new Pace(undefined);

  constructor(layout: Layout, commit: ModuleCommit, query: string) {
    this.#layout = layout;
    this.#commit = commit;
    this.#query = query;
    this.#shortHash = commit.hash.slice(0, SHORT_HASH_DIGITS);
    this.#ownTags = commit.tags.filter(([, hash]) => hash === commit.hash).map(([name]) => name);
  }

  async ofPseudoVersion(): Promise<ChosenVersion> {
    const chosen = await this.#fitting(this.#query);
    const fault = this.#pseudoVersionFault() ?? await this.#baseFault();
    if (fault === null) return chosen;
    throw this.#invalid(this.#query, fault, "pseudo-version");
  }

  async ofName(): Promise<ChosenVersion> {
    let base = "";
    let highest = "";
    for (const tag of this.#ownTags) {
      await this.#pace.spend(TAG_COST_BYTES);
      const tagged = versionOfTag(tag, this.#layout.tagPrefix);
      if (tagged === null) continue;
      const { version, isExact } = tagged;
      if (compareSemver(version, this.#query) === 0) {
        if (isExact) return await this.#fitting(version);
        // v1.2.3+a and v1.2.3+b may be two commits, so neither is v1.2.3: this one comes "after
        // v1.2.3".
        base = version;
      }
      if (isExact && compareSemver(version, highest) > 0 && await this.#isUsable(version)) {
        highest = version;
      }
    }
    if (highest !== "") return await this.#fitting(highest);
    return await this.#fitting(formatPseudoVersion({
      major: this.#layout.major,
      base: base === "" ? await this.#highestBefore() : base,
      time: this.#commit.time,
      revision: this.#shortHash,
    }));
  }

  /** The highest version on this commit and the commits before it, empty if there is none. */
  async #highestBefore(): Promise<string> {
    const { tagPrefix } = this.#layout;
    // Without any such tag the history need not be fetched.
    if (!this.#commit.tags.some(([name]) => name.startsWith(`${tagPrefix}v`))) return "";
    let highest = "";
    for (const tag of await this.#commit.tagsBefore()) {
      await this.#pace.spend(TAG_COST_BYTES);
      const version = versionOfTag(tag, tagPrefix)?.version ?? "";
      if (compareSemver(version, highest) > 0 && await this.#isUsable(version)) highest = version;
    }
    return highest;
  }

  async #isUsable(version: string): Promise<boolean> {
    return (matchesPathMajor(version, this.#layout.pathMajor) ||
      await this.#canBeIncompatible(version)) && !await this.#commit.isRetracted(version);
  }

  /**
   * Whether `version`, whose major version is not the path's, may be one with the suffix
   * `+incompatible`.
   */
  async #canBeIncompatible(version: string): Promise<boolean> {
    const { codeDir, pathMajor } = this.#layout;
    if (codeDir !== "" || pathMajor !== "") return false;
    if (await this.#commit.goMod("") !== null) return false;
    // Where v2/go.mod exists, v2 tags are meant for it. Older go commands did not look, and what
    // they put into go.mod files must stay available: https://go.dev/issue/51324.
    return this.#query.endsWith("+incompatible") ||
      await this.#commit.goMod(majorOf(version) ?? "") === null;
  }

  /**
   * `version`, with the suffix `+incompatible` where it needs one, and the module's directory.
   *
   * @throws {NotFoundError} when the commit does not have this version of the module, or another
   *   version was requested
   */
  async #fitting(version: string): Promise<ChosenVersion> {
    const dir = await this.#findDir(version);
    const base = withoutIncompatible(version);
    const asked = withoutIncompatible(this.#query);
    const named = version === asked ? this.#query : version;
    const { full, fault } = await this.#withSuffix(named);
    if (isCanonicalVersion(this.#query) && asked !== base) {
      throw this.#invalid(this.#query, `resolves to version ${full} (${asked} is not a tag)`);
    }
    if (fault !== null) throw this.#invalid(full, fault);
    return { version: full, dir };
  }

  async #withSuffix(version: string): Promise<{ full: string; fault: string | null }> {
    const { pathMajor, pathPrefix } = this.#layout;
    const base = withoutIncompatible(version);
    if (matchesPathMajor(base, pathMajor)) {
      if (base === version) return { full: version, fault: null };
      const fault = "+incompatible suffix not allowed: " +
        `major version ${majorOf(version)} is compatible`;
      return { full: version, fault };
    }
    if (await this.#canBeIncompatible(base)) return { full: `${base}+incompatible`, fault: null };
    const fault = pathMajor === ""
      ? "module contains a go.mod file, so module path must match major version " +
        `("${pathPrefix}/${majorOf(version)}")`
      : "module path includes a major version suffix, so major version must match";
    return { full: version, fault };
  }

  async #findDir(version: string): Promise<ModuleDir> {
    const files = await readGoMods(this.#layout, (dir) => this.#commit.goMod(dir));
    const revision = revisionName(version, this.#layout.tagPrefix);
    const found = findModuleDir(this.#layout, files, { version, revision });
    if (typeof found === "string") throw this.#invalid(version, found);
    return found;
  }

  /**
   * What is wrong with the pseudo-version, by itself and as a name of this commit, as far as that
   * can be checked without the history.
   */
  #pseudoVersionFault(): string | null {
    const revision = pseudoRevision(this.#query);
    if (revision !== this.#shortHash) return shortHashFault(revision, this.#shortHash);
    const parsed = parsePseudoVersion(withoutIncompatible(this.#query));
    if (parsed === null) return "malformed time, base version or build metadata";
    if (parsed.time.getTime() !== this.#commit.time.getTime()) {
      const expected = this.#commit.time.toISOString().slice(0, 19).replace(/[-T:]/g, "");
      return `does not match version-control timestamp (expected ${expected})`;
    }
    return null;
  }

  /** What is wrong with the base version of the pseudo-version. */
  async #baseFault(): Promise<string | null> {
    const base = parsePseudoVersion(withoutIncompatible(this.#query))?.base ?? "";
    const { major, tagPrefix } = this.#layout;
    if (base === "") {
      return major === "" && majorOf(this.#query) === "v1"
        ? "major version without preceding tag must be v0, not v1"
        : null;
    }
    const exact = this.#ownTags.find((tag) => tag === tagPrefix + base || tag === base);
    if (exact !== undefined) {
      return `tag (${exact}) found on revision ${this.#shortHash} is already canonical, ` +
        "so should not be replaced with a pseudo-version derived from that tag";
    }
    let last = null;
    for (const [tag, hash] of this.#commit.tags) {
      await this.#pace.spend(TAG_COST_BYTES);
      if (!tag.startsWith(tagPrefix + base)) continue;
      if (compareSemver(tag.slice(tagPrefix.length), base) !== 0) continue;
      if (hash === this.#commit.hash || await this.#commit.descendsFrom(hash)) return null;
      last = tag;
    }
    return last === null
      ? `preceding tag (${base}) not found`
      : `revision ${this.#shortHash} is not a descendent of preceding tag (${last})`;
  }

  #invalid(version: string, fault: string, noun = "version"): NotFoundError {
    return new NotFoundError(`${this.#layout.path}@${version}: invalid ${noun}: ${fault}`);
  }
}

function shortHashFault(revision: string, expected: string): string {
  const fault = revision.startsWith(expected)
    ? "revision is longer than canonical"
    : expected.startsWith(revision)
    ? "revision is shorter than canonical"
    : "does not match short name of revision";
  return `${fault} (expected ${expected})`;
}
