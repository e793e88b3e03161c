/**
 * Go toolchains, which the `go` command downloads as versions of one module:
 * https://go.dev/doc/toolchain. `v0.0.1-go1.26.5.linux-amd64` is Go 1.26.5.
 */
import type { ModuleVersion } from "../module/module_version.ts";

export const TOOLCHAIN_MODULE = "golang.org/toolchain";

const TOOLCHAIN_VERSION = /^v0\.0\.1-go(\d+)\.(\d+)(?:\.(\d+))?(?:(alpha|beta|rc)(\d+))?\./;

/**
 * The Go version as a semantic version; null for other modules and for what is not a release of Go.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const toolchain = (version: string) => goVersionOf({ path: "golang.org/toolchain", version });
 * assert.equal(toolchain("v0.0.1-go1.26.5.linux-amd64"), "v1.26.5");
 * assert.equal(toolchain("v0.0.1-go1.27rc1.darwin-arm64"), "v1.27.0-rc.1");
 * ```
 */
export function goVersionOf(
  { path, version }: { readonly path: string; readonly version: string } | ModuleVersion,
): string | null {
  if (path !== TOOLCHAIN_MODULE) return null;
  const [, major, minor, patch = "0", stage, number] = TOOLCHAIN_VERSION.exec(version) ?? [];
  if (major === undefined) return null;
  const prerelease = stage === undefined ? "" : `-${stage}.${number}`;
  return `v${major}.${minor}.${patch}${prerelease}`;
}
