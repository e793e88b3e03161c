import assert from "node:assert/strict";
import { storeContract, type StoreUnderTest } from "../../tests/suites/store_contract.ts";
import { StorageError } from "../errors.ts";
import { DiskStore, type DiskStoreOptions, MAX_TEMPORARY_AGE_MS } from "./disk.ts";
import { bytesContent, ownFileContent, readAll } from "./object_store.ts";
import { denoDir } from "../../tests/worlds/server.ts";
import { runCommand } from "../../tests/support/run_command.ts";
import { eventually } from "../../tests/support/eventually.ts";

storeContract("DiskStore", () => openTwo({}));

storeContract("DiskStore whose objects are all checked", () =>
  openTwo({
    check: {
      // A file of checksums has a longer name, and names end at 255 bytes.
      covers: (key) => key.length - key.lastIndexOf("/") < 240,
      findFault: () => Promise.resolve(null),
    },
  }));

async function openTwo(options: Partial<DiskStoreOptions>): Promise<StoreUnderTest> {
  const root = await tempDir();
  const gone = await tempDir();
  const broken = await DiskStore.open({ path: gone.path });
  await gone[Symbol.asyncDispose]();
  // What has come within the last seconds is not observed; to these stores, that is long ago.
  const place = { ...options, path: root.path, now: () => Date.now() + 60_000 };
  const [here, there] = [await DiskStore.open(place), await DiskStore.open(place)];
  let age = 0;
  return {
    replicas: [here, there],
    broken,
    leftovers: () => namesIn(`${root.path}/.tmp`),
    // The clock of a file system may go by 10 ms; with other times it cannot fall together with
    // itself.
    age: (folder) => Deno.utime(`${root.path}/${folder}`, ++age, age),
    [Symbol.asyncDispose]: () => root[Symbol.asyncDispose](),
  };
}

Deno.test("DiskStore.open() makes the directory, for its owner only", async () => {
  await using root = await tempDir();
  const path = `${root.path}/a/b`;
  const store = await DiskStore.open({ path });
  assert.equal(store.description, `disk ${path}`);
  for (const made of [`${root.path}/a`, path, `${path}/.tmp`]) {
    assert.equal(((await Deno.stat(made)).mode ?? 0) & 0o777, 0o700, made);
  }
});

Deno.test("DiskStore.get() of an object that is being created finds nothing, or all of it", async () => {
  await using root = await tempDir();
  const [here, there] = [await DiskStore.open(root), await DiskStore.open(root)];
  const bytes = new Uint8Array(10).fill(7);
  for (let i = 0; i < 100; i++) {
    const key = `a/object-${i}`;
    const gets = Array.from({ length: 8 }, async () => {
      const object = await there.get(key);
      return object === null ? null : await readAll(object);
    });
    await here.create(key, bytesContent(bytes));
    for (const got of await Promise.all(gets)) {
      if (got !== null) assert.deepEqual(got, bytes);
    }
  }
});

Deno.test("DiskStore.open() removes temporaries that nobody writes to any more, and nothing else", async () => {
  await using root = await tempDir();
  const store = await DiskStore.open(root);
  await store.create("a/object", bytesContent(new Uint8Array(1)));
  const now = Date.now();
  const ages = { old: MAX_TEMPORARY_AGE_MS + 1000, young: MAX_TEMPORARY_AGE_MS - 1000, fresh: 0 };
  for (const [name, ageMs] of Object.entries(ages)) {
    const file = `${root.path}/.tmp/${name}`;
    await Deno.writeTextFile(file, "half an obj");
    await Deno.utime(file, new Date(now - ageMs), new Date(now - ageMs));
  }
  await Deno.utime(`${root.path}/a/object`, new Date(0), new Date(0));
  await DiskStore.open({ path: root.path, now: () => now });
  assert.deepEqual(await namesIn(`${root.path}/.tmp`), ["fresh", "young"]);
  assert.notEqual(await store.get("a/object"), null);
});

Deno.test("DiskStore.create() takes a file over that is the publisher's own", async (t) => {
  await using root = await tempDir();
  await using scratch = await tempDir();
  const store = await DiskStore.open(root);
  const file = `${scratch.path}/module.zip`;
  const bytes = new Uint8Array(100_000).fill(7);
  using handle = await Deno.open(file, { createNew: true, write: true });
  await Deno.writeFile(file, bytes);
  const own = ownFileContent({ path: file, handle }, bytes.length);
  const read = async (key: string) => {
    const object = await store.get(key);
    return object === null ? null : await readAll(object);
  };
  await t.step("it is the same file, and stays when its other name goes", async () => {
    assert.equal(await store.create("a/linked", own), "created");
    assert.equal(await store.create("a/linked", own), "exists");
    assert.equal((await Deno.stat(`${root.path}/a/linked`)).ino, (await Deno.stat(file)).ino);
    await Deno.remove(file);
    assert.deepEqual(await read("a/linked"), bytes);
  });
  await t.step("one that cannot be linked is copied", async () => {
    const ownFile = { path: `${scratch.path}/on-another-disk`, handle };
    const content = { ...bytesContent(bytes), ownFile };
    assert.equal(await store.create("a/copied", content), "created");
    assert.deepEqual(await read("a/copied"), bytes);
  });
  await t.step("one of another size is refused", async () => {
    await Deno.writeFile(file, bytes);
    const content = ownFileContent({ path: file, handle }, bytes.length + 1);
    await assert.rejects(store.create("a/short", content), StorageError);
    assert.equal(await store.get("a/short"), null);
  });
  await t.step("one whose write-back has failed, as its own handle knows, is refused", async () => {
    const sync = () => Promise.reject(new Error("Input/output error (os error 5)"));
    const failed = { stat: () => Deno.stat(file), sync };
    const content = ownFileContent({ path: file, handle: failed }, bytes.length);
    await assert.rejects(store.create("a/failed", content), StorageError);
    assert.equal(await store.get("a/failed"), null);
  });
  assert.deepEqual(await namesIn(`${root.path}/.tmp`), []);
});

Deno.test("DiskStore.list() leaves out what people and file systems leave behind", async () => {
  await using root = await tempDir();
  const store = await DiskStore.open(root);
  await store.create("a/object", bytesContent(new Uint8Array(1)));
  for (const name of [".nfs0001", ".DS_Store", "object (copy)", "ob\u{308}ject"]) {
    await Deno.writeTextFile(`${root.path}/a/${name}`, "");
  }
  await Deno.symlink(`${root.path}/nowhere`, `${root.path}/a/dangling`);
  assert.deepEqual(await store.list("a"), ["object"]);
});

Deno.test("DiskStore takes an unmounted disk for trouble, not for an empty store", async () => {
  await using root = await tempDir();
  const store = await DiskStore.open(root);
  await store.create("a/object", bytesContent(new Uint8Array(1)));
  // What remains is the empty directory that the disk was mounted at.
  await Deno.rename(root.path, `${root.path}-away`);
  await Deno.mkdir(root.path);
  await assert.rejects(store.get("a/object"), StorageError);
  await assert.rejects(store.list("a"), StorageError);
  await assert.rejects(store.create("a/object", bytesContent(new Uint8Array(2))), StorageError);
  assert.deepEqual(await namesIn(root.path), []);

  await Deno.remove(root.path);
  await Deno.rename(`${root.path}-away`, root.path);
  assert.equal((await store.get("a/object"))?.sizeBytes, 1);
});

Deno.test("DiskStore.get() goes straight to a range and reads nothing after it", async () => {
  await using root = await tempDir();
  const store = await DiskStore.open(root);
  // A terabyte of nothing but these bytes, which takes no room on the disk and an hour to read.
  const [start, bytes] = [2 ** 33, new Uint8Array([1, 2, 3, 4])];
  using file = await Deno.open(`${root.path}/huge`, { createNew: true, write: true });
  await file.truncate(2 ** 40);
  await file.seek(start, Deno.SeekMode.Start);
  await file.write(bytes);
  const object = await store.get("huge", { range: { start, end: start + 4 } });
  assert.ok(object !== null);
  assert.equal(object.sizeBytes, 2 ** 40);
  assert.deepEqual(await readAll(object, AbortSignal.timeout(20_000)), bytes);
});

Deno.test({
  name: "DiskStore closes its files, however reading ends",
  ignore: Deno.build.os !== "linux", // SKIP: only Linux shows open files in /proc.
  fn: async (t) => {
    await using root = await tempDir();
    const store = await DiskStore.open(root);
    await store.create("a/object", bytesContent(new Uint8Array(300_000)));
    const get = async (start: number, end: number) => {
      const object = await store.get("a/object", { range: { start, end } });
      assert.ok(object !== null);
      return object;
    };
    const ways: Record<string, () => Promise<unknown>> = {
      "the whole object": async () => readAll(await get(0, 300_000)),
      "a range": async () => readAll(await get(10, 200_000)),
      "an empty range": async () => readAll(await get(5, 5)),
      "nothing of a range": async () => (await get(10, 200_000)).body.cancel(),
      "nothing": async () => (await store.get("a/object"))?.body.cancel(),
      "the first bytes": async () => {
        const reader = (await store.get("a/object"))?.body.getReader();
        await reader?.read();
        await reader?.cancel();
      },
      "the first bytes of a range": async () => {
        const reader = (await get(10, 290_000)).body.getReader();
        await reader.read();
        await reader.cancel();
      },
      "past the end": () => assert.rejects(get(0, 300_001)),
      "a folder": () => store.get("a"),
      "a list": () => store.list("a"),
      "a second create": () => store.create("a/object", bytesContent(new Uint8Array(1))),
      "a create that fails": () =>
        assert.rejects(store.create("a/no", { ...bytesContent(new Uint8Array(1)), sizeBytes: 2 })),
    };
    for (const [name, read] of Object.entries(ways)) {
      await t.step(name, async () => {
        await read();
        // A file is closed for good only when a thread of the runtime has done with reading it.
        await eventually(
          "all files to be closed",
          async () => (await openFilesBelow(root.path)).length === 0,
        );
      });
    }
  },
});

Deno.test({
  name: "DiskStore.create() that cannot write all of it leaves nothing behind",
  ignore: Deno.build.os === "windows", // SKIP: there is no limit to set.
  fn: async () => {
    await using root = await tempDir();
    const store = await DiskStore.open(root);
    const writer = ["run", "--no-prompt", "--cached-only"]
      .concat([`--allow-read=${root.path}`, `--allow-write=${root.path}`])
      .concat([new URL("../../tests/processes/disk_writer.ts", import.meta.url).href, root.path]);
    const env = { DENO_DIR: await denoDir(), NO_COLOR: "1" };
    // What the runtime caches of the program is written before there is a limit.
    const warm = await runCommand(Deno.execPath(), { args: [...writer, "0", "0"], env });
    assert.equal(warm.code, 0, warm.stderr);
    // A full disk needs a disk; a limit on the size of files fails in the same place. Unit: 512
    // bytes, so 1 MiB.
    const { code, stderr } = await runCommand("sh", {
      args: ["-c", `trap "" XFSZ; ulimit -f 2048; exec "$@"`, "sh", Deno.execPath()]
        .concat(writer, ["1", `${2 * 1024 * 1024}`]),
      env,
    });
    assert.notEqual(code, 0);
    assert.match(stderr, /StorageError.*"race\/0".*File too large/s);
    assert.equal(await store.get("race/0"), null);
    assert.deepEqual(await namesIn(`${root.path}/.tmp`), []);
    assert.equal(await store.create("race/0", bytesContent(new Uint8Array(1))), "created");
  },
});

Deno.test({
  name: "DiskStore says StorageError where it may not read or write",
  ignore: Deno.uid() === 0, // SKIP: root may do everything.
  fn: async () => {
    await using root = await tempDir();
    const store = await DiskStore.open(root);
    await store.create("a/object", bytesContent(new Uint8Array(1)));
    await Deno.chmod(`${root.path}/a/object`, 0);
    await assert.rejects(store.get("a/object"), StorageError);
    await Deno.chmod(`${root.path}/.tmp`, 0o500);
    await assert.rejects(store.create("a/other", bytesContent(new Uint8Array(1))), StorageError);
    await Deno.chmod(`${root.path}/.tmp`, 0o700);
    await Deno.chmod(`${root.path}/a`, 0);
    await assert.rejects(store.list("a"), StorageError);
    await Deno.chmod(`${root.path}/a`, 0o700);
  },
});

Deno.test({
  name: "DiskStore says StorageError where the runtime may not read or write",
  permissions: { read: true, write: false },
  fn: async () => {
    await assert.rejects(DiskStore.open({ path: "/nowhere" }), StorageError);
  },
});

Deno.test("DiskStore.observe()", async (t) => {
  await using root = await tempDir();
  let nowMs = Date.now();
  const store = await DiskStore.open({ path: root.path, now: () => nowMs });
  await store.create("a/object", bytesContent(new Uint8Array(1)));
  await t.step("what has just changed may change again within the same moment", () => {
    nowMs = Date.now() + 500;
    assert.equal(store.observe("a"), null);
  });
  await t.step("later it may not", () => {
    nowMs = Date.now() + 60_000;
    assert.equal(store.observe("a")?.(), true);
  });
  await t.step("a folder that is removed is not as it was", async () => {
    await store.create("gone/object", bytesContent(new Uint8Array(1)));
    const isUnchanged = store.observe("gone");
    await Deno.remove(`${root.path}/gone`, { recursive: true });
    assert.equal(isUnchanged?.(), false);
  });
  await t.step("nor is one that was not there, where the store is gone", async () => {
    const isUnchanged = store.observe("b");
    assert.equal(isUnchanged?.(), true);
    await Deno.rename(`${root.path}/.tmp`, `${root.path}/.gone`);
    assert.equal(isUnchanged?.(), false);
    assert.equal(store.observe("b"), null);
  });
});

async function tempDir(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

/** As `ls` sees it: the runtime lets no program look into /proc that may not do everything. */
async function openFilesBelow(folder: string): Promise<string[]> {
  const { stdout } = await runCommand("ls", { args: ["-l", `/proc/${Deno.pid}/fd`] });
  return stdout.split("\n").filter((line) => line.includes(folder));
}
