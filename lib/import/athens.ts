/**
 * The disk storage of Athens (github.com/gomods/athens, pkg/storage/fs), whose folders have the
 * paths and versions as they are, without escapes:
 *
 * ```text
 * example.com/Hello/v1.0.0/v1.0.0.info
 * example.com/Hello/v1.0.0/go.mod
 * example.com/Hello/v1.0.0/source.zip
 * ```
 *
 * Athens writes `.info` last: a version without one is left over from a crash, and is refused.
 */
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { readInfo, readSmallFile, walkFolders } from "./files.ts";
import { type FoundFiles, type FoundVersion, ImportError } from "./import_entry.ts";

export async function* athens(directory: string): AsyncGenerator<FoundVersion> {
  for await (const { path: folder, files } of walkFolders(directory)) {
    if (files.has("go.mod") || files.has("source.zip")) {
      yield { name: folder, read: () => readVersion(`${directory}/${folder}`, { folder, files }) };
    }
  }
}

async function readVersion(
  directory: string,
  { folder, files }: { folder: string; files: ReadonlySet<string> },
): Promise<FoundFiles | null> {
  if (!files.has("source.zip")) return null;
  const slash = folder.lastIndexOf("/");
  const path = parseModulePath(folder.slice(0, Math.max(slash, 0)));
  const version = parseVersion(path, folder.slice(slash + 1));
  for (const file of ["go.mod", `${version}.info`]) {
    if (!files.has(file)) throw new ImportError(`there is no ${file}`);
  }
  return {
    ...await readInfo(`${directory}/${version}.info`, version),
    path,
    version,
    goMod: await readSmallFile(`${directory}/go.mod`, MAX_GO_MOD_SIZE_BYTES),
    zip: { file: `${directory}/source.zip`, h1: null },
  };
}
