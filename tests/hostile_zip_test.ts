/**
 * Malicious repositories: each is refused with a reason or becomes a zip, in bounded time, and does
 * not affect the next one. Their trees are written byte by byte, because git does not make such
 * trees.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UpstreamError } from "../lib/errors.ts";
import { isHash } from "../lib/git/refs.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseVersion } from "../lib/module/version.ts";
import { type CreatedZip, createZip } from "../lib/zip/create.ts";
import { MAX_ZIP_BYTES, ZipError } from "../lib/zip/rules.ts";
import type { TestRepo } from "./worlds/git_repo.ts";
import { GitServer } from "./fakes/git_server.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { TestMirrors, testRemote } from "./worlds/mirrors.ts";

const path = parseModulePath("git.example.com/m.git");
const version = parseVersion(path, "v1.0.0");

/** The names and objects of a tree: `100644 a.go` → hash. */
type Tree = readonly (readonly [entry: string, hash: string])[];

async function writeBlob(
  repo: TestRepo,
  content: string | Uint8Array<ArrayBuffer>,
): Promise<string> {
  return await repo.git(["hash-object", "-w", "--stdin"], new Uint8Array(Buffer.from(content)));
}

async function writeTree(repo: TestRepo, tree: Tree): Promise<string> {
  const bytes = Buffer.concat(tree.flatMap(([entry, hash]) => [
    Buffer.from(`${entry}\0`),
    Buffer.from(hash, "hex"),
  ]));
  const args = ["hash-object", "-w", "-t", "tree", "--literally", "--stdin"];
  return await repo.git(args, new Uint8Array(bytes));
}

/** Commits a tree as the tip of main and makes a zip of it, in a folder. */
class Attack implements AsyncDisposable {
  readonly repo: TestRepo;
  readonly folder: string;
  readonly #server: GitServer;
  readonly #mirrors: TestMirrors;

  private constructor(
    parts: { repo: TestRepo; folder: string; server: GitServer; mirrors: TestMirrors },
  ) {
    this.repo = parts.repo;
    this.folder = parts.folder;
    this.#server = parts.server;
    this.#mirrors = parts.mirrors;
  }

  static async start(): Promise<Attack> {
    const server = await GitServer.start();
    const repo = await server.createRepo("m.git");
    return new Attack({
      repo,
      server,
      mirrors: await TestMirrors.start(),
      folder: await Deno.makeTempDir(),
    });
  }

  async zip(tree: Tree, signal = new AbortController().signal): Promise<CreatedZip> {
    const root = await writeTree(this.repo, tree);
    const hash = await this.repo.git(["commit-tree", "-m", "attack", root]);
    await this.repo.setRef("refs/heads/main", hash);
    await using lease = await this.#mirrors.mirrors.open(testRemote(this.#server.urlOf("m.git")));
    assert.ok(isHash(hash));
    const snapshot = await lease.repository.snapshot(await lease.repository.refs(), hash);
    assert.ok(snapshot !== null);
    const file = join(this.folder, "zip");
    await Deno.remove(file).catch(() => {});
    return await createZip(snapshot, {
      module: { path, version },
      dir: "",
      goVersion: null,
      file,
      signal,
    });
  }

  /** As many files as asked for, in directories of a thousand. */
  async manyFiles(count: number): Promise<Tree> {
    const blob = await writeBlob(this.repo, "package p\n");
    const goMod = await writeBlob(this.repo, `module ${path}\n`);
    const tree: [string, string][] = [];
    for (let first = 0; first < count; first += 1000) {
      const files = Array.from({ length: Math.min(1000, count - first) }, (_, i) => `100644 ${i}`);
      const directory = await writeTree(this.repo, files.map((entry) => [entry, blob]));
      tree.push([`40000 d${String(first).padStart(7, "0")}`, directory]);
    }
    return [...tree, ["100644 go.mod", goMod]];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mirrors[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("createZip() refuses malicious trees", async (t) => {
  await using attack = await Attack.start();
  const blob = await writeBlob(attack.repo, "x\n");
  const sub = await writeTree(attack.repo, [["100644 config", blob]]);
  const cases: {
    what: string;
    tree: Tree;
    want: RegExp;
    by?: typeof ZipError | typeof UpstreamError;
  }[] = [
    { what: ".git", tree: [["40000 .git", sub]], want: /invalid path/, by: UpstreamError },
    {
      what: ".git further down",
      tree: [["40000 a", await writeTree(attack.repo, [["40000 .git", sub]])]],
      want: /invalid path/,
      by: UpstreamError,
    },
    { what: ".GIT", tree: [["40000 .GIT", sub]], want: /invalid path/, by: UpstreamError },
    { what: "..", tree: [["40000 ..", sub]], want: /has nothing but dots/ },
    { what: ".", tree: [["40000 .", sub]], want: /has nothing but dots/ },
    { what: "/etc/passwd", tree: [["100644 /etc/passwd", blob]], want: /leading slash/ },
    { what: "a/../../b", tree: [["100644 a/../../b", blob]], want: /has nothing but dots/ },
    {
      what: "one name twice",
      tree: [["100644 a", blob], ["100644 a", blob]],
      want: /two files of this name/,
    },
    {
      what: "a file and a directory of one name",
      tree: [["100644 a", blob], ["40000 a", sub]],
      want: /both a file and a directory/,
    },
    {
      what: "a name of 300 000 characters",
      tree: [[`100644 ${"n".repeat(300_000)}`, blob]],
      want: /path has over/,
      by: UpstreamError,
    },
    {
      what: "a blob that is not there",
      tree: [["100644 a", "1".repeat(40)]],
      want: /./,
      by: UpstreamError,
    },
  ];
  for (const { what, tree, want, by = ZipError } of cases) {
    await t.step(what, async () => {
      await assert.rejects(attack.zip(tree), (error) => {
        assert.ok(error instanceof by, `${error}`);
        assert.match(error.message, want);
        return true;
      });
    });
  }
  await t.step("and then goes on", async () => {
    assert.match((await attack.zip([["100644 a.go", blob]])).h1, /^h1:/);
  });
});

Deno.test("createZip() refuses a tree of 540 MiB by its list", async () => {
  await using attack = await Attack.start();
  const blob = await writeBlob(attack.repo, new Uint8Array(60 << 20));
  const tree = Array.from({ length: 9 }, (_, i) => [`100644 ${i}`, blob] as const);
  await assert.rejects(attack.zip(tree), {
    name: "ZipError",
    message: `Cannot make zip: more than ${MAX_ZIP_BYTES} bytes in its files`,
  });
});

Deno.test("createZip() refuses 100,000 files by their list", async () => {
  await using attack = await Attack.start();
  await assert.rejects(attack.zip(await attack.manyFiles(100_000)), {
    name: "ZipError",
    message: "Cannot make zip: more than 100000 files and directories",
  });
});

/** A test of some ten seconds that needs the `go` command. */
function slowGoTest(name: string, test: () => Promise<void>): void {
  if (Deno.env.get("CI") === "true") goTest(name, test);
  else Deno.test.ignore(`${name} (SKIP: it is slow; set CI=true)`, test);
}

/** The h1 that the `go` command finds in a zip, or its reason to refuse. */
async function readByGo(zip: CreatedZip, folder: string): Promise<string> {
  const versions = join(folder, path, "@v");
  await Deno.mkdir(versions, { recursive: true });
  await Deno.rename(zip.file, join(versions, `${version}.zip`));
  await Deno.writeTextFile(join(versions, `${version}.mod`), `module ${path}\n`);
  const info = { Version: version, Time: "2026-01-02T03:04:05Z" };
  await Deno.writeTextFile(join(versions, `${version}.info`), JSON.stringify(info));
  await using go = await goCommand({ proxy: pathToFileURL(folder).href });
  const { stdout } = await go.run(["mod", "download", "-json", `${path}@${version}`]);
  const { Sum: sum, Error: error } = JSON.parse(stdout);
  return sum ?? error;
}

slowGoTest("createZip() makes a zip of 70,000 files, and the go command takes it", async () => {
  await using attack = await Attack.start();
  const zip = await attack.zip(await attack.manyFiles(70_000));
  assert.equal(await readByGo(zip, attack.folder), zip.h1);
});

slowGoTest("createZip() makes a zip of 500 MiB, and the go command takes it", async () => {
  await using attack = await Attack.start();
  const blob = await writeBlob(attack.repo, new Uint8Array(100 << 20));
  const zip = await attack.zip(Array.from({ length: 5 }, (_, i) => [`100644 ${i}`, blob] as const));
  assert.equal(await readByGo(zip, attack.folder), zip.h1);
});
