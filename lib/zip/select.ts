/**
 * Which files of a directory in a repository become a module zip: `checkFiles` of
 * golang.org/x/mod/zip, which the `go` command uses for what `git archive` gives it. Left out
 * without a word are
 *
 * - other modules: everything below a directory with a regular file `go.mod`, spelled in any case;
 * - vendored packages (vendored.ts);
 * - `.hg_archival.txt` in the root;
 * - symbolic links and submodules.
 *
 * What is not left out, and symbolic links, must keep the rules of rules.ts, or there is no zip.
 */
import { caseFold } from "./case_fold.ts";
import type { Pace } from "../async/pace.ts";
import { Contents, nameCost, ZipError } from "./rules.ts";
import { isVendored } from "./vendored.ts";

/** What lies at a name. A submodule is an empty directory to every program but git. */
export type TreeFileKind = "file" | "executable" | "symlink" | "submodule";

export interface TreeFile {
  readonly kind: TreeFileKind;
  /** From the module's root. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface SelectOptions {
  /** Of the `go` line of the module's go.mod; null if there is none. */
  readonly goVersion: string | null;
  readonly pace: Pace;
}

/**
 * The names of the files that belong in the zip, in the order given.
 *
 * @throws {ZipError} when a file must not be in any zip
 */
export async function selectFiles(
  files: readonly TreeFile[],
  { goVersion, pace }: SelectOptions,
): Promise<string[]> {
  const otherModules = await findOtherModules(files, pace);
  const contents = new Contents();
  const selected: string[] = [];
  for (const { kind, name, sizeBytes } of files) {
    await pace.spend(nameCost(name));
    if (kind === "submodule" || isVendored(name, goVersion)) continue;
    if (isBelow(otherModules, name) || name === ".hg_archival.txt") continue;
    const isLink = kind === "symlink";
    const fault = isLink ? contents.reserve(name) : contents.addFile(name, sizeBytes);
    if (fault !== null) throw new ZipError(`Cannot make zip: ${fault}`);
    if (!isLink) selected.push(name);
  }
  return selected;
}

export function isRegular(kind: TreeFileKind): boolean {
  return kind === "file" || kind === "executable";
}

/** A directory, and whether it is a module of its own, without what is of no interest in it. */
interface Directory {
  isModule: boolean;
  readonly children: Map<string, Directory>;
}

/** The directories that are modules of their own, and those above them. The root is none. */
async function findOtherModules(files: readonly TreeFile[], pace: Pace): Promise<Directory> {
  const root = { isModule: false, children: new Map() };
  for (const { kind, name } of files) {
    await pace.spend(nameCost(name));
    const slash = name.lastIndexOf("/");
    if (slash < 0 || !isRegular(kind)) continue;
    if (caseFold(name.slice(slash + 1)) !== "go.mod") continue;
    let directory: Directory = root;
    for (const element of name.slice(0, slash).split("/")) {
      const next = directory.children.get(element) ?? { isModule: false, children: new Map() };
      directory.children.set(element, next);
      directory = next;
    }
    directory.isModule = true;
  }
  return root;
}

/** Element by element: to look up each of a long path's directories by its path is quadratic. */
function isBelow(root: Directory, name: string): boolean {
  let directory = root;
  let start = 0;
  for (let slash = name.indexOf("/"); slash >= 0; slash = name.indexOf("/", start)) {
    const next = directory.children.get(name.slice(start, slash));
    if (next === undefined || next.isModule) return next !== undefined;
    directory = next;
    start = slash + 1;
  }
  return false;
}
