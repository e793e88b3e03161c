import assert from "node:assert/strict";
import { buildModuleZip, buildZip, type ModuleFiles } from "../../tests/support/module_zip.ts";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { UpstreamError } from "../errors.ts";
import { parseH1 } from "../module/h1.ts";
import { moduleVersion, nameOf } from "../module/module_version.ts";
import { type Finding, fsck, type FsckOptions } from "./fsck.ts";
import { manifestKey, zipKey } from "./keys.ts";
import { type Copy, encodeManifest, makeCopy, type Manifest } from "./manifest.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type ObjectStore, readAll } from "./object_store.ts";
import { probeStore } from "./probe.ts";
import { publishManifest } from "./publish.ts";

const PATH = "example.com/Hello";
const GO_MOD = `module ${PATH}\n`;
const FILES = { "go.mod": GO_MOD, "hello.go": "package hello\n" };
const MODULE: ModuleFiles = { path: PATH, version: "v1.0.0", files: FILES };
const OTHER_H1 = parseH1("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");

interface Made {
  readonly copy: Copy;
  readonly manifest: Uint8Array<ArrayBuffer>;
  readonly manifestKey: string;
  readonly zip: Uint8Array<ArrayBuffer>;
  readonly zipKey: string;
}

async function make(module: ModuleFiles = MODULE): Promise<Made> {
  const zip = await buildModuleZip(module);
  const copy = makeCopy({
    ...moduleVersion(module.path, module.version),
    time: "2024-01-02T03:04:05Z",
    goMod: new TextEncoder().encode(GO_MOD),
    zipH1: zip.h1,
    source: "git https://git.example.com/hello",
  });
  return {
    copy,
    manifest: encodeManifest(copy),
    manifestKey: manifestKey(copy.manifest),
    zip: zip.bytes,
    zipKey: zipKey(copy.manifest, zip.h1),
  };
}

type Objects = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

async function storeOf(objects: Objects): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const [key, bytes] of Object.entries(objects)) await store.create(key, bytesContent(bytes));
  return store;
}

async function check(store: ObjectStore, options: Partial<FsckOptions> = {}) {
  const scratchDirectory = await Deno.makeTempDir({ prefix: "fsck-" });
  const findings: Finding[] = [];
  const keys = await Array.fromAsync(store.walk());
  const done: string[] = [];
  try {
    const summary = await fsck({
      store,
      scratchDirectory,
      mayLackZip: () => false,
      restoreZip: null,
      index: null,
      report: (finding) => void findings.push(finding),
      onDone: (key) => void done.push(key),
      signal: new AbortController().signal,
      ...options,
    });
    assert.deepEqual([...Deno.readDirSync(scratchDirectory)], []);
    assert.deepEqual(done.sort(), keys);
    return { summary, findings };
  } finally {
    await Deno.remove(scratchDirectory, { recursive: true });
  }
}

Deno.test("fsck() has nothing to say about a good store", async () => {
  const store = new MemoryStore();
  await probeStore(store);
  await store.create("s1/sum.example.com/tile/8/0/000", bytesContent(new Uint8Array(32)));
  for (const version of ["v1.0.0", "v1.1.0-RC.1", "v0.0.0-20240102030405-0123456789ab"]) {
    const { copy, zip } = await make({ ...MODULE, version });
    await publishManifest(store, { ...copy, zip: bytesContent(zip) });
  }
  const { summary, findings } = await check(store);
  assert.deepEqual(findings, []);
  assert.deepEqual(summary, {
    objects: 9,
    manifests: 3,
    zips: 3,
    findings: { fault: 0, note: 0, repaired: 0 },
  });
});

Deno.test("fsck() names each kind of damage", async (t) => {
  const good = await make();
  const other = await make({ ...MODULE, files: { ...FILES, "hello.go": "package evil\n" } });
  const foreign = await make({ ...MODULE, path: "example.com/other" });
  const twice = await buildZip([[`${PATH}@v1.0.0/a`, ""], [`${PATH}@v1.0.0/A`, ""]]);
  const orphanKey = zipKey(good.copy.manifest, OTHER_H1);
  const intact = { [good.manifestKey]: good.manifest, [good.zipKey]: good.zip };
  const rows: {
    name: string;
    objects: Objects;
    mayLackZip?: boolean;
    want: [kind: Finding["kind"], key: string, text: RegExp][];
  }[] = [
    {
      name: "a flipped byte in a manifest's go.mod",
      objects: { ...intact, [good.manifestKey]: flipped(good.manifest, good.manifest.length - 2) },
      want: [["fault", good.manifestKey, /go\.mod has another hash/]],
    },
    {
      name: "a flipped byte in a manifest's line",
      objects: { ...intact, [good.manifestKey]: flipped(good.manifest, 0) },
      want: [["fault", good.manifestKey, /Cannot use the manifest of example.com\/Hello@v1\.0\.0/]],
    },
    {
      name: "a manifest that ends early",
      objects: { ...intact, [good.manifestKey]: good.manifest.slice(0, -1) },
      want: [["fault", good.manifestKey, /go\.mod has \d+ bytes, not \d+/]],
    },
    {
      name: "an empty manifest",
      objects: { ...intact, [good.manifestKey]: new Uint8Array() },
      want: [["fault", good.manifestKey, /no line/]],
    },
    {
      name: "a manifest of another module",
      objects: { ...intact, [good.manifestKey]: foreign.manifest },
      want: [["fault", good.manifestKey, /it is about example.com\/other@v1\.0\.0/]],
    },
    {
      name: "a zip that ends early",
      objects: { ...intact, [good.zipKey]: good.zip.slice(0, -10) },
      want: [["fault", good.zipKey, /Cannot read zip/]],
    },
    {
      name: "a flipped byte in a zip",
      objects: { ...intact, [good.zipKey]: flipped(good.zip, 60 + PATH.length) },
      want: [["fault", good.zipKey, /Cannot read zip|its hash is/]],
    },
    {
      name: "an empty zip",
      objects: { ...intact, [good.zipKey]: new Uint8Array() },
      want: [["fault", good.zipKey, /Cannot read zip/]],
    },
    {
      name: "a zip of another module",
      objects: { ...intact, [good.zipKey]: foreign.zip },
      want: [["fault", good.zipKey, /"example\.com\/other@v1\.0\.0\/\S+" is not in "example/]],
    },
    {
      name: "a zip with other files",
      objects: { ...intact, [good.zipKey]: other.zip },
      want: [["fault", good.zipKey, /its hash is h1:\S+, and h1:\S+ is published/]],
    },
    {
      name: "a zip against the rules",
      objects: { ...intact, [good.zipKey]: twice },
      want: [["fault", good.zipKey, /differ only by case/]],
    },
    {
      name: "a missing zip",
      objects: { [good.manifestKey]: good.manifest },
      want: [["fault", good.zipKey, /the zip is missing/]],
    },
    {
      name: "a zip that has not been requested yet",
      objects: { [good.manifestKey]: good.manifest },
      mayLackZip: true,
      want: [["note", good.zipKey, /fetched on the first request/]],
    },
    {
      name: "a zip without a manifest",
      objects: { [good.zipKey]: good.zip },
      want: [["note", good.zipKey, /an orphan: there is no manifest/]],
    },
    {
      name: "a zip that the manifest does not name",
      objects: { ...intact, [orphanKey]: good.zip },
      want: [["note", orphanKey, /an orphan: the version's manifest names h1:/]],
    },
    {
      name: "keys of nobody",
      objects: { ...intact, "README": new Uint8Array(1), "m1/example.com/m": new Uint8Array(1) },
      want: [
        ["note", "README", /the key is unknown/],
        ["note", "m1/example.com/m", /the key is unknown/],
      ],
    },
  ];
  for (const { name, objects, mayLackZip = false, want } of rows) {
    await t.step(name, async () => {
      const store = await storeOf(objects);
      const { findings, summary } = await check(store, { mayLackZip: () => mayLackZip });
      const said = findings.sort((a, b) => a.key < b.key ? -1 : 1);
      assert.deepEqual(
        said.map(({ kind, key }) => [kind, key]),
        want.map((row) => row.slice(0, 2)),
      );
      for (const [i, [, , text]] of want.entries()) assert.match(said[i]?.text ?? "", text);
      const faults = want.filter(([kind]) => kind === "fault").length;
      assert.equal(summary.findings.fault, faults);
      assert.equal(summary.findings.note, want.length - faults);
    });
  }
});

Deno.test("fsck() goes on after damage", async () => {
  const damaged = await make();
  const missing = await make({ ...MODULE, version: "v1.1.0" });
  const { findings, summary } = await check(
    await storeOf({
      [damaged.manifestKey]: flipped(damaged.manifest, 0),
      [missing.manifestKey]: missing.manifest,
    }),
  );
  assert.deepEqual(findings.map(({ key }) => key).sort(), [damaged.manifestKey, missing.zipKey]);
  assert.equal(summary.objects, 2);
});

Deno.test("fsck() repairs what is missing, and only that", async (t) => {
  const good = await make();
  const damaged = await make({ ...MODULE, version: "v1.1.0" });
  const objects = {
    [good.manifestKey]: good.manifest,
    [damaged.manifestKey]: damaged.manifest,
    [damaged.zipKey]: damaged.zip.slice(0, -1),
  };
  await t.step("from the source", async () => {
    const store = await storeOf(objects);
    const restoreZip = (copy: Copy) => {
      assert.deepEqual(copy, good.copy);
      return store.create(good.zipKey, bytesContent(good.zip));
    };
    const { findings } = await check(store, { restoreZip, mayLackZip: () => true });
    const kinds = new Map(findings.map(({ kind, key }) => [key, kind]));
    assert.deepEqual(kinds, new Map([[good.zipKey, "repaired"], [damaged.zipKey, "fault"]]));
    const { findings: later } = await check(store);
    assert.deepEqual(later.map(({ key }) => key), [damaged.zipKey]);
    const object = await store.get(damaged.zipKey);
    assert.ok(object !== null);
    assert.deepEqual(await readAll(object), damaged.zip.slice(0, -1));
  });
  await t.step("and says when the source fails", async () => {
    const store = await storeOf({ [good.manifestKey]: good.manifest });
    const { findings } = await check(store, {
      restoreZip: () =>
        Promise.reject(new UpstreamError("Cannot use it: its zip has another hash")),
      mayLackZip: () => true,
    });
    assert.deepEqual(findings, [
      { kind: "fault", key: good.zipKey, text: "Cannot use it: its zip has another hash" },
    ]);
  });
});

Deno.test("fsck() makes a fault of an object that cannot be read", async () => {
  const good = await make();
  const store = new FaultyStore(
    await storeOf({ [good.manifestKey]: good.manifest, [good.zipKey]: good.zip }),
    ({ method, key }) => method === "get" && key === good.zipKey ? "fail" : null,
  );
  const { findings } = await check(store);
  assert.deepEqual(findings.map(({ kind, key }) => [kind, key]), [["fault", good.zipKey]]);
});

Deno.test("fsck() ends when it is told to, and by a mistake of ours", async () => {
  const good = await make();
  const store = await storeOf({ [good.manifestKey]: good.manifest });
  const reason = new Error("enough");
  await assert.rejects(check(store, { signal: AbortSignal.abort(reason) }), reason);
  const mistake = new TypeError("a mistake");
  await assert.rejects(check(store, { restoreZip: () => Promise.reject(mistake) }), mistake);
});

function flipped(bytes: Uint8Array<ArrayBuffer>, at: number): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

Deno.test("fsck() says what the index lacks, and adds it where it may", async () => {
  const made = await make();
  const store = await storeOf({ [made.manifestKey]: made.manifest, [made.zipKey]: made.zip });
  const index = { lacks: () => true, add: null };
  assert.deepEqual((await check(store, { index })).findings, [
    {
      kind: "note",
      key: made.manifestKey,
      text: "it is not in the index; whoever reads it next adds it",
    },
  ]);
  const added: string[] = [];
  const add = (manifest: Manifest) => void added.push(nameOf(manifest));
  const { findings } = await check(store, { index: { lacks: () => added.length === 0, add } });
  assert.deepEqual(findings, [
    { kind: "repaired", key: made.manifestKey, text: "it was not in the index" },
  ]);
  assert.deepEqual(added, [`${PATH}@v1.0.0`]);
});
