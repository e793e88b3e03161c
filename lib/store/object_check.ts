/**
 * What tells, without the help of a checksum, whether a stored file is still what its key
 * promises. A zip's key has its h1 in it (keys.ts), so a zip can be judged by itself: also one of a
 * store that is older than checksums.
 */
import { inspectZip, ZipError } from "../zip/read.ts";
import { parseCopyKey } from "./keys.ts";

export interface ObjectCheck {
  /** Whether objects of this key are checked when they are read. */
  covers(key: string): boolean;
  /**
   * What is wrong with the file's content, or null where it is what the key promises.
   *
   * @throws {Error} when the file cannot be read
   */
  findFault(key: string, file: string): Promise<string | null>;
}

/**
 * Module zips. A zip that was compressed otherwise and has the same h1 is intact.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.ok(ZIP_CHECK.covers(`z1/example.com/a/@v/v1.0.0/${"0".repeat(64)}`));
 * assert.ok(!ZIP_CHECK.covers("m1/example.com/a/@v/v1.0.0"));
 * ```
 */
export const ZIP_CHECK: ObjectCheck = {
  covers: (key) => parseCopyKey(key)?.kind === "zip",
  findFault: async (key, file) => {
    const zip = parseCopyKey(key);
    if (zip?.kind !== "zip") return "its key is not that of a zip";
    try {
      const { h1 } = await inspectZip(file, { module: zip });
      return h1 === zip.h1 ? null : `its hash is ${h1}`;
    } catch (error) {
      if (error instanceof ZipError) return error.message;
      throw error;
    }
  },
};
