/**
 * Where a copy's parts are in a store (design note, "a copy is what its manifest says"):
 *
 * ```text
 * m1/<escaped path>/@v/<escaped version>            manifest of a tagged version
 * m1/<escaped path>/@p/<escaped version>            manifest of a pseudo-version
 * z1/<escaped path>/@v/<escaped version>/<h1 hex>   module zip, named by its dirhash
 *
 * d1/<format>/<kind>/<escaped path>/@v/<escaped version>/<h1 hex>   computed from the zip
 * ```
 *
 * For example the zip of `github.com/Azure/sdk@v1.2.0` may be (on one line)
 *
 * ```text
 * z1/github.com/!azure/sdk/@v/v1.2.0/
 *   e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
 * ```
 *
 * Escaping (`A` is `!a`) keeps names apart where a file system ignores case. Module paths hold no
 * `@`, so `@v` and `@p` end the path without ambiguity, and the folders of a path and of the paths
 * below it do not meet. Pseudo-versions have a folder of their own because `list` leaves them out
 * and there may be very many. A hash is written in hex because base64 has `/` in it and tells `a`
 * from `A`.
 *
 * Limits: escaped path and version together are at most {@linkcode MAX_NAMES_BYTES} long and none
 * of their segments is longer than 255 bytes, the least of what the back ends take. Longer ones are
 * invalid requests on every back end.
 */
import { InvalidRequestError } from "../errors.ts";
import { escapePath, escapeVersion, unescapePath, unescapeVersion } from "../module/escape.ts";
import { type H1, h1Of, hexOfH1 } from "../module/h1.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { isCanonicalVersion, isVersionOf, type Version } from "../module/version.ts";
import { MAX_KEY_BYTES, MAX_SEGMENT_BYTES } from "./object_store.ts";

/**
 * The longest key is a zip's: `z1/<path>/@v/<version>/` and 64 hex digits. Counted with the `/`
 * between the two.
 */
export const MAX_NAMES_BYTES = MAX_KEY_BYTES - "z1//@v/".length - 64;

/** @throws {InvalidRequestError} when path and version are too long to be stored */
export function manifestKey(module: ModuleVersion): string {
  const names = escapedNames(module);
  return `m1/${names.path}/${isPseudoVersion(module.version) ? "@p" : "@v"}/${names.version}`;
}

/**
 * The folders of a path's manifests.
 *
 * @throws {InvalidRequestError} when the path is too long to be stored
 */
export function manifestFolders(path: ModulePath): { tagged: string; pseudo: string } {
  const name = escapePath(path);
  assertFits(name);
  return { tagged: `m1/${name}/@v`, pseudo: `m1/${name}/@p` };
}

/**
 * @param h1 the zip's hash
 * @throws {InvalidRequestError} when path and version are too long to be stored
 */
export function zipKey(module: ModuleVersion, h1: H1): string {
  const names = escapedNames(module);
  return `z1/${names.path}/@v/${names.version}/${hexOfH1(h1)}`;
}

/** Something that is computed from the zip of a copy, and can be computed again. */
export interface Derived {
  readonly kind: "licences";
  /** Counts the ways of computing it: what another way gives has another key. */
  readonly format: number;
}

/**
 * Where something derived is. Null when its key would be too long: it has the kind and the format
 * in addition to what is in the zip's.
 *
 * @param h1 the zip's hash
 * @throws {InvalidRequestError} when path and version are too long to be stored
 */
export function derivedKey(
  { kind, format }: Derived,
  { module, h1 }: { readonly module: ModuleVersion; readonly h1: H1 },
): string | null {
  const names = escapedNames(module);
  const key = `d1/${format}/${kind}/${names.path}/@v/${names.version}/${hexOfH1(h1)}`;
  return key.length > MAX_KEY_BYTES ? null : key;
}

/** The version that a manifest folder's entry is about, or null for any other entry. */
export function versionOfName(name: string): Version | null {
  try {
    const version = unescapeVersion(name);
    return isCanonicalVersion(version) ? version as Version : null;
  } catch (error) {
    if (error instanceof InvalidRequestError) return null;
    throw error;
  }
}

/** What lies under a key: the manifest of a version, or a zip. */
export type CopyKey =
  & ModuleVersion
  & ({ readonly kind: "manifest" } | { readonly kind: "zip"; readonly h1: H1 });

/**
 * The opposite of {@linkcode manifestKey} and {@linkcode zipKey}; null for a key that is neither's.
 */
export function parseCopyKey(key: string): CopyKey | null {
  try {
    return readCopyKey(key);
  } catch (error) {
    if (error instanceof InvalidRequestError) return null;
    throw error;
  }
}

/** @throws {InvalidRequestError} for some of the keys that are neither's */
function readCopyKey(key: string): CopyKey | null {
  const [, pathName = "", versionName = "", hex] =
    /^[mz]1\/(.+)\/@[vp]\/([^/]+)(?:\/([0-9a-f]{64}))?$/.exec(key) ?? [];
  const path = unescapePath(pathName);
  const version = unescapeVersion(versionName);
  if (!isVersionOf(path, version)) return null;
  // A manifest in the folder of zips, a tagged version among the pseudo-versions: nobody would look
  // there.
  const module = { path, version };
  if (hex === undefined) {
    return manifestKey(module) === key ? { kind: "manifest", ...module } : null;
  }
  const h1 = h1Of(Uint8Array.fromHex(hex));
  return zipKey(module, h1) === key ? { kind: "zip", ...module, h1 } : null;
}

function escapedNames({ path, version }: ModuleVersion): { path: string; version: string } {
  const names = { path: escapePath(path), version: escapeVersion(version) };
  assertFits(`${names.path}/${names.version}`);
  return names;
}

function assertFits(names: string): void {
  const fault = names.length > MAX_NAMES_BYTES
    ? `its escaped path and version are longer than ${MAX_NAMES_BYTES} bytes`
    : names.split("/").some((segment) => segment.length > MAX_SEGMENT_BYTES)
    ? `an element of its escaped path or version is longer than ${MAX_SEGMENT_BYTES} bytes`
    : null;
  if (fault !== null) throw new InvalidRequestError(`Cannot store the module version: ${fault}`);
}
