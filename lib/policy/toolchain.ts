/** Go toolchains, which the `go` command downloads as versions of one module. */
import { semverOfReleasedToolchain, TOOLCHAIN_MODULE } from "../module/go_version.ts";

/**
 * The Go version as a semantic version; null for other modules and for what is not a release of Go.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const toolchain = (version: string) => goVersionOf({ path: "golang.org/toolchain", version });
 * assert.equal(toolchain("v0.0.1-go1.26.5.linux-amd64"), "v1.26.5");
 * assert.equal(toolchain("v0.0.1-go1.27rc1.darwin-arm64"), "v1.27.0-rc.1");
 * assert.equal(toolchain("v0.0.1-go1.26.5-acme.linux-amd64"), null);
 * ```
 */
export function goVersionOf(
  { path, version }: { readonly path: string; readonly version: string },
): string | null {
  return path === TOOLCHAIN_MODULE ? semverOfReleasedToolchain(version) : null;
}
