import assert from "node:assert/strict";
import { storeContract } from "../../tests/suites/store_contract.ts";
import { StorageError } from "../errors.ts";
import { CachedStore, isCacheable } from "./cached.ts";
import { CacheFolder } from "./cache_folder.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type GetOptions, type ObjectStore, readAll } from "./object_store.ts";

const MIB = 1024 * 1024;
const KEY = "m1/example.com/a/@v/v1.0.0";

// Over GcsStore and its emulator it was run too (2026-11-22); that takes 14 s each time and says no
// more.
for (const [name, maxBytes] of [["", 1024 * MIB], [", a full one", 64 * 1024]] as const) {
  storeContract(`CachedStore${name}`, async () => {
    const cache = await TestCache.make(maxBytes);
    const store = new MemoryStore();
    return {
      replicas: [cache.before(store), cache.before(store)],
      leftovers: () => cache.leftovers(),
      [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
    };
  });
}

Deno.test("CachedStore asks the store once for what is there, and each time for what is not", async () => {
  await using cache = await TestCache.make();
  const store = new CountedStore();
  const cached = cache.before(store);
  assert.equal(await cached.get(KEY), null);
  assert.equal(await cached.get(KEY), null);
  assert.equal(store.gets, 2);
  await store.create(KEY, bytesContent(noise(500_000)));
  for (let i = 0; i < 3; i++) assert.deepEqual(await read(cached, KEY), noise(500_000));
  assert.equal(store.gets, 3);
  assert.deepEqual(cache.results, ["miss", "hit", "hit"]);
});

Deno.test("CachedStore has what it created, and what only another one created it has not", async () => {
  await using cache = await TestCache.make();
  await using otherCache = await TestCache.make();
  const store = new CountedStore();
  const [here, there] = [cache.before(store), otherCache.before(store)];
  assert.equal(await here.create(KEY, bytesContent(noise(10))), "created");
  assert.deepEqual(await read(here, KEY), noise(10));
  assert.equal(store.gets, 0);
  // The content of who came second is not the object's.
  assert.equal(await there.create(KEY, bytesContent(noise(11))), "exists");
  assert.deepEqual(await read(there, KEY), noise(10));
  assert.equal(store.gets, 1);
});

Deno.test("CachedStore answers a range from a whole object, and fetches none for it", async () => {
  await using cache = await TestCache.make();
  const store = new CountedStore();
  const cached = cache.before(store);
  await store.create(KEY, bytesContent(noise(1000)));
  const range = { start: 10, end: 20 };
  for (let i = 1; i <= 2; i++) {
    assert.deepEqual(await read(cached, KEY, { range }), noise(1000).slice(10, 20));
    assert.equal(store.gets, i);
  }
  await read(cached, KEY);
  assert.deepEqual(await read(cached, KEY, { range }), noise(1000).slice(10, 20));
  assert.equal(store.gets, 3);
});

Deno.test("CachedStore keeps nothing of a body that fails or that nobody reads to its end", async (t) => {
  const ends: Record<string, (store: ObjectStore) => Promise<void>> = {
    "cancelled": async (store) => {
      const reader = (await store.get(KEY))?.body.getReader();
      await reader?.read();
      await reader?.cancel();
    },
    "cancelled unread": async (store) => await (await store.get(KEY))?.body.cancel(),
    "failed": async (store) => {
      const object = await store.get(KEY);
      assert.ok(object !== null);
      await assert.rejects(readAll(object), StorageError);
    },
  };
  for (const [name, end] of Object.entries(ends)) {
    await t.step(name, async () => {
      await using cache = await TestCache.make();
      const store = new CountedStore();
      store.fails = name === "failed";
      await store.create(KEY, bytesContent(noise(500_000)));
      const cached = cache.before(store);
      await end(cached);
      store.fails = false;
      assert.deepEqual(await cache.leftovers(), []);
      assert.deepEqual(await read(cached, KEY), noise(500_000));
      assert.equal(store.gets, 2);
    });
  }
});

Deno.test("CachedStore serves from the store when its folder is of no use", async () => {
  await using cache = await TestCache.make();
  await Deno.writeTextFile(`${cache.root}/cache`, "a file");
  const cached = cache.before(new MemoryStore());
  assert.equal(await cached.create(KEY, bytesContent(noise(10))), "created");
  for (let i = 0; i < 2; i++) assert.deepEqual(await read(cached, KEY), noise(10));
  assert.equal(await cached.get(`${KEY}-rc.1`), null);
  assert.equal(cache.warnings, 1);
});

Deno.test("CachedStore signs URLs as its store does, whatever it has itself", async () => {
  await using cache = await TestCache.make();
  const memory = new MemoryStore();
  assert.equal(await cache.before(memory).signedUrl(KEY, { lifetimeSeconds: 9 }), null);
  const signedUrl = (key: string, { lifetimeSeconds }: { lifetimeSeconds: number }) =>
    Promise.resolve(new URL(`https://bucket.example.com/${key}?${lifetimeSeconds}`));
  const store = cache.before(Object.assign(memory, { signedUrl }));
  const url = await store.signedUrl(KEY, { lifetimeSeconds: 9 });
  assert.equal(url?.href, `https://bucket.example.com/${KEY}?9`);
});

Deno.test("CachedStore of one bucket has nothing of another's", async () => {
  await using cache = await TestCache.make();
  const one = cache.before(new MemoryStore(), "https://storage.example.com/one/");
  const two = cache.before(new MemoryStore(), "https://storage.example.com/two/");
  await one.create(KEY, bytesContent(noise(10)));
  assert.equal(await two.get(KEY), null);
});

Deno.test("isCacheable() says of which keys the store need not be asked again", async (t) => {
  const rows = [
    { input: "m1/example.com/a/@v/v1.0.0", want: true },
    { input: "m1/example.com/a/@p/v0.0.0-20260101000000-abcdefabcdef", want: true },
    { input: "z1/example.com/a/@v/v1.0.0/00ff", want: true },
    { input: "s1/sum.example.com+00000000/lookup/example.com/a/@v/v1.0.0", want: true },
    { input: "s1/sum.example.com+00000000/tile/8/0/000", want: true },
    // An operator removes it.
    { input: "s1/sum.example.com+00000000/fork", want: false },
    { input: "s1/sum.example.com+00000000/latest/0001", want: false },
    { input: "l1/sum.example.com/log/0001", want: false },
    { input: "i1/2026", want: false },
    // The probe's; a cache would answer for a store that has gone.
    { input: "p1/probe", want: false },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(isCacheable(input), want));
  }
});

class CountedStore extends MemoryStore {
  gets = 0;
  /** Whether bodies break. */
  fails = false;

  override async get(key: string, options?: GetOptions) {
    this.gets++;
    const object = await super.get(key, options);
    if (object === null || !this.fails) return object;
    const broken = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      flush: () => {
        throw new StorageError("the check sum is another");
      },
    });
    return { ...object, body: object.body.pipeThrough(broken) };
  }
}

class TestCache implements AsyncDisposable {
  readonly root: string;
  readonly results: unknown[] = [];
  warnings = 0;
  readonly #maxBytes: number;
  readonly #folders: CacheFolder[] = [];

  private constructor(root: string, maxBytes: number) {
    this.root = root;
    this.#maxBytes = maxBytes;
  }

  static async make(maxBytes = 1024 * MIB): Promise<TestCache> {
    return new TestCache(await Deno.makeTempDir(), maxBytes);
  }

  /** A replica with this cache; several share its folder. */
  before(store: ObjectStore, identity = "https://storage.example.com/"): CachedStore {
    const folder = new CacheFolder({
      path: `${this.root}/cache`,
      maxBytes: this.#maxBytes,
      log: { warn: () => void this.warnings++ },
    });
    this.#folders.push(folder);
    return new CachedStore(store, {
      folder,
      identity: `${identity}${store.description}/`,
      // The contract's keys are not those of a proxy.
      covers: () => true,
      metrics: {
        add: (_, labels) => void this.results.push(...Object.values(labels)),
        observe: () => {},
        gauge: () => {},
      },
    });
  }

  async leftovers(): Promise<string[]> {
    try {
      return (await Array.fromAsync(Deno.readDir(`${this.root}/cache/.tmp`))).map(({ name }) =>
        name
      );
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const folder of this.#folders) await folder.settled();
    await Deno.remove(this.root, { recursive: true });
  }
}

async function read(store: ObjectStore, key: string, options?: GetOptions) {
  const object = await store.get(key, options);
  return object === null ? null : await readAll(object);
}

function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: sizeBytes }, (_, i) => i * 31 + (i >> 8) * 7 & 0xff);
}
