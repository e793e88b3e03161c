/**
 * The names of a repository. Decisions about access and privacy are made by them, and never by the
 * spelling that a client or a web page chose.
 *
 * ```
 * example.com/Team/Secret.git.GIT/v2     names example.com/team/secret/v2
 * https://Example.com.:443/team//secret.git/  example.com/team/secret
 * git@example.com:team/secret.git        example.com/team/secret
 * gopkg.in/team/secret.v3                gopkg.in/team/secret.v3 and github.com/team/secret
 * ```
 *
 * A name is in lower case, and no element after the host ends like a repository (`.git`, `.hg`,
 * `.svn`, `.bzr`, `.fossil`), however often: servers accept a path with and without. A default port
 * and what a server ignores (empty elements, percent-encoding, the dot at the end of a host) are
 * not in it. The name of what is in a repository begins with the name of the repository.
 *
 * Two repositories may have one name, on a server that distinguishes case for example. So names are
 * good for refusing, and not for granting.
 *
 * KNOWN LIMIT: a server may offer a repository under paths that differ by more (a redirect after a
 * rename, an address instead of a host name). Nobody can list those.
 */
import { hasPathPrefix, type ModulePath, splitPathVersion } from "./path.ts";

declare const repositoryNameBrand: unique symbol;

/** A name of a repository, or of something in it. */
export type RepositoryName = string & { readonly [repositoryNameBrand]: true };

/** Where the code of a module is. */
export interface CodePlace {
  /** Of the repository: a URL, or `git@host:path`. */
  readonly remote: string;
  /** The module's directory there, without that of its major version. Default: the root. */
  readonly subdir?: string | undefined;
}

/**
 * The names under which the repository of a module path can be reached, as far as the path tells:
 * its own name first.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(namesOfPath("example.com/A/b.git.git/c"), ["example.com/a/b/c"]);
 * assert.deepEqual(namesOfPath("gopkg.in/b.v3"), ["gopkg.in/b.v3", "github.com/go-b/b"]);
 * ```
 */
export function namesOfPath(path: string): readonly RepositoryName[] {
  const [host = "", ...elements] = path.toLowerCase().split("/");
  return withAliases(nameOf(host, elements));
}

/**
 * The names under which a remote can be reached: its own first, and the one without the port if it
 * has one. None for what is on no host, such as a file.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(namesOfRemote("ssh://git@example.com:22/a/b.git"), ["example.com/a/b"]);
 * assert.deepEqual(namesOfRemote("https://example.com:8443/a"), [
 *   "example.com:8443/a",
 *   "example.com/a",
 * ]);
 * ```
 */
export function namesOfRemote(remote: string): readonly RepositoryName[] {
  // What has no scheme is no URL, or one with an opaque path.
  const place = placeOfUrl(remote) ?? SCP_LIKE.exec(remote)?.groups ?? null;
  if (place === null) return [];
  const { port = "", path = "" } = place;
  // A dot at the end is the root of the domain name system.
  const host = place.host?.toLowerCase().replace(/\.+$/, "") ?? "";
  const elements = elementsOf(path);
  const name = withAliases(nameOf(host, elements));
  return port === "" ? name : [nameOf(`${host}:${port}`, elements), ...name];
}

/**
 * The names that a module has because of where its code is, besides those of its path: the paths by
 * which it could be read from its repository. None where the path itself leads there.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseModulePath } from "./path.ts";
 * const path = parseModulePath("go.example.com/kit/v2");
 * const place = { remote: "https://git.example.com/a/mono.git", subdir: "kit" };
 * assert.deepEqual(namesByPlace(path, place), ["git.example.com/a/mono/kit/v2"]);
 * const own = { remote: "https://go.example.com/kit.git" };
 * assert.deepEqual(namesByPlace(path, own), []);
 * ```
 */
export function namesByPlace(
  path: ModulePath,
  { remote, subdir = "" }: CodePlace,
): readonly RepositoryName[] {
  const pathMajor = splitPathVersion(path)?.pathMajor ?? "";
  const inside = elementsOf(pathMajor.startsWith("/") ? `${subdir}${pathMajor}` : subdir);
  const names = namesOfRemote(remote).map((name) => {
    const [host = "", ...elements] = name.split("/");
    return nameOf(host, [...elements, ...inside]);
  });
  const own = namesOfPath(path);
  const leadsThere = names.some((name) => own.some((ownName) => hasPathPrefix(ownName, name)));
  return leadsThere ? [] : names;
}

/**
 * The pattern of paths that matches the names of what it matches: without the suffixes that names
 * have not. For globs; a backslash may be before the dot.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(withoutSuffixes("example.com/*\/b.git/c.Hg.git"), "example.com/*\/b/c");
 * ```
 */
export function withoutSuffixes(pattern: string): string {
  return pattern.replace(SUFFIXES_IN_PATTERN, "");
}

const SUFFIXES = /(?:\.(?:git|hg|svn|bzr|fossil))+$/;

/** Not in the first element, a host. A backslash counts where it is not itself escaped. */
const SUFFIXES_IN_PATTERN =
  /(?<=\/[^/]+)(?:(?<=(?<!\\)(?:\\\\)*)\\?\.(?:git|hg|svn|bzr|fossil))+(?=\/|$)/gi;

/** `user@host:path`; with a scheme it is a URL. */
const SCP_LIKE = /^(?:[^@/:]+@)?(?<host>[^@/:]+):(?!\/\/)(?<path>.*)$/s;

const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ["http:", "80"],
  ["https:", "443"],
  ["ssh:", "22"],
  ["git+ssh:", "22"],
  ["git:", "9418"],
]);

/** Further names of hosts, which lead to the same repositories. */
const HOST_ALIASES: ReadonlyMap<string, string> = new Map([
  ["www.github.com", "github.com"],
  ["ssh.github.com", "github.com"],
  ["www.gitlab.com", "gitlab.com"],
  ["altssh.gitlab.com", "gitlab.com"],
  ["www.bitbucket.org", "bitbucket.org"],
  ["altssh.bitbucket.org", "bitbucket.org"],
]);

/** https://gopkg.in: `pkg.v3` is github.com/go-pkg/pkg, `user/pkg.v3` is github.com/user/pkg. */
const GOPKG =
  /^gopkg\.in\/(?:(?<user>[^/]+)\/)?(?<name>[^/]+?)\.v\d+(?:-unstable)?(?<rest>(?:\/.*)?)$/s;

function withAliases(name: RepositoryName): readonly RepositoryName[] {
  const { user, name: repository, rest } = GOPKG.exec(name)?.groups ?? {};
  if (repository === undefined) return [name];
  const inside = rest?.split("/") ?? [];
  return [name, nameOf("github.com", [user ?? `go-${repository}`, repository, ...inside])];
}

/** @param elements in lower case, as the host */
function nameOf(host: string, elements: readonly string[]): RepositoryName {
  const folded = elements.map((element) => element.replace(SUFFIXES, ""))
    .filter((element) => element !== "");
  return [HOST_ALIASES.get(host) ?? host, ...folded].join("/") as RepositoryName;
}

function placeOfUrl(text: string): { host: string; port: string; path: string } | null {
  const url = URL.parse(text);
  if (url === null || url.hostname === "") return null;
  const isDefault = url.port === DEFAULT_PORTS.get(url.protocol);
  return { host: url.hostname, port: isDefault ? "" : url.port, path: url.pathname };
}

/** The elements that a server sees, in lower case. Some servers ignore dots at the end of one. */
function elementsOf(path: string): string[] {
  const elements: string[] = [];
  for (const element of decoded(path).toLowerCase().split(/[/\\]/)) {
    const plain = element.replace(/\.+$/, "");
    if (element === "..") elements.pop();
    else if (plain !== "") elements.push(plain);
  }
  return elements;
}

/** Some servers decode twice. */
const MAX_DECODINGS = 3;

function decoded(text: string): string {
  let current = text;
  for (let i = 0; i < MAX_DECODINGS && current.includes("%"); i++) {
    current = current.replace(
      /%([2-7][0-9a-f])/gi,
      (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
    );
  }
  return current;
}
