/**
 * A version of a module: the pair that names a copy, as `module.Version` of
 * golang.org/x/mod/module.
 *
 * People write it `<module>@<version>`, as the arguments of `go get`.
 */
import { InvalidRequestError } from "../errors.ts";
import { unescapePath, unescapeVersion } from "./escape.ts";
import { type ModulePath, parseModulePath } from "./path.ts";
import { parseVersion, type Version } from "./version.ts";

export interface ModuleVersion {
  readonly path: ModulePath;
  readonly version: Version;
}

/**
 * `<module>@<version>`, for messages and as a key: no path holds an `@`, so no two module versions
 * have the same name.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(nameOf(parseModuleVersion("example.com/!m@v1.0.0")), "example.com/M@v1.0.0");
 * ```
 */
export function nameOf({ path, version }: ModuleVersion): string {
  return `${path}@${version}`;
}

/**
 * The module version of a path and a version as people write them.
 *
 * @throws {InvalidRequestError} when the path is not a module path, or the module cannot have the
 * version
 */
export function moduleVersion(pathText: string, versionText: string): ModuleVersion {
  const path = parseModulePath(pathText);
  return { path, version: parseVersion(path, versionText) };
}

/**
 * Takes `<module>@<version>` apart. The path may be escaped as in the GOPROXY protocol, or as
 * people write it.
 *
 * @throws {InvalidRequestError} when it is not that
 */
export function parseModuleVersion(text: string): ModuleVersion {
  const at = text.lastIndexOf("@");
  if (at === -1) {
    throw new InvalidRequestError(`Cannot read "${text}": not <module>@<version>`);
  }
  const [path, version] = [text.slice(0, at), text.slice(at + 1)];
  const parsed = path.includes("!") ? unescapePath(path) : parseModulePath(path);
  return { path: parsed, version: parseVersion(parsed, unescapeVersion(version)) };
}
