/**
 * Which names a file in a module zip may have: `CheckFilePath` of golang.org/x/mod/module. Letters
 * of every script, digits, spaces and most punctuation, but nothing that a shell, Windows or macOS
 * gives a meaning of its own.
 */
import { pathFault } from "./path_element.ts";

/**
 * Why `name`, a slash-separated path relative to the module's root, may not be in a module zip;
 * null if it may.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(filePathFault("docs/\u00fcber uns.md"), null);
 * assert.equal(filePathFault("docs/AUX.txt"), '"AUX" is a reserved file name on Windows');
 * ```
 */
export function filePathFault(name: string): string | null {
  return pathFault(name, "file");
}
