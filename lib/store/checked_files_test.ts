import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { StorageError } from "../errors.ts";
import { BLOCK_BYTES } from "./block_sums.ts";
import { DiskStore, type DiskStoreOptions } from "./disk.ts";
import type { ObjectCheck } from "./object_check.ts";
import { bytesContent, readAll } from "./object_store.ts";

/** Three blocks, the last of 10 bytes. */
const LARGE_BYTES = 2 * BLOCK_BYTES + 10;

/** A store of objects that are named by their SHA-256, as zips are by their h1. */
class World implements AsyncDisposable {
  readonly root: string;
  readonly logged: string[] = [];
  readonly judged: string[] = [];

  private constructor(root: string) {
    this.root = root;
  }

  static async make(): Promise<World> {
    return new World(await Deno.makeTempDir({ prefix: "checked-" }));
  }

  /** Another one remembers nothing. */
  open(options: Partial<DiskStoreOptions> = {}): Promise<DiskStore> {
    const check: ObjectCheck = {
      covers: (key) => key.startsWith("x/"),
      findFault: async (key, file) => {
        this.judged.push(key);
        return keyOf(await Deno.readFile(file)) === key ? null : "its hash is another one";
      },
    };
    const say = (_: unknown, message?: string) => void this.logged.push(message ?? "");
    return DiskStore.open({ path: this.root, check, log: { warn: say, error: say }, ...options });
  }

  file(key: string): string {
    return `${this.root}/${key}`;
  }

  /** What lies in the folder of all checked objects, by what comes after the object's name. */
  async names(): Promise<string[]> {
    const entries = await Array.fromAsync(Deno.readDir(this.file("x")));
    return entries.map(({ name }) => name.replace(/[0-9a-f]{64}/, "N")).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

function keyOf(bytes: Uint8Array<ArrayBuffer>): string {
  return `x/${createHash("sha256").update(bytes).digest("hex")}`;
}

function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

async function read(store: DiskStore, key: string, range?: { start: number; end: number }) {
  const object = await store.get(key, { range });
  return object === null ? null : await readAll(object);
}

function flipped(bytes: Uint8Array<ArrayBuffer>, at: number): Uint8Array<ArrayBuffer> {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

for (const sizeBytes of [100, LARGE_BYTES]) {
  const bytes = noise(sizeBytes);
  const key = keyOf(bytes);
  const damages: { name: string; damage: (file: string) => Promise<void> }[] = [
    { name: "a bit of its first byte flipped", damage: write(flipped(bytes, 0)) },
    { name: "a bit of its last byte flipped", damage: write(flipped(bytes, sizeBytes - 1)) },
    { name: "its last byte cut off", damage: write(bytes.slice(0, -1)) },
    { name: "nothing in it", damage: write(new Uint8Array()) },
    { name: "a byte too many", damage: write(new Uint8Array([...bytes, 0])) },
    {
      name: "another object and its sums in its place",
      damage: async (file) => {
        await using world = await World.make();
        const other = noise(sizeBytes);
        await (await world.open()).create(keyOf(other), bytesContent(other));
        await Deno.copyFile(world.file(keyOf(other)), file);
        await Deno.copyFile(
          sumsOf(world, keyOf(other)),
          `${file.replace(/\/([^/]*)$/, "/.$1")}.sums`,
        );
      },
    },
    {
      name: "a symbolic link in its place",
      damage: async (file) => {
        await Deno.rename(file, `${file}-elsewhere`);
        await Deno.symlink(`${file}-elsewhere`, file);
      },
    },
    {
      name: "a symbolic link to nothing in its place",
      damage: async (file) => {
        await Deno.remove(file);
        await Deno.symlink(`${file}-nowhere`, file);
      },
    },
  ];
  for (const { name, damage } of damages) {
    Deno.test(`DiskStore never gives an object of ${sizeBytes} bytes with ${name}`, async () => {
      await using world = await World.make();
      const store = await world.open();
      assert.equal(await store.create(key, bytesContent(bytes)), "created");
      assert.deepEqual(await read(store, key), bytes);
      await damage(world.file(key));
      const given = await read(store, key).catch((error) => {
        assert.ok(error instanceof StorageError);
        return null;
      });
      assert.equal(given, null);
      assert.deepEqual((await world.names()).filter((name) => !/-/.test(name)), [".N.damaged"]);
      assert.equal(await store.get(key), null);
      assert.deepEqual(
        world.logged.filter((line) => /damaged and was set aside/.test(line)).length,
        1,
      );
      // Whoever fetches it anew creates it.
      assert.equal(await store.create(key, bytesContent(bytes)), "created");
      assert.deepEqual(await read(await world.open(), key), bytes);
    });

    Deno.test(`DiskStore that is read only says that an object of ${sizeBytes} bytes has ${name}`, async () => {
      await using world = await World.make();
      await (await world.open()).create(key, bytesContent(bytes));
      await damage(world.file(key));
      const names = await world.names();
      const store = await world.open({ isReadOnly: true });
      await assert.rejects(read(store, key), StorageError);
      await assert.rejects(read(store, key), StorageError);
      assert.deepEqual(await world.names(), names);
    });
  }

  Deno.test(`DiskStore makes the sums of an object of ${sizeBytes} bytes that has none`, async (t) => {
    const rows: { name: string; lose: (sums: string) => Promise<void>; names: string[] }[] = [
      { name: "it is of an older version", lose: (sums) => Deno.remove(sums), names: [] },
      { name: "they are damaged", lose: write(new Uint8Array(50)), names: [] },
      { name: "they are of another object", lose: writeOther, names: [] },
      { name: "they are a link", lose: linkToZeros, names: [] },
    ];
    for (const { name, lose } of rows) {
      await t.step(name, async () => {
        await using world = await World.make();
        await (await world.open()).create(key, bytesContent(bytes));
        await lose(sumsOf(world, key));
        const store = await world.open();
        const range = { start: 1, end: sizeBytes - 1 };
        assert.deepEqual(await read(store, key, range), bytes.slice(1, -1));
        assert.deepEqual(await world.names(), [".N.sums", "N"]);
        // They are used from now on, here and by others.
        assert.deepEqual(await read(await world.open(), key), bytes);
        assert.deepEqual(world.judged, [key]);
      });
    }
  });
}

Deno.test("DiskStore sets a damaged object aside that has no sums yet, before any of it leaves", async () => {
  await using world = await World.make();
  const bytes = noise(LARGE_BYTES);
  const key = keyOf(bytes);
  await (await world.open()).create(key, bytesContent(bytes));
  await Deno.remove(sumsOf(world, key));
  await Deno.writeFile(world.file(key), flipped(bytes, LARGE_BYTES - 1));
  assert.equal(await (await world.open()).get(key), null);
  assert.deepEqual(await world.names(), [".N.damaged"]);
});

Deno.test("DiskStore gives of a damaged object only blocks that are whole", async () => {
  await using world = await World.make();
  const bytes = noise(LARGE_BYTES);
  const key = keyOf(bytes);
  const store = await world.open();
  await store.create(key, bytesContent(bytes));
  await Deno.writeFile(world.file(key), flipped(bytes, BLOCK_BYTES));
  const first = { start: 5, end: BLOCK_BYTES };
  assert.deepEqual(await read(store, key, first), bytes.slice(5, BLOCK_BYTES));
  const last = { start: 2 * BLOCK_BYTES, end: LARGE_BYTES };
  assert.deepEqual(await read(store, key, last), bytes.slice(2 * BLOCK_BYTES));
  const object = await store.get(key);
  const given: number[] = [];
  await assert.rejects(async () => {
    for await (const chunk of object?.body ?? []) given.push(chunk.length);
  }, StorageError);
  assert.deepEqual(given, [BLOCK_BYTES]);
});

for (const other of ["the same thread", "another thread"]) {
  for (const isDamaged of [true, false]) {
    const what = isDamaged ? "is damaged" : "has wrong sums";
    Deno.test(`DiskStore waits, in ${other}, while an object that ${what} is judged`, async () => {
      await using world = await World.make();
      const bytes = noise(LARGE_BYTES);
      const key = keyOf(bytes);
      const begun = Promise.withResolvers<void>();
      const verdict = Promise.withResolvers<string | null>();
      const check: ObjectCheck = {
        covers: () => true,
        findFault: () => {
          begun.resolve();
          return verdict.promise;
        },
      };
      const store = await world.open({ check });
      const second = other === "the same thread" ? store : await world.open({ check });
      if (isDamaged) {
        await store.create(key, bytesContent(bytes));
        await Deno.writeFile(world.file(key), flipped(bytes, BLOCK_BYTES));
      } else {
        await store.create(key, bytesContent(flipped(bytes, BLOCK_BYTES)));
        await Deno.writeFile(world.file(key), bytes);
      }
      // Both know the sums by now.
      for (const one of [store, second]) await (await one.get(key))?.body.cancel();
      const first = read(store, key).catch((error) => {
        assert.ok(error instanceof StorageError);
        return null;
      });
      await begun.promise;
      let isOpened = false;
      const later = second.get(key).finally(() => isOpened = true);
      // Much longer than it takes to open a file.
      for (let i = 0; i < 20; i++) await Deno.stat(world.root);
      assert.ok(!isOpened);
      verdict.resolve(isDamaged ? "it is damaged" : null);
      const want = isDamaged ? null : bytes;
      assert.deepEqual(await first, want);
      const object = await later;
      assert.deepEqual(object && await readAll(object), want);
      const setAside = world.logged.filter((line) => /damaged and was set aside/.test(line));
      assert.equal(setAside.length, isDamaged ? 1 : 0);
    });
  }
}

Deno.test("DiskStore leaves an object alone that was made anew while a damaged one was judged", async () => {
  await using world = await World.make();
  const bytes = noise(100);
  const key = keyOf(bytes);
  const store = await world.open({
    check: {
      covers: () => true,
      findFault: async () => {
        await Deno.remove(world.file(key));
        await Deno.writeFile(world.file(key), bytes);
        return "it was damaged";
      },
    },
  });
  await store.create(key, bytesContent(bytes));
  await Deno.writeFile(world.file(key), flipped(bytes, 0));
  assert.equal(await store.get(key), null);
  assert.deepEqual(await read(await world.open(), key), bytes);
});

Deno.test("DiskStore.fileOf() names only files that another program may send", async (t) => {
  const bytes = noise(LARGE_BYTES);
  const key = keyOf(bytes);
  const rows: {
    name: string;
    damage: (file: string, sums: string) => Promise<void>;
    want: string | null;
    judged: number;
  }[] = [
    { name: "whole", damage: async () => {}, want: key, judged: 0 },
    { name: "without sums", damage: (_, sums) => Deno.remove(sums), want: key, judged: 1 },
    { name: "cut off", damage: (file) => Deno.truncate(file, 10), want: null, judged: 1 },
    {
      name: "a symbolic link",
      damage: async (file) => {
        await Deno.rename(file, `${file}-moved`);
        await Deno.symlink(`${file}-moved`, file);
      },
      want: null,
      judged: 0,
    },
    { name: "gone", damage: (file) => Deno.remove(file), want: null, judged: 0 },
  ];
  for (const { name, damage, want, judged } of rows) {
    await t.step(name, async () => {
      await using world = await World.make();
      await (await world.open()).create(key, bytesContent(bytes));
      await damage(world.file(key), sumsOf(world, key));
      const store = await world.open();
      for (let i = 0; i < 2; i++) assert.equal(await store.fileOf(key), want);
      assert.equal(world.judged.length, judged);
      // What was set aside is fetched anew.
      if (want === null) assert.equal(await store.create(key, bytesContent(bytes)), "created");
    });
  }
  await t.step("no longer, once it is another file", async () => {
    await using world = await World.make();
    const store = await world.open();
    await store.create(key, bytesContent(bytes));
    assert.equal(await store.fileOf(key), key);
    await Deno.truncate(world.file(key), 10);
    assert.equal(await store.fileOf(key), null);
  });
  await t.step("an object that is not checked", async () => {
    await using world = await World.make();
    const store = await world.open();
    await store.create("y/other", bytesContent(bytes));
    assert.equal(await store.fileOf("y/other"), "y/other");
  });
});

Deno.test("DiskStore follows no symbolic link", async (t) => {
  await using world = await World.make();
  await using other = await World.make();
  const store = await world.open();
  await (await other.open()).create("a/b/object", bytesContent(noise(10)));
  await store.create("m/object", bytesContent(noise(10)));
  await t.step("in the place of an object", async () => {
    await Deno.symlink(other.file("a/b/object"), world.file("m/link"));
    await assert.rejects(store.get("m/link"), /symbolic link/);
  });
  await t.step("in the place of a folder", async () => {
    await Deno.symlink(other.file("a"), world.file("a"));
    await assert.rejects(store.get("a/b/object"), /symbolic link/);
    await assert.rejects(store.list("a/b"), /symbolic link/);
    await assert.rejects(store.create("a/b/new", bytesContent(noise(1))), /symbolic link/);
    assert.deepEqual(await Array.fromAsync(store.walk()), ["m/object"]);
  });
  await t.step("but the one that it is opened by", async () => {
    await Deno.symlink(world.root, `${other.root}/store`);
    const opened = await DiskStore.open({ path: `${other.root}/store` });
    assert.equal((await opened.get("m/object"))?.sizeBytes, 10);
  });
});

function sumsOf(world: World, key: string): string {
  return world.file(key.replace("/", "/.") + ".sums");
}

function write(bytes: Uint8Array<ArrayBuffer>): (file: string) => Promise<void> {
  return (file) => Deno.writeFile(file, bytes);
}

/** Well-formed sums of an object of the same size. */
async function writeOther(sums: string): Promise<void> {
  await using world = await World.make();
  const { size } = await Deno.stat(sums.replace("/.", "/").replace(/\.sums$/, ""));
  const bytes = noise(size);
  const key = keyOf(bytes);
  await (await world.open()).create(key, bytesContent(bytes));
  await Deno.copyFile(sumsOf(world, key), sums);
}

async function linkToZeros(sums: string): Promise<void> {
  await Deno.remove(sums);
  await Deno.symlink("/dev/zero", sums);
}
