/** Which module paths are private: those that have one of the configured prefixes. */
import { ForbiddenError } from "../errors.ts";
import { hasPathPrefix, type ModulePath } from "./path.ts";

export class PrivatePrefixes<T extends { readonly pathPrefix: string }> {
  readonly all: readonly T[];

  /** @param prefixes of which no two overlap ({@linkcode pathPrefixesOverlap}) */
  constructor(prefixes: readonly T[]) {
    this.all = prefixes;
  }

  /**
   * The private prefix that covers a module path, or null: the module is public.
   *
   * @throws {ForbiddenError} when only the case of its letters keeps a path from being private.
   *   Most servers ignore case: as a public path it would reveal a private name, as a private one
   *   it would evade access rules by path.
   */
  find(path: ModulePath): T | null {
    const prefix = this.all.find(({ pathPrefix }) => hasPathPrefix(path, pathPrefix));
    if (prefix !== undefined) return prefix;
    const similar = this.#findInAnyCase(path);
    if (similar === undefined) return null;
    throw new ForbiddenError(
      `Cannot serve "${path}": it differs from the private prefix "${similar.pathPrefix}" ` +
        "only in upper and lower case",
    );
  }

  /** Whether nobody else may learn of a path: also of one that {@linkcode find} throws for. */
  mustHide(path: ModulePath): boolean {
    return this.#findInAnyCase(path) !== undefined;
  }

  #findInAnyCase(path: ModulePath): T | undefined {
    const folded = path.toLowerCase();
    return this.all.find(({ pathPrefix }) => hasPathPrefix(folded, pathPrefix.toLowerCase()));
  }
}

/** Whether a path can have both prefixes. Upper and lower case count as one, as in `find`. */
export function pathPrefixesOverlap(a: string, b: string): boolean {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  return hasPathPrefix(x, y) || hasPathPrefix(y, x);
}
