/** How much of a remote repository this server takes on, and for how long it waits. */
export interface GitLimits {
  /** HEAD, branches and tags of one repository. */
  readonly maxRefs: number;
  /** What one repository may take on disk, for its contents and for its history each. */
  readonly maxRepositorySizeBytes: number;
  /** Files, symlinks and submodules below a directory of one commit. */
  readonly maxTreeEntries: number;
  /** A repository on disk with more packs is repacked: each fetch adds one, and each look-up asks them all. */
  readonly maxPacks: number;
  readonly refsTimeoutMs: number;
  readonly fetchTimeoutMs: number;
  /** For a git that reads a mirror. */
  readonly localTimeoutMs: number;
  /** For a git that writes an archive, at the pace of its reader. */
  readonly archiveTimeoutMs: number;
}

/** Far beyond what Go modules need, and below what fills a disk or holds up a person. `maxPacks` is git's own default. */
export const DEFAULT_GIT_LIMITS: GitLimits = {
  maxRefs: 200_000,
  maxRepositorySizeBytes: 4 * 2 ** 30,
  maxTreeEntries: 1_000_000,
  maxPacks: 50,
  refsTimeoutMs: 60_000,
  fetchTimeoutMs: 600_000,
  localTimeoutMs: 60_000,
  archiveTimeoutMs: 600_000,
};
