/** Reading directories that others have made. Symbolic links in them are passed over. */
import {
  type Info,
  InvalidInfoError,
  MAX_INFO_SIZE_BYTES,
  parseInfo,
  UNKNOWN_TIME,
} from "../module/info.ts";
import { parsePseudoVersion } from "../module/pseudo_version.ts";
import { quoted } from "../module/quoted.ts";
import type { Version } from "../module/version.ts";
import { ImportError } from "./import_entry.ts";

export interface Folder {
  /** From the root of the walk; empty for the root itself. */
  readonly path: string;
  /** The names of the files directly in it. */
  readonly files: ReadonlySet<string>;
}

/** All folders below `root` and itself, parents first, in the order of their names. */
export async function* walkFolders(root: string, path = ""): AsyncGenerator<Folder> {
  const files = new Set<string>();
  const folders: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(`${root}/${path}`)) {
    if (isFile) files.add(name);
    if (isDirectory) folders.push(name);
  }
  yield { path, files };
  for (const name of folders.sort()) {
    yield* walkFolders(root, path === "" ? name : `${path}/${name}`);
  }
}

/** @throws {ImportError} when the file has more than `limitBytes` bytes */
export async function readSmallFile(
  file: string,
  limitBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { size } = await Deno.stat(file);
  if (size > limitBytes) throw new ImportError(`${file} is larger than ${limitBytes} bytes`);
  return await Deno.readFile(file);
}

/**
 * The `.info` of `version`, in a file.
 *
 * @throws {ImportError | InvalidInfoError} when it is not an .info, or that of another version
 */
export async function readInfo(file: string, version: Version): Promise<Info> {
  const info = parseInfo(await readSmallFile(file, MAX_INFO_SIZE_BYTES));
  // Upstreams may leave it out; a cache of theirs never does.
  if (info.time === UNKNOWN_TIME) throw new InvalidInfoError(`Cannot read "${file}": no Time`);
  if (info.version === version) return info;
  throw new ImportError(`its .info names version ${quoted(info.version)}`);
}

/** The time that a pseudo-version names, or null for a tagged version. */
export function timeIn(version: Version): string | null {
  return parsePseudoVersion(version)?.time.toISOString().replace(".000Z", "Z") ?? null;
}
