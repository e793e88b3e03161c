import assert from "node:assert/strict";
import { eventually, within } from "../../tests/support/eventually.ts";
import { buildModuleZip } from "../../tests/support/module_zip.ts";
import { NO_METRICS } from "../log/metrics.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { DiskStore } from "./disk.ts";
import type { Finding } from "./fsck.ts";
import { manifestKey, zipKey } from "./keys.ts";
import { type Copy, makeCopy } from "./manifest.ts";
import { bytesContent } from "./object_store.ts";
import { publishManifest, storeBlob } from "./publish.ts";
import { scrub, type ScrubOptions } from "./scrub.ts";
import { runScrubber, type ScrubberOptions } from "./scrubber.ts";

const PATH = parseModulePath("example.com/hello");

/** A disk store with three copies. */
class World implements AsyncDisposable {
  readonly root: string;
  readonly store: DiskStore;
  readonly copies: { copy: Copy; zip: Uint8Array<ArrayBuffer> }[] = [];

  private constructor(root: string, store: DiskStore) {
    this.root = root;
    this.store = store;
  }

  static async make(): Promise<World> {
    const root = await Deno.makeTempDir({ prefix: "scrub-" });
    const world = new World(root, await DiskStore.open({ path: root }));
    for (const name of ["v1.0.0", "v1.1.0", "v1.2.0"]) await world.#publish(name);
    return world;
  }

  async #publish(name: string): Promise<void> {
    const goMod = new TextEncoder().encode(`module ${PATH}\n`);
    const { bytes, h1 } = await buildModuleZip({
      path: PATH,
      version: name,
      files: { "go.mod": `module ${PATH}\n`, "hello.go": `package hello // ${name}\n` },
    });
    const version = parseVersion(PATH, name);
    const copy = makeCopy({
      path: PATH,
      version,
      time: "2024-02-03T04:05:06Z",
      goMod,
      zipH1: h1,
      source: "git https://git.example.com/hello",
    });
    await publishManifest(this.store, { ...copy, zip: bytesContent(bytes) });
    this.copies.push({ copy, zip: bytes });
  }

  keysOf(index: number): { manifest: string; zip: string } {
    const { copy } = this.copies[index] ?? assert.fail("there is no such copy");
    const { manifest } = copy;
    return { manifest: manifestKey(manifest), zip: zipKey(manifest, manifest.zip.h1) };
  }

  async flip(key: string): Promise<void> {
    const bytes = await Deno.readFile(`${this.root}/${key}`);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    await Deno.writeFile(`${this.root}/${key}`, bytes);
  }

  async scrub(options: Partial<ScrubOptions> = {}) {
    const findings: Finding[] = [];
    const done: string[] = [];
    const summary = await scrub({
      store: this.store,
      restoreZip: null,
      report: (finding) => void findings.push(finding),
      onDone: (key) => void done.push(key),
      signal: AbortSignal.timeout(30_000),
      ...options,
    });
    return { summary, findings, done };
  }

  readonly restoreZip = async (copy: Copy): Promise<void> => {
    const known = this.copies.find((one) => one.copy.manifest.version === copy.manifest.version);
    assert.ok(known !== undefined);
    const content = bytesContent(known.zip);
    await storeBlob(this.store, { manifest: copy.manifest, h1: copy.manifest.zip.h1, content });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

Deno.test("scrub() reads everything once, in order", async () => {
  await using world = await World.make();
  const { summary, findings, done } = await world.scrub();
  assert.deepEqual(findings, []);
  assert.deepEqual(done, await Array.fromAsync(world.store.walk()));
  assert.equal(summary.objects, 6);
  const zips = world.copies.reduce((sum, { zip }) => sum + zip.length, 0);
  assert.equal(summary.bytes, zips + 3 * `module ${PATH}\n`.length);
});

Deno.test("scrub() goes on after a key", async () => {
  await using world = await World.make();
  const { done } = await world.scrub({ after: world.keysOf(1).zip });
  assert.deepEqual(done, [world.keysOf(2).zip]);
});

Deno.test("scrub() reads no faster than it may", async () => {
  await using world = await World.make();
  const startMs = performance.now();
  const { summary } = await world.scrub({ bytesPerSecond: 4000 });
  assert.ok(performance.now() - startMs >= summary.bytes / 4000 * 1000 - 5);
});

Deno.test("scrub() finds what is damaged, and fetches zips again", async (t) => {
  await using world = await World.make();
  await t.step("a manifest, which stays", async () => {
    const { manifest } = world.keysOf(0);
    await world.flip(manifest);
    const { findings } = await world.scrub({ restoreZip: world.restoreZip });
    assert.deepEqual(findings.map(({ kind, key }) => ({ kind, key })), [
      { kind: "fault", key: manifest },
    ]);
    await world.flip(manifest);
  });
  await t.step("a zip", async () => {
    const { zip } = world.keysOf(1);
    await world.flip(zip);
    const { findings } = await world.scrub({ restoreZip: world.restoreZip });
    assert.deepEqual(findings, [
      { kind: "repaired", key: zip, text: "the zip was damaged, and was fetched again" },
    ]);
    assert.deepEqual((await world.scrub()).findings, []);
  });
  await t.step("a zip whose source is gone", async () => {
    const { zip } = world.keysOf(2);
    await world.flip(zip);
    const restoreZip = () =>
      world.store.create("x", { ...bytesContent(new Uint8Array()), sizeBytes: 1 });
    const { findings } = await world.scrub({ restoreZip });
    assert.equal(findings.length, 1);
    assert.match(findings[0]?.text ?? "", /damaged, and cannot be fetched again: Cannot create/);
  });
});

Deno.test("scrub() of a store that is read only leaves a damaged zip where it is", async () => {
  await using world = await World.make();
  const { zip } = world.keysOf(1);
  await world.flip(zip);
  const store = await DiskStore.open({ path: world.root, isReadOnly: true });
  const { findings } = await world.scrub({ store });
  assert.deepEqual(findings.map(({ kind, key }) => ({ kind, key })), [{ kind: "fault", key: zip }]);
  assert.ok((await Deno.lstat(`${world.root}/${zip}`)).isFile);
});

Deno.test("scrub() ends with its signal", async () => {
  await using world = await World.make();
  const reason = new Error("stop");
  const controller = new AbortController();
  const scrubbed = world.scrub({
    bytesPerSecond: 1,
    signal: controller.signal,
    onDone: () => controller.abort(reason),
    after: world.keysOf(0).manifest,
  });
  controller.abort(reason);
  await assert.rejects(scrubbed, reason);
});

Deno.test("runScrubber() makes passes, one process at a time, and goes on where it was", async (t) => {
  await using world = await World.make();
  let nowMs = 1_000_000_000;
  const passes: unknown[] = [];
  const start = (differences: Partial<ScrubberOptions> = {}) => {
    const controller = new AbortController();
    const options: ScrubberOptions = {
      store: world.store,
      directory: world.root,
      bytesPerSecond: 100_000_000,
      intervalMs: 1000,
      restoreZip: world.restoreZip,
      log: { info: (facts: unknown) => void passes.push(facts), warn: () => {}, error: () => {} },
      metrics: NO_METRICS,
      now: () => nowMs,
      retryMs: 5,
    };
    Object.defineProperties(options, Object.getOwnPropertyDescriptors(differences));
    const running = runScrubber(options, controller.signal);
    return {
      stop: async () => {
        controller.abort();
        await running;
      },
    };
  };
  const state = async () => JSON.parse(await Deno.readTextFile(`${world.root}/.scrub`));

  await t.step("none while another process holds the lock", async () => {
    let attempts = 0;
    using file = await Deno.open(`${world.root}/.scrub`, { create: true, write: true });
    await file.lock(true);
    const waiting = start({
      get directory() {
        attempts++;
        return world.root;
      },
    });
    await eventually("some attempts", () => Promise.resolve(attempts > 2));
    await waiting.stop();
    assert.equal(passes.length, 0);
  });
  await t.step("one pass, and the next is not due", async () => {
    const { zip } = world.keysOf(1);
    await world.flip(zip);
    const first = start();
    await eventually("a pass", () => Promise.resolve(passes.length === 1));
    assert.equal((passes[0] as { repaired: number }).repaired, 1);
    await first.stop();
    assert.equal(passes.length, 1);
    assert.deepEqual(await state(), { format: 1, after: "", finishedAtMs: nowMs });
  });
  await t.step("a pass that was ended goes on", async () => {
    nowMs += 2000;
    const after = world.keysOf(2).manifest;
    const text = JSON.stringify({ format: 1, after, finishedAtMs: 0 });
    await Deno.writeTextFile(`${world.root}/.scrub`, text);
    const again = start();
    await eventually("a pass", () => Promise.resolve(passes.length === 2));
    await again.stop();
    assert.equal((passes[1] as { objects: number }).objects, 3);
  });
  await t.step("a slow one ends at once, and remembers its place", async () => {
    nowMs += 2000;
    const read = Promise.withResolvers<void>();
    const metrics = { ...NO_METRICS, add: () => read.resolve() };
    const slow = start({ bytesPerSecond: 100, metrics });
    await within("an object to be read", read.promise);
    await within("its end", slow.stop());
    assert.equal((await state()).after, world.keysOf(0).manifest);
    assert.equal(passes.length, 2);
  });
});
