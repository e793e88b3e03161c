/**
 * Module paths, as `CheckPath`, `SplitPathVersion` and `CheckPathMajor` of golang.org/x/mod/module
 * define them: https://go.dev/ref/mod#module-path
 *
 * ```
 * example.com/group/name/v2     gopkg.in/yaml.v3
 * └ prefix ────────────┘└ pathMajor   └ prefix ─┘└ pathMajor
 * ```
 *
 * The first element is a lower-case domain name with a dot. The end tells the major version: `/vN`
 * with N ≥ 2, nothing for v0 and v1; on gopkg.in always `.vN`, perhaps followed by `-unstable`.
 */
import { InvalidRequestError } from "../errors.ts";
import { pathFault } from "./path_element.ts";
import { quoted } from "./quoted.ts";
import { majorOf, parseSemver } from "./semver.ts";

declare const modulePathBrand: unique symbol;

/** A module path that has passed {@linkcode parseModulePath}, unescaped. */
export type ModulePath = string & { readonly [modulePathBrand]: true };

/** A module path in two: `prefix + pathMajor` is the path. */
export interface SplitPath {
  readonly prefix: string;
  /** `""`, `"/v2"`, `".v1"`, `".v1-unstable"`. */
  readonly pathMajor: string;
}

/**
 * @throws {InvalidRequestError} when `text` is not a module path.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseModulePath("example.com/M/v2"), "example.com/M/v2");
 * assert.throws(() => parseModulePath("x.y//z"), {
 *   message: 'Cannot read module path "x.y//z": empty path element',
 * });
 * ```
 */
export function parseModulePath(text: string): ModulePath {
  const fault = modulePathFault(text);
  if (fault !== null) {
    throw new InvalidRequestError(`Cannot read module path ${quoted(text)}: ${fault}`);
  }
  return text as ModulePath;
}

/**
 * Splits off the major version at the path's end. Null where the end looks like one and is not
 * allowed: `/v1`, `/v02`, `/v1.2`, or a gopkg.in path without any. Nothing else about the path is
 * checked.
 */
export function splitPathVersion(path: string): SplitPath | null {
  if (path.startsWith("gopkg.in/")) return splitGopkgPath(path);
  const { prefix, digits } = /^(?<prefix>.*)\/v(?<digits>[0-9.]+)$/s.exec(path)?.groups ?? {};
  if (prefix === undefined || digits === undefined) return { prefix: path, pathMajor: "" };
  if (digits === "1" || digits.startsWith("0") || digits.includes(".")) return null;
  return { prefix, pathMajor: `/v${digits}` };
}

/** Whether `path` is `prefix` or lies below it, element by element. */
export function hasPathPrefix(path: string, prefix: string): boolean {
  return path === prefix || (prefix !== "" && path.startsWith(prefix.replace(/\/?$/, "/")));
}

/**
 * `.v` without any digit passes if `-unstable` follows, an oversight of Go's that no version can
 * match.
 */
function splitGopkgPath(path: string): SplitPath | null {
  const { prefix, pathMajor } =
    /^(?<prefix>.*)(?<pathMajor>\.v(?:0|[1-9][0-9]*|[1-9][0-9]*-unstable|-unstable))$/s.exec(path)
      ?.groups ?? {};
  return prefix === undefined || pathMajor === undefined ? null : { prefix, pathMajor };
}

/**
 * Whether a version can belong to a module whose path ends in `pathMajor`. False for what is not a
 * semantic version.
 *
 * Where the path says nothing, v0, v1 and every `+incompatible` version fit. `v0.0.0-…` fits `.v1`,
 * because old `go` commands made such pseudo-versions for gopkg.in and go.mod files still name
 * them.
 */
export function matchesPathMajor(version: string, pathMajor: string): boolean {
  const wanted = pathMajor.startsWith(".v") ? pathMajor.replace(/-unstable$/, "") : pathMajor;
  if (wanted === ".v1" && version.startsWith("v0.0.0-")) return true;
  const major = majorOf(version);
  if (wanted !== "") return major === wanted.slice(1);
  return major === "v0" || major === "v1" || parseSemver(version)?.build === "+incompatible";
}

function modulePathFault(path: string): string | null {
  return pathFault(path, "module") ?? domainFault(path) ?? majorFault(path);
}

function domainFault(path: string): string | null {
  const [domain = ""] = path.split("/", 1);
  if (!domain.includes(".")) return "missing dot in first path element";
  const wrong = /[^-.0-9a-z]/.exec(domain);
  return wrong === null ? null : `invalid character ${quoted(wrong[0])} in first path element`;
}

function majorFault(path: string): string | null {
  if (splitPathVersion(path) !== null) return null;
  return path.startsWith("gopkg.in/")
    ? "a gopkg.in path must end in .vN without leading zeros"
    : "a major version suffix must be /vN, N at least 2, without leading zeros or dots";
}
