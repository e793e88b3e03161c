/** Which module paths the configuration calls private, for commands that open no source for them. */
import type { Config } from "../config/config.ts";
import { hasPathPrefix, type ModulePath } from "../module/path.ts";

/** A path that differs from a private one by upper and lower case alone is not told to anybody either. */
export function privatePaths({ privateModules }: Config): (path: ModulePath) => boolean {
  const prefixes = privateModules.map(({ pathPrefix }) => pathPrefix.toLowerCase());
  return (path) => prefixes.some((prefix) => hasPathPrefix(path.toLowerCase(), prefix));
}
