/**
 * Which files of a module say under which licence it is: by name, as pkgsite has them
 * (golang.org/x/pkgsite v0.6.0, internal/licenses: 44 names, case does not count), in the root and
 * in any directory. A file in a directory is about the packages of that directory and below.
 *
 * Copies of other modules in `vendor` directories are left out. They are not built from the module.
 */

/** A larger file is not read. The longest text of the SPDX list has 71 KB. */
export const MAX_LICENCE_FILE_BYTES = 1024 * 1024;
/** How many licence files of a module are read: those in the root first. */
export const MAX_LICENCE_FILES = 100;
/** How much is read of all of them together. */
export const MAX_LICENCE_TOTAL_BYTES = 8 * 1024 * 1024;
/** How many Go files of the root are looked at where it has no licence file. */
export const MAX_SOURCE_FILES = 16;
/** Larger Go files are not looked at. */
export const MAX_SOURCE_FILE_BYTES = 64 * 1024;

const ENDINGS = ["", ".md", ".markdown", ".txt"];
const SPELLINGS = ["license", "licence"];

const NAMES: ReadonlySet<string> = new Set([
  ...["copying", "copying.lesser", ...SPELLINGS, ...SPELLINGS.map((word) => `mit-${word}`)]
    .flatMap((name) => ENDINGS.map((ending) => name + ending)),
  ...SPELLINGS.flatMap((word) => [
    `${word}-2.0.txt`,
    `${word}-apache`,
    `${word}-apache-2.0.txt`,
    `${word}-mit`,
    `${word}.mit`,
    `${word}.code`,
    `${word}.docs`,
    `${word}.rst`,
    `mit_${word}`,
    `un${word}`,
  ]),
]);

/**
 * Whether a file of a module has a licence, by its path in the module.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.ok(isLicenceFile("LICENSE"));
 * assert.ok(isLicenceFile("third_party/fonts/Licence.txt"));
 * assert.ok(!isLicenceFile("LICENSE.go"));
 * assert.ok(!isLicenceFile("vendor/example.com/m/LICENSE"));
 * ```
 */
export function isLicenceFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return NAMES.has(name) && !isVendored(path);
}

/** A directory `vendor` itself may be a package; what is in directories below it is copied. */
function isVendored(path: string): boolean {
  return /(?:^|\/)vendor\/.*\//.test(path);
}

/** The directory of a file, empty for the root. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Whether a Go file may have the identifier of a licence for the whole module: in the root. */
export function isRootSource(path: string): boolean {
  return !path.includes("/") && path.endsWith(".go") && !path.endsWith("_test.go");
}
