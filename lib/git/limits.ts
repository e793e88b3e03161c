/** How large a remote repository may be, and how long this server waits for it. */
export interface GitLimits {
  /** HEAD, branches and tags of one repository. */
  readonly maxRefs: number;
  /** Disk space of one repository, for its contents and for its history each. */
  readonly maxRepositorySizeBytes: number;
  /** Files, symlinks and submodules below a directory of one commit. */
  readonly maxTreeEntries: number;
  /**
   * A repository on disk with more packs is repacked: each fetch adds one, and each look-up asks
   * them all.
   */
  readonly maxPacks: number;
  readonly refsTimeoutMs: number;
  readonly fetchTimeoutMs: number;
  /** For git runs that read a mirror. */
  readonly localTimeoutMs: number;
  /** For git runs that write an archive, at the pace of the reader. */
  readonly archiveTimeoutMs: number;
}

/**
 * Far more than Go modules need, and less than what fills a disk or keeps a person waiting.
 * `maxPacks` is git's own default.
 */
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
