/**
 * Where a module belongs in a repository, according to its path and the repository's root
 * (`newCodeRepo` in cmd/go/internal/modfetch; https://go.dev/ref/mod#vcs-version).
 *
 * ```
 * example.com/mono/kit/v2            the module path
 * └ root ────────┘ │   └ pathMajor   the repository is that of example.com/mono
 *                  └ codeDir         tags are kit/v2.3.4, the go.mod is kit/go.mod or kit/v2/go.mod
 * ```
 *
 * Tags begin with the directory, without that of the major version. A go-import tag may put the
 * module into a further directory. Where the root is the whole path (`gopkg.in/yaml.v3`), there is
 * no directory and no choice.
 */
import { NotFoundError } from "../errors.ts";
import { hasPathPrefix, type ModulePath, splitPathVersion } from "../module/path.ts";

export interface Layout {
  readonly path: ModulePath;
  /** The path of the repository's root. */
  readonly root: string;
  /** The path without the major version; all of it where it is the root. */
  readonly pathPrefix: string;
  /** `""`, `"/v2"`, `".v3"`, `".v3-unstable"`. */
  readonly pathMajor: string;
  /** The major version that the path asks for: `""`, `"v2"`. */
  readonly major: string;
  /** The module's directory, from the repository's root; empty for the root itself. */
  readonly codeDir: string;
  /** The prefix of the module's tags: `""`, `"kit/"`. */
  readonly tagPrefix: string;
  /**
   * The directory of the major version, which may have the go.mod instead of `codeDir`; null if the
   * path has no major version.
   */
  readonly majorDir: string | null;
}

/**
 * @param place.subdir the directory that a go-import tag names, or empty
 * @throws {NotFoundError} when a repository with this root cannot have the module
 */
export function layoutOf(
  path: ModulePath,
  { root, subdir }: { readonly root: string; readonly subdir: string },
): Layout {
  const split = splitPathVersion(path);
  if (split === null) throw new NotFoundError(`invalid module path "${path}"`);
  const { pathMajor } = split;
  const pathPrefix = root === path ? path : split.prefix;
  if (!hasPathPrefix(path, root)) {
    throw new NotFoundError(`mismatched repo: found ${root} for ${path}`);
  }
  if (!hasPathPrefix(pathPrefix, root)) {
    throw new NotFoundError(`repository rooted at ${root} cannot contain module ${path}`);
  }
  const codeDir = joinDirs(pathPrefix.slice(root.length), subdir);
  if (codeDir === null) throw new NotFoundError(`invalid subdirectory "${subdir}" for ${path}`);
  return {
    path,
    root,
    pathPrefix,
    pathMajor,
    major: pathMajor.slice(1).replace(/-unstable$/, ""),
    codeDir,
    tagPrefix: codeDir === "" ? "" : `${codeDir}/`,
    majorDir: pathMajor.startsWith("/") && root !== path ? joinDirs(codeDir, pathMajor) : null,
  };
}

/** Joins the two into a clean relative path; null if it would leave the repository. */
function joinDirs(first: string, second: string): string | null {
  const elements: string[] = [];
  for (const element of `${first}/${second}`.split("/")) {
    if (element === "" || element === ".") continue;
    if (element !== "..") elements.push(element);
    else if (elements.pop() === undefined) return null;
  }
  return elements.join("/");
}
