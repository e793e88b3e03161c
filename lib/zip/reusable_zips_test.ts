import assert from "node:assert/strict";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { Pace } from "../async/pace.ts";
import { DamagedSeedError, type Seed, Seeds } from "./reusable_zips.ts";
import { ZipWriter } from "./zip_writer.ts";

const FILES: Readonly<Record<string, string>> = { "a.go": "package a\n", "b.go": "package b\n" };
const { signal } = new AbortController();

/**
 * A folder with the seed of the module in the root, made of FILES; each blob is named by its
 * content.
 */
class Scene implements AsyncDisposable {
  readonly seeds: Seeds;
  readonly folder: string;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.folder = join(root, "seeds");
    this.seeds = new Seeds(this.folder);
  }

  static async start(): Promise<Scene> {
    const scene = new Scene(await Deno.makeTempDir());
    await scene.keep("", FILES);
    return scene;
  }

  async keep(dir: string, contents: Readonly<Record<string, string>>): Promise<void> {
    const file = join(this.#root, crypto.randomUUID());
    using handle = await Deno.open(file, { write: true, createNew: true });
    const zip = new ZipWriter(handle, { limitBytes: 2 ** 20, pace: new Pace(signal) });
    for (const [name, content] of Object.entries(contents)) {
      await zip.add(`m@v1.0.0/${name}`, [new TextEncoder().encode(content)]);
    }
    const { entries } = await zip.finish();
    const files = Object.entries(contents).flatMap(([name, blob], i) => {
      const entry = entries[i];
      return entry === undefined ? [] : [{ name, blob, entry }];
    });
    await this.seeds.keep(dir, { file, conversion: "c", files });
  }

  /** The paths of the kept files: indexes, and zips. */
  async kept(): Promise<{ indexes: string[]; zips: string[] }> {
    const names = (await Array.fromAsync(Deno.readDir(this.folder))).map(({ name }) => name);
    const paths = names.map((name) => join(this.folder, name));
    return {
      indexes: paths.filter((path) => !path.endsWith(".zip")),
      zips: paths.filter((path) => path.endsWith(".zip")),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#root, { recursive: true });
  }
}

async function contentOf(seed: Seed, name: string, blob: string): Promise<string | null> {
  const file = seed.find(name, blob);
  if (file === null) return null;
  const chunks = await Array.fromAsync(seed.read(file));
  return inflateRawSync(await new Blob(chunks.map((chunk) => new Uint8Array(chunk))).bytes())
    .toString();
}

Deno.test("Seeds gives what was kept, by name and blob", async () => {
  await using scene = await Scene.start();
  using seed = await scene.seeds.open("", "c");
  assert.ok(seed !== null);
  assert.equal(await contentOf(seed, "b.go", "package b\n"), "package b\n");
  assert.equal(await contentOf(seed, "a.go", "package a\n"), "package a\n");
  assert.equal(seed.find("a.go", "package b\n"), null);
  assert.equal(seed.find("c.go", "package a\n"), null);
});

Deno.test("Seeds has none for another conversion or directory", async () => {
  await using scene = await Scene.start();
  assert.equal(await scene.seeds.open("", "d"), null);
  assert.equal(await scene.seeds.open("sub", "c"), null);
});

Deno.test("Seeds keeps one for each directory", async () => {
  await using scene = await Scene.start();
  using old = await scene.seeds.open("", "c");
  await scene.keep("", { "a.go": "2" });
  await scene.keep("sub", { "a.go": "3" });
  const { indexes, zips } = await scene.kept();
  assert.deepEqual([indexes.length, zips.length], [2, 2]);
  using seed = await scene.seeds.open("", "c");
  assert.equal(seed && await contentOf(seed, "a.go", "2"), "2");
  assert.equal(old && await contentOf(old, "a.go", "package a\n"), "package a\n");
});

Deno.test("Seeds keeps a limited number", async () => {
  await using scene = await Scene.start();
  for (let i = 0; i < 70; i++) await scene.keep(`d${i}`, { "a.go": "1" });
  const { indexes, zips } = await scene.kept();
  assert.deepEqual([indexes.length, zips.length], [64, 64]);
  assert.ok(await scene.seeds.open("d69", "c").then((seed) => wasOpen(seed)));
});

function wasOpen(seed: Seed | null): boolean {
  seed?.[Symbol.dispose]();
  return seed !== null;
}

Deno.test("Seeds has none where the index is damaged", async (t) => {
  const damages: Record<string, (index: string) => string> = {
    "empty": () => "",
    "cut off": (index) => index.slice(0, -1),
    "another size": (index) => index.replace(",10,", ",11,"),
    "no JSON": () => "e3b0\n{",
  };
  for (const [what, damage] of Object.entries(damages)) {
    await t.step(what, async () => {
      await using scene = await Scene.start();
      const { indexes: [index = ""] } = await scene.kept();
      const text = await Deno.readTextFile(index);
      assert.notEqual(damage(text), text);
      await Deno.writeTextFile(index, damage(text));
      assert.equal(await scene.seeds.open("", "c"), null);
    });
  }
});

Deno.test("Seeds has none where files are lost", async () => {
  await using scene = await Scene.start();
  const { zips: [zip = ""] } = await scene.kept();
  await Deno.remove(zip);
  assert.equal(await scene.seeds.open("", "c"), null);
  await Deno.remove(scene.folder, { recursive: true });
  assert.equal(await scene.seeds.open("", "c"), null);
  await scene.keep("", FILES);
  assert.ok(wasOpen(await scene.seeds.open("", "c")));
});

Deno.test("Seed.read() notices that the zip is damaged", async (t) => {
  const damages: Record<string, (zip: Uint8Array<ArrayBuffer>) => Uint8Array> = {
    "a byte": (zip) => zip.map((byte, i) => i === 45 ? byte ^ 1 : byte),
    "cut off": (zip) => zip.slice(0, 45),
    "zeros": (zip) => zip.fill(0),
  };
  for (const [what, damage] of Object.entries(damages)) {
    await t.step(what, async () => {
      await using scene = await Scene.start();
      const { zips: [zip = ""] } = await scene.kept();
      await Deno.writeFile(zip, damage(await Deno.readFile(zip)));
      using seed = await scene.seeds.open("", "c");
      assert.ok(seed !== null);
      await assert.rejects(contentOf(seed, "a.go", "package a\n"), DamagedSeedError);
    });
  }
});

Deno.test("Seeds.keep() does not mind where it cannot", async () => {
  const file = await Deno.makeTempFile();
  try {
    // The folder would be below a file.
    await new Seeds(`${file}/seeds`).keep("", { file, conversion: "c", files: [] });
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("Seeds.turn() is for one at a time in a directory", async () => {
  const seeds = new Seeds("/nonexistent");
  const order: string[] = [];
  const first = await seeds.turn("a", signal);
  const second = seeds.turn("a", signal).then((turn) => {
    order.push("second");
    turn[Symbol.dispose]();
  });
  using _other = await seeds.turn("b", signal);
  order.push("first ends");
  first[Symbol.dispose]();
  await second;
  assert.deepEqual(order, ["first ends", "second"]);
});
