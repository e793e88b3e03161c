import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
// @ts-types="npm:@types/tar-stream@3.1.5"
import { pack } from "tar-stream";
import { readGoVersion } from "../../tests/support/go_version.ts";
import { h1OfFiles } from "../../tests/support/module_zip.ts";
import { readZip } from "../../tests/support/read_zip.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import { type CommitEntry, type CommitFiles, createZip } from "./create.ts";
import { inspectZip } from "./read.ts";
import { MAX_LICENSE_BYTES, ZipError } from "./rules.ts";
import { Seeds } from "./reusable_zips.ts";

const path = parseModulePath("example.com/Mod");
const version = parseVersion(path, "v1.2.3");
const PREFIX = "example.com/Mod@v1.2.3/";

interface File {
  readonly content: string;
  readonly kind?: CommitEntry["kind"];
  /** What `git archive` makes of it; null: nothing. Default: the content. */
  readonly archived?: string | null;
  /** What the list of the tree says. Default: the size of the content. */
  readonly sizeBytes?: number;
}

/** Path → content of a regular file, or more. */
type Files = Readonly<Record<string, string | File>>;

interface Failures {
  /** What the archive throws in place of its end. */
  readonly failure?: Error;
  /** The archive does not end, and waits for the signal. */
  readonly isStalled?: boolean;
}

/** A commit in memory, which counts what it is asked for. */
class MemoryCommit implements CommitFiles {
  archives = 0;
  /** The paths that the last archive was asked for; null: all. */
  packed: readonly string[] | null = null;
  cancelled = 0;
  readonly #files: ReadonlyMap<string, File>;
  readonly #failures: Failures;

  constructor(files: Files, failures: Failures = {}) {
    this.#files = new Map(
      Object.entries(files).map((
        [path, file],
      ) => [path, typeof file === "string" ? { content: file } : file]),
    );
    this.#failures = failures;
  }

  async *listTree(dir: string): AsyncGenerator<CommitEntry> {
    for (const [path, file] of this.#below(dir)) yield entryOf(path, file);
  }

  async *listFiles(paths: readonly string[]): AsyncGenerator<CommitEntry> {
    for (const path of paths) {
      const file = this.#files.get(path);
      if (file !== undefined) yield entryOf(path, file);
    }
  }

  async readFile(path: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const file = this.#files.get(path);
    return await Promise.resolve(
      file === undefined ? null : new TextEncoder().encode(file.content),
    );
  }

  archive(
    dir: string,
    { paths, signal }: { paths?: readonly string[]; signal: AbortSignal },
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.archives++;
    this.packed = paths ?? null;
    const { failure, isStalled = false } = this.#failures;
    const whole = this.#tar(dir, paths);
    let offset = 0;
    return new ReadableStream({
      pull: async (controller) => {
        const chunk = (await whole).slice(offset, offset += 65536);
        if (chunk.length > 0) return controller.enqueue(chunk);
        if (failure !== undefined) return controller.error(failure);
        if (!isStalled) return controller.close();
        if (!signal.aborted) await once(signal, "abort");
        controller.error(signal.reason);
      },
      cancel: () => void this.cancelled++,
    });
  }

  *#below(dir: string): Generator<[string, File]> {
    for (const [path, file] of this.#files) {
      if (dir === "" || path.startsWith(`${dir}/`)) yield [path, file];
    }
  }

  async #tar(dir: string, paths: readonly string[] | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const tar = pack();
    for (const [name, { kind = "file", content, archived = content }] of this.#below(dir)) {
      if (archived === null || paths?.includes(name) === false) continue;
      if (kind === "symlink") tar.entry({ name, type: "symlink", linkname: content });
      else if (kind === "submodule") tar.entry({ name, type: "directory" });
      else tar.entry({ name }, archived);
    }
    if (this.#failures.failure === undefined && !this.#failures.isStalled) tar.finalize();
    else tar.push(null);
    return new Uint8Array(await buffer(tar));
  }
}

function entryOf(path: string, { kind = "file", content, sizeBytes }: File): CommitEntry {
  const hash = createHash("sha1").update(content).digest("hex");
  return { kind, path, hash, sizeBytes: sizeBytes ?? Buffer.byteLength(content) };
}

interface Created {
  readonly names: string[];
  readonly content: Readonly<Record<string, string>>;
  readonly h1: string;
}

interface CreateOptions {
  readonly dir?: string;
  readonly seeds?: Seeds;
  readonly signal?: AbortSignal;
}

async function create(
  commit: CommitFiles,
  { dir = "", seeds, signal = new AbortController().signal }: CreateOptions = {},
): Promise<Created> {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "module.zip");
    const goVersion = await readGoVersion(commit, dir);
    const options = { module: { path, version }, dir, goVersion, file, signal };
    const created = await createZip(
      commit,
      seeds === undefined ? options : { ...options, seeds },
    );
    const bytes = await Deno.readFile(file);
    // Whoever reads it finds what its maker said, and no fault.
    const { h1, sizeBytes } = await inspectZip(file, { module: { path, version } });
    assert.deepEqual(created, { file, h1, sizeBytes });
    const entries = (await readZip(bytes)).map(([name, content]) =>
      [name.slice(PREFIX.length), Buffer.from(content).toString()] as const
    );
    return { names: entries.map(([name]) => name), content: Object.fromEntries(entries), h1 };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function assertRefused(commit: CommitFiles, want: string, dir = ""): Promise<void> {
  await assert.rejects(
    create(commit, { dir }),
    (error) => {
      assert.ok(error instanceof ZipError, `${error}`);
      assert.equal(error.message, `Cannot make zip: ${want}`);
      return true;
    },
  );
}

Deno.test("createZip() packs a commit", async () => {
  const files = {
    "LICENSE": "free\n",
    "a/ü.go": "package a\n",
    "empty": "",
    "go.mod": "module m\n",
  };
  const { content, names, h1 } = await create(new MemoryCommit(files));
  assert.deepEqual(content, files);
  assert.deepEqual(names, Object.keys(files));
  assert.equal(h1, h1OfFiles(Object.entries(files).map(([name, text]) => [PREFIX + name, text])));
});

Deno.test("createZip() packs no files, if there are none", async () => {
  assert.deepEqual((await create(new MemoryCommit({}))).names, []);
});

Deno.test("createZip() leaves out what does not belong", async () => {
  const { names } = await create(
    new MemoryCommit({
      "b.go": { kind: "executable", content: "b" },
      "go.mod": "module m\n",
      "link": { kind: "symlink", content: "../../etc/passwd" },
      "nested/a.go": "a",
      "nested/go.mod": "module n\n",
      "sub": { kind: "submodule", content: "" },
      "vendor/x/x.go": "x",
    }),
  );
  assert.deepEqual(names, ["b.go", "go.mod"]);
});

Deno.test("createZip() takes content from the archive, not from the blobs", async () => {
  const { content } = await create(
    new MemoryCommit({ "a.txt": { content: "a\nb\n", archived: "a\r\nb\r\n" } }),
  );
  assert.deepEqual(content, { "a.txt": "a\r\nb\r\n" });
});

Deno.test("createZip() goes by the go line of the module", async (t) => {
  const tree = (goMod: string | File, rootMod = "module r\n") =>
    new MemoryCommit({
      "LICENSE": { kind: "symlink", content: "x" },
      "go.mod": rootMod,
      "m/LICENSE": "own",
      "m/go.mod": goMod,
      "m/pkg/vendor/a.go": "a",
      "m/vendor/modules.txt": "t",
    });
  const old = ["LICENSE", "go.mod", "vendor/modules.txt"];
  const fixed = ["LICENSE", "go.mod", "pkg/vendor/a.go"];
  const cases: { what: string; goMod: string | File; rootMod?: string; want: string[] }[] = [
    { what: "1.23", goMod: "module m\ngo 1.23\n", want: old },
    { what: "1.24", goMod: "module m\ngo 1.24\n", want: fixed },
    { what: "none", goMod: "module m\n", want: old },
    { what: "of no other", goMod: "module m\n", rootMod: "module r\ngo 1.24\n", want: old },
    {
      what: "no symlink's",
      goMod: { kind: "symlink", content: "module m\ngo 1.24\n" },
      want: old.filter((name) => name !== "go.mod"),
    },
  ];
  for (const { what, goMod, rootMod, want } of cases) {
    await t.step(what, async () => {
      assert.deepEqual((await create(tree(goMod, rootMod), { dir: "m" })).names, want);
    });
  }
});

Deno.test("createZip() gives a module in a directory the LICENSE of the root", async (t) => {
  const cases: { what: string; files: Files; want: Readonly<Record<string, string>> }[] = [
    {
      what: "it has none",
      files: { LICENSE: "root", "m/a": "a" },
      want: { a: "a", LICENSE: "root" },
    },
    {
      what: "it has one",
      files: { LICENSE: "root", "m/LICENSE": "own" },
      want: { LICENSE: "own" },
    },
    {
      what: "it has one further down",
      files: { LICENSE: "root", "m/a/LICENSE": "own" },
      want: { "a/LICENSE": "own", LICENSE: "root" },
    },
    { what: "the root has none", files: { LICENSES: "root", "m/a": "a" }, want: { a: "a" } },
    {
      what: "it has a symlink",
      files: { LICENSE: "root", "m/LICENSE": { kind: "symlink", content: "../LICENSE" } },
      want: {},
    },
    {
      what: "it has a submodule",
      files: { LICENSE: "root", "m/LICENSE": { kind: "submodule", content: "" } },
      want: { LICENSE: "root" },
    },
    {
      what: "the root has a symlink: its target, as with go",
      files: { LICENSE: { kind: "symlink", content: "COPYING" }, "m/a": "a" },
      want: { a: "a", LICENSE: "COPYING" },
    },
    {
      what: "the root's is converted in archives: not here, as with go",
      files: { LICENSE: { content: "a\n", archived: "a\r\n" }, "m/a": "a" },
      want: { a: "a", LICENSE: "a\n" },
    },
  ];
  for (const { what, files, want } of cases) {
    await t.step(what, async () => {
      assert.deepEqual((await create(new MemoryCommit(files), { dir: "m" })).content, want);
    });
  }
});

Deno.test("createZip() takes the files of its directory only", async () => {
  const commit = new MemoryCommit({
    "a/b/c.go": "c",
    "a/bc.go": "bc",
    "a/b.go": "b",
    "b/c.go": "other",
  });
  assert.deepEqual((await create(commit, { dir: "a/b" })).content, { "c.go": "c" });
});

Deno.test("createZip() refuses by the list of files, before it asks for an archive", async () => {
  const commit = new MemoryCommit({ "a": "", "A": "" });
  await assertRefused(commit, '"A": "A" and "a" differ only by case');
  assert.equal(commit.archives, 0);
});

Deno.test("createZip() refuses what the rules forbid", async (t) => {
  const large = { content: "", sizeBytes: 501 << 20 };
  const cases: { what: string; files: Files; dir?: string; want: string }[] = [
    { what: "name", files: { "a*": "" }, want: '"a*": invalid character "*"' },
    { what: "501 MiB", files: { a: large }, want: "more than 524288000 bytes in its files" },
    {
      what: "go.mod of 17 MiB",
      files: { "go.mod": { content: "", sizeBytes: 17 << 20 } },
      want: `go.mod is larger than ${MAX_GO_MOD_SIZE_BYTES} bytes`,
    },
    {
      what: "go.mod that an archive makes larger",
      files: { "go.mod": { content: "", archived: " ".repeat(MAX_GO_MOD_SIZE_BYTES + 1) } },
      want: `go.mod is larger than ${MAX_GO_MOD_SIZE_BYTES} bytes`,
    },
    {
      what: "LICENSE of the root of more than 16 MiB",
      files: { LICENSE: " ".repeat(MAX_LICENSE_BYTES + 1), "m/a": "" },
      dir: "m",
      want: `LICENSE is larger than ${MAX_LICENSE_BYTES} bytes`,
    },
    {
      what: "LICENSE of the root beside a directory LICENSE",
      files: { LICENSE: "root", "m/LICENSE/MIT": "" },
      dir: "m",
      want: '"LICENSE": "LICENSE" is both a file and a directory',
    },
  ];
  for (const { what, files, dir, want } of cases) {
    await t.step(what, () => assertRefused(new MemoryCommit(files), want, dir));
  }
});

Deno.test("createZip() fails when a file is not in the archive", async () => {
  const commit = new MemoryCommit({ "a": "", "b": { content: "", archived: null } });
  await assert.rejects(create(commit), { message: 'Cannot make zip: no "b" in archive' });
});

Deno.test("createZip() throws what the archive throws", async () => {
  const failure = new Error("git ended with 128");
  const commit = new MemoryCommit({ "a": "a" }, { failure });
  await assert.rejects(create(commit), (error) => error === failure);
});

Deno.test("createZip() ends the archive when it fails itself", async () => {
  const archived = " ".repeat(MAX_GO_MOD_SIZE_BYTES + 1);
  const commit = new MemoryCommit({ "go.mod": { content: "", archived }, "z": archived });
  await assert.rejects(create(commit), ZipError);
  assert.equal(commit.cancelled, 1);
});

Deno.test("createZip() ends with its signal", async (t) => {
  const reason = new Error("enough");
  const isReason = (error: unknown) => error === reason;
  await t.step("while the archive stalls", async () => {
    const controller = new AbortController();
    const creating = create(new MemoryCommit({ a: "a" }, { isStalled: true }), controller);
    controller.abort(reason);
    await assert.rejects(creating, isReason);
  });
  await t.step("while it is busy", async () => {
    const commit = new MemoryCommit({ a: "a".repeat(1 << 20) });
    await assert.rejects(create(commit, { signal: AbortSignal.abort(reason) }), isReason);
    assert.equal(commit.cancelled, 1);
  });
});

Deno.test("createZip() does not write over a file", async () => {
  const file = await Deno.makeTempFile();
  try {
    const { signal } = new AbortController();
    await assert.rejects(
      createZip(new MemoryCommit({}), {
        module: { path, version },
        dir: "",
        goVersion: null,
        file,
        signal,
      }),
      Deno.errors.AlreadyExists,
    );
  } finally {
    await Deno.remove(file);
  }
});

const LINES: Files = {
  ".gitattributes": "*.txt text\n",
  "a.go": "package a\n",
  "b.go": "package b\n",
  "d/c.go": "package c\n",
  "go.mod": "module m\n",
};

async function withSeeds(work: (seeds: Seeds, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(new Seeds(folder), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("createZip() asks git for what no seed has", async (t) => {
  const cases: { what: string; files: Files; want: readonly string[] | null | undefined }[] = [
    { what: "the same files", files: LINES, want: undefined },
    { what: "one changed", files: { ...LINES, "b.go": "package b2\n" }, want: ["b.go"] },
    { what: "one added", files: { ...LINES, "d/e.go": "package c\n" }, want: ["d/e.go"] },
    {
      what: "other attributes, which may convert all files",
      files: { ...LINES, ".gitattributes": "*.txt -text\n" },
      want: null,
    },
    {
      what: "attributes in a directory",
      files: { ...LINES, "d/.gitattributes": "*.txt -text\n" },
      want: null,
    },
  ];
  for (const { what, files, want } of cases) {
    await t.step(what, () =>
      withSeeds(async (seeds) => {
        await create(new MemoryCommit(LINES), { seeds });
        const commit = new MemoryCommit(files);
        assert.deepEqual(await create(commit, { seeds }), await create(new MemoryCommit(files)));
        assert.deepEqual(commit.archives === 0 ? undefined : commit.packed, want);
      }));
  }
});

Deno.test("createZip() goes by the attributes above its directory", () =>
  withSeeds(async (seeds) => {
    const files = { "a/b/x.go": "package x\n", "a/.gitattributes": "*.go text\n" };
    await create(new MemoryCommit(files), { dir: "a/b", seeds });
    const same = new MemoryCommit({ ...files, "c/.gitattributes": "*.go text\n" });
    await create(same, { dir: "a/b", seeds });
    assert.equal(same.archives, 0);
    const other = new MemoryCommit({ ...files, "a/.gitattributes": "*.go -text\n" });
    await create(other, { dir: "a/b", seeds });
    assert.equal(other.archives, 1);
  }));

Deno.test("createZip() has git pack all files where many have changed", () =>
  withSeeds(async (seeds) => {
    const many = (content: string) =>
      Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`f${i}.go`, content]));
    await create(new MemoryCommit({ ...LINES, ...many("1") }), { seeds });
    const commit = new MemoryCommit({ ...LINES, ...many("2") });
    const created = await create(commit, { seeds });
    assert.equal(commit.packed, null);
    assert.deepEqual(created, await create(new MemoryCommit({ ...LINES, ...many("2") })));
  }));

Deno.test("createZip() does without a seed that is damaged", () =>
  withSeeds(async (seeds, folder) => {
    await create(new MemoryCommit(LINES), { seeds });
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.endsWith(".zip")) continue;
      const zip = await Deno.readFile(join(folder, name));
      await Deno.writeFile(join(folder, name), zip.fill(0, zip.length / 3));
    }
    const commit = new MemoryCommit({ ...LINES, "b.go": "package b2\n" });
    const want = await create(new MemoryCommit({ ...LINES, "b.go": "package b2\n" }));
    assert.deepEqual(await create(commit, { seeds }), want);
    // Its own zip is the next one's seed.
    const next = new MemoryCommit({ ...LINES, "b.go": "package b2\n" });
    assert.deepEqual(await create(next, { seeds }), want);
    assert.equal(next.archives, 0);
  }));
