/**
 * What the `go` command keeps of modules (https://go.dev/ref/mod#module-cache), below
 * `$(go env GOMODCACHE)/cache/download`:
 *
 * ```text
 * example.com/!hello/@v/v1.0.0.info      as a proxy answers
 * example.com/!hello/@v/v1.0.0.mod
 * example.com/!hello/@v/v1.0.0.zip
 * example.com/!hello/@v/v1.0.0.ziphash   the zip's h1
 * ```
 *
 * A version of which the command needed go.mod alone has no zip. A build by go.sum leaves no
 * `.info`; then a pseudo-version still says its time, and a tagged one cannot be imported.
 */
import { unescapePath, unescapeVersion } from "../module/escape.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import { parseH1 } from "../module/h1.ts";
import { parseVersion } from "../module/version.ts";
import { readInfo, readSmallFile, timeIn, walkFolders } from "./files.ts";
import { type FoundFiles, type FoundVersion, ImportError } from "./import_entry.ts";

/** Much more than an h1 needs. */
const MAX_ZIP_HASH_BYTES = 1024;
const DOWNLOAD = "cache/download";

/** @param directory the tree itself, or the GOMODCACHE that it is in */
export async function* goModCache(directory: string): AsyncGenerator<FoundVersion> {
  const inside = await isDirectory(`${directory}/${DOWNLOAD}`);
  const root = inside ? `${directory}/${DOWNLOAD}` : directory;
  for await (const { path: folder, files } of walkFolders(root)) {
    if (!folder.endsWith("/@v")) continue;
    const stems = new Set(
      [...files].flatMap((file) => /^(.+)\.(?:mod|zip)$/.exec(file)?.[1] ?? []),
    );
    for (const stem of [...stems].sort()) {
      yield {
        name: `${folder}/${stem}`,
        read: () => readVersion(`${root}/${folder}`, { folder, stem, files }),
      };
    }
  }
}

async function readVersion(
  directory: string,
  { folder, stem, files }: { folder: string; stem: string; files: ReadonlySet<string> },
): Promise<FoundFiles | null> {
  if (!files.has(`${stem}.zip`)) return null;
  const path = unescapePath(folder.slice(0, -"/@v".length));
  const version = parseVersion(path, unescapeVersion(stem));
  if (!files.has(`${stem}.mod`)) throw new ImportError("there is no .mod");
  const file = (extension: string) => `${directory}/${stem}.${extension}`;
  const time = timeIn(version);
  const info = files.has(`${stem}.info`)
    ? await readInfo(file("info"), version)
    : time === null
    ? null
    : { time };
  if (info === null) {
    throw new ImportError('there is no .info, which has the time; "go mod download" fetches it');
  }
  const zipHash = files.has(`${stem}.ziphash`)
    ? await readSmallFile(file("ziphash"), MAX_ZIP_HASH_BYTES)
    : null;
  return {
    ...info,
    path,
    version,
    goMod: await readSmallFile(file("mod"), MAX_GO_MOD_SIZE_BYTES),
    zip: {
      file: file("zip"),
      h1: zipHash === null ? null : parseH1(new TextDecoder().decode(zipHash).trim()),
    },
  };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
