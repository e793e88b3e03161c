/**
 * The repository of a module path, where the path alone determines it. Follows the table of the
 * `go` command (cmd/go/internal/vcs), https://go.dev/ref/mod#vcs-find:
 *
 * ```
 * github.com/group/repo/dir      a known host: the repository is github.com/group/repo
 * git.example.com/a/b.git/dir    named by the path: it is https://git.example.com/a/b
 * ```
 *
 * All other paths are looked up on the web (discover.ts).
 */
import { NotFoundError } from "../errors.ts";
import { hasPathPrefix, type ModulePath } from "../module/path.ts";

export interface RepoRoot {
  /** The part of the path that is the repository's root. */
  readonly root: string;
  /** `git`, `hg`, `svn`, `bzr` or `fossil`. */
  readonly vcs: string;
  /** Host and path of the repository's URL. */
  readonly repository: string;
}

interface Host {
  readonly prefix: string;
  readonly vcs: string;
  readonly pattern: RegExp;
  /** The host's repositories have no suffix: one in the path is a mistake. */
  readonly refusesSuffix?: boolean;
}

const HOSTS: readonly Host[] = [
  {
    prefix: "github.com",
    vcs: "git",
    pattern: /^(?<root>github\.com\/[\w.-]+\/[\w.-]+)(?:\/[\w.-]+)*$/,
    refusesSuffix: true,
  },
  {
    prefix: "bitbucket.org",
    vcs: "git",
    pattern: /^(?<root>bitbucket\.org\/[\w.-]+\/[\w.-]+)(?:\/[\w.-]+)*$/,
    refusesSuffix: true,
  },
  {
    prefix: "hub.jazz.net/git",
    vcs: "git",
    pattern: /^(?<root>hub\.jazz\.net\/git\/[a-z0-9]+\/[\w.-]+)(?:\/[\w.-]+)*$/,
    refusesSuffix: true,
  },
  {
    prefix: "git.apache.org",
    vcs: "git",
    pattern: /^(?<root>git\.apache\.org\/[a-z0-9_.-]+\.git)(?:\/[\w.-]+)*$/,
  },
  {
    prefix: "git.openstack.org",
    vcs: "git",
    pattern: /^(?<root>git\.openstack\.org\/[\w.-]+\/[\w.-]+)(?:\/[\w.-]+)*$/,
  },
  {
    prefix: "chiselapp.com",
    vcs: "fossil",
    pattern: /^(?<root>chiselapp\.com\/user\/[A-Za-z0-9]+\/repository\/[\w.-]+)$/,
  },
];

const SUFFIX = /\.(?:git|hg|svn|bzr|fossil)$/;

/**
 * An element after the host that ends like a repository, the last one if there are several. A
 * module path's host has a dot.
 */
const WITH_SUFFIX =
  /^(?<root>(?<repository>[a-z0-9.-]+(?:\/~?[\w.-]+)+?)\.(?<vcs>git|hg|svn|bzr|fossil))(?:\/~?[\w.-]+)*$/;

/**
 * @returns null when the path alone does not determine it
 * @throws {NotFoundError} when the path's host has no such paths
 */
export function findRepoRoot(path: ModulePath): RepoRoot | null {
  const host = HOSTS.find(({ prefix }) => hasPathPrefix(path, prefix));
  if (host !== undefined) return repoRootOnHost(path, host);
  const { root, vcs, repository } = WITH_SUFFIX.exec(path)?.groups ?? {};
  if (root === undefined || vcs === undefined || repository === undefined) return null;
  return { root, vcs, repository };
}

function repoRootOnHost(path: ModulePath, host: Host): RepoRoot {
  const root = host.pattern.exec(path)?.groups?.["root"];
  if (root === undefined) throw new NotFoundError(`invalid ${host.prefix} import path "${path}"`);
  if (host.refusesSuffix && SUFFIX.test(root)) {
    throw new NotFoundError(`invalid version control suffix in ${host.prefix}/ path`);
  }
  return { root, vcs: host.vcs, repository: root };
}
