/**
 * Git repositories with a history like those of real Go projects: source files that change a little
 * in most commits, a binary file that every release replaces, a tag for each release, all packed as
 * on a server that is looked after.
 *
 * They are the same, hash for hash, wherever they are made. Making the large one takes a minute, so
 * they are kept in the system's temporary directory from one run to the next.
 */
import { join } from "node:path";
import { TestRepo } from "../tests/worlds/git_repo.ts";
import { exists } from "../tests/support/exists.ts";
import { benchFolder } from "./bench_folder.ts";

export interface Recipe {
  readonly name: string;
  /** Source files of some {@linkcode FILE_LINES} lines. */
  readonly files: number;
  readonly commits: number;
  /** v1.0.0, v1.1.0, … at even distances; the last one is on the last commit. */
  readonly releases: number;
  /** The size of the binary file, of which each release has another one. */
  readonly binaryBytes: number;
}

export const SMALL: Recipe = {
  name: "small",
  files: 40,
  commits: 200,
  releases: 20,
  binaryBytes: 10_000,
};

export const LARGE: Recipe = {
  name: "large",
  files: 1000,
  commits: 1500,
  releases: 50,
  binaryBytes: 1_800_000,
};

export interface Repository {
  readonly recipe: Recipe;
  /** The bare repository's folder. */
  readonly path: string;
  /** In ascending order. */
  readonly versions: readonly string[];
  /** What a clone of it takes. */
  readonly packedBytes: number;
  /** What the files of its last commit take. */
  readonly treeBytes: number;
}

/** To be raised when other repositories come out of the same recipe. */
const EDITION = 1;
const FILE_LINES = 350;
/** Words in all source files. */
const VOCABULARY = 5000;
const FILES_PER_DIRECTORY = 20;
const FILES_PER_COMMIT = 4;
const LINES_PER_CHANGE = 12;

/** Makes a repository in a folder, or finds it there. */
export async function repository(recipe: Recipe, folder = benchFolder()): Promise<Repository> {
  const { name, files, commits, releases, binaryBytes } = recipe;
  const path = join(
    folder,
    `${[EDITION, name, files, commits, releases, binaryBytes].join("-")}.git`,
  );
  if (!await exists(path)) {
    const unfinished = `${path}.${crypto.randomUUID()}`;
    await makeRepository(unfinished, recipe);
    await Deno.rename(unfinished, path);
  }
  return {
    recipe,
    path,
    versions: Array.from({ length: releases }, (_, i) => versionOf(i)),
    packedBytes: await sizeOf(join(path, "objects", "pack")),
    treeBytes: Number(await Deno.readTextFile(join(path, "tree-bytes"))),
  };
}

async function makeRepository(path: string, recipe: Recipe): Promise<void> {
  const repo = await TestRepo.create(path);
  const project = new Project(recipe);
  // Release by release, so that not all of the history has to be in memory.
  for (let release = 0; release < recipe.releases; release++) {
    const stream = new Blob([...project.release(release)]);
    await repo.git(["fast-import", "--quiet"], await stream.bytes());
  }
  await repo.git(["repack", "-a", "-d", "-f", "-q", "--write-bitmap-index"]);
  const sizes = await repo.git(["ls-tree", "-r", "--format=%(objectsize)", "main"]);
  const treeBytes = sizes.split("\n").reduce((sum, size) => sum + Number(size), 0);
  await Deno.writeTextFile(join(path, "tree-bytes"), String(treeBytes));
}

function versionOf(release: number): string {
  return `v1.${release}.0`;
}

/** A part of a stream. As a string it is ASCII, so that its length is that in bytes. */
type Text = string | Uint8Array<ArrayBuffer>;

/** A project as it grows, in the language of `git fast-import`. */
class Project {
  readonly #recipe: Recipe;
  readonly #random = randomNumbers(20_200_101);
  readonly #vocabulary: readonly string[];
  /** The lines of each source file. */
  readonly #files: string[][];
  #commits = 0;

  constructor(recipe: Recipe) {
    this.#recipe = recipe;
    this.#vocabulary = Array.from({ length: VOCABULARY }, () => this.#identifier());
    this.#files = Array.from(
      { length: recipe.files },
      () => Array.from({ length: FILE_LINES }, () => this.#line()),
    );
  }

  /** The commits since the release before, and the tag. */
  *release(release: number): Generator<Text> {
    const { commits, releases, binaryBytes } = this.#recipe;
    const end = Math.round(commits * (release + 1) / releases);
    // In one stream, a commit follows the one before; to go on with a branch must be said.
    if (release > 0) yield "reset refs/heads/main\nfrom refs/heads/main^0\n\n";
    for (; this.#commits < end; this.#commits++) {
      const isFirst = this.#commits === 0;
      yield* commit(this.#commits);
      if (isFirst) yield* file("go.mod", "module go.example.com/project\n\ngo 1.24\n");
      const changed = isFirst ? this.#files.keys() : this.#change();
      for (const index of changed) yield* file(pathOf(index), this.#text(index));
      const isRelease = this.#commits === end - 1;
      if (isRelease) yield* file("testdata/recorded.bin", this.#bytes(binaryBytes));
    }
    yield `reset refs/tags/${versionOf(release)}\nfrom refs/heads/main\n\n`;
  }

  /** Replaces some lines of some files. Returns which files. */
  #change(): Set<number> {
    const changed = new Set(
      Array.from({ length: FILES_PER_COMMIT }, () => this.#below(this.#files.length)),
    );
    for (const index of changed) {
      const at = this.#below(FILE_LINES - LINES_PER_CHANGE);
      const lines = Array.from({ length: LINES_PER_CHANGE }, () => this.#line());
      this.#files[index]?.splice(at, LINES_PER_CHANGE, ...lines);
    }
    return changed;
  }

  #text(index: number): string {
    return `package p${Math.floor(index / FILES_PER_DIRECTORY)}\n\n${this.#files[index]?.join("")}`;
  }

  /**
   * Few words are frequent and most are rare, as in code; deflate makes a quarter of it, as of
   * code.
   */
  #line(): string {
    const word = () => this.#vocabulary[this.#below(1 + this.#below(1 + this.#below(VOCABULARY)))];
    const shapes = [
      () => `\tif err := ${word()}.${word()}(ctx, ${word()}); err != nil {\n\t\treturn err\n\t}\n`,
      () => `\t${word()} := ${word()}(${word()}, ${word()})\n`,
      () => `// ${word()} returns the ${word()} of a ${word()}, or nil if ${word()} is not set.\n`,
      () => `func (s *${word()}) ${word()}(${word()} string) (*${word()}, error) {\n`,
      () => `\treturn &${word()}{${word()}: ${this.#below(1000)}}, nil\n}\n\n`,
    ];
    return shapes[this.#below(shapes.length)]?.() ?? "";
  }

  #identifier(): string {
    const length = 3 + this.#below(12);
    return Array.from({ length }, () => String.fromCharCode(97 + this.#below(26))).join("");
  }

  #bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.#below(256));
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function* commit(index: number): Generator<Text> {
  const timeSeconds = Date.UTC(2020, 0, 1) / 1000 + index * 3600;
  yield "commit refs/heads/main\n";
  yield `committer Gopher <gopher@example.com> ${timeSeconds} +0000\n`;
  yield* data(`change ${index}`);
}

function* file(
  path: string,
  content: Text,
): Generator<Text> {
  yield `M 100644 inline ${path}\n`;
  yield* data(content);
}

function* data(
  content: Text,
): Generator<Text> {
  yield `data ${content.length}\n`;
  yield content;
  yield "\n";
}

function pathOf(index: number): string {
  return `p${Math.floor(index / FILES_PER_DIRECTORY)}/f${index}.go`;
}

/**
 * Numbers from 0 to 1 that are the same everywhere: xorshift32 (G. Marsaglia, "Xorshift RNGs",
 * 2003).
 */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

async function sizeOf(folder: string): Promise<number> {
  let sizeBytes = 0;
  for await (const { name } of Deno.readDir(folder)) {
    sizeBytes += (await Deno.stat(join(folder, name))).size;
  }
  return sizeBytes;
}
