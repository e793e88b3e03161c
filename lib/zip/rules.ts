/**
 * What a module zip may hold: https://go.dev/ref/mod#zip-files and golang.org/x/mod/zip
 * (`CheckZip`, `CheckFiles`). The same rules judge a zip that was downloaded (read.ts) and the
 * files of one that is about to be made, because the `go` command refuses to unpack a zip that
 * breaks any of them, and a copy that was published once stays forever.
 *
 * - The zip file and the sum of its files have a limit each, go.mod and LICENSE in the root another
 *   one.
 * - Every name starts with `path@version/`; the rest is a name that every file system can hold
 *   (module/file_path.ts).
 * - No two names, and no name and directory, differ only by case.
 * - A go.mod lies in the root and is spelled so; one in a directory would make it another module.
 *
 * An entry for a directory, its name ending in a slash, is allowed, although none of the known
 * tools writes one. Modes are not looked at: a symbolic link is a file that holds its target.
 */
import { filePathFault } from "../module/file_path.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { quoted } from "../module/quoted.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import { caseFold } from "./case_fold.ts";

const MIB = 1024 * 1024;

/** Of the zip file, and of what its entries hold together. */
export const MAX_ZIP_BYTES = 500 * MIB;
export const MAX_LICENSE_BYTES = 16 * MIB;

/**
 * Files and directories in one zip. Go has no such limit; it bounds our memory, up to 3 KB each
 * while a zip is read. One of the largest public modules, the Azure SDK v68, has 18 327 files.
 */
export const MAX_PLACES = 100_000;

/**
 * A zip that breaks the rules, or a file that is not a zip. Names in the message are quoted, so
 * that they can be shown to a user of `go`.
 */
export class ZipError extends Error {
  override readonly name = "ZipError";
}

/**
 * What it costs to check a name, as if it were so much content: names are folded and looked up
 * character by character, and may have 64 KiB.
 */
export function nameCost(name: string): number {
  return NAME_COST_BYTES + name.length * CHAR_COST_BYTES;
}

const NAME_COST_BYTES = 4 * 1024;
const CHAR_COST_BYTES = 64;

/** What the name of every entry starts with. */
export function entryPrefix(module: ModuleVersion): string {
  return `${nameOf(module)}/`;
}

/**
 * The entries of one zip, each checked against the rules and against those before it. Names are
 * without the prefix.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const contents = new Contents();
 * assert.equal(contents.addFile("a/b.go", 10), null);
 * assert.equal(contents.addFile("A", 10), '"A": "A" and "a" differ only by case');
 * ```
 */
export class Contents {
  readonly #root: Children = new Map();
  #places = 0;
  #sizeBytes = 0;

  /** Adds a file, or says why the zip cannot have it. */
  addFile(name: string, sizeBytes: number): string | null {
    this.#sizeBytes += sizeBytes;
    if (this.#sizeBytes > MAX_ZIP_BYTES) return `more than ${MAX_ZIP_BYTES} bytes in its files`;
    return this.#placeFault(name, "file") ?? goModFault(name) ?? sizeFault(name, sizeBytes);
  }

  /**
   * Adds a directory, its name without the slash at the end, or says why the zip cannot have it.
   */
  addDirectory(name: string): string | null {
    return this.#placeFault(name, "directory");
  }

  /**
   * Takes the place of a file that the zip leaves out (a symbolic link), or says why there can be
   * no zip: as for the `go` command, the rules for names hold for it all the same.
   */
  reserve(name: string): string | null {
    return this.#placeFault(name, "file") ?? (name.includes("/") ? null : goModFault(name));
  }

  /** Walks down to the place of `name` and makes what is not there yet. */
  #placeFault(name: string, kind: "file" | "directory"): string | null {
    const fault = filePathFault(name);
    if (fault !== null) return `${quoted(name)}: ${fault}`;
    const elements = name.split("/");
    let siblings = this.#root;
    for (const [depth, element] of elements.entries()) {
      const isFile = kind === "file" && depth === elements.length - 1;
      const key = caseFold(element);
      let there = siblings.get(key);
      if (there === undefined) {
        if (++this.#places > MAX_PLACES) return `more than ${MAX_PLACES} files and directories`;
        there = { element, children: isFile ? null : new Map() };
        siblings.set(key, there);
      } else {
        const collision = collisionOf(there, { element, isFile });
        if (collision !== null) return `${quoted(name)}: ${collision}`;
      }
      siblings = there.children ?? siblings;
    }
    return null;
  }
}

/** What a directory holds, by the folding class of the name's last element. */
type Children = Map<string, DirectoryEntry>;

interface DirectoryEntry {
  readonly element: string;
  /** Null for a file. */
  readonly children: Children | null;
}

function collisionOf(
  there: DirectoryEntry,
  added: { element: string; isFile: boolean },
): string | null {
  const element = quoted(added.element);
  if (there.element !== added.element) {
    return `${element} and ${quoted(there.element)} differ only by case`;
  }
  if ((there.children === null) !== added.isFile) {
    return `${element} is both a file and a directory`;
  }
  return added.isFile ? "there are two files of this name" : null;
}

function goModFault(name: string): string | null {
  const base = name.slice(name.lastIndexOf("/") + 1);
  if (caseFold(base) !== "go.mod" || name === "go.mod") return null;
  if (base === name) return `${quoted(name)} is not spelled "go.mod"`;
  return `${quoted(name)} is not in the root, so its directory is another module`;
}

function sizeFault(name: string, sizeBytes: number): string | null {
  const limitBytes = SIZE_LIMITS.get(name) ?? MAX_ZIP_BYTES;
  return sizeBytes <= limitBytes ? null : `${name} is larger than ${limitBytes} bytes`;
}

const SIZE_LIMITS: ReadonlyMap<string, number> = new Map([
  ["go.mod", MAX_GO_MOD_SIZE_BYTES],
  ["LICENSE", MAX_LICENSE_BYTES],
]);
