import assert from "node:assert/strict";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { DeadlineError, InvalidRequestError, StorageError } from "../errors.ts";
import { h1Of, parseH1 } from "../module/h1.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { Copies, MAX_SMALL_ZIP_BYTES } from "./copies.ts";
import { manifestFolders, zipKey } from "./keys.ts";
import { type Copy, makeCopy } from "./manifest.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type ObjectStore, readAll } from "./object_store.ts";
import { ZipMismatchError } from "./publish.ts";
import { within } from "../../tests/support/eventually.ts";

const path = parseModulePath("example.com/Big/m");
const ZIP_H1 = parseH1("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
const ZIP = new Uint8Array([80, 75, 5, 6]);

function copyOf(version: string, goModSizeBytes = 10): Copy {
  return makeCopy({
    path,
    version: parseVersion(path, version),
    time: "2024-02-03T04:05:06Z",
    goMod: new Uint8Array(goModSizeBytes),
    zipH1: ZIP_H1,
    source: "proxy https://proxy.example.com",
  });
}

/** Publishes copies without zips by another replica. */
async function publishAll(store: ObjectStore, versions: readonly string[]): Promise<void> {
  const replica = new Copies(store);
  for (const version of versions) await replica.publish({ ...copyOf(version), zip: null });
}

Deno.test("Copies.read() asks the store once for a copy that is there", async () => {
  const store = new FaultyStore(new MemoryStore());
  await publishAll(store, ["v1.0.0"]);
  const copies = new Copies(store);
  const before = store.calls.length;
  const { manifest: { version } } = copyOf("v1.0.0");
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await copies.read({ path, version }), copyOf("v1.0.0"));
  }
  assert.equal(store.calls.length, before + 1);
});

Deno.test("Copies.read() asks the store each time for a copy that is not there", async () => {
  const store = new MemoryStore();
  const copies = new Copies(store);
  const { manifest: { version } } = copyOf("v1.0.0");
  assert.equal(await copies.read({ path, version }), null);
  await publishAll(store, ["v1.0.0"]);
  assert.deepEqual(await copies.read({ path, version }), copyOf("v1.0.0"));
});

Deno.test("Copies.read() remembers what was published, and forgets at its limit", async () => {
  const store = new FaultyStore(new MemoryStore());
  const copies = new Copies(store, { cacheSizeBytes: 45_000 });
  for (const version of ["v1.0.0", "v1.1.0", "v1.2.0"]) {
    await copies.publish({ ...copyOf(version, 10_000), zip: null });
  }
  const before = store.calls.length;
  await copies.read(copyOf("v1.2.0").manifest);
  await copies.read(copyOf("v1.1.0").manifest);
  assert.equal(store.calls.length, before);
  await copies.read(copyOf("v1.0.0").manifest);
  assert.equal(store.calls.length, before + 1);
});

Deno.test("Copies.read() reads a copy that is larger than its whole cache", async () => {
  const copies = new Copies(new MemoryStore(), { cacheSizeBytes: 100 });
  await copies.publish({ ...copyOf("v1.0.0"), zip: null });
  assert.deepEqual(await copies.read(copyOf("v1.0.0").manifest), copyOf("v1.0.0"));
});

Deno.test("Copies tells of each copy that it has read or published", async () => {
  const store = new MemoryStore();
  await publishAll(store, ["v1.0.0"]);
  const seen: string[] = [];
  const copies = new Copies(store, { onSeen: ({ version }) => void seen.push(version) });
  for (const version of ["v1.0.0", "v1.0.0", "v1.1.0"]) {
    await copies.read(copyOf(version).manifest);
  }
  assert.deepEqual(seen, ["v1.0.0"]);
  await copies.publish({ ...copyOf("v1.1.0"), zip: null });
  assert.deepEqual(seen, ["v1.0.0", "v1.1.0"]);
});

Deno.test("Copies.list() and listPseudo() name what is published, lowest first", async () => {
  const store = new MemoryStore();
  const copies = new Copies(store);
  assert.deepEqual(await copies.list(path), []);
  assert.deepEqual(await copies.listPseudo(path), []);
  const pseudo = ["v0.0.0-20240102030405-0123456789ab", "v1.10.1-0.20230102030405-0123456789ab"];
  const tagged = ["v0.9.0-RC.1", "v0.9.0", "v1.2.0", "v1.10.0", "v2.0.0+incompatible"];
  await publishAll(store, [...tagged, ...pseudo].reverse());
  assert.deepEqual(await copies.list(path), tagged);
  assert.deepEqual(await copies.listPseudo(path), pseudo);
});

Deno.test("Copies.list() lists anew when another replica has published, and else not", async () => {
  const store = new FaultyStore(new MemoryStore());
  const copies = new Copies(store);
  const lists = () => store.calls.filter(({ method }) => method === "list").length;
  assert.equal(copies.rememberedList(path), null);
  for (const versions of [[], ["v1.0.0"], ["v1.0.0", "v1.1.0"]]) {
    await publishAll(store, versions);
    const before = lists();
    assert.deepEqual(await copies.list(path), versions);
    assert.deepEqual(await copies.list(path), versions);
    assert.equal(copies.rememberedList(path), await copies.list(path));
    assert.equal(lists(), before + 1);
  }
});

Deno.test("Copies.list() does not take for unchanged what changed while it listed", async () => {
  const store = new MemoryStore();
  const names = store.list.bind(store);
  const copies = new Copies(Object.assign(store, {
    list: async (folder: string) => {
      const found = await names(folder);
      await publishAll(store, ["v1.0.0"]);
      return found;
    },
  }));
  assert.deepEqual(await copies.list(path), []);
  assert.equal(copies.rememberedList(path), null);
  assert.deepEqual(await copies.list(path), ["v1.0.0"]);
});

Deno.test("Copies.list() asks a store that cannot observe each time", async () => {
  const store = new FaultyStore(new MemoryStore());
  const copies = new Copies(Object.assign(store, { observe: undefined }));
  await copies.list(path);
  await copies.list(path);
  assert.equal(copies.rememberedList(path), null);
  assert.equal(store.calls.length, 2);
});

Deno.test("Copies.list() leaves out what is no version", async () => {
  const store = new MemoryStore();
  await publishAll(store, ["v1.0.0"]);
  for (const name of ["README.txt", "v1.0", "v1.0.0+meta", "v1.0.0~", "V1.0.0", "!v1.0.0"]) {
    await store.create(`${manifestFolders(path).tagged}/${name}`, bytesContent(new Uint8Array()));
  }
  assert.deepEqual(await new Copies(store).list(path), ["v1.0.0"]);
});

Deno.test("Copies.openZip() opens the published zip, or a range of it, or null", async () => {
  const copies = new Copies(new MemoryStore());
  const copy = copyOf("v1.0.0");
  assert.equal(await copies.openZip(copy), null);
  await copies.publish({ ...copy, zip: bytesContent(ZIP) });
  const whole = await copies.openZip(copy);
  assert.ok(whole !== null);
  assert.equal(whole.sizeBytes, 4);
  assert.deepEqual(await readAll(whole), ZIP);
  const part = await copies.openZip(copy, { range: { start: 1, end: 3 } });
  assert.ok(part !== null);
  assert.deepEqual(await readAll(part), ZIP.slice(1, 3));
});

Deno.test("Copies.openZip() reads a small zip once, and a range of it from memory", async () => {
  const store = new FaultyStore(new MemoryStore());
  const copies = new Copies(store);
  const { copy } = await copies.publish({ ...copyOf("v1.0.0"), zip: bytesContent(ZIP) });
  assert.equal((await copies.openZip(copy))?.bytes?.length, ZIP.length);
  const before = store.calls.length;
  for (const range of [undefined, { start: 1, end: 3 }, { start: 2, end: 2 }]) {
    const object = await copies.openZip(copy, { range });
    assert.ok(object !== null);
    assert.equal(object.sizeBytes, ZIP.length);
    assert.deepEqual(object.bytes, ZIP.slice(range?.start, range?.end));
    assert.deepEqual(await new Response(object.body).bytes(), object.bytes);
  }
  await assert.rejects(copies.openZip(copy, { range: { start: 0, end: 5 } }), StorageError);
  assert.equal(store.calls.length, before);
});

Deno.test("Copies.openZip() gives a large zip as a stream, each time anew", async () => {
  const store = new FaultyStore(new MemoryStore());
  const copies = new Copies(store);
  const zip = bytesContent(new Uint8Array(MAX_SMALL_ZIP_BYTES + 1));
  const { copy } = await copies.publish({ ...copyOf("v1.0.0"), zip });
  const before = store.calls.length;
  for (let i = 0; i < 2; i++) {
    const object = await copies.openZip(copy);
    assert.equal(object?.bytes, undefined);
    await object?.body.cancel();
  }
  assert.equal(store.calls.length, before + 2);
});

Deno.test("Copies.storeZip() completes a copy that was published without its zip", async () => {
  const copies = new Copies(new MemoryStore());
  const { copy } = await copies.publish({ ...copyOf("v1.0.0"), zip: null });
  const other = h1Of(new Uint8Array(32));
  const content = bytesContent(ZIP);
  await assert.rejects(copies.storeZip(copy, { h1: other, content }), ZipMismatchError);
  assert.equal(await copies.openZip(copy), null);
  await copies.storeZip(copy, { h1: ZIP_H1, content });
  assert.equal((await copies.openZip(copy))?.sizeBytes, 4);
});

Deno.test("Copies.publish() without a zip uses one that is there already", async () => {
  const store = new MemoryStore();
  const { path, version } = copyOf("v1.0.0").manifest;
  await store.create(zipKey({ path, version }, ZIP_H1), bytesContent(ZIP));
  const copies = new Copies(store);
  const { copy } = await copies.publish({ ...copyOf("v1.0.0"), zip: null });
  assert.equal((await copies.openZip(copy))?.sizeBytes, 4);
});

Deno.test("Copies throws what the store throws, and remembers nothing of it", async () => {
  let isDown = true;
  const store = new FaultyStore(new MemoryStore(), () => isDown ? "fail" : null);
  const copies = new Copies(store);
  const copy = copyOf("v1.0.0");
  const calls = [
    () => copies.read(copy.manifest),
    () => copies.list(path),
    () => copies.listPseudo(path),
    () => copies.openZip(copy),
    () => copies.publish({ ...copy, zip: null }),
    () => copies.storeZip(copy, { h1: ZIP_H1, content: bytesContent(ZIP) }),
  ];
  for (const call of calls) await assert.rejects(call(), StorageError);
  isDown = false;
  assert.equal(await copies.read(copy.manifest), null);
  for (const call of calls) await call();
});

Deno.test("Copies gives up on a store that does not answer", async () => {
  const aborted: string[] = [];
  const never = (what: string, signal: AbortSignal | undefined) => {
    signal?.addEventListener("abort", () => aborted.push(what));
    return new Promise<never>(() => {});
  };
  const store: ObjectStore = {
    description: "silence",
    get: (_, options) => never("get", options?.signal),
    create: (_, __, options) => never("create", options?.signal),
    list: (_, options) => never("list", options?.signal),
    walk: () => new MemoryStore().walk(),
  };
  const copies = new Copies(store, { readTimeoutMs: 1, writeTimeoutMs: 1 });
  const copy = copyOf("v1.0.0");
  await assert.rejects(copies.read(copy.manifest), DeadlineError);
  await assert.rejects(copies.list(path), DeadlineError);
  await assert.rejects(copies.openZip(copy), DeadlineError);
  await assert.rejects(copies.publish({ ...copy, zip: null }), DeadlineError);
  await assert.rejects(
    copies.storeZip(copy, { h1: ZIP_H1, content: bytesContent(ZIP) }),
    DeadlineError,
  );
  assert.deepEqual(aborted, ["get", "list", "get", "create", "create"]);
});

Deno.test("Copies gives up on a manifest that does not end", async () => {
  const cancelled = Promise.withResolvers<void>();
  const body = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => cancelled.resolve() });
  const good = new MemoryStore();
  const store: ObjectStore = {
    description: "half a store",
    get: () => Promise.resolve({ sizeBytes: 100, body: body() }),
    create: (key, content, options) => good.create(key, content, options),
    list: (folder, options) => good.list(folder, options),
    walk: (options) => good.walk(options),
  };
  const copies = new Copies(store, { readTimeoutMs: 1 });
  await assert.rejects(copies.read(copyOf("v1.0.0").manifest), DeadlineError);
  await within("the body to be cancelled", cancelled.promise);
});

Deno.test("Copies.read() refuses a version that no store could hold, without asking one", async () => {
  const store = new FaultyStore(new MemoryStore());
  const version = parseVersion(path, `v1.0.0-${"a".repeat(1000)}`);
  await assert.rejects(new Copies(store).read({ path, version }), InvalidRequestError);
  assert.deepEqual(store.calls, []);
});
