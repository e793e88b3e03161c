/**
 * lib/zip against the `go` command: for each repository below, made on the spot and served by a
 * real git server, the zip that is made here has the h1 of the one that `go mod download` makes
 * with `GOPROXY=direct`, or both refuse. And the `go` command takes the zips that were made here.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { moduleVersion } from "../lib/module/module_version.ts";
import { type CreatedZip, createZip } from "../lib/zip/create.ts";
import { ZipError } from "../lib/zip/rules.ts";
import { executable, type Files, submodule, symlink } from "./worlds/git_repo.ts";
import { GitServer } from "./fakes/git_server.ts";
import { readGoVersion } from "./support/go_version.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { TestMirrors, testRemote } from "./worlds/mirrors.ts";

const VERSION = "v1.0.0";

interface Case {
  readonly what: string;
  readonly files: Files;
  /** Where the module is. Default: the root. */
  readonly dir?: string;
  readonly objectFormat?: "sha256";
  /** What our refusal says; without it, there is a zip. */
  readonly refusal?: RegExp;
}

/** All names that the rule for vendored files has an opinion about. */
const VENDORED: Files = {
  "a.go": "package a\n",
  "vendor/a.go": "package vendor\n",
  "vendor/modules.txt": "# example.com/x v1.0.0\n",
  "vendor/x/a.go": "package x\n",
  "vendor/example.com/x/a.go": "package x\n",
  "vendor/x/modules.txt": "",
  "vendor/mod/go.mod": "module vendored\n",
  "vendor/mod/a.go": "package mod\n",
  "vendor/vendor/a.go": "package vendor\n",
  "pkg/vendor/modules.txt": "",
  "pkg/vendor/vendor.go": "package vendor\n",
  "pkg/vendor/x/a.go": "package x\n",
  "p/vendor/a.go": "package vendor\n",
  "a/b/vendor/vendor/a.go": "package vendor\n",
  "a/vendor/b/vendor/c/a.go": "package c\n",
  "vendored/x/a.go": "package x\n",
  "my-vendor/x/a.go": "package x\n",
  "Vendor2/x/a.go": "package x\n",
};

const LFS_POINTER = `version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
`;

/** A commit that is in no repository here. */
const ELSEWHERE = "6c8db01657c92af3d3d27c15e6e2c04055fba851";

function goMod(goLine = "go 1.20"): string {
  return `module git.example.com/m.git\n\n${goLine}\n`;
}

const SEVENTEEN_MIB = new TextEncoder().encode(goMod() + "//".repeat(17 << 19));

const CASES: readonly Case[] = [
  {
    what: "files of all kinds",
    files: {
      "go.mod": goMod(),
      ".gitignore": "*.o\n",
      ".github/workflows/x.yml": "on: push\n",
      "LICENSE": "free\n",
      "a.go": "package a\n",
      "empty": "",
      "run.sh": executable("#!/bin/sh\n"),
      "with space/a b (c) [d] {e} ~f, g = h! #1 $2 %3 &4 @5 +6 ^7.txt": "x",
      "binary.bin": Uint8Array.from({ length: 1000 }, (_, i) => i & 255),
      "large.txt": "A line that comes again and again.\n".repeat(50_000),
    },
  },
  { what: "no go.mod", files: { "a.go": "package a\n", "sub/b.go": "package b\n" } },
  {
    what: "a repository with SHA-256",
    objectFormat: "sha256",
    files: { "go.mod": goMod(), "a.go": "" },
  },
  {
    what: "names of other scripts and long names",
    files: {
      "go.mod": goMod(),
      "über/straße.go": "x",
      "世界/こんにちは.txt": "x",
      "\u{10428}\u{20000}.txt": "x",
      [`${"n".repeat(240)}.txt`]: "x",
      [`${"long/".repeat(60)}${"ü".repeat(100)}.txt`]: "x",
      [`${"d".repeat(99)}/${"f".repeat(99)}`]: "x",
      [`${"d".repeat(160)}/${"f".repeat(101)}`]: "x",
    },
  },
  {
    what: "line endings by .gitattributes",
    files: {
      "go.mod": goMod(),
      ".gitattributes":
        "* text=auto\n*.crlf text eol=crlf\n*.lf text eol=lf\n*.bin -text\n*.txt text\ngo.mod text eol=crlf\n",
      "mixed.crlf": "a\nb\r\nc\n",
      "a.crlf": "a\nb\n",
      "a.lf": "a\r\nb\n",
      "a.bin": "a\r\nb\n",
      "a.txt": "a\r\nb\n",
      "auto": "a\r\nb\n",
      "sub/.gitattributes": "*.crlf -text\n*.sub text eol=crlf\n",
      "sub/a.crlf": "a\nb\n",
      "sub/a.sub": "a\nb\n",
    },
  },
  {
    what: "line endings of a module in a directory, by the root's .gitattributes",
    dir: "sub",
    files: {
      "LICENSE": "a\nb\n",
      ".gitattributes": "* text eol=crlf\n",
      "sub/go.mod": goMod(),
      "sub/a.go": "package a\n\nvar A int\n",
    },
  },
  {
    what: "ident",
    files: {
      "go.mod": goMod(),
      ".gitattributes": "*.go ident\n",
      "a.go": "// $Id$\npackage a\n",
      "b.go": "// $Id: 0123456789012345678901234567890123456789 $\npackage b\n",
    },
  },
  {
    what: "export-subst and export-ignore",
    files: {
      "go.mod": goMod(),
      ".gitattributes":
        "*.go export-subst\nignored export-ignore\nignored.go export-ignore\n.gitattributes export-ignore\n",
      "a.go": "// $Format:%H %ci$\npackage a\n",
      "ignored/a.go": "package a\n",
      "ignored.go": "package a\n",
    },
  },
  {
    what: "filters and LFS",
    files: {
      "go.mod": goMod(),
      ".gitattributes":
        "*.bin filter=lfs diff=lfs merge=lfs -text\n*.c filter=indent\n[attr]code filter=x\n*.h code\n",
      "a.bin": LFS_POINTER,
      "a.c": "int a;\n",
      "a.h": "int a;\n",
    },
  },
  {
    what: "other encodings",
    files: {
      "go.mod": goMod(),
      ".gitattributes":
        "*.ps1 text working-tree-encoding=UTF-16LE eol=crlf\n*.latin text working-tree-encoding=ISO-8859-1\n",
      "a.ps1": "Write-Host 'über'\n",
      "a.latin": "über\n",
    },
  },
  {
    what: "other modules in directories",
    files: {
      "go.mod": goMod(),
      "a/go.mod": "module a\n",
      "a/a.go": "package a\n",
      "a/b/b.go": "package b\n",
      "b/x.go": "package b\n",
      "b/c/GO.mod": "module c\n",
      "b/c/c.go": "package c\n",
      "d/a.go": "package d\n",
      "d/go.mod": symlink("../go.mod"),
      "e/a.go": "package e\n",
      "e/go.mod": submodule(ELSEWHERE),
      "f/go.mod/a.go": "package f\n",
      "g/go.mod": executable("module g\n"),
      "g/g.go": "package g\n",
      "con/go.mod": "module con\n",
      "h/go.mod": "",
      "h/AUX": "",
      "h/a": "",
      "h/A": "",
    },
  },
  { what: "vendor, go 1.23", files: { "go.mod": goMod("go 1.23"), ...VENDORED } },
  { what: "vendor, go 1.24", files: { "go.mod": goMod("go 1.24"), ...VENDORED } },
  { what: "vendor, go 1.24.1", files: { "go.mod": goMod("go 1.24.1"), ...VENDORED } },
  { what: "vendor, go 1.24rc1", files: { "go.mod": goMod("go 1.24rc1"), ...VENDORED } },
  { what: "vendor, no go line", files: { "go.mod": goMod(""), ...VENDORED } },
  {
    what: "vendor, go 1.24 in a go.mod with a fault",
    files: { "go.mod": goMod("go 1.24\ngo 1.24"), ...VENDORED },
  },
  { what: "vendor, no go.mod", files: VENDORED },
  {
    what: "vendor in a directory, whose own go line counts",
    dir: "sub",
    files: {
      "go.mod": goMod("go 1.24"),
      "sub/go.mod": goMod("go 1.23"),
      ...Object.fromEntries(Object.entries(VENDORED).map(([name, file]) => [`sub/${name}`, file])),
    },
  },
  {
    what: "symlinks and submodules",
    files: {
      "go.mod": goMod(),
      ".gitmodules": '[submodule "s"]\n\tpath = s\n\turl = ext::sh -c date\n',
      "LICENSE": symlink("COPYING"),
      "COPYING": "free\n",
      "up": symlink("../../../../etc/passwd"),
      "absolute": symlink("/etc/passwd"),
      "directory": symlink("sub"),
      "dangling": symlink("x".repeat(300)),
      "s": submodule(ELSEWHERE),
      "con": submodule(ELSEWHERE),
      "sub/S": submodule(ELSEWHERE),
      "sub/s": "a file beside it\n",
    },
  },
  {
    what: "hg's file",
    files: { "go.mod": goMod(), ".hg_archival.txt": "x", "d/.hg_archival.txt": "y" },
  },
  {
    what: "the LICENSE of the root",
    dir: "sub",
    files: { "LICENSE": "free\n", "sub/go.mod": goMod(), "sub/x/LICENSE": "other\n" },
  },
  {
    what: "a LICENSE in the directory",
    dir: "sub",
    files: { "LICENSE": "free\n", "sub/go.mod": goMod(), "sub/LICENSE": "own\n" },
  },
  {
    what: "a symlink LICENSE in the directory",
    dir: "sub",
    files: { "LICENSE": "free\n", "sub/go.mod": goMod(), "sub/LICENSE": symlink("../LICENSE") },
  },
  {
    what: "a symlink LICENSE in the root",
    dir: "sub",
    files: { "LICENSE": symlink("COPYING"), "COPYING": "free\n", "sub/go.mod": goMod() },
  },
  {
    what: "a submodule LICENSE in the directory",
    dir: "sub",
    files: { "LICENSE": "free\n", "sub/go.mod": goMod(), "sub/LICENSE": submodule(ELSEWHERE) },
  },
  {
    what: "no LICENSE at all",
    dir: "a/b",
    files: { "LICENSE.md": "x", "a/LICENSE": "x", "a/b/go.mod": goMod() },
  },
  {
    what: "a directory LICENSE",
    dir: "sub",
    files: { "LICENSE": "free\n", "sub/go.mod": goMod(), "sub/LICENSE/MIT": "own\n" },
    refusal: /both a file and a directory/,
  },
  {
    what: "files that differ by case",
    files: { "go.mod": goMod(), "a.go": "", "A.go": "" },
    refusal: /only by case/,
  },
  {
    what: "directories that differ by case",
    files: { "go.mod": goMod(), "a/x": "", "A/y": "" },
    refusal: /only by case/,
  },
  {
    what: "the kelvin sign",
    files: { "go.mod": goMod(), "k": "", "\u212a": "" },
    refusal: /only by case/,
  },
  {
    what: "a symlink that differs by case",
    files: { "go.mod": goMod(), "readme": symlink("README"), "README": "" },
    refusal: /only by case/,
  },
  { what: "GO.MOD alone", files: { "GO.MOD": goMod() }, refusal: /not spelled/ },
  {
    what: "a symlink GO.MOD",
    files: { "GO.MOD": symlink("x"), "a.go": "" },
    refusal: /not spelled/,
  },
  {
    what: "a name with a colon",
    files: { "go.mod": goMod(), "a:b": "" },
    refusal: /invalid character/,
  },
  {
    what: "a name with a backslash",
    files: { "go.mod": goMod(), "a\\b": "" },
    refusal: /invalid character/,
  },
  {
    what: "a name with a newline",
    files: { "go.mod": goMod(), "a\nb": "" },
    refusal: /invalid character/,
  },
  {
    what: "a name with an accent apart",
    files: { "go.mod": goMod(), "e\u0301": "" },
    refusal: /invalid character/,
  },
  {
    what: "a name that is not UTF-8",
    files: { "go.mod": goMod(), "a\udcff.go": "" },
    refusal: /invalid character/,
  },
  {
    what: "a name that Windows reserves",
    files: { "go.mod": goMod(), "d/Con.txt": "" },
    refusal: /reserved/,
  },
  {
    what: "a name that ends in a dot",
    files: { "go.mod": goMod(), "d./a": "" },
    refusal: /trailing dot/,
  },
  {
    what: "a symlink with a bad name",
    files: { "go.mod": goMod(), "a?": symlink("x") },
    refusal: /invalid character/,
  },
  { what: "a go.mod of 17 MiB", files: { "go.mod": SEVENTEEN_MIB }, refusal: /go\.mod is larger/ },
  {
    what: "a LICENSE of 17 MiB",
    files: { "go.mod": goMod(), "LICENSE": SEVENTEEN_MIB },
    refusal: /LICENSE is larger/,
  },
];

/** What `go mod download -json` says about a module. */
interface Download {
  readonly Path: string;
  readonly Sum?: string;
  readonly Error?: string;
}

interface Subject extends Case {
  /** `git.example.com/12.git/sub` */
  readonly path: string;
  readonly repo: string;
  readonly hash: string;
}

async function makeRepositories(server: GitServer): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const [i, subject] of CASES.entries()) {
    const { files, dir = "", objectFormat } = subject;
    const repo = `${i}.git`;
    const tag = join(dir, VERSION);
    const created = await server.createRepo(repo, objectFormat && { objectFormat });
    const hash = await created.commit(files, { tag });
    subjects.push({ ...subject, path: join("git.example.com", repo, dir), repo, hash });
  }
  return subjects;
}

/**
 * The objects that a run of `go mod download -json` prints one behind the other, by module path.
 */
function parseDownloads(stdout: string): Map<string, Download> {
  const downloads: Download[] = JSON.parse(`[${stdout.replaceAll("\n}\n{", "\n},\n{")}]`);
  return new Map(downloads.map((download) => [download.Path, download]));
}

/** The zip that we make, or our reason to refuse. */
async function createOurs(
  { path, dir = "", repo, hash }: Subject,
  { server, mirrors, folder }: { server: GitServer; mirrors: TestMirrors; folder: string },
): Promise<CreatedZip | ZipError> {
  await using lease = await mirrors.mirrors.open(testRemote(server.urlOf(repo)));
  const refs = await lease.repository.refs();
  const commit = [...refs.values()].find((value) => value === hash);
  assert.ok(commit !== undefined);
  const snapshot = await lease.repository.snapshot(refs, commit);
  assert.ok(snapshot !== null);
  const versions = join(folder, path, "@v");
  await Deno.mkdir(versions, { recursive: true });
  try {
    const zip = await createZip(snapshot, {
      module: moduleVersion(path, VERSION),
      dir,
      goVersion: await readGoVersion(snapshot, dir),
      file: join(versions, `${VERSION}.zip`),
      signal: new AbortController().signal,
    });
    await Deno.writeTextFile(join(versions, `${VERSION}.mod`), `module ${path}\n`);
    await Deno.writeTextFile(
      join(versions, `${VERSION}.info`),
      JSON.stringify({ Version: VERSION, Time: "2026-01-02T03:04:05Z" }),
    );
    return zip;
  } catch (error) {
    if (error instanceof ZipError) return error;
    throw error;
  }
}

async function download(
  subjects: readonly Subject[],
  { proxy, env = {} }: { proxy: string; env?: Readonly<Record<string, string>> },
): Promise<Map<string, Download>> {
  await using go = await goCommand({ proxy, env });
  const { stdout } = await go.run([
    "mod",
    "download",
    "-json",
    ...subjects.map(({ path }) => `${path}@${VERSION}`),
  ]);
  return parseDownloads(stdout);
}

goTest("createZip() makes the zips that the go command makes", async (t) => {
  await using server = await GitServer.start();
  await using mirrors = await TestMirrors.start();
  const folder = await Deno.makeTempDir();
  try {
    const subjects = await makeRepositories(server);
    const direct = await download(subjects, {
      proxy: "direct",
      env: {
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: `url.${server.url}/.insteadOf`,
        GIT_CONFIG_VALUE_0: "https://git.example.com/",
      },
    });
    const accepted: { subject: Subject; h1: string }[] = [];
    for (const subject of subjects) {
      await t.step(subject.what, async () => {
        const ours = await createOurs(subject, { server, mirrors, folder });
        const { Sum: sum, Error: error } = direct.get(subject.path) ?? {};
        if (subject.refusal === undefined) {
          assert.ok(!(ours instanceof ZipError), `${ours}`);
          assert.deepEqual([ours.h1, undefined], [sum, error]);
          accepted.push({ subject, h1: ours.h1 });
        } else {
          assert.ok(ours instanceof ZipError);
          assert.match(ours.message, subject.refusal);
          assert.match(error ?? "", /create zip/);
        }
      });
    }
    const taken = await download(accepted.map(({ subject }) => subject), {
      proxy: pathToFileURL(folder).href,
    });
    for (const { subject, h1 } of accepted) {
      await t.step(`${subject.what}: go takes it`, () => {
        assert.deepEqual([taken.get(subject.path)?.Sum, taken.get(subject.path)?.Error], [
          h1,
          undefined,
        ]);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
