/**
 * Which files are copies of other modules, under a directory `vendor`, and therefore not in a
 * module zip: `isVendoredPackage` of golang.org/x/mod/zip.
 *
 * A package below `vendor/` is left out, a file directly in `vendor/` is not. For a `vendor`
 * directory further down, that is what Go 1.24 and later do; before, everything below it was left
 * out. So `pkg/vendor/a.go` is in a zip for `go 1.24` and not in one for `go 1.23`. The module's
 * own `go` line decides, not the version of the `go` command: the hashes of old modules stay what
 * they were. (https://go.dev/issue/37397)
 *
 * The old rule reads differently in Go's source, where a slash is looked for behind the name's
 * eighth character. The slash that ends `/vendor/` is one, wherever that is.
 */

/**
 * From this language version on, `vendor/` is found wherever it is, and `vendor/modules.txt` is
 * left out.
 */
const FIXED_IN = { major: 1, minor: 24 };

const VENDOR = "vendor/";

/**
 * Whether the file is left out.
 *
 * @param name from the module's root: `pkg/vendor/example.com/x/x.go`
 * @param goVersion of the module's `go` line, as module/go_mod.ts reads it; null if there is none
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isVendored("vendor/example.com/x/x.go", "1.20"), true);
 * assert.equal(isVendored("pkg/vendor/a.go", "1.23"), true);
 * assert.equal(isVendored("pkg/vendor/a.go", "1.24"), false);
 * ```
 */
export function isVendored(name: string, goVersion: string | null): boolean {
  const isFixed = isAtLeastFixed(goVersion);
  if (isFixed && name === "vendor/modules.txt") return true;
  if (name.startsWith(VENDOR)) return name.includes("/", VENDOR.length);
  const nested = name.indexOf(`/${VENDOR}`);
  if (nested < 0) return false;
  return !isFixed || name.includes("/", nested + `/${VENDOR}`.length);
}

/**
 * A version that internal/gover of Go takes for one. go.mod may hold others (`1.24.1rc1`); they
 * count as none.
 */
const GO_VERSION =
  /^(?<major>[1-9]\d*)\.(?<minor>0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)|[a-z]+(?:0|[1-9]\d*))?$/;

function isAtLeastFixed(goVersion: string | null): boolean {
  const { major, minor } = GO_VERSION.exec(goVersion ?? "")?.groups ?? {};
  if (major === undefined || minor === undefined) return false;
  const isSameMajor = Number(major) === FIXED_IN.major;
  return isSameMajor ? Number(minor) >= FIXED_IN.minor : Number(major) > FIXED_IN.major;
}
