/**
 * Makes a module zip from a commit in a repository, as the `go` command does where it fetches a
 * module directly: the same files with the same bytes, and therefore the same h1 (hash.ts). Go's
 * side of it is `Zip` of cmd/go/internal/modfetch and `Create` of golang.org/x/mod/zip.
 *
 * 1. The list of all names says which files belong in the zip (select.ts). A go.mod that comes last
 *    can decide about a file that comes first, so there is no shorter way.
 * 2. The content comes from `git archive`, and not from the blobs: `.gitattributes` of the commit
 *    may ask for other line endings or another encoding, and the `go` command takes what `git
 *    archive` makes of it.
 * 3. A module in a subdirectory without a LICENSE gets that of the repository's root.
 * 4. Files that are the same blobs as in the zip of another version, converted by the same
 *    attributes, come from that zip (reusable_zips.ts), and git packs the others alone.
 *
 * Memory: one piece of a file (zip_writer.ts), and some hundred bytes for each file. The thread is
 * given to others every few milliseconds (async/pace.ts). A Worker would leave it alone altogether,
 * but to start one blocks it for longer than any turn here, and takes as long as the whole of a
 * small module.
 *
 * KNOWN LIMIT: which vendored files belong, and whether the files are too large, is judged by the
 * blobs, where Go looks at what `git archive` makes of them. That is another answer only where
 * `.gitattributes` asks for a go.mod in UTF-16, or makes a tree of more than 500 MiB smaller.
 */
import { createHash } from "node:crypto";
import type { H1 } from "../module/h1.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import { quoted } from "../module/quoted.ts";
import { hashSteps } from "./hash.ts";
import { atPace, eachStep, Pace } from "../async/pace.ts";
import { Contents, entryPrefix, MAX_LICENSE_BYTES, MAX_ZIP_BYTES, ZipError } from "./rules.ts";
import { isRegular, selectFiles, type TreeFile, type TreeFileKind } from "./select.ts";
import { DamagedSeedError, type Seed, type SeedFile, type Seeds } from "./reusable_zips.ts";
import { readTar } from "./tar.ts";
import { type WrittenEntry, ZipWriter } from "./zip_writer.ts";

/**
 * The files of a commit. A `Snapshot` of git/repository.ts is one, and says more about each method.
 */
export interface CommitFiles {
  /** Everything below a directory except directories, with paths from the repository's root. */
  listTree(dir: string, options: { signal: AbortSignal }): AsyncIterable<CommitEntry>;
  /** What is at these paths, except directories. */
  listFiles(
    paths: readonly string[],
    options: { signal: AbortSignal },
  ): AsyncIterable<CommitEntry>;
  /**
   * The directory, or some files of it, as `git archive` packs it, with names from the repository's
   * root.
   */
  archive(
    dir: string,
    options: { signal: AbortSignal; paths?: readonly string[] } & ArchiveFacts,
  ): ReadableStream<Uint8Array<ArrayBuffer>>;
  /** A blob, null if there is none. Throws where it is larger than the limit. */
  readFile(
    path: string,
    options: { limitBytes: number; signal: AbortSignal },
  ): Promise<Uint8Array<ArrayBuffer> | null>;
}

/** What decides how much memory git needs to pack a directory. */
export interface ArchiveFacts {
  /** Whether the commit has attributes for files of the directory. */
  readonly isConverted: boolean;
  /** Of the directory's files. */
  readonly largestFileBytes: number;
}

export interface CommitEntry {
  readonly kind: TreeFileKind;
  /** Of the blob. */
  readonly hash: string;
  readonly path: string;
  readonly sizeBytes: number;
}

export interface CreateZipOptions {
  readonly module: ModuleVersion;
  /** Where the module lies in the repository, without a slash at the end; "" is the root. */
  readonly dir: string;
  /** The version in the go line of the module's go.mod; null without such a line or file. */
  readonly goVersion: string | null;
  /** Where the zip goes; after a failure there may be part of a zip. */
  readonly file: string;
  /** Whether the file may exist, and is overwritten then. Default: it must not. */
  readonly overwrites?: boolean;
  /**
   * Zips of other versions of the modules in this repository, on the file system of `file`.
   * Default: none.
   */
  readonly seeds?: Seeds;
  readonly signal: AbortSignal;
}

export interface CreatedZip {
  readonly file: string;
  /** Of the zip file. */
  readonly sizeBytes: number;
  readonly h1: H1;
}

/**
 * Writes the zip of a module version to a file.
 *
 * @throws {ZipError} when the directory holds what must not be in a module zip
 * @throws the signal's reason when it is aborted, and what the methods of `commit` throw
 */
export async function createZip(
  commit: CommitFiles,
  { module, dir, goVersion, file, overwrites = false, seeds, signal }: CreateZipOptions,
): Promise<CreatedZip> {
  using _turn = await seeds?.turn(dir, signal);
  const pace = new Pace(signal);
  const options = { dir, signal };
  const { chosen, conversion, facts } = await chooseFiles(commit, {
    ...options,
    goVersion,
    pace,
  });
  using seed = await seeds?.open(dir, conversion) ?? null;
  using handle = await Deno.open(
    file,
    overwrites ? { write: true, create: true, truncate: true } : { write: true, createNew: true },
  );
  const prefix = entryPrefix(module);
  const pack = async (seed: Seed | null) => {
    const zip = new ZipWriter(handle, { limitBytes: MAX_ZIP_BYTES, pace });
    const packing = new Packing(zip, { chosen, prefix, seed });
    await packing.run(commit, { ...options, facts, pace });
    return await zip.finish();
  };
  const { sizeBytes, entries } = await pack(seed).catch(async (error) => {
    if (!(error instanceof DamagedSeedError)) throw error;
    await handle.truncate();
    await handle.seek(0, Deno.SeekMode.Start);
    return await pack(null);
  });
  await seeds?.keep(dir, { file, conversion, files: seedFiles(entries, { chosen, prefix }) });
  return { file, sizeBytes, h1: await atPace(hashSteps(entries), pace) };
}

const GO_MOD = "go.mod";
const LICENSE = "LICENSE";
const ATTRIBUTES = ".gitattributes";

/**
 * Files that git is asked to pack by name: as arguments they have to be few and short. Of more, all
 * are packed.
 */
const MAX_PATHS = 500;
const MAX_PATHS_CHARS = 64 * 1024;

/** What it costs to take in an entry of the tree, as if it were so much content. */
const ENTRY_COST_BYTES = 1024;

/** A file that belongs in the zip: its blob, or its content where it comes from elsewhere. */
type ChosenFile = { readonly blob: string } | { readonly content: Uint8Array };

/** By the name from the module's root, in the order of the tree. */
type ChosenFiles = ReadonlyMap<string, ChosenFile>;

interface DirOptions {
  readonly dir: string;
  readonly signal: AbortSignal;
}

/** The chosen files on their way into a zip: from a seed what is in it, from git the others. */
class Packing {
  readonly #zip: ZipWriter;
  readonly #prefix: string;
  readonly #chosen: ChosenFiles;
  readonly #seed: Seed | null;
  readonly #seeded = new Map<string, SeedFile>();
  /** What is not in the zip yet. */
  readonly #missing = new Set<string>();
  /** What is neither in the seed nor given: the names, and their characters together. */
  readonly #unseeded: string[] = [];
  #unseededChars = 0;
  /** Judged once more: not all sizes are those of the blobs. */
  readonly #contents = new Contents();

  constructor(
    zip: ZipWriter,
    { chosen, prefix, seed }: { chosen: ChosenFiles; prefix: string; seed: Seed | null },
  ) {
    this.#zip = zip;
    this.#prefix = prefix;
    this.#chosen = chosen;
    this.#seed = seed;
  }

  /**
   * Files come in the order of the tree, wherever they are from: so the same files make the same
   * bytes.
   */
  async run(
    commit: CommitFiles,
    { facts, pace, dir, signal }: DirOptions & { readonly facts: ArchiveFacts; pace: Pace },
  ): Promise<void> {
    await atPace(eachStep(this.#chosen, (file) => this.#divide(file)), pace);
    const archive = this.#archive(commit, dir, { ...facts, signal });
    const others = this.#chosen.keys();
    for await (const { name, sizeBytes, content } of archive === null ? [] : readTar(archive)) {
      const ownName = nameIn(dir, name);
      if (ownName === null || !this.#missing.has(ownName)) continue;
      await this.#addOthers(others, ownName);
      this.#take(ownName, sizeBytes);
      await this.#zip.add(this.#prefix + ownName, content);
    }
    await this.#addOthers(others, null);
    const [missing] = this.#missing;
    if (missing !== undefined) throw new Error(`Cannot make zip: no ${quoted(missing)} in archive`);
  }

  /** What git has to pack; null where that is nothing. */
  #archive(
    commit: CommitFiles,
    dir: string,
    options: { readonly signal: AbortSignal } & ArchiveFacts,
  ): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    const names = this.#unseeded;
    if (this.#seeded.size === 0) return commit.archive(dir, options);
    if (names.length === 0) return null;
    const chars = this.#unseededChars + names.length * pathIn(dir, "").length;
    if (names.length <= MAX_PATHS && chars <= MAX_PATHS_CHARS) {
      return commit.archive(dir, { ...options, paths: names.map((name) => pathIn(dir, name)) });
    }
    return commit.archive(dir, options);
  }

  #divide([name, file]: readonly [string, ChosenFile]): void {
    this.#missing.add(name);
    if (!("blob" in file)) return;
    const seeded = this.#seed?.find(name, file.blob) ?? null;
    if (seeded !== null) this.#seeded.set(name, seeded);
    else {
      this.#unseeded.push(name);
      this.#unseededChars += name.length;
    }
  }

  /** Adds what does not come from git, up to the file of a name. */
  async #addOthers(names: Iterator<string, void>, end: string | null): Promise<void> {
    for (let next = names.next(); !next.done && next.value !== end; next = names.next()) {
      const name = next.value;
      const file = this.#chosen.get(name);
      const seeded = this.#seeded.get(name);
      if (!this.#missing.has(name)) continue;
      if (seeded !== undefined && this.#seed !== null) {
        this.#take(name, seeded.sizeBytes);
        const chunks = this.#seed.read(seeded);
        await this.#zip.addDeflated(this.#prefix + name, { ...seeded, chunks });
      } else if (file !== undefined && "content" in file) {
        this.#take(name, file.content.length);
        await this.#zip.add(this.#prefix + name, [file.content]);
      }
    }
  }

  #take(name: string, sizeBytes: number): void {
    this.#missing.delete(name);
    const fault = this.#contents.addFile(name, sizeBytes);
    if (fault !== null) throw new ZipError(`Cannot make zip: ${fault}`);
  }
}

async function chooseFiles(
  commit: CommitFiles,
  { goVersion, pace, ...options }: DirOptions & { goVersion: string | null; pace: Pace },
): Promise<{ chosen: ChosenFiles; conversion: string; facts: ArchiveFacts }> {
  const files: (TreeFile & { readonly hash: string })[] = [];
  for await (const { kind, path, hash, sizeBytes } of commit.listTree(options.dir, options)) {
    const name = nameIn(options.dir, path);
    if (name !== null) files.push({ kind, name, hash, sizeBytes });
    await pace.spend(ENTRY_COST_BYTES);
  }
  const { conversion, isConverted } = await conversionOf(commit, files, { ...options, pace });
  const found = new Map<string, ChosenFile>();
  let largestFileBytes = 0;
  const add = ({ name, hash, sizeBytes }: TreeFile & { readonly hash: string }) => {
    found.set(name, { blob: hash });
    largestFileBytes = Math.max(largestFileBytes, sizeBytes);
  };
  await atPace(eachStep(files, add), pace);
  const license = await borrowLicense(commit, files, options);
  if (license !== null) {
    files.push({ kind: "file", name: LICENSE, hash: "", sizeBytes: license.length });
    found.set(LICENSE, { content: license });
  }
  const chosen = new Map<string, ChosenFile>();
  const choose = (name: string) => {
    const file = found.get(name);
    if (file !== undefined) chosen.set(name, file);
  };
  const rules = { goVersion: hasGoMod(files) ? goVersion : null, pace };
  await atPace(eachStep(await selectFiles(files, rules), choose), pace);
  return { chosen, conversion, facts: { isConverted, largestFileBytes } };
}

/**
 * What decides, besides a blob and its path, about what `git archive` makes of it: all attributes
 * that the commit has for files of the module.
 */
async function conversionOf(
  commit: CommitFiles,
  files: readonly (TreeFile & { readonly hash: string })[],
  { dir, signal, pace }: DirOptions & { readonly pace: Pace },
): Promise<{ conversion: string; isConverted: boolean }> {
  const digest = createHash("sha256");
  let isConverted = false;
  const add = (hash: string, path: string) => {
    digest.update(`${hash} ${path}\0`);
    isConverted = true;
  };
  const above = dir.split("/").map((_, depth, elements) =>
    [...elements.slice(0, depth), ATTRIBUTES].join("/")
  );
  for await (const { path, hash } of dir === "" ? [] : commit.listFiles(above, { signal })) {
    add(hash, path);
  }
  const addIfAttributes = ({ name, hash }: TreeFile & { readonly hash: string }) => {
    const isAttributes = name === ATTRIBUTES || name.endsWith(`/${ATTRIBUTES}`);
    if (isAttributes) add(hash, pathIn(dir, name));
  };
  await atPace(eachStep(files, addIfAttributes), pace);
  return { conversion: digest.digest("hex"), isConverted };
}

/** What a later zip may take from this one. */
function* seedFiles(
  entries: readonly WrittenEntry[],
  { chosen, prefix }: { chosen: ChosenFiles; prefix: string },
): Generator<{ name: string; blob: string; entry: WrittenEntry }> {
  for (const entry of entries) {
    const name = entry.name.slice(prefix.length);
    const file = chosen.get(name);
    if (file !== undefined && "blob" in file) yield { name, blob: file.blob, entry };
  }
}

/**
 * A symbolic link of this name does not become a LICENSE in the zip, but it keeps the root's out,
 * too.
 */
async function borrowLicense(
  commit: CommitFiles,
  files: readonly TreeFile[],
  { dir, signal }: DirOptions,
): Promise<Uint8Array | null> {
  const hasOwn = files.some(({ kind, name }) => name === LICENSE && kind !== "submodule");
  if (dir === "" || hasOwn) return null;
  return await commit.readFile(LICENSE, { limitBytes: MAX_LICENSE_BYTES, signal });
}

/** A symbolic link of this name is not the module's go.mod, although it can be read as one. */
function hasGoMod(files: readonly TreeFile[]): boolean {
  return files.some(({ kind, name }) => name === GO_MOD && isRegular(kind));
}

/** The part of a path behind `dir`, null for a path elsewhere. */
function nameIn(dir: string, path: string): string | null {
  if (dir === "") return path;
  return path.startsWith(`${dir}/`) ? path.slice(dir.length + 1) : null;
}

function pathIn(dir: string, name: string): string {
  return dir === "" ? name : `${dir}/${name}`;
}
