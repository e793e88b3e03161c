/**
 * Module versions and the other names for a revision.
 *
 * A *version* is a full semantic version without build metadata, except the one suffix
 * `+incompatible`, which marks a v2 or later of a module that has no go.mod:
 * https://go.dev/ref/mod#incompatible-versions. It names the same copy forever. Everything else
 * that may stand before `.info` in a URL is a *query*: a branch, a commit, `v1.2.3+meta`, and also
 * a version that does not fit the module's path: `v2.0.0` of a path without `/v2` asks for
 * `v2.0.0+incompatible`.
 */
import { InvalidRequestError } from "../errors.ts";
import { revisionFault } from "./escape.ts";
import { matchesPathMajor, type ModulePath, splitPathVersion } from "./path.ts";
import { quoted } from "./quoted.ts";
import {
  compareParsed,
  compareSemver,
  formatCanonical,
  majorOf,
  parseSemver,
  type Semver,
} from "./semver.ts";

declare const versionBrand: unique symbol;
declare const queryBrand: unique symbol;

/** A canonical module version, perhaps `+incompatible`. */
export type Version = string & { readonly [versionBrand]: true };

/**
 * A revision's name that fits in a URL. It may look like anything, also like a version or an
 * option.
 */
export type Query = string & { readonly [queryBrand]: true };

const INCOMPATIBLE = "+incompatible";

/** Whether `text` is a version in the one form in which a version is written. */
export function isCanonicalVersion(text: string): text is Version {
  return canonicalVersion(text) === text;
}

/**
 * The version that a semantic version stands for, or null for other text.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(canonicalVersion("v1.2.3+meta"), "v1.2.3");
 * assert.equal(canonicalVersion("v2.0.0+incompatible"), "v2.0.0+incompatible");
 * assert.equal(canonicalVersion("main"), null);
 * ```
 */
export function canonicalVersion(text: string): Version | null {
  const parsed = parseSemver(text);
  if (parsed === null) return null;
  const suffix = parsed.build === INCOMPATIBLE ? INCOMPATIBLE : "";
  return formatCanonical(parsed) + suffix as Version;
}

/**
 * Whether `text` is a version, in its one form, that a module at `path` can have. What is not may
 * still be a query.
 */
export function isVersionOf(path: ModulePath, text: string): text is Version {
  return isCanonicalVersion(text) &&
    matchesPathMajor(text, splitPathVersion(path)?.pathMajor ?? "");
}

/**
 * @throws {InvalidRequestError} when `text` is not a canonical version, or not one of a module at
 * `path`.
 */
export function parseVersion(path: ModulePath, text: string): Version {
  const version = canonicalVersion(text);
  const fault = version === null ? "not a semantic version" : versionFault(version, { text, path });
  if (version === null || fault !== null) {
    throw new InvalidRequestError(
      `Cannot read version ${quoted(text)} of ${quoted(path)}: ${fault}`,
    );
  }
  return version;
}

/**
 * @throws {InvalidRequestError} when `text` cannot be asked for: it is not one ASCII file name, or
 * has a `!`.
 */
export function parseQuery(text: string): Query {
  const fault = revisionFault(text);
  if (fault !== null) {
    throw new InvalidRequestError(`Cannot read revision ${quoted(text)}: ${fault}`);
  }
  return text as Query;
}

/** The order of a list: by semantic version, then by bytes, so that only the same text is equal. */
export function compareVersions(a: string, b: string): number {
  return compareSemver(a, b) || (a === b ? 0 : a < b ? -1 : 1);
}

/** A version that is compared many times. */
export interface ParsedVersion<T extends string = Version> {
  readonly text: T;
  readonly parsed: Semver | null;
}

export function parsedVersion<T extends string>(text: T): ParsedVersion<T> {
  return { text, parsed: parseSemver(text) };
}

/** {@linkcode compareVersions} of what was parsed before. */
export function compareParsedVersions(
  a: ParsedVersion<string>,
  b: ParsedVersion<string>,
): number {
  return compareParsed(a.parsed, b.parsed) || (a.text === b.text ? 0 : a.text < b.text ? -1 : 1);
}

function versionFault(
  version: Version,
  { text, path }: { readonly text: string; readonly path: ModulePath },
): string | null {
  if (version !== text) return `the canonical form is ${quoted(version)}`;
  const pathMajor = splitPathVersion(path)?.pathMajor ?? "";
  if (matchesPathMajor(version, pathMajor)) return null;
  const wanted = pathMajor === "" ? "v0 or v1" : pathMajor.slice(1).replace(/-unstable$/, "");
  return `the module path asks for major version ${wanted}, not ${majorOf(version)}`;
}
