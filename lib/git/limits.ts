import type { ReadLimits } from "../async/budget.ts";

/** How large a remote repository may be, and how long this server waits for it. */
export interface GitLimits {
  /** HEAD, branches and tags of one repository. */
  readonly maxRefs: number;
  /** Disk space of one repository, for its contents and for its history each. */
  readonly maxRepositorySizeBytes: number;
  /** Files, symlinks and submodules below a directory of one commit. */
  readonly maxTreeEntries: number;
  /** Their paths together. */
  readonly maxTreeBytes: number;
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
  maxTreeEntries: 500_000,
  maxTreeBytes: 64 * 2 ** 20,
  maxPacks: 50,
  refsTimeoutMs: 60_000,
  fetchTimeoutMs: 600_000,
  localTimeoutMs: 60_000,
  archiveTimeoutMs: 600_000,
};

const MIB = 2 ** 20;
/** A slower sender holds a git process and a lock for nothing. */
const MIN_PACK_BYTES_PER_SECOND = 1024;

/** What is read of a git server, and of git, with these limits of repositories. */
export function gitReadLimits(limits: GitLimits) {
  const { maxRefs, refsTimeoutMs, fetchTimeoutMs, localTimeoutMs } = limits;
  return {
    capabilities: {
      name: "git capabilities",
      maxBytes: 64 * 1024,
      maxItems: 1000,
      items: "lines",
      timeoutMs: refsTimeoutMs,
    },
    refs: {
      name: "git refs",
      maxBytes: 64 * MIB,
      // Of which maxRefs may count; a server may list others too.
      maxItems: 5 * maxRefs,
      items: "refs",
      timeoutMs: refsTimeoutMs,
    },
    lsRemote: {
      name: "git ls-remote",
      maxBytes: 128 * MIB,
      maxItems: 10 * maxRefs,
      items: "lines",
      timeoutMs: refsTimeoutMs,
    },
    shallow: {
      name: "git shallow commits",
      maxBytes: MIB,
      maxItems: 10_000,
      items: "lines",
      timeoutMs: fetchTimeoutMs,
    },
    progress: {
      name: "git progress",
      maxBytes: MIB,
      maxItems: 100_000,
      items: "packets",
      timeoutMs: fetchTimeoutMs,
    },
    pack: {
      name: "git pack",
      maxBytes: limits.maxRepositorySizeBytes,
      timeoutMs: fetchTimeoutMs,
      minBytesPerSecond: MIN_PACK_BYTES_PER_SECOND,
    },
    tree: {
      name: "git tree",
      maxBytes: limits.maxTreeBytes,
      maxItems: limits.maxTreeEntries,
      items: "entries",
      timeoutMs: localTimeoutMs,
    },
  } satisfies Record<string, ReadLimits>;
}
