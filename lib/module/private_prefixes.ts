/**
 * Which modules are private: those that have one of the configured prefixes, and those that are in
 * a repository of one, by whatever name (repository_identity.ts).
 */
import { LRUCache } from "lru-cache";
import { ForbiddenError } from "../errors.ts";
import { hasPathPrefix, type ModulePath } from "./path.ts";
import { namesOfPath, namesOfRemote, type RepositoryName } from "./repository_identity.ts";

export interface PathPrefix {
  readonly pathPrefix: string;
  /** Where the repository is, if the configuration says so. */
  readonly repository?: string | URL | null | undefined;
}

/** Paths that were asked for lately; each takes about 200 bytes. */
const MAX_REMEMBERED = 10_000;

export class PrivatePrefixes<T extends PathPrefix> {
  readonly all: readonly T[];
  readonly #names: readonly { readonly prefix: T; readonly name: RepositoryName }[];
  readonly #found = new LRUCache<ModulePath, { readonly prefix: T | null }>({
    max: MAX_REMEMBERED,
  });

  /** @param prefixes of which no two overlap ({@linkcode pathPrefixesOverlap}) */
  constructor(prefixes: readonly T[]) {
    this.all = prefixes;
    this.#names = prefixes.flatMap((prefix) => {
      const { pathPrefix, repository = null } = prefix;
      // Only its own name: without the port it would be that of another server.
      const remote = repository === null ? [] : namesOfRemote(String(repository)).slice(0, 1);
      return [...namesOfPath(pathPrefix), ...remote].map((name) => ({ prefix, name }));
    });
  }

  /**
   * The private prefix that covers a module path, or null: the module is public.
   *
   * @throws {ForbiddenError} when a path is not covered as it is written, but names a repository
   *   that is private under another spelling. As a public path it would reveal a private name, as a
   *   private one it would evade access rules by path.
   */
  find(path: ModulePath): T | null {
    const known = this.#found.get(path);
    if (known !== undefined) return known.prefix;
    const prefix = this.all.find(({ pathPrefix }) => hasPathPrefix(path, pathPrefix)) ?? null;
    if (prefix === null) {
      const similar = this.#findByName(namesOfPath(path));
      if (similar !== null) throw otherSpelling(path, similar);
    }
    this.#found.set(path, { prefix });
    return prefix;
  }

  /**
   * Throws for a path that {@linkcode find} throws for. Undefined where nothing is private.
   */
  get checkPath(): ((path: ModulePath) => void) | undefined {
    return this.all.length === 0 ? undefined : (path) => void this.find(path);
  }

  /** Whether nobody else may learn of a path: also of one that {@linkcode find} throws for. */
  mustHide(path: ModulePath): boolean {
    return this.isPrivate(namesOfPath(path));
  }

  /** Whether what has one of these names is private. */
  isPrivate(names: readonly RepositoryName[]): boolean {
    return this.#findByName(names) !== null;
  }

  #findByName(names: readonly RepositoryName[]): T | null {
    const found = this.#names.find(({ name }) => names.some((one) => hasPathPrefix(one, name)));
    return found?.prefix ?? null;
  }
}

function otherSpelling(path: ModulePath, { pathPrefix }: PathPrefix): ForbiddenError {
  if (hasPathPrefix(path.toLowerCase(), pathPrefix.toLowerCase())) {
    return new ForbiddenError(
      `Cannot serve "${path}": it differs from the private prefix "${pathPrefix}" ` +
        "only in upper and lower case",
    );
  }
  return new ForbiddenError(
    `Cannot serve "${path}": it is another name of a repository with the private prefix ` +
      `"${pathPrefix}"; write the module path with that prefix`,
  );
}

/** Whether a path can have both prefixes. Upper and lower case count as one, as in `find`. */
export function pathPrefixesOverlap(a: string, b: string): boolean {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  return hasPathPrefix(x, y) || hasPathPrefix(y, x);
}
