/**
 * Go versions as semantic versions, which advisories about the standard library have, and ranges.
 *
 * ```
 * go1.22.3    v1.22.3         go1.22rc1   v1.22.0-rc.1
 * go1.20      v1.20.0         go1.22.3 X:rangefunc    v1.22.3
 * ```
 *
 * Follows golang.org/x/vuln/internal/semver, `GoTagToSemver` and `SemverToGoTag`. The toolchain
 * itself is a module, golang.org/toolchain, whose versions hold a Go version
 * (https://go.dev/doc/toolchain#toolchain): `v0.0.1-go1.22.3.linux-amd64`.
 */
import { compareSemver, formatCanonical, parseSemver } from "./semver.ts";

/** The module that the `go` command downloads toolchains as. */
export const TOOLCHAIN_MODULE = "golang.org/toolchain";

const GO_TAG =
  /^go(?<release>[0-9]+\.[0-9]+)(?<patch>\.[0-9]+)?(?<prerelease>(?<kind>beta|rc|-pre)(?<number>[0-9]+))?$/;

/**
 * The semantic version of a Go version, or null for what is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(semverOfGo("go1.22rc1"), "v1.22.0-rc.1");
 * assert.equal(semverOfGo("go1.0"), null);
 * ```
 */
export function semverOfGo(text: string): string | null {
  const [tag = ""] = text.trim().split(/\s+/);
  if (tag === "go1") return "v1.0.0";
  if (tag === "go1.0") return null;
  const groups = GO_TAG.exec(tag)?.groups;
  if (groups === undefined) return null;
  const { release = "", patch = ".0", prerelease = "", kind = "", number = "" } = groups;
  const end = prerelease === "" ? "" : `${kind.startsWith("-") ? kind : `-${kind}`}.${number}`;
  return `v${release}${patch}${end}`;
}

/**
 * The Go version of a semantic version, the opposite of {@linkcode semverOfGo}. What is not a
 * semantic version is returned as it is.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(goOfSemver("v1.22.0-rc.1"), "go1.22rc1");
 * assert.equal(goOfSemver("v1.20.0"), "go1.20");
 * assert.equal(goOfSemver("v1.21.0"), "go1.21.0");
 * ```
 */
export function goOfSemver(version: string): string {
  const parsed = parseSemver(version);
  if (parsed === null) return version;
  const { major, minor, patch, prerelease } = parsed;
  if (formatCanonical(parsed) === "v1.0.0") return "go1";
  // From 1.21 on, the first release of a minor version has its patch number.
  const isShort = patch === "0" && (prerelease !== "" || compareSemver(version, "v1.21.0") < 0);
  const digits = /^(?<kind>.+)\.(?<number>[0-9]+)$/.exec(prerelease)?.groups;
  const end = digits === undefined
    ? prerelease
    : `${(digits["kind"] ?? "").replace(/^-(?=beta$|rc$)/, "")}${digits["number"]}`;
  return `go${major}.${minor}${isShort ? "" : `.${patch}`}${end}`;
}

/** A suffix after a `-` says who built it: it is no part of the Go version. */
const TOOLCHAIN =
  /^v0\.0\.1-(?<go>go[0-9][0-9a-z.]*?)(?<suffix>-[0-9A-Za-z-]+)?\.[0-9a-z]+-[0-9a-z]+$/;

/**
 * The semantic version of the Go version in a version of {@linkcode TOOLCHAIN_MODULE}; null where
 * there is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(semverOfToolchain("v0.0.1-go1.22.3.linux-amd64"), "v1.22.3");
 * assert.equal(semverOfToolchain("v0.0.1"), null);
 * ```
 */
export function semverOfToolchain(version: string): string | null {
  const { go } = TOOLCHAIN.exec(version)?.groups ?? {};
  return go === undefined ? null : semverOfGo(go);
}

/** As {@linkcode semverOfToolchain}, and null for what others than the Go team have built. */
export function semverOfReleasedToolchain(version: string): string | null {
  const isOfOthers = TOOLCHAIN.exec(version)?.groups?.["suffix"] !== undefined;
  return isOfOthers ? null : semverOfToolchain(version);
}
