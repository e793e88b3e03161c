import assert from "node:assert/strict";
import { dirname } from "node:path";
import {
  buildModuleZip,
  buildZip,
  h1OfGoMod,
  type ModuleFiles,
  type ModuleZip,
} from "../../tests/support/module_zip.ts";
import { DeadlineError, StorageError, UpstreamError } from "../errors.ts";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import type { DatabaseFor, HashDatabase } from "../module/hash_database.ts";
import { moduleVersion } from "../module/module_version.ts";
import { escapePath, escapeVersion } from "../module/escape.ts";
import { parseModulePath } from "../module/path.ts";
import { Copies } from "../store/copies.ts";
import { makeCopy } from "../store/manifest.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type ObjectStore } from "../store/object_store.ts";
import { athens } from "./athens.ts";
import type { FoundVersion } from "./import_entry.ts";
import { goModCache } from "./gomodcache.ts";
import { importVersions } from "./import.ts";
import { original, parseTimes } from "./original.ts";

const PATH = "example.com/Hello";
const VERSION = "v1.0.0-RC.1";
const TIME = "2024-01-02T03:04:05Z";
const SECONDS = 1704164645;
const GO_MOD = `module ${PATH}\n`;
const FILES = { "go.mod": GO_MOD, "hello.go": "package hello\n" };
const MODULE: ModuleFiles = { path: PATH, version: VERSION, files: FILES };
const PSEUDO = "v0.0.0-20240102030405-0123456789ab";

type Tree = Readonly<Record<string, string | Uint8Array>>;

const INFO = infoOf(VERSION);
const zip = await buildModuleZip(MODULE);
const otherZip = await buildModuleZip({
  ...MODULE,
  files: { ...FILES, "hello.go": "package e\n" },
});
const foreignZip = await buildModuleZip({ ...MODULE, path: "example.com/other" });
const pseudoZip = await buildModuleZip({ ...MODULE, version: PSEUDO });
const twiceZip = await buildZip([
  [`${PATH}@${VERSION}/go.mod`, GO_MOD],
  [`${PATH}@${VERSION}/a`, ""],
  [`${PATH}@${VERSION}/A`, ""],
]);

interface Row {
  readonly name: string;
  readonly kind: "gomodcache" | "athens" | "original";
  readonly tree: Tree;
  readonly times?: string;
  /** Why it is refused; absent where the version goes in. */
  readonly refusal?: RegExp;
  readonly version?: string;
}

const CACHE = "example.com/!hello/@v/v1.0.0-!r!c.1";
const cache: Tree = {
  [`${CACHE}.info`]: INFO,
  [`${CACHE}.mod`]: GO_MOD,
  [`${CACHE}.zip`]: zip.bytes,
  [`${CACHE}.ziphash`]: zip.h1,
};
const PSEUDO_CACHE = `example.com/!hello/@v/${PSEUDO}`;
const ATHENS = `${PATH}/${VERSION}`;
const disk: Tree = {
  [`${ATHENS}/${VERSION}.info`]: INFO,
  [`${ATHENS}/go.mod`]: GO_MOD,
  [`${ATHENS}/source.zip`]: zip.bytes,
};
const NAME = `${PATH}@${VERSION}`;
const pair: Tree = { [`gomod/${NAME}`]: GO_MOD, [`zip/${NAME}`]: zip.bytes };
const TIMES = `gomod/${NAME} ${TIME}\n`;

const ROWS: readonly Row[] = [
  { name: "a GOMODCACHE", kind: "gomodcache", tree: cache },
  { name: "without a hash beside it", kind: "gomodcache", tree: without(cache, ".ziphash") },
  {
    name: "the whole GOMODCACHE, with what else is in it",
    kind: "gomodcache",
    tree: {
      ...inFolder("cache/download", cache),
      "cache/download/example.com/!hello/@v/list": `${VERSION}\n`,
      "cache/download/example.com/!hello/@v/v1.0.0-!r!c.1.lock": "",
      "cache/download/sumdb/sum.example.com/lookup/example.com/!hello@v1.0.0": "1\n",
      "cache/lock": "",
      "example.com/!hello@v1.0.0-!r!c.1/go.mod": GO_MOD,
    },
  },
  {
    name: "a pseudo-version without .info",
    kind: "gomodcache",
    tree: { [`${PSEUDO_CACHE}.mod`]: GO_MOD, [`${PSEUDO_CACHE}.zip`]: pseudoZip.bytes },
    version: PSEUDO,
  },
  {
    name: "a tagged version without .info",
    kind: "gomodcache",
    tree: without(cache, ".info"),
    refusal: /there is no \.info/,
  },
  { name: "no .mod", kind: "gomodcache", tree: without(cache, ".mod"), refusal: /no \.mod/ },
  {
    name: "another noted hash",
    kind: "gomodcache",
    tree: { ...cache, [`${CACHE}.ziphash`]: otherZip.h1 },
    refusal: /its zip has h1:\S+, and h1:\S+ is noted beside it/,
  },
  {
    name: "an .info of another version",
    kind: "gomodcache",
    tree: { ...cache, [`${CACHE}.info`]: infoOf("v1.0.0") },
    refusal: /names version "v1\.0\.0"/,
  },
  {
    name: "an .info that is none",
    kind: "gomodcache",
    tree: { ...cache, [`${CACHE}.info`]: "{" },
    refusal: /not JSON/,
  },
  {
    name: "an .info with a time that is none",
    kind: "gomodcache",
    tree: { ...cache, [`${CACHE}.info`]: JSON.stringify({ Version: VERSION, Time: "now" }) },
    refusal: /no Time/,
  },
  {
    name: "a folder that is no escaped path",
    kind: "gomodcache",
    tree: { "example.com/Hello/@v/v1.0.0.zip": zip.bytes },
    refusal: /Cannot read module path "example\.com\/Hello"/,
  },
  {
    name: "a file that is no version",
    kind: "gomodcache",
    tree: { "example.com/!hello/@v/main.zip": zip.bytes },
    refusal: /not a semantic version/,
  },
  ...zipRows("gomodcache", cache, `${CACHE}.zip`),

  { name: "a disk storage of Athens", kind: "athens", tree: disk },
  {
    name: "no .info",
    kind: "athens",
    tree: without(disk, ".info"),
    refusal: /there is no v1\S+info/,
  },
  { name: "no go.mod", kind: "athens", tree: without(disk, "go.mod"), refusal: /no go\.mod/ },
  {
    name: "an .info of another version",
    kind: "athens",
    tree: { ...disk, [`${ATHENS}/${VERSION}.info`]: infoOf("v1.0.0") },
    refusal: /names version "v1\.0\.0"/,
  },
  {
    name: "a zip where no version is",
    kind: "athens",
    tree: { "source.zip": zip.bytes },
    refusal: /Cannot read module path ""/,
  },
  ...zipRows("athens", disk, `${ATHENS}/source.zip`),

  { name: "a pair with a list of times", kind: "original", tree: pair, times: TIMES },
  {
    name: "a concat object",
    kind: "original",
    tree: { [`concat/${NAME}`]: concat(SECONDS, GO_MOD, zip.bytes) },
  },
  {
    name: "a concat object that has the time for the pair",
    kind: "original",
    tree: { ...pair, [`concat/${NAME}`]: concat(SECONDS, "module a\n", otherZip.bytes) },
  },
  {
    name: "a concat object whose pair is half there",
    kind: "original",
    tree: {
      [`gomod/${NAME}`]: "module other\n",
      [`concat/${NAME}`]: concat(SECONDS, GO_MOD, zip.bytes),
    },
  },
  {
    name: "a pseudo-version without a list",
    kind: "original",
    tree: { [`gomod/${PATH}@${PSEUDO}`]: GO_MOD, [`zip/${PATH}@${PSEUDO}`]: pseudoZip.bytes },
    version: PSEUDO,
  },
  { name: "a pair without a time", kind: "original", tree: pair, refusal: /its time is unknown/ },
  {
    name: "no gomod object",
    kind: "original",
    tree: without(pair, GO_MOD),
    times: TIMES,
    refusal: /there is no gomod object/,
  },
  {
    name: "an empty concat object",
    kind: "original",
    tree: { [`concat/${NAME}`]: "" },
    refusal: /does not begin with two varints/,
  },
  {
    name: "a concat object that ends within go.mod",
    kind: "original",
    tree: { [`concat/${NAME}`]: concat(SECONDS, GO_MOD, new Uint8Array()).slice(0, -1) },
    refusal: /has no go\.mod of 25 bytes/,
  },
  {
    name: "a concat object with an immense go.mod",
    kind: "original",
    tree: { [`concat/${NAME}`]: new Uint8Array([2, ...Array(9).fill(255), 1]) },
    refusal: /has no go\.mod of 18446744073709551615 bytes/,
  },
  {
    name: "a concat object of the year 20000",
    kind: "original",
    tree: { [`concat/${NAME}`]: concat(568_971_820_800, GO_MOD, zip.bytes) },
    refusal: /no Time/,
  },
  {
    name: "a concat object from outside of time",
    kind: "original",
    tree: { [`concat/${NAME}`]: concat(Number.MAX_SAFE_INTEGER, GO_MOD, zip.bytes) },
    refusal: /has the time 9007199254740991/,
  },
  {
    name: "an object without a version",
    kind: "original",
    tree: { "zip/README": "x" },
    refusal: /Cannot read module path ""/,
  },
  ...zipRows("original", pair, `zip/${NAME}`, TIMES),
];

for (const { name, kind, tree, times = "", refusal, version = VERSION } of ROWS) {
  Deno.test(`importVersions() from ${kind}: ${name} ${refusal ? "is refused" : "goes in"}`, () =>
    withTree(tree, async (directory) => {
      const store = new MemoryStore();
      const { summary, refused } = await run(store, kind, open(kind, directory, times));
      if (refusal !== undefined) {
        assert.match(refused.join(), refusal);
        assert.deepEqual(summary, { imported: 0, known: 0, incomplete: 0, refused: 1 });
        assert.deepEqual(await Array.fromAsync(store.walk()), []);
        return;
      }
      assert.deepEqual(refused, []);
      assert.deepEqual(summary, { imported: 1, known: 0, incomplete: 0, refused: 0 });
      const copies = new Copies(store);
      const copy = await copies.read(moduleVersion(PATH, version));
      assert.ok(copy !== null);
      assert.equal(copy.manifest.time, TIME);
      assert.equal(copy.manifest.source, `import ${kind}`);
      assert.equal(new TextDecoder().decode(copy.goMod), GO_MOD);
      const want = version === PSEUDO ? pseudoZip : zip;
      assert.equal(copy.manifest.zip.h1, want.h1);
      const stored = await copies.openZip(copy);
      assert.ok(stored !== null);
      assert.deepEqual(await new Response(stored.body).bytes(), want.bytes);

      const before = await Array.fromAsync(store.walk());
      const again = await run(store, kind, open(kind, directory, times));
      assert.deepEqual(again.summary, { imported: 0, known: 1, incomplete: 0, refused: 0 });
      assert.deepEqual(await Array.fromAsync(store.walk()), before);
    }));
}

Deno.test("importVersions() counts what has no zip, and refuses none of it", async (t) => {
  const rows: { kind: Row["kind"]; tree: Tree }[] = [
    { kind: "gomodcache", tree: without(without(cache, ".zip"), ".ziphash") },
    { kind: "athens", tree: without(disk, "source.zip") },
    { kind: "original", tree: { [`gomod/${NAME}`]: GO_MOD } },
  ];
  for (const { kind, tree } of rows) {
    await t.step(kind, () =>
      withTree(tree, async (directory) => {
        const { summary } = await run(new MemoryStore(), kind, open(kind, directory));
        assert.deepEqual(summary, { imported: 0, known: 0, incomplete: 1, refused: 0 });
      }));
  }
});

Deno.test("importVersions() keeps Origin, without a password", () =>
  withTree({
    ...cache,
    [`${CACHE}.info`]: infoOf(VERSION, {
      VCS: "git",
      URL: "https://me:secret@git.example.com/hello",
      Hash: "0123456789abcdef0123456789abcdef01234567",
    }),
  }, async (directory) => {
    const store = new MemoryStore();
    await run(store, "gomodcache", goModCache(directory));
    const copy = await new Copies(store).read(moduleVersion(PATH, VERSION));
    assert.deepEqual(copy?.manifest.origin, {
      vcs: "git",
      url: "https://git.example.com/hello",
      hash: "0123456789abcdef0123456789abcdef01234567",
    });
  }));

Deno.test("importVersions() believes the checksum database more than a directory", async (t) => {
  const goModH1 = h1OfGoMod(GO_MOD);
  const rows: { name: string; find: HashDatabase["find"]; refusal?: RegExp }[] = [
    {
      name: "the same hashes",
      find: (module) => {
        assert.deepEqual(module, { path: PATH, version: VERSION });
        return Promise.resolve({ zipH1: zip.h1, goModH1 });
      },
    },
    { name: "nobody vouches", find: () => Promise.resolve(null) },
    {
      name: "no record",
      find: () => Promise.resolve("unrecorded"),
      refusal: /sum\.test has no record of it; see publicModules\.noSumDatabase/,
    },
    {
      name: "another zip",
      find: () => Promise.resolve({ zipH1: otherZip.h1, goModH1 }),
      refusal: /its zip has h1:\S+, and the checksum database h1:/,
    },
    {
      name: "another go.mod",
      find: () => Promise.resolve({ zipH1: zip.h1, goModH1: otherZip.h1 }),
      refusal: /its go\.mod has h1:\S+, and the checksum database h1:/,
    },
    {
      name: "out of reach",
      find: () => Promise.reject(new UpstreamError("Cannot reach it")),
      refusal: /it cannot be verified: Cannot reach it/,
    },
    {
      name: "too slow",
      find: () => Promise.reject(new DeadlineError("Cannot reach it in time")),
      refusal: /it cannot be verified: Cannot reach it in time/,
    },
  ];
  for (const { name, find, refusal } of rows) {
    await t.step(name, () =>
      withTree(cache, async (directory) => {
        const store = new MemoryStore();
        const versions = goModCache(directory);
        const { summary, refused } = await run(store, "gomodcache", versions, {
          databaseFor: () => ({ name: "sum.test", find }),
        });
        assert.equal(summary.imported, refusal === undefined ? 1 : 0);
        assert.match(refused.join(), refusal ?? /^$/);
        assert.equal((await Array.fromAsync(store.walk())).length, 2 * summary.imported);
      }));
  }
});

Deno.test("importVersions() leaves what is published as it is", async (t) => {
  const module = moduleVersion(PATH, VERSION);
  const publish = async (published: ModuleZip, { goMod = GO_MOD, hasZip = true } = {}) => {
    const store = new MemoryStore();
    const copy = makeCopy({
      ...module,
      time: "2020-01-01T00:00:00Z",
      goMod: new TextEncoder().encode(goMod),
      zipH1: published.h1,
      source: "proxy https://proxy.example.com",
    });
    const content = hasZip ? bytesContent(published.bytes) : null;
    await new Copies(store).publish({ ...copy, zip: content });
    return store;
  };
  const rows = [
    { name: "the same", store: await publish(zip), want: "known" },
    {
      name: "the same, without its zip",
      store: await publish(zip, { hasZip: false }),
      want: "imported",
    },
    { name: "other files", store: await publish(otherZip), want: "refused" },
    { name: "another go.mod", store: await publish(zip, { goMod: "module a\n" }), want: "refused" },
  ];
  for (const { name, store, want } of rows) {
    await t.step(name, () =>
      withTree(cache, async (directory) => {
        const before = await new Copies(store).read(module);
        const { summary, refused } = await run(store, "gomodcache", goModCache(directory));
        const nothing = { imported: 0, known: 0, incomplete: 0, refused: 0 };
        assert.deepEqual(summary, { ...nothing, [want]: 1 });
        if (want === "refused") assert.match(refused.join(), /has h1:\S+, and h1:\S+ is published/);
        assert.deepEqual(await new Copies(store).read(module), before);
        assert.equal((await Array.fromAsync(store.walk())).length, 2);
      }));
  }
});

Deno.test("importVersions() goes on after what is refused, and ends where the store fails", async (t) => {
  const versions = Array.from({ length: 20 }, (_, i) => `v1.${i}.0`);
  let tree: Tree = {};
  for (const version of versions) {
    const { bytes } = await buildModuleZip({ ...MODULE, version });
    const stem = `${escapePath(parseModulePath(PATH))}/@v/${escapeVersion(version)}`;
    tree = {
      ...tree,
      [`${stem}.info`]: infoOf(version),
      [`${stem}.mod`]: GO_MOD,
      [`${stem}.zip`]: version === "v1.3.0" ? bytes.slice(1) : bytes,
    };
  }
  await withTree(tree, async (directory) => {
    await t.step("a damaged zip", async () => {
      const store = new MemoryStore();
      const { summary, refused } = await run(store, "gomodcache", goModCache(directory));
      assert.deepEqual(summary, { imported: 19, known: 0, incomplete: 0, refused: 1 });
      assert.match(refused.join(), /^example\.com\/!hello\/@v\/v1\.3\.0: Cannot read zip/);
    });
    await t.step("a store that fails", async () => {
      const store = new FaultyStore(new MemoryStore(), () => "fail");
      await assert.rejects(run(store, "gomodcache", goModCache(directory)), StorageError);
    });
    await t.step("a signal", async () => {
      const reason = new Error("enough");
      const store = new MemoryStore();
      const signal = AbortSignal.abort(reason);
      await assert.rejects(run(store, "gomodcache", goModCache(directory), { signal }), reason);
      assert.deepEqual(await Array.fromAsync(store.walk()), []);
    });
  });
});

Deno.test("parseTimes() takes names and times, and nothing else", async (t) => {
  const rows: { input: string; want: [string, string][] | RegExp }[] = [
    { input: "", want: [] },
    { input: "\n\n", want: [] },
    { input: `gomod/a@v1.0.0 ${TIME}`, want: [["gomod/a@v1.0.0", TIME]] },
    {
      input:
        "gomod/a@v1.0.0\t2024-01-02T05:04:05+02:00\r\ngomod/b@v1.0.0  2024-01-02T03:04:05.5Z\n",
      want: [["gomod/a@v1.0.0", TIME], ["gomod/b@v1.0.0", "2024-01-02T03:04:05.5Z"]],
    },
    { input: `\ngomod/a@v1.0.0`, want: /line 2 of the times, "gomod\/a@v1\.0\.0"/ },
    { input: `gomod/a@v1.0.0 yesterday`, want: /line 1/ },
    { input: `gomod/a@v1.0.0 ${TIME} ${TIME}`, want: /line 1/ },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), () => {
      if (want instanceof RegExp) assert.throws(() => parseTimes(input), want);
      else assert.deepEqual([...parseTimes(input)], want);
    });
  }
});

/** The ways in which a zip is refused, whoever kept it. */
function zipRows(kind: Row["kind"], good: Tree, file: string, times = ""): Row[] {
  const tree = (bytes: Uint8Array) => ({ ...without(good, ".ziphash"), [file]: bytes });
  const otherGoMod = Object.fromEntries(
    Object.entries(good).map(([name, content]) => [
      name,
      content === GO_MOD ? `${GO_MOD}\n// changed\n` : content,
    ]),
  );
  return [
    {
      name: "a zip that ends early",
      tree: tree(zip.bytes.slice(0, -1)),
      refusal: /Cannot read zip/,
    },
    { name: "an empty zip", tree: tree(new Uint8Array()), refusal: /Cannot read zip/ },
    {
      name: "a zip of another module",
      tree: tree(foreignZip.bytes),
      refusal: /is not in "example/,
    },
    { name: "a zip against the rules", tree: tree(twiceZip), refusal: /differ only by case/ },
    { name: "another go.mod", tree: otherGoMod, refusal: /go\.mod in its zip is another/ },
  ].map((row) => ({ kind, times, ...row }));
}

function open(kind: Row["kind"], directory: string, times = ""): AsyncIterable<FoundVersion> {
  if (kind === "gomodcache") return goModCache(directory);
  return kind === "athens" ? athens(directory) : original(directory, parseTimes(times));
}

async function run(
  store: ObjectStore,
  kind: string,
  versions: AsyncIterable<FoundVersion>,
  { signal = new AbortController().signal, databaseFor = () => null }: {
    signal?: AbortSignal;
    databaseFor?: DatabaseFor;
  } = {},
) {
  const scratchDirectory = await Deno.makeTempDir({ prefix: "import-scratch-" });
  const refused: string[] = [];
  try {
    const summary = await importVersions({
      versions,
      kind,
      copies: new Copies(store),
      databaseFor,
      scratchDirectory,
      onRefused: (name, reason) => void refused.push(`${name}: ${reason}`),
      onDone: () => {},
      signal,
    });
    assert.deepEqual([...Deno.readDirSync(scratchDirectory)], []);
    return { summary, refused };
  } finally {
    await Deno.remove(scratchDirectory, { recursive: true });
  }
}

async function withTree(tree: Tree, test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "import-" });
  try {
    for (const [name, content] of Object.entries(tree)) {
      await Deno.mkdir(dirname(`${directory}/${name}`), { recursive: true });
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(`${directory}/${name}`, bytes);
    }
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The tree without the files whose name ends so, or that hold just this. */
function without(tree: Tree, what: string): Tree {
  return Object.fromEntries(
    Object.entries(tree).filter(([name, content]) => !name.endsWith(what) && content !== what),
  );
}

function inFolder(folder: string, tree: Tree): Tree {
  return Object.fromEntries(Object.entries(tree).map(([name, c]) => [`${folder}/${name}`, c]));
}

function infoOf(version: string, origin?: Readonly<Record<string, string>>): string {
  return JSON.stringify({ Version: version, Time: TIME, Origin: origin });
}

/** An object as the original wrote it. */
function concat(seconds: number, goMod: string, zip: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(goMod);
  const head = [...varint(BigInt(seconds) * 2n), ...varint(BigInt(text.length))];
  return new Uint8Array([...head, ...text, ...zip]);
}

function varint(value: bigint): number[] {
  return value < 0x80n ? [Number(value)] : [Number(value & 0x7fn) | 0x80, ...varint(value >> 7n)];
}
