/**
 * Makes a module zip from a commit in a repository, as the `go` command does where it fetches a module directly: the same
 * files with the same bytes, and therefore the same h1 (hash.ts). Go's side of it is `Zip` of cmd/go/internal/modfetch and
 * `Create` of golang.org/x/mod/zip.
 *
 * 1. The list of all names says which files belong in the zip (select.ts). A go.mod that comes last can decide about a file
 *    that comes first, so there is no shorter way.
 * 2. The content comes from `git archive`, and not from the blobs: `.gitattributes` of the commit may ask for other line
 *    endings or another encoding, and the `go` command takes what `git archive` makes of it.
 * 3. A module in a subdirectory without a LICENSE gets that of the repository's root.
 *
 * Memory: one piece of a file (zip_writer.ts), and some hundred bytes for each file. The thread is given to others every
 * few milliseconds (pace.ts). A Worker would leave it alone altogether, but to start one blocks it for longer than any turn
 * here, and takes as long as the whole of a small module.
 *
 * KNOWN LIMIT: which vendored files belong, and whether the files are too large, is judged by the blobs, where Go looks at
 * what `git archive` makes of them. That is another answer only where `.gitattributes` asks for a go.mod in UTF-16, or
 * makes a tree of more than 500 MiB smaller.
 */
import { MAX_GO_MOD_SIZE_BYTES, scanGoMod } from "../module/go_mod.ts";
import type { ModulePath } from "../module/path.ts";
import { quoted } from "../module/quoted.ts";
import type { Version } from "../module/version.ts";
import { hashEntries } from "./hash.ts";
import { Pace } from "./pace.ts";
import { Contents, entryPrefix, MAX_LICENSE_BYTES, MAX_ZIP_BYTES, ZipError } from "./rules.ts";
import { isRegular, selectFiles, type TreeFile, type TreeFileKind } from "./select.ts";
import { readTar } from "./tar.ts";
import { ZipWriter } from "./zip_writer.ts";

/** The files of a commit. A `Snapshot` of git/repository.ts is one, and says more about each method. */
export interface CommitFiles {
  /** Everything below a directory that is no directory itself, with paths from the repository's root. */
  listTree(dir: string, options: { signal: AbortSignal }): AsyncIterable<CommitEntry>;
  /** The directory as `git archive` packs it, with names from the repository's root. */
  archive(dir: string, options: { signal: AbortSignal }): ReadableStream<Uint8Array<ArrayBuffer>>;
  /** A blob, null if there is none. Throws where it is larger than the limit. */
  readFile(
    path: string,
    options: { limitBytes: number; signal: AbortSignal },
  ): Promise<Uint8Array<ArrayBuffer> | null>;
}

export interface CommitEntry {
  readonly kind: TreeFileKind;
  readonly path: string;
  readonly sizeBytes: number;
}

export interface CreateZipOptions {
  readonly path: ModulePath;
  readonly version: Version;
  /** Where the module lies in the repository, without a slash at the end; "" is the root. */
  readonly dir: string;
  /** Where the zip goes. There must be nothing yet; after a failure there may be part of a zip. */
  readonly file: string;
  readonly signal: AbortSignal;
}

export interface CreatedZip {
  readonly file: string;
  /** Of the zip file. */
  readonly sizeBytes: number;
  readonly h1: string;
}

/**
 * Writes the zip of a module version to a new file.
 *
 * @throws {ZipError} when the directory holds what must not be in a module zip
 * @throws the signal's reason when it is aborted, and what the methods of `commit` throw
 */
export async function createZip(
  commit: CommitFiles,
  { path, version, dir, file, signal }: CreateZipOptions,
): Promise<CreatedZip> {
  const pace = new Pace(signal);
  const prefix = entryPrefix(path, version);
  const { names, license } = await chooseFiles(commit, { dir, pace, signal });
  using handle = await Deno.open(file, { write: true, createNew: true });
  const zip = new ZipWriter(handle, { limitBytes: MAX_ZIP_BYTES, pace });
  // Judged once more: not all sizes are those of the blobs.
  const contents = new Contents();
  for await (const { name, sizeBytes, content } of readTar(commit.archive(dir, { signal }))) {
    const ownName = nameIn(dir, name);
    if (ownName === null || !names.delete(ownName)) continue;
    const fault = contents.addFile(ownName, sizeBytes);
    if (fault !== null) throw new ZipError(`Cannot make zip: ${fault}`);
    await zip.add(prefix + ownName, content);
  }
  if (license !== null && names.delete(LICENSE)) await zip.add(prefix + LICENSE, [license]);
  const [missing] = names;
  if (missing !== undefined) throw new Error(`Cannot make zip: no ${quoted(missing)} in archive`);
  const { sizeBytes, entries } = await zip.finish();
  return { file, sizeBytes, h1: hashEntries(entries) };
}

const GO_MOD = "go.mod";
const LICENSE = "LICENSE";

interface ChosenFiles {
  /** From the module's root. */
  readonly names: Set<string>;
  /** Of the repository's root, where the module has none. */
  readonly license: Uint8Array | null;
}

interface Place {
  readonly dir: string;
  readonly signal: AbortSignal;
}

async function chooseFiles(
  commit: CommitFiles,
  { pace, ...place }: Place & { pace: Pace },
): Promise<ChosenFiles> {
  const files: TreeFile[] = [];
  for await (const { kind, path, sizeBytes } of commit.listTree(place.dir, place)) {
    const name = nameIn(place.dir, path);
    if (name !== null) files.push({ kind, name, sizeBytes });
  }
  const license = await borrowLicense(commit, files, place);
  if (license !== null) files.push({ kind: "file", name: LICENSE, sizeBytes: license.length });
  const goVersion = await readGoVersion(commit, files, place);
  return { names: new Set(await selectFiles(files, { goVersion, pace })), license };
}

/** A symbolic link of this name is no LICENSE in the zip, but keeps the root's away as well. */
async function borrowLicense(
  commit: CommitFiles,
  files: readonly TreeFile[],
  { dir, signal }: Place,
): Promise<Uint8Array | null> {
  const hasOwn = files.some(({ kind, name }) => name === LICENSE && kind !== "submodule");
  if (dir === "" || hasOwn) return null;
  return await commit.readFile(LICENSE, { limitBytes: MAX_LICENSE_BYTES, signal });
}

async function readGoVersion(
  commit: CommitFiles,
  files: readonly TreeFile[],
  { dir, signal }: Place,
): Promise<string | null> {
  const goMod = files.find(({ kind, name }) => name === GO_MOD && isRegular(kind));
  // One that is too large is refused with the other files.
  if (goMod === undefined || goMod.sizeBytes > MAX_GO_MOD_SIZE_BYTES) return null;
  const path = dir === "" ? GO_MOD : `${dir}/${GO_MOD}`;
  const bytes = await commit.readFile(path, { limitBytes: MAX_GO_MOD_SIZE_BYTES, signal });
  return bytes === null ? null : scanGoMod(bytes).goVersion;
}

/** The part of a path behind `dir`, null for a path elsewhere. */
function nameIn(dir: string, path: string): string | null {
  if (dir === "") return path;
  return path.startsWith(`${dir}/`) ? path.slice(dir.length + 1) : null;
}
