/**
 * Which directory of a commit is the module: the one whose go.mod declares the major version of the
 * module's path (`findDir` in cmd/go/internal/modfetch; https://go.dev/ref/mod#vcs-dir).
 *
 * A module `…/v2` may be in `codeDir`, the "major branch" way, or in `codeDir/v2`, the "major
 * subdirectory" way, but not in both. Only the major version counts here and not the rest of the
 * declared path: a fork declares another path, and users refer to it with `replace`. Without any
 * go.mod, the root of a repository is a module with v0, v1 and `+incompatible` versions; so is a
 * gopkg.in repository.
 *
 * The messages are those of the `go` command, because its users search the web for them.
 */
import { atPace, Pace } from "../async/pace.ts";
import { modulePathLine } from "../module/go_mod.ts";
import { splitPathVersion } from "../module/path.ts";
import { majorOf } from "../module/semver.ts";
import type { Layout } from "./layout.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface GoModFile {
  readonly bytes: Bytes;
  /** The path on its `module` line, null if there is none. */
  readonly declared: string | null;
}

/** The go.mod files where the module may be in a commit; null where there is none. */
export interface GoModFiles {
  /** In `layout.codeDir`. */
  readonly codeDir: GoModFile | null;
  /** In `layout.majorDir`. */
  readonly majorDir: GoModFile | null;
}

/** @param read the go.mod in a directory, empty for the root, or null */
export async function readGoMods(
  { codeDir, majorDir }: Layout,
  read: (dir: string) => Promise<Bytes | null>,
): Promise<GoModFiles> {
  return {
    codeDir: await goModFile(await read(codeDir)),
    majorDir: majorDir === null ? null : await goModFile(await read(majorDir)),
  };
}

async function goModFile(bytes: Bytes | null): Promise<GoModFile | null> {
  if (bytes === null) return null;
  return { bytes, declared: await atPace(modulePathLine(bytes), new Pace(undefined)) };
}

export interface ModuleDir {
  /** From the repository's root; empty for the root itself. */
  readonly dir: string;
  /** The bytes of its go.mod, null if it has none. */
  readonly goMod: Bytes | null;
}

/** How a message names the commit. */
export interface CommitNames {
  readonly version: string;
  /** The tag, or the digits of the hash. */
  readonly revision: string;
}

/** @returns the directory, or why the commit does not have the module */
export function findModuleDir(
  layout: Layout,
  files: GoModFiles,
  names: CommitNames,
): ModuleDir | string {
  const { pathMajor, pathPrefix, codeDir, majorDir, root } = layout;
  const declared = files.codeDir?.declared ?? null;
  const fits = files.codeDir !== null &&
    (fitsMajor(declared, pathMajor) || isGopkgFork(declared, pathMajor));
  const at = `at revision ${names.revision}`;

  if (majorDir !== null && files.majorDir !== null) {
    const file = `${root}/${majorDir}/go.mod`;
    const { bytes, declared } = files.majorDir;
    if (declared === null) return `${file} is missing module path ${at}`;
    if (!fitsMajor(declared, pathMajor)) {
      return `${file} has non-...${pathMajor} module path "${declared}" ${at}`;
    }
    if (!fits) return { dir: majorDir, goMod: bytes };
    return `${pathPrefix}/${goModIn(codeDir)} and ...${pathMajor}/go.mod ` +
      `both have ...${pathMajor} module paths ${at}`;
  }
  if (files.codeDir !== null) {
    if (fits) return { dir: codeDir, goMod: files.codeDir.bytes };
    const noOther = majorDir === null ? "" : ` (and ...${pathMajor}/go.mod does not exist)`;
    const fault = declarationFault(declared, { pathMajor, version: names.version });
    return `${goModIn(codeDir)} ${fault}${noOther} ${at}`;
  }
  if (codeDir === "" && !pathMajor.startsWith("/")) return { dir: "", goMod: null };
  const both = majorDir === null ? "" : ` and ...${pathMajor}/go.mod`;
  return `missing ${pathPrefix}/go.mod${both} ${at}`;
}

function goModIn(dir: string): string {
  return dir === "" ? "go.mod" : `${dir}/go.mod`;
}

/**
 * Whether a declared path has the major version that a module path ending in `pathMajor` asks for.
 */
function fitsMajor(declared: string | null, pathMajor: string): boolean {
  const split = declared === null ? null : splitPathVersion(declared);
  if (split === null) return false;
  const declaredMajor = split.pathMajor.slice(1);
  if (pathMajor === "") return /^(?:|v0|v1)(?:-unstable)?$/.test(declaredMajor);
  // "/v2" and ".v2" mean the same; a path without either is not gopkg.in's and says nothing about
  // ".v1".
  return declaredMajor === pathMajor.slice(1);
}

/**
 * Old `go` commands let a path without major version replace any of gopkg.in:
 * https://go.dev/issue/34254.
 */
function isGopkgFork(declared: string | null, pathMajor: string): boolean {
  return pathMajor === "" && declared !== null && declared.startsWith("gopkg.in/");
}

function declarationFault(
  declared: string | null,
  { pathMajor, version }: { readonly pathMajor: string; readonly version: string },
): string {
  if (declared === null) return "is missing module path";
  if (pathMajor !== "") return `has non-...${pathMajor} module path "${declared}"`;
  if (splitPathVersion(declared) === null) return `has malformed module path "${declared}"`;
  return `has post-${majorOf(version)} module path "${declared}"`;
}
