/**
 * A remote git repository as a module source uses it: its refs, its history, and the content of
 * single commits.
 *
 * Three questions of increasing cost; each fetches the least that answers it:
 *
 * 1. {@linkcode Repository.refs}: `ls-remote`. Existence, versions, the commit of a tag or branch.
 * 2. {@linkcode Repository.history}: commits and tags without trees and files (`--filter=tree:0`;
 *    everything where the server does not support filters). Ancestry, abbreviated hashes, times.
 * 3. {@linkcode Repository.snapshot}: one commit with its files, at depth 1.
 *
 * What was fetched stays in two bare repositories on disk, a cache that may be lost or damaged at
 * any time: it is then thrown away, fetched again, and the call goes on.
 *
 * **Only what is reachable from HEAD, a branch or a tag is ever served.** A hash that merely exists
 * at the server (of a pull request, of a branch that was forced back, of a fork that shares its
 * storage) is unknown here.
 *
 * All methods may be called any number of times at once. All take a `signal`; a call whose signal
 * is aborted ends at once, while work that others wait for goes on. Apart from what they document,
 * methods throw
 *
 * - `NotFoundError` when the remote says that there is no such repository, and only then;
 * - `UpstreamError` when git or the remote failed, including wrong credentials; its kinds are in
 *   errors.ts;
 * - `DeadlineError` when git took too long, `OverloadedError` when it did not get a turn in time.
 *
 * ```ts ignore
 * await using lease = await mirrors.open(parseRemoteUrl("https://git.example.com/a/b"));
 * const refs = await lease.repository.refs();
 * const hash = refs.get("refs/tags/v1.0.0");
 * if (hash === undefined) return null;
 * const snapshot = await lease.repository.snapshot(refs, hash);
 * const goMod = await snapshot.readFile("go.mod", { limitBytes: 16 << 20 });
 * ```
 */
import type { Seeds } from "../zip/reusable_zips.ts";
import type { Hash, Refs } from "./refs.ts";
import type { RemoteUrl } from "./remote_url.ts";

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface ArchiveOptions extends CallOptions {
  /**
   * From the repository's root: only these files of the directory, of which there is at least one.
   * Default: all.
   */
  readonly paths?: readonly string[];
  /**
   * Whether attributes of the commit may convert files. Default: true. Without, git needs no memory
   * for large files.
   */
  readonly isConverted?: boolean;
  /** How large the largest file is. Default: it is small. */
  readonly largestFileBytes?: number;
}

export interface RefsOptions extends CallOptions {
  /**
   * The maximal age of an answer. Default 0: ask the remote, or share a request that is under way.
   */
  readonly maxAgeMs?: number;
}

export interface Repository {
  readonly remote: RemoteUrl;

  /** Zips of the modules in this repository. */
  readonly seeds: Seeds;

  /**
   * HEAD, branches and tags of the remote, with annotated tags followed to their commit. Empty if
   * it has no commits.
   */
  refs(options?: RefsOptions): Promise<Refs>;

  /**
   * Where the server says that the repository is now; null where it has not moved.
   *
   * @throws {UpstreamError} when that is on another host
   */
  movedTo(options?: CallOptions): Promise<RemoteUrl | null>;

  /** The history that `refs` lead to. */
  history(refs: Refs, options?: CallOptions): Promise<History>;

  /**
   * A commit with its files. A hash that is not among the values of `refs` is looked up in the
   * history first.
   *
   * @returns null when `hash` is not that of a commit, or not reachable from `refs`
   * @throws {RefsMovedError} when the remote's refs have changed: ask for `refs` again @throws
   *   {LimitExceededError} when the repository is too large
   */
  snapshot(refs: Refs, hash: Hash, options?: CallOptions): Promise<Snapshot | null>;
}

/** A commit's own data. */
export interface Commit {
  readonly hash: Hash;
  /** The hash of its root directory. */
  readonly tree: Hash;
  /**
   * The committer's time in whole seconds since 1970 UTC. Any integer a commit may carry, negative
   * ones too.
   */
  readonly timeSeconds: number;
}

/**
 * The commits reachable from one state of the refs. Its methods throw `RefsMovedError` when they
 * are asked about a commit that a ref led to, and that is not reachable any more.
 */
export interface History {
  /**
   * The commit that a full hash, or its first 7 or more digits, names. A tag object's hash names
   * the commit behind it.
   *
   * @returns null when there is none, when several match, or when `text` is anything else
   *   (upper-case digits too)
   */
  resolve(text: string, options?: CallOptions): Promise<Hash | null>;

  /** @returns null when `hash` is not that of a commit reachable from the refs */
  commit(hash: Hash, options?: CallOptions): Promise<Commit | null>;

  /** Whether `ancestor` is `descendant` or comes before it. False where one of them is unknown. */
  isAncestor(ancestor: Hash, descendant: Hash, options?: CallOptions): Promise<boolean>;

  /**
   * The names, without `refs/tags/`, of the tags on `hash` and on the commits before it, in the
   * order of their bytes.
   */
  tagsReachableFrom(hash: Hash, options?: CallOptions): Promise<string[]>;
}

/**
 * A commit with its files. Valid as long as the lease that its repository came from. What is lost
 * on disk in the meantime is fetched again, which may throw what {@linkcode Repository.snapshot}
 * throws.
 */
export interface Snapshot {
  readonly commit: Commit;

  /**
   * A file's bytes as they are in the commit (the blob: no line-ending conversion). As for the `go`
   * command, which reads single files the same way, a symlink's content is the path it points to.
   *
   * @param path from the repository's root, with slashes: `sub/go.mod`
   * @returns null when there is nothing, a directory or a submodule
   * @throws {LimitExceededError} when it is larger than `limitBytes`
   */
  readFile(
    path: string,
    options: CallOptions & { readonly limitBytes: number },
  ): Promise<Uint8Array<ArrayBuffer> | null>;

  /**
   * Everything below a directory, recursively, in git's order (by bytes, a directory as if its name
   * ended in `/`). Directories themselves are not listed. Nothing when there is no such directory.
   *
   * @param dir from the repository's root, without a trailing slash; "" is the root @throws
   *   {LimitExceededError} while iterating, when there are too many entries
   */
  listTree(dir: string, options?: CallOptions): AsyncIterable<TreeEntry>;

  /**
   * The entries at these paths, as {@linkcode listTree} lists them; none for directories and
   * missing files.
   */
  listFiles(paths: readonly string[], options?: CallOptions): AsyncIterable<TreeEntry>;

  /**
   * The directory as `git archive` packs it for the `go` command: a tar whose names begin at the
   * repository's root, with the line endings that the commit's `.gitattributes` ask for,
   * `export-ignore` and `export-subst` without effect. It begins with a pax global header; long and
   * non-ASCII names are pax records. The stream runs under the deadline for archives and errors
   * when git does; cancelling it ends git.
   *
   * @param dir as for listTree. It must exist, or the stream errors
   */
  archive(dir: string, options?: ArchiveOptions): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** The kind of a tree entry. `file` and `executable` are regular files. */
export type TreeEntryKind = "file" | "executable" | "symlink" | "submodule";

export interface TreeEntry {
  readonly kind: TreeEntryKind;
  readonly hash: Hash;
  /** The size of the blob; 0 for a submodule. */
  readonly sizeBytes: number;
  /** From the repository's root. Bytes that are not UTF-8 read as U+FFFD. */
  readonly path: string;
}
