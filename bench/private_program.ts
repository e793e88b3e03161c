/**
 * A program with 60 private modules in 20 repositories: each repository has a module at its root
 * and two below it, whose versions are tags of one commit, and needs two other repositories, like a
 * binary tree. The program imports half of the modules at the roots and has a complete go.mod and
 * go.sum. Nothing imports the standard library, so that a build compiles these modules only.
 *
 * It is the same, hash for hash, wherever it is made, and is kept in the system's temporary
 * directory from one run to the next.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { goCommand } from "../tests/support/go_command.ts";
import { exists } from "../tests/support/exists.ts";
import { type Files, TestRepo } from "../tests/worlds/git_repo.ts";
import { benchFolder } from "./bench_folder.ts";
import { privateEnv } from "./contestants.ts";
import { GitServerProcess } from "./git_contestants.ts";

export interface PrivateProgram {
  /** The names of the repositories, each of which is the module path's last element too. */
  readonly names: readonly string[];
  /** The folder with the bare repositories, each under its name. */
  readonly folder: string;
  /** Of the main module: go.mod, go.sum and source. */
  readonly files: Readonly<Record<string, string>>;
}

const OWNER = "github.com/acme";
const REPOSITORIES = 20;
const IMPORTED = 10;
const VERSION = "v1.0.0";
const COMMITS = 20;
/** The commit, of {@linkcode COMMITS}, with the tags. */
const TAGGED = 15;
const SOURCE_FILES = 10;
const SOURCE_LINES = 80;

/** The folders of the modules in a repository. */
const FOLDERS = ["", "a", "b"] as const;

/** Where the server has each repository, by the module path of its root. */
export function repositoryUrlsOf({ names }: PrivateProgram, git: GitServerProcess) {
  return new Map(names.map((name) => [`${OWNER}/${name}`, `${git.url}/acme/${name}`]));
}

/** A git server with the repositories. @param delayMs by how much every answer starts later */
export async function servePrograms(
  { names, folder }: PrivateProgram,
  delayMs: number,
): Promise<GitServerProcess> {
  const git = await GitServerProcess.start(delayMs);
  for (const name of names) await git.add(name, join(folder, name));
  return git;
}

/** Makes the program, or finds it where it was made. */
export async function privateProgram(): Promise<PrivateProgram> {
  const folder = join(benchFolder(), "private-1");
  const names = Array.from({ length: REPOSITORIES }, (_, i) => nameOf(i + 1));
  if (!await exists(folder)) {
    const unfinished = `${folder}.${crypto.randomUUID()}`;
    for (let number = 1; number <= REPOSITORIES; number++) {
      await makeRepository(join(unfinished, nameOf(number)), number);
    }
    const goSum = await goSumOf({ names, folder: unfinished, files: MAIN });
    await Deno.writeTextFile(join(unfinished, "go.sum"), goSum);
    await Deno.rename(unfinished, folder);
  }
  const goSum = await Deno.readTextFile(join(folder, "go.sum"));
  return { names, folder, files: { ...MAIN, "go.sum": goSum } };
}

/** As the `go` command writes it when it fetches all modules by git. */
async function goSumOf(program: PrivateProgram): Promise<string> {
  await using git = await servePrograms(program, 0);
  await using go = await goCommand({
    proxy: "direct",
    files: program.files,
    env: { ...privateEnv(repositoryUrlsOf(program, git)), GOFLAGS: "-modcacherw -mod=mod" },
  });
  for (const args of [["mod", "tidy"], ["build", "./..."]]) {
    const { code, stderr } = await go.run(args);
    assert.equal(code, 0, stderr);
  }
  assert.equal(await go.readFile("go.mod"), program.files["go.mod"], "go.mod is not complete");
  return await go.readFile("go.sum");
}

function nameOf(number: number): string {
  return `lib${String(number).padStart(2, "0")}`;
}

async function makeRepository(path: string, number: number): Promise<void> {
  const repo = await TestRepo.create(path);
  for (let commit = 1; commit <= COMMITS; commit++) {
    const isFirst = commit === 1;
    await repo.commit({
      ...isFirst ? filesOf(number) : {},
      "CHANGES.md": sourceText(`changes up to ${commit}`, { repository: number, lines: commit }),
    });
    if (commit !== TAGGED) continue;
    for (const folder of FOLDERS) await repo.tag(join(folder, VERSION), "refs/heads/main");
  }
  await repo.git(["repack", "-a", "-d", "-q", "--write-bitmap-index"]);
}

function filesOf(repository: number): Files {
  return Object.fromEntries(FOLDERS.flatMap((folder) => {
    const name = folder || nameOf(repository);
    const imports = importsOf(repository, folder);
    const calls = imports.map((path) => `${path.slice(path.lastIndexOf("/") + 1)}.Name()`);
    const lines = [
      `package ${name}`,
      "",
      ...imports.map((path) => `import "${path}"`),
      "",
      `func Name() string { return ${[`"${name}"`, ...calls].join(" + ")} }`,
      "",
    ];
    const goMod = goModOf(pathOf(repository, folder), imports);
    return [
      [join(folder, "go.mod"), goMod],
      [join(folder, `${name}.go`), lines.join("\n")],
      ...Array.from({ length: SOURCE_FILES }, (_, i) => {
        const comments = sourceText(`${folder}/${i}`, { repository, lines: SOURCE_LINES });
        return [join(folder, `file${i}.go`), `package ${name}\n\n${comments}`];
      }),
    ];
  }));
}

/** Lines of comments that are the same nowhere else. */
function sourceText(title: string, { repository, lines }: { repository: number; lines: number }) {
  const texts = Array.from({ length: lines }, (_, i) => {
    return createHash("sha256").update(`${repository} ${title} ${i}`).digest("hex");
  });
  return texts.map((text) => `// ${text}\n`).join("");
}

function pathOf(repository: number, folder: string): string {
  return join(OWNER, nameOf(repository), folder);
}

/**
 * What a module imports: the one at the root both others of its repository, and each of those the
 * root of another repository.
 */
function importsOf(repository: number, folder: typeof FOLDERS[number]): string[] {
  if (folder === "") return [pathOf(repository, "a"), pathOf(repository, "b")];
  const child = folder === "a" ? 2 * repository : 2 * repository + 1;
  return child <= REPOSITORIES ? [pathOf(child, "")] : [];
}

/** Complete, as `go mod tidy` writes it: with the modules that are imported indirectly. */
function goModOf(path: string, direct: readonly string[]): string {
  const all = new Set(direct);
  for (const each of all) {
    const [, , name = "", folder = ""] = each.split("/");
    const found = FOLDERS.find((known) => known === folder) ?? "";
    for (const imported of importsOf(Number(name.slice("lib".length)), found)) all.add(imported);
  }
  const block = (paths: readonly string[], comment: string) =>
    paths.length === 0
      ? ""
      : `\nrequire (\n${
        paths.toSorted().map((each) => `\t${each} ${VERSION}${comment}\n`).join("")
      })\n`;
  const indirect = [...all].filter((each) => !direct.includes(each));
  return `module ${path}\n\ngo 1.24\n${block(direct, "")}${block(indirect, " // indirect")}`;
}

const IMPORTS = Array.from({ length: IMPORTED }, (_, i) => pathOf(i + 1, ""));

const MAIN = {
  "go.mod": goModOf("example.com/program", IMPORTS),
  "program.go": [
    "package program",
    "",
    ...IMPORTS.map((path) => `import "${path}"`),
    "",
    `func Name() string { return ${
      IMPORTS.map((path) => `${path.slice(path.lastIndexOf("/") + 1)}.Name()`).join(" + ")
    } }`,
    "",
  ].join("\n"),
};
