import assert from "node:assert/strict";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { StorageError } from "../errors.ts";
import { DiskStore } from "./disk.ts";
import { bytesContent, type ObjectStore, type SignedUrlOptions } from "./object_store.ts";
import { PAUSE_MS, REUSE_MS, SignedUrls, URL_LIFETIME_SECONDS } from "./signed_urls.ts";

const KEY = "z1/example.com/a/@v/v1.0.0/x";

/** A store that numbers its URLs, and a clock. */
class World {
  nowMs = 0;
  signed = 0;
  failure: Error | null = null;
  readonly warnings: unknown[] = [];
  readonly store: ObjectStore;
  readonly urls: SignedUrls;

  constructor() {
    const memory = new MemoryStore();
    this.store = Object.assign(memory, {
      signedUrl: async (key: string, { lifetimeSeconds }: SignedUrlOptions) => {
        this.signed++;
        if (this.failure !== null) throw this.failure;
        const object = await memory.get(key);
        await object?.body.cancel();
        return object === null
          ? null
          : new URL(`https://bucket.example.com/${key}?${this.signed}&for=${lifetimeSeconds}`);
      },
    });
    const warn = (...line: unknown[]) => void this.warnings.push(line);
    this.urls = new SignedUrls(this.store, { now: () => this.nowMs, log: { warn } });
  }

  async urlOf(key = KEY): Promise<string | null> {
    return (await this.urls.urlOf(key))?.search ?? null;
  }
}

Deno.test("SignedUrls.urlOf() hands out a URL for a minute of its five", async () => {
  const world = new World();
  await world.store.create(KEY, bytesContent(new Uint8Array(1)));
  assert.equal(await world.urlOf(), "?1&for=300");
  world.nowMs = REUSE_MS - 1;
  assert.equal(await world.urlOf(), "?1&for=300");
  world.nowMs = REUSE_MS;
  assert.equal(await world.urlOf(), "?2&for=300");
  assert.ok(REUSE_MS <= URL_LIFETIME_SECONDS * 1000 / 5);
});

Deno.test("SignedUrls.urlOf() signs once for all who ask at the same time", async () => {
  const world = new World();
  await world.store.create(KEY, bytesContent(new Uint8Array(1)));
  const urls = await Promise.all(Array.from({ length: 50 }, () => world.urlOf()));
  assert.deepEqual(new Set(urls), new Set(["?1&for=300"]));
});

Deno.test("SignedUrls.urlOf() remembers no absence", async () => {
  const world = new World();
  assert.equal(await world.urlOf(), null);
  await world.store.create(KEY, bytesContent(new Uint8Array(1)));
  assert.equal(await world.urlOf(), "?2&for=300");
});

Deno.test("SignedUrls.urlOf() has no URL of a store without URLs", async () => {
  assert.equal(await new SignedUrls(new MemoryStore()).urlOf(KEY), null);
  const path = await Deno.makeTempDir();
  try {
    assert.equal(await new SignedUrls(await DiskStore.open({ path })).urlOf(KEY), null);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("SignedUrls.urlOf() makes a failure a warning, and waits before it signs again", async () => {
  const world = new World();
  await world.store.create(KEY, bytesContent(new Uint8Array(1)));
  const reason = new Error("signBlob is denied");
  world.failure = new StorageError("Cannot sign a URL", { cause: reason });
  assert.equal(await world.urlOf(), null);
  assert.equal(await world.urlOf("z1/other"), null);
  assert.equal(world.signed, 1, "nothing is signed for a moment");
  world.nowMs += PAUSE_MS;
  assert.equal(await world.urlOf(), null);
  assert.deepEqual(world.warnings, [[
    { error: "Cannot sign a URL: signBlob is denied" },
    "cannot redirect to the bucket; this server sends the zips itself",
  ]]);
  world.failure = null;
  world.nowMs += PAUSE_MS;
  assert.equal(await world.urlOf(), "?3&for=300");
});

Deno.test("SignedUrls.urlOf() throws what is a mistake of ours, and a caller's reason to leave", async () => {
  const world = new World();
  await world.store.create(KEY, bytesContent(new Uint8Array(1)));
  world.failure = new TypeError("ours");
  await assert.rejects(world.urlOf(), TypeError);
  world.failure = null;
  const signal = AbortSignal.abort(new Error("gone"));
  await assert.rejects(world.urls.urlOf("z1/other", signal), /gone/);
  assert.equal(await world.urlOf(), "?2&for=300", "neither is a failure of the store");
  assert.deepEqual(world.warnings, []);
});
