import assert from "node:assert/strict";
import fc from "fast-check";
import { type Fault, FAULTS, FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { StorageError, UpstreamError } from "../errors.ts";
import { type H1, h1Of } from "../module/h1.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { manifestFolders, manifestKey, zipKey } from "./keys.ts";
import { InvalidManifestError, makeCopy, MAX_MANIFEST_BYTES } from "./manifest.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type ObjectStore, readAll } from "./object_store.ts";
import {
  type Publication,
  publishManifest,
  readCopy,
  storeBlob,
  ZipMismatchError,
} from "./publish.ts";

const path = parseModulePath("example.com/m");
const version = parseVersion(path, "v1.0.0");
const module = { path, version };

/**
 * What one of several publishers brings: each has another go.mod and another zip, as if the tag was
 * moved.
 */
function publication(publisher: number, mode: "eager" | "lazy"): Publication {
  const goMod = new TextEncoder().encode(`module example.com/m // ${publisher}\n`);
  const copy = makeCopy({
    ...module,
    time: "2024-02-03T04:05:06Z",
    goMod,
    zipH1: zipH1(publisher),
    source: "git https://git.example.com/m",
  });
  return { ...copy, zip: mode === "eager" ? zipOf(publisher) : null };
}

function zipH1(publisher: number): H1 {
  return h1Of(new Uint8Array(32).fill(publisher));
}

function zipOf(publisher: number) {
  return bytesContent(new TextEncoder().encode(`zip ${publisher}`));
}

async function readText(store: ObjectStore, key: string): Promise<string | null> {
  const object = await store.get(key);
  return object === null ? null : new TextDecoder().decode(await readAll(object));
}

Deno.test("publishManifest() makes a copy of blob and manifest, in this order", async () => {
  const store = new FaultyStore(new MemoryStore());
  const ours = publication(1, "eager");
  const published = await publishManifest(store, ours);
  assert.deepEqual(published, {
    copy: { manifest: ours.manifest, goMod: ours.goMod },
    created: true,
    mismatch: false,
  });
  const creates = store.calls.filter(({ method }) => method === "create").map(({ key }) => key);
  assert.deepEqual(creates, [zipKey(module, zipH1(1)), manifestKey(module)]);
  assert.equal(await readText(store, zipKey(module, zipH1(1))), "zip 1");
  assert.deepEqual(await readCopy(store, module), published.copy);
});

Deno.test("publishManifest() without a zip makes the manifest alone", async () => {
  const store = new FaultyStore(new MemoryStore());
  assert.equal((await publishManifest(store, publication(1, "lazy"))).created, true);
  const creates = store.calls.filter(({ method }) => method === "create").map(({ key }) => key);
  assert.deepEqual(creates, [manifestKey(module)]);
});

Deno.test("publishManifest() gives who comes second the first one's copy", async (t) => {
  for (const mode of ["eager", "lazy"] as const) {
    await t.step(mode, async () => {
      const store = new MemoryStore();
      const first = await publishManifest(store, publication(1, mode));
      const second = await publishManifest(store, publication(2, mode));
      assert.deepEqual(second, { copy: first.copy, created: false, mismatch: true });
    });
  }
});

Deno.test("publishManifest() says mismatch for another hash and for nothing else", async (t) => {
  const first = publication(1, "lazy");
  const { manifest, goMod } = first;
  const facts = { ...manifest, goMod, zipH1: manifest.zip.h1 };
  const rows = [
    { name: "the same", second: facts, want: false },
    {
      name: "another time and source",
      second: { ...facts, time: "2025-01-01T00:00:00Z", source: "import x" },
      want: false,
    },
    { name: "another zip", second: { ...facts, zipH1: zipH1(2) }, want: true },
    { name: "another go.mod", second: { ...facts, goMod: new Uint8Array([32]) }, want: true },
  ];
  for (const { name, second, want } of rows) {
    await t.step(name, async () => {
      const store = new MemoryStore();
      await publishManifest(store, first);
      const published = await publishManifest(store, { ...makeCopy(second), zip: null });
      assert.equal(published.mismatch, want);
      assert.deepEqual(published.copy, { manifest, goMod });
    });
  }
});

Deno.test("publishManifest() writes nothing that could not be read", async () => {
  const store = new FaultyStore(new MemoryStore());
  const { manifest, ...rest } = publication(1, "eager");
  const broken = { ...rest, manifest: { ...manifest, source: "git https://user@git.example.com" } };
  await assert.rejects(publishManifest(store, broken), InvalidManifestError);
  assert.deepEqual(store.calls, []);
});

Deno.test("readCopy() refuses a manifest that is damaged", async (t) => {
  for (const sizeBytes of [0, 100]) {
    await t.step(`${sizeBytes} bytes`, async () => {
      const store = new MemoryStore();
      await store.create(manifestKey(module), bytesContent(new Uint8Array(sizeBytes)));
      await assert.rejects(readCopy(store, module), InvalidManifestError);
      // Nor is it replaced.
      await assert.rejects(publishManifest(store, publication(1, "eager")), InvalidManifestError);
    });
  }
});

Deno.test("readCopy() does not begin to read what is too large for a manifest", async () => {
  let isCancelled = false;
  const store = new MemoryStore();
  store.get = () => {
    const body = new ReadableStream({ cancel: () => void (isCancelled = true) });
    return Promise.resolve({ sizeBytes: MAX_MANIFEST_BYTES + 1, body });
  };
  await assert.rejects(readCopy(store, module), InvalidManifestError);
  assert.ok(isCancelled);
});

Deno.test("publishManifest() with a signal that is aborted looks no further", async () => {
  const reason = new Error("deadline");
  const controller = new AbortController();
  const store = new FaultyStore(new MemoryStore(), () => {
    controller.abort(reason);
    return "fail-but-done";
  });
  await assert.rejects(
    publishManifest(store, publication(1, "eager"), { signal: controller.signal }),
  );
  assert.equal(store.calls.length, 1);
});

Deno.test("storeBlob() adds the zip that was published and no other", async () => {
  const store = new MemoryStore();
  const { copy } = await publishManifest(store, publication(1, "lazy"));
  const key = zipKey(module, zipH1(1));
  await assert.rejects(
    storeBlob(store, { manifest: copy.manifest, h1: zipH1(2), content: zipOf(2) }),
    (error) => error instanceof ZipMismatchError && error instanceof UpstreamError,
  );
  assert.equal(await store.get(key), null);
  await storeBlob(store, { manifest: copy.manifest, h1: zipH1(1), content: zipOf(1) });
  assert.equal(await readText(store, key), "zip 1");
  // Other compression, same hash: what is stored stays.
  await storeBlob(store, { manifest: copy.manifest, h1: zipH1(1), content: zipOf(3) });
  assert.equal(await readText(store, key), "zip 1");
});

Deno.test("storeBlob() survives a failure that was none, and throws the others", async (t) => {
  const rows = [
    { faults: ["fail"], throws: true },
    { faults: ["fail-but-done"], throws: false },
    { faults: ["fail-but-done", "fail"], throws: true },
  ] as const;
  for (const { faults, throws } of rows) {
    await t.step(faults.join(), async () => {
      const inner = new MemoryStore();
      const { copy } = await publishManifest(inner, publication(1, "lazy"));
      const store = new FaultyStore(inner, ({ index }) => faults[index] ?? null);
      const stored = storeBlob(store, { manifest: copy.manifest, h1: zipH1(1), content: zipOf(1) });
      await (throws ? assert.rejects(stored, StorageError) : stored);
    });
  }
});

/**
 * Every way in which the calls of one publish can go wrong, alone and together; then a request at
 * the same or another replica, which finds the copy or publishes its own; and requests that arrive
 * late, before it or after it. Whatever was answered to anybody must be what everybody finds in the
 * end.
 */
for (const mode of ["eager", "lazy"] as const) {
  for (const landing of ["before", "after"] as const) {
    Deno.test(`publishManifest() ${mode} holds under every fault, late requests land ${landing} the next`, async () => {
      let runs = 0;
      for (const faults of faultSequences(mode === "eager" ? 5 : 3)) {
        const inner = new MemoryStore();
        const store = new FaultyStore(inner, ({ index }) => faults[index] ?? null);
        const answers = [await answered(publishManifest(store, publication(1, mode)))];

        if (landing === "before") await store.land();
        const found = await readCopy(inner, module);
        const next = await answered(publishManifest(inner, publication(2, mode)));
        if (landing === "after") await store.land();

        const context = `${mode}, faults ${faults.join()}, landing ${landing}`;
        assert.ok(next !== null, context);
        answers.push(found, next);
        await assertOneCopy(inner, { answers, mode, context });
        runs++;
      }
      assert.equal(runs, mode === "eager" ? 4 ** 5 : 4 ** 3);
    });
  }
}

Deno.test("publishManifest() holds for any three publishers and any order of their calls", async () => {
  const fault = fc.option(fc.constantFrom(...FAULTS), { freq: 3 });
  const faults = fc.array(fc.array(fault, { maxLength: 5 }), { minLength: 3, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      faults,
      fc.constantFrom("eager", "lazy"),
      async (scheduler, faults, mode) => {
        const inner = new MemoryStore();
        const stores = faults.map((faults, i) =>
          new FaultyStore(inner, async ({ index, method }) => {
            await scheduler.schedule(Promise.resolve(), `${i}: ${method}`);
            return faults[index] ?? null;
          })
        );
        const publishing = Promise.all(
          stores.map((store, i) => answered(publishManifest(store, publication(i + 1, mode)))),
        );
        const landing = scheduler.schedule(Promise.resolve(), "land").then(async () => {
          for (const store of stores) await store.land();
        });
        await scheduler.waitFor(Promise.all([publishing, landing]));
        for (const store of stores) await store.land();

        const answers = await publishing;
        answers.push(await answered(publishManifest(inner, publication(4, mode))));
        await assertOneCopy(inner, { answers, mode, context: "" });
      },
    ),
    { numRuns: 300 },
  );
});

/** Every sequence of `length` faults or none. */
function* faultSequences(length: number): Generator<(Fault | null)[]> {
  if (length === 0) return yield [];
  for (const rest of faultSequences(length - 1)) {
    for (const fault of [null, ...FAULTS]) yield [fault, ...rest];
  }
}

/**
 * The copy that a publisher was told to answer with, or null where it was told of a failure of the
 * store.
 */
async function answered(publishing: ReturnType<typeof publishManifest>) {
  try {
    return (await publishing).copy;
  } catch (error) {
    if (error instanceof StorageError) return null;
    throw error;
  }
}

async function assertOneCopy(
  store: ObjectStore,
  { answers, mode, context }: {
    answers: (Awaited<ReturnType<typeof readCopy>>)[];
    mode: "eager" | "lazy";
    context: string;
  },
): Promise<void> {
  const copy = await readCopy(store, module);
  assert.ok(copy !== null, context);
  for (const answer of answers) if (answer !== null) assert.deepEqual(answer, copy, context);
  assert.deepEqual(await store.list(manifestFolders(path).tagged), [version], context);
  const publisher = [1, 2, 3, 4].find((publisher) => zipH1(publisher) === copy.manifest.zip.h1);
  assert.ok(publisher !== undefined, context);
  assert.deepEqual(copy.goMod, publication(publisher, mode).goMod, context);
  if (mode === "eager") {
    const zip = await readText(store, zipKey(module, copy.manifest.zip.h1));
    assert.equal(zip, `zip ${publisher}`, context);
  }
}
