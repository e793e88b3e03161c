import assert from "node:assert/strict";
import { type Call, FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { buildModuleZip, type Files } from "../../tests/support/module_zip.ts";
import { builtInMatcher, licenceText } from "../../tests/worlds/licences.ts";
import { createLogger } from "../log/log.ts";
import { parseModuleVersion } from "../module/module_version.ts";
import { Copies } from "../store/copies.ts";
import { type Copy, makeCopy } from "../store/manifest.ts";
import { bytesContent, type ObjectStore, readSmall } from "../store/object_store.ts";
import { ZipError } from "../zip/rules.ts";
import { LicenceReader, type OpenZip } from "./licence_reader.ts";

const MODULE = parseModuleVersion("example.com/m@v1.0.0");
const FILES = { "go.mod": "module example.com/m\n", LICENSE: licenceText("MIT") };
const { signal } = new AbortController();

class World {
  readonly copies: Copies;
  /** What was read of zips, a range each. */
  readonly reads: { start: number; end: number }[] = [];
  readonly log: Record<string, unknown>[] = [];
  readonly store: ObjectStore;

  constructor(store: ObjectStore = new MemoryStore()) {
    this.store = store;
    this.copies = new Copies(store);
  }

  async publish(files: Files = FILES, { isLazy = false } = {}): Promise<Copy> {
    const { bytes, h1 } = await buildModuleZip({ ...MODULE, files });
    return await this.publishZip(bytes, { h1, isLazy });
  }

  async publishZip(
    bytes: Uint8Array<ArrayBuffer>,
    { h1, isLazy = false }: { h1: Copy["manifest"]["zip"]["h1"]; isLazy?: boolean },
  ): Promise<Copy> {
    const goMod = new TextEncoder().encode(FILES["go.mod"]);
    const time = "2024-01-02T03:04:05Z";
    const copy = makeCopy({ ...MODULE, time, goMod, zipH1: h1, source: "proxy http://x.test" });
    const zip = isLazy ? null : bytesContent(bytes);
    return (await this.copies.publish({ ...copy, zip })).copy;
  }

  reader(options: { openZip?: OpenZip } = {}): LicenceReader {
    return new LicenceReader({
      store: this.store,
      openZip: async (copy, { range, signal }) => {
        this.reads.push(range);
        return await this.copies.openZip(copy, { range, signal });
      },
      log: createLogger("debug", { write: (line) => void this.log.push(JSON.parse(line)) }),
      loadMatcher: builtInMatcher,
      ...options,
    });
  }
}

const KEY = /^d1\/1\/licences\/example\.com\/m\/@v\/v1\.0\.0\/[0-9a-f]{64}$/;

async function recordKey(store: ObjectStore): Promise<string | undefined> {
  const keys: string[] = [];
  for await (const key of store.walk()) if (key.startsWith("d1/")) keys.push(key);
  assert.ok(keys.length <= 1);
  return keys[0];
}

Deno.test("LicenceReader.read() detects once, and keeps the record beside the copy", async () => {
  const world = new World();
  const copy = await world.publish();
  const detected = await world.reader().read(copy, { signal });
  assert.deepEqual(detected?.files.map(({ path, licences }) => [path, licences]), [
    ["LICENSE", ["MIT"]],
  ]);
  const key = await recordKey(world.store);
  assert.match(key ?? "", KEY);
  const reads = world.reads.length;
  assert.ok(reads > 0);
  // Another replica.
  assert.deepEqual(await world.reader().read(copy, { signal }), detected);
  assert.equal(world.reads.length, reads);
});

Deno.test("LicenceReader.read() writes the record that it says", async () => {
  const world = new World();
  const copy = await world.publish();
  await world.reader().read(copy, { signal });
  const key = await recordKey(world.store);
  const bytes = await readSmall(world.store, key ?? "", { limitBytes: 10_000 });
  assert.equal(
    new TextDecoder().decode(bytes ?? new Uint8Array()),
    `{"format":1,"path":"example.com/m","version":"v1.0.0","zip":"${copy.manifest.zip.h1}",` +
      '"files":[{"path":"LICENSE","licences":["MIT"],"coverage":100,' +
      '"matches":[{"id":"MIT","kind":"text","confidence":100,"isFaithful":true}]}]}\n',
  );
});

Deno.test("LicenceReader.remembered() has what was read", async () => {
  const world = new World();
  const copy = await world.publish();
  const reader = world.reader();
  assert.equal(reader.remembered(copy), null);
  const detected = await reader.read(copy, { signal });
  assert.equal(reader.remembered(copy), detected);
});

Deno.test("LicenceReader.read() of what is known detects nothing", async () => {
  const world = new World();
  const copy = await world.publish();
  assert.equal(await world.reader().read(copy, { onlyKnown: true, signal }), null);
  assert.deepEqual(world.reads, []);
  const detected = await world.reader().read(copy, { signal });
  assert.deepEqual(await world.reader().read(copy, { onlyKnown: true, signal }), detected);
});

Deno.test("LicenceReader.read() of what is known does not look again and again", async () => {
  const store = new FaultyStore(new MemoryStore());
  const world = new World(store);
  const copy = await world.publish();
  const reader = world.reader();
  const looks = () => store.calls.filter(({ key }) => key.startsWith("d1/")).length;
  assert.equal(await reader.read(copy, { onlyKnown: true, signal }), null);
  assert.equal(await reader.read(copy, { onlyKnown: true, signal }), null);
  assert.equal(looks(), 1);
  const detected = await reader.read(copy, { signal });
  assert.equal(await reader.read(copy, { onlyKnown: true, signal }), detected);
});

Deno.test("LicenceReader.read() detects once for all who ask at the same time", async () => {
  const world = new World();
  const copy = await world.publish();
  const reader = world.reader();
  const all = await Promise.all(Array.from({ length: 10 }, () => reader.read(copy, { signal })));
  assert.equal(new Set(all).size, 1);
  const firsts = world.reads.filter(({ start, end }) => start === 0 && end === 1);
  assert.equal(firsts.length, 1);
});

Deno.test("LicenceReader.read() reads the directory and the licence of a large zip", async () => {
  const world = new World();
  const noise = () => crypto.getRandomValues(new Uint8Array(60_000));
  const large = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}.bin`, noise()]));
  const copy = await world.publish({ ...large, ...FILES });
  const detected = await world.reader().read(copy, { signal });
  assert.deepEqual(detected?.files[0]?.licences, ["MIT"]);
  const readBytes = world.reads.reduce((sum, { start, end }) => sum + end - start, 0);
  assert.ok(readBytes < 400_000, `${readBytes} bytes of 6 MB`);
});

Deno.test("LicenceReader.read() is null where there is no zip", async () => {
  const world = new World();
  const copy = await world.publish(FILES, { isLazy: true });
  const reader = world.reader();
  assert.equal(await reader.read(copy, { signal }), null);
  assert.equal(reader.remembered(copy), null);
  assert.equal(await recordKey(world.store), undefined);
});

Deno.test("LicenceReader.read() detects again where a record is damaged", async () => {
  const world = new World();
  const copy = await world.publish();
  const detected = await world.reader().read(copy, { signal });
  const key = await recordKey(world.store) ?? "";
  for (const damaged of ["", "{}", '{"format":2}', "\u0000"]) {
    const other = new World();
    await other.publish();
    await other.store.create(key, bytesContent(new TextEncoder().encode(damaged)));
    assert.deepEqual(await other.reader().read(copy, { signal }), detected);
    assert.deepEqual(other.log.map(({ key }) => key), [key]);
  }
});

Deno.test("LicenceReader.read() answers although the record cannot be kept", async () => {
  const fails = ({ method, key }: Call) => method === "create" && key.startsWith("d1/");
  const world = new World(
    new FaultyStore(new MemoryStore(), (call) => fails(call) ? "fail" : null),
  );
  const copy = await world.publish();
  const detected = await world.reader().read(copy, { signal });
  assert.deepEqual(detected?.files[0]?.licences, ["MIT"]);
  assert.match(String(world.log[0]?.["msg"]), /cannot keep/);
});

Deno.test("LicenceReader.read() fails where the zip is damaged, and keeps nothing", async () => {
  const world = new World();
  const { bytes, h1 } = await buildModuleZip({ ...MODULE, files: FILES });
  const copy = await world.publishZip(bytes.slice(0, bytes.length - 10), { h1 });
  await assert.rejects(world.reader().read(copy, { signal }), ZipError);
  assert.equal(await recordKey(world.store), undefined);
});
