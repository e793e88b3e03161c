import assert from "node:assert/strict";
import { StorageError } from "../errors.ts";
import {
  CacheFolder,
  type CacheFolderOptions,
  HEAD_BYTES,
  MAX_SMALL_BYTES,
  TOUCH_INTERVAL_MS,
} from "./cache_folder.ts";
import { readAll } from "./object_store.ts";

const MIB = 1024 * 1024;

Deno.test("CacheFolder gives what was put into it, whole and in ranges", async (t) => {
  await using folder = await TestFolder.make();
  for (const sizeBytes of [0, 1, MAX_SMALL_BYTES, MAX_SMALL_BYTES + 1, 3 * MIB + 1]) {
    await t.step(`${sizeBytes} bytes`, async () => {
      const bytes = noise(sizeBytes);
      await put(folder.cache, `a/${sizeBytes}`, bytes);
      assert.deepEqual(await read(folder.cache, `a/${sizeBytes}`), bytes);
      // As another process.
      const other = folder.open();
      assert.deepEqual(await read(other, `a/${sizeBytes}`), bytes);
      const middle = { start: sizeBytes >> 2, end: sizeBytes >> 1 };
      const object = await other.read(`a/${sizeBytes}`, { range: middle });
      assert.ok(object !== null);
      assert.equal(object.sizeBytes, sizeBytes);
      assert.deepEqual(await readAll(object), bytes.slice(middle.start, middle.end));
      const range = { start: 0, end: sizeBytes + 1 };
      await assert.rejects(other.read(`a/${sizeBytes}`, { range }), StorageError);
    });
  }
  assert.equal(await folder.cache.read("a/2"), null);
  assert.deepEqual(folder.logged, []);
});

Deno.test("CacheFolder shows nothing of what is not complete", async () => {
  await using folder = await TestFolder.make();
  const filling = await folder.cache.fill("a", 10);
  assert.ok(filling !== null);
  await filling.write(noise(6));
  assert.equal(await folder.cache.read("a"), null);
  assert.equal(await folder.cache.fill("a", 10), null, "it is being written already");
  await filling.finish();
  assert.equal(await folder.files(), 0, "4 bytes are missing");
  assert.equal(await folder.cache.read("a"), null);
  await put(folder.cache, "a", noise(10));
  assert.deepEqual(await read(folder.cache, "a"), noise(10));
  assert.equal(await folder.files(), 1);
});

Deno.test("CacheFolder drops what was damaged", async (t) => {
  const damages: Record<string, (file: string) => Promise<void>> = {
    "cut off": (file) => Deno.truncate(file, HEAD_BYTES + 5),
    "cut off in its head": (file) => Deno.truncate(file, 5),
    "empty": (file) => Deno.truncate(file, 0),
    "longer": (file) => Deno.writeTextFile(file, "x", { append: true }),
    "another byte": (file) => change(file, HEAD_BYTES + 3),
    "another last byte": async (file) => await change(file, (await Deno.stat(file)).size - 1),
    "another size in its head": (file) => change(file, 15),
    "another format": (file) => change(file, 7),
  };
  for (const sizeBytes of [1000, 2 * MIB]) {
    for (const [name, damage] of Object.entries(damages)) {
      await t.step(`${sizeBytes} bytes, ${name}`, async () => {
        await using folder = await TestFolder.make();
        await put(folder.cache, "a", noise(sizeBytes));
        await damage(await folder.onlyFile());
        const damaged: number[] = [];
        const object = await folder.cache.read("a", { onDamage: () => damaged.push(1) });
        // Of a large one, a changed byte shows at the end of its stream, which fails.
        if (object !== null) {
          assert.ok(sizeBytes > MAX_SMALL_BYTES && name.endsWith("byte"));
          await assert.rejects(readAll(object), StorageError);
        }
        assert.equal(damaged.length, 1);
        assert.equal(folder.logged.length, 1);
        assert.equal(await folder.files(), 0);
        assert.equal(await folder.cache.read("a"), null);
        await put(folder.cache, "a", noise(sizeBytes));
        assert.deepEqual(await read(folder.cache, "a"), noise(sizeBytes));
      });
    }
  }
});

Deno.test("CacheFolder never gives a range of a damaged block", async () => {
  await using folder = await TestFolder.make();
  await put(folder.cache, "a", noise(2 * MIB));
  await change(await folder.onlyFile(), HEAD_BYTES + MIB + 5);
  const first = await folder.cache.read("a", { range: { start: 0, end: 1000 } });
  assert.deepEqual(first && await readAll(first), noise(2 * MIB).slice(0, 1000));
  const damaged = await folder.cache.read("a", { range: { start: MIB, end: MIB + 1 } });
  assert.ok(damaged !== null);
  await assert.rejects(readAll(damaged), StorageError);
  assert.equal(await folder.files(), 0);
});

Deno.test("CacheFolder never gives the file of another object", async (t) => {
  for (const sizeBytes of [0, 1000, 2 * MIB]) {
    await t.step(`${sizeBytes} bytes`, async () => {
      await using folder = await TestFolder.make();
      await put(folder.cache, "a", noise(sizeBytes));
      const file = await folder.onlyFile();
      await put(folder.cache, "b", noise(sizeBytes));
      const other = await folder.otherFile(file);
      await Deno.remove(file);
      await Deno.symlink(other, file);
      assert.equal(await folder.cache.read("a"), null);
      assert.deepEqual(await read(folder.cache, "b"), noise(sizeBytes));
    });
  }
});

Deno.test("CacheFolder takes a file of format 1 for missing, and says nothing", async () => {
  await using folder = await TestFolder.make();
  await put(folder.cache, "a", noise(10));
  const file = await folder.onlyFile();
  const bytes = await Deno.readFile(file);
  bytes[7] = 1;
  await Deno.writeFile(file, bytes);
  assert.equal(await folder.cache.read("a"), null);
  assert.deepEqual(folder.logged, []);
  await put(folder.cache, "a", noise(10));
  assert.deepEqual(await read(folder.cache, "a"), noise(10));
});

Deno.test("CacheFolder keeps what was used last, within its size", async () => {
  await using folder = await TestFolder.make({ maxBytes: MIB });
  const names = Array.from({ length: 20 }, (_, i) => `a/${i}`);
  folder.nowMs -= 50 * TOUCH_INTERVAL_MS;
  for (const name of names) {
    folder.nowMs += 2 * TOUCH_INTERVAL_MS;
    await put(folder.cache, name, noise(100_000));
    await folder.age();
    assert.notEqual(await folder.cache.read("a/0"), null, `a/0, used all the time, after ${name}`);
  }
  const kept = [];
  for (const name of names) if (await folder.cache.read(name) !== null) kept.push(name);
  assert.deepEqual(kept, ["a/0", ...names.slice(names.length - kept.length + 1)]);
  assert.ok(kept.length >= 8 && kept.length <= 10, `${kept.length} of 100 kB`);
});

Deno.test("CacheFolder takes no object that would displace most others", async () => {
  await using folder = await TestFolder.make({ maxBytes: MIB });
  assert.equal(await folder.cache.fill("a", MIB / 4 + 1), null);
});

Deno.test("CacheFolder counts what others have put there, and leaves theirs alone", async () => {
  await using folder = await TestFolder.make({ maxBytes: MIB });
  await Deno.writeFile(`${folder.path}/README`, noise(2 * MIB));
  for (let i = 0; i < 30; i++) await put(folder.open(), `a/${i}`, noise(200_000));
  await put(folder.cache, "b", noise(1000));
  await folder.cache.settled();
  assert.ok(await folder.files() <= 5);
  assert.equal((await Deno.stat(`${folder.path}/README`)).size, 2 * MIB);
});

Deno.test("CacheFolder removes what a killed process was writing, when it is old", async () => {
  await using folder = await TestFolder.make();
  await put(folder.cache, "a", noise(1));
  await folder.cache.settled();
  const old = `${folder.path}/.tmp/${crypto.randomUUID()}`;
  const fresh = `${folder.path}/.tmp/${crypto.randomUUID()}`;
  for (const file of [old, fresh]) await Deno.writeTextFile(file, "x");
  await Deno.utime(old, folder.nowMs / 1000 - 7200, folder.nowMs / 1000 - 7200);
  await Deno.utime(fresh, folder.nowMs / 1000, folder.nowMs / 1000);
  await put(folder.open(), "b", noise(1));
  await assert.rejects(Deno.stat(old), Deno.errors.NotFound);
  await Deno.stat(fresh);
});

Deno.test("CacheFolder of no use is as empty, and says so once a minute", async () => {
  await using folder = await TestFolder.make();
  // A file where the directory should be: nothing can be read or written.
  await Deno.remove(folder.path, { recursive: true });
  await Deno.writeTextFile(folder.path, "x");
  for (let i = 0; i < 3; i++) {
    assert.equal(await folder.cache.fill("a", 1), null);
    assert.equal(await folder.cache.read("a"), null);
  }
  assert.equal(folder.logged.length, 1);
  folder.nowMs += 60_000;
  assert.equal(await folder.cache.read("a"), null);
  assert.equal(folder.logged.length, 2);
});

Deno.test("CacheFolder survives that its files vanish", async () => {
  await using folder = await TestFolder.make();
  await put(folder.cache, "a", noise(2 * MIB));
  const object = await folder.cache.read("a");
  const filling = await folder.cache.fill("b", 10);
  await Deno.remove(folder.path, { recursive: true });
  assert.ok(object !== null && filling !== null);
  assert.deepEqual(await readAll(object), noise(2 * MIB), "who has it open reads on");
  await filling.write(noise(10));
  await filling.finish();
  assert.equal(await folder.cache.read("b"), null);
  await put(folder.cache, "b", noise(10));
  assert.deepEqual(await read(folder.cache, "b"), noise(10));
});

Deno.test("CacheFolder closes the file of a body that nobody wants", async () => {
  await using folder = await TestFolder.make();
  await put(folder.cache, "a", noise(2 * MIB));
  for (const range of [undefined, { start: 5, end: MIB }]) {
    const reader = (await folder.cache.read("a", { range }))?.body.getReader();
    await reader?.read();
    await reader?.cancel();
  }
});

class TestFolder implements AsyncDisposable {
  readonly path: string;
  readonly cache: CacheFolder;
  readonly logged: unknown[] = [];
  nowMs = Date.now();
  readonly #root: string;
  readonly #opened: CacheFolder[] = [];
  readonly #options: Partial<CacheFolderOptions>;

  private constructor(root: string, options: Partial<CacheFolderOptions>) {
    this.#root = root;
    this.#options = options;
    this.path = `${root}/cache`;
    this.cache = this.open();
  }

  static async make(options: Partial<CacheFolderOptions> = {}): Promise<TestFolder> {
    const folder = new TestFolder(await Deno.makeTempDir(), options);
    await Deno.mkdir(folder.path);
    return folder;
  }

  open(): CacheFolder {
    const folder = new CacheFolder({
      path: this.path,
      maxBytes: 64 * MIB,
      log: { warn: (...line: unknown[]) => void this.logged.push(line) },
      now: () => this.nowMs,
      ...this.#options,
    });
    this.#opened.push(folder);
    return folder;
  }

  /** Gives files that were written just now our time, which is before the system's. */
  async age(): Promise<void> {
    for (const file of await this.#files()) {
      const { mtime } = await Deno.stat(file);
      if (mtime !== null && mtime.getTime() > this.nowMs) {
        await Deno.utime(file, this.nowMs / 1000, this.nowMs / 1000);
      }
    }
  }

  async onlyFile(): Promise<string> {
    const [file = "", ...others] = await this.#files();
    assert.equal(others.length, 0);
    return file;
  }

  async otherFile(file: string): Promise<string> {
    const [other] = (await this.#files()).filter((one) => one !== file);
    assert.ok(other !== undefined);
    return other;
  }

  async files(): Promise<number> {
    return (await this.#files()).length;
  }

  async #files(): Promise<string[]> {
    const files: string[] = [];
    for await (const folder of Deno.readDir(this.path)) {
      if (!folder.isDirectory || folder.name === ".tmp") continue;
      for await (const { name } of Deno.readDir(`${this.path}/${folder.name}`)) {
        files.push(`${this.path}/${folder.name}/${name}`);
      }
    }
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const folder of this.#opened) await folder.settled();
    await Deno.remove(this.#root, { recursive: true });
  }
}

async function put(cache: CacheFolder, name: string, bytes: Uint8Array): Promise<void> {
  const filling = await cache.fill(name, bytes.length);
  assert.ok(filling !== null);
  for (let at = 0; at < bytes.length; at += 100_000) {
    await filling.write(bytes.subarray(at, at + 100_000));
  }
  await filling.finish();
  await cache.settled();
}

async function read(cache: CacheFolder, name: string): Promise<Uint8Array | null> {
  const object = await cache.read(name);
  return object === null ? null : await readAll(object);
}

async function change(path: string, at: number): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await Deno.writeFile(path, bytes);
}

function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: sizeBytes }, (_, i) => i * 31 + (i >> 8) * 7 & 0xff);
}
