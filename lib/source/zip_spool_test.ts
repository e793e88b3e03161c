import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { within } from "../../tests/support/eventually.ts";
import { readAllBytes, readBytes } from "../../tests/support/read_bytes.ts";
import { HELD_BACK_BYTES, MIN_FOLLOWED_BYTES, ZipSpool } from "./zip_spool.ts";

const MIB = 1024 * 1024;
const CHUNK_BYTES = 100_000;

type Bytes = Uint8Array<ArrayBuffer>;

interface World extends Disposable {
  readonly spool: ZipSpool;
  readonly file: string;
  /** What readers have asked the store for. */
  readonly rests: number[];
  /** Why readers have ended, in order. */
  readonly ends: unknown[];
  follow(): Promise<ReadableStreamDefaultReader<Bytes> | null>;
}

/** @param published what the store has in the end */
function openWorld(published: Bytes): World {
  const directory = Deno.makeTempDirSync({ prefix: "zip-spool-" });
  const spool = new ZipSpool();
  const rests: number[] = [];
  const ends: unknown[] = [];
  return {
    spool,
    file: `${directory}/x.zip`,
    rests,
    ends,
    follow: async () => {
      const growing = await spool.follow({
        openRest: ({ start, end }) => {
          rests.push(start);
          return Promise.resolve(new Blob([published.subarray(start, end)]).stream());
        },
        onEnd: (error) => void ends.push(error),
      });
      return growing?.body.getReader() ?? null;
    },
    [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }),
  };
}

function zip(sizeBytes: number): Bytes {
  return new Uint8Array(randomBytes(sizeBytes));
}

function flip(bytes: Bytes, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}

/** In chunks that are no blocks. */
async function write(
  writer: { write(chunk: Uint8Array): Promise<void> },
  bytes: Bytes,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    await writer.write(bytes.subarray(at, at + CHUNK_BYTES));
  }
}

Deno.test("ZipSpool holds back the end of a zip until it is published", async () => {
  const bytes = zip(3 * MIB + 12_345);
  using world = openWorld(bytes);
  const { spool } = world;
  using writer = await spool.begin(world.file, bytes.length);
  await write(writer, bytes.subarray(0, MIB));
  await within("something to follow", spool.followable);
  const reader = await world.follow();
  assert.ok(reader !== null && spool.isFollowed);
  assert.deepEqual(await readBytes(reader, MIB), bytes.subarray(0, MIB));
  await write(writer, bytes.subarray(MIB));
  writer.finish();
  const before = bytes.length - HELD_BACK_BYTES;
  assert.deepEqual(await readBytes(reader, before - MIB), bytes.subarray(MIB, before));
  let isRead = false;
  const next = reader.read().finally(() => isRead = true);
  // Whoever comes later gets it from its beginning, and no more of it.
  const late = await world.follow();
  assert.ok(late !== null);
  assert.deepEqual(await readBytes(late, before), bytes.subarray(0, before));
  assert.equal(isRead, false);
  spool.complete();
  const [first, others] = [(await next).value ?? new Uint8Array(), await readAllBytes(reader)];
  assert.deepEqual(Buffer.concat([first, others]), Buffer.from(bytes.subarray(before)));
  assert.deepEqual(await readAllBytes(late), bytes.subarray(before));
  assert.deepEqual([world.rests, world.ends, spool.isFollowed], [[], [null, null], false]);
});

Deno.test("ZipSpool breaks off readers when the zip is refused", async () => {
  const bytes = zip(2 * MIB);
  using world = openWorld(bytes);
  using writer = await world.spool.begin(world.file, bytes.length);
  await write(writer, bytes);
  writer.finish();
  const reader = await world.follow();
  assert.ok(reader !== null);
  await readBytes(reader, bytes.length - HELD_BACK_BYTES);
  const next = reader.read();
  const refusal = new Error("hash mismatch");
  world.spool.fail(refusal);
  await assert.rejects(next, refusal);
  assert.deepEqual(world.ends, [refusal]);
  assert.equal(await world.follow(), null);
  // What came too late to be refused changes nothing.
  world.spool.complete();
  await assert.rejects(reader.read(), refusal);
});

Deno.test("ZipSpool follows no zip that is small, of unknown size, or not begun", async (t) => {
  for (
    const { name, sizeBytes, announced } of [
      { name: "small", sizeBytes: MIN_FOLLOWED_BYTES, announced: MIN_FOLLOWED_BYTES },
      { name: "of unknown size", sizeBytes: 2 * MIB, announced: null },
      { name: "not begun", sizeBytes: 0, announced: 2 * MIB },
    ]
  ) {
    await t.step(name, async () => {
      using world = openWorld(new Uint8Array());
      assert.equal(await world.follow(), null);
      using writer = await world.spool.begin(world.file, announced);
      await write(writer, zip(sizeBytes));
      assert.equal(await world.follow(), null);
    });
  }
});

Deno.test("ZipSpool lets readers go on when another attempt sends the same", async () => {
  const bytes = zip(3 * MIB);
  using world = openWorld(bytes);
  let reader: ReadableStreamDefaultReader<Bytes> | null;
  {
    using writer = await world.spool.begin(world.file, bytes.length);
    await write(writer, bytes.subarray(0, 2 * MIB));
    reader = await world.follow();
    assert.ok(reader !== null);
    await readBytes(reader, MIB);
  }
  using writer = await world.spool.begin(world.file, bytes.length);
  await write(writer, bytes.subarray(0, MIB));
  // Nothing that was there is gone.
  const other = await world.follow();
  assert.ok(other !== null);
  assert.deepEqual(await readBytes(other, 2 * MIB), bytes.subarray(0, 2 * MIB));
  await write(writer, bytes.subarray(MIB));
  writer.finish();
  world.spool.complete();
  assert.deepEqual(await readAllBytes(reader), bytes.subarray(MIB));
  assert.deepEqual(await readAllBytes(other), bytes.subarray(2 * MIB));
  assert.deepEqual(await Deno.readFile(world.file), bytes);
});

Deno.test("ZipSpool breaks off readers when another attempt sends other bytes", async (t) => {
  const first = zip(3 * MIB);
  const other = first.slice();
  flip(other, MIB + 1000);
  for (
    const { name, bytes } of [
      { name: "in what was sent", bytes: other },
      { name: "of another size", bytes: zip(2 * MIB) },
    ]
  ) {
    await t.step(name, async () => {
      using world = openWorld(bytes);
      let reader: ReadableStreamDefaultReader<Bytes> | null;
      {
        using writer = await world.spool.begin(world.file, first.length);
        await write(writer, first.subarray(0, 2 * MIB));
        reader = await world.follow();
        assert.ok(reader !== null);
        await readBytes(reader, MIB);
      }
      using writer = await world.spool.begin(world.file, bytes.length);
      await write(writer, bytes);
      writer.finish();
      await assert.rejects(readAllBytes(reader), /the upstream sent another zip when asked again/);
      const next = await world.follow();
      assert.ok(next !== null);
      world.spool.complete();
      assert.deepEqual(await readAllBytes(next), bytes);
      assert.deepEqual(await Deno.readFile(world.file), bytes);
    });
  }
});

Deno.test("ZipSpool breaks off readers when a source writes the file in another way", async () => {
  const bytes = zip(2 * MIB);
  using world = openWorld(bytes);
  using writer = await world.spool.begin(world.file, bytes.length);
  await write(writer, bytes);
  const reader = await world.follow();
  assert.ok(reader !== null);
  world.spool.abandon();
  await assert.rejects(readAllBytes(reader), /another source sends the zip/);
  assert.equal(await world.follow(), null);
});

Deno.test("ZipSpool refuses a zip of another size than announced", async () => {
  using world = openWorld(new Uint8Array());
  using writer = await world.spool.begin(world.file, 2 * MIB);
  await write(writer, zip(2 * MIB - 1));
  assert.throws(() => writer.finish(), /it has 2097151 bytes, and 2097152 were announced/);
  const reader = await world.follow();
  assert.ok(reader !== null);
  world.spool.complete();
  await assert.rejects(reader.read(), /does not have the whole zip/);
});

Deno.test("ZipSpool gives slow readers the rest from the store", async () => {
  const bytes = zip(4 * MIB);
  using world = openWorld(bytes);
  using writer = await world.spool.begin(world.file, bytes.length);
  await write(writer, bytes);
  writer.finish();
  const slow = await world.follow();
  assert.ok(slow !== null);
  const got = await readBytes(slow, MIB);
  world.spool.complete();
  await Deno.remove(world.file);
  assert.deepEqual(await readAllBytes(slow), bytes.subarray(got.length));
  assert.deepEqual(world.rests, [got.length]);
  assert.equal(world.spool.isFollowed, false);
});

Deno.test("ZipSpool never sends a block that changed on the disk to its end", async () => {
  const bytes = zip(2 * MIB);
  using world = openWorld(bytes);
  using writer = await world.spool.begin(world.file, bytes.length);
  await write(writer, bytes);
  writer.finish();
  using file = await Deno.open(world.file, { write: true });
  await file.seek(700_000, Deno.SeekMode.Start);
  await file.write(Uint8Array.of((bytes[700_000] ?? 0) ^ 1));
  const reader = await world.follow();
  assert.ok(reader !== null);
  await assert.rejects(readBytes(reader, MIB), /the spooled zip is damaged/);
});

Deno.test("ZipSpool lets a reader leave while it waits, and the others go on", async () => {
  const bytes = zip(2 * MIB);
  using world = openWorld(bytes);
  using writer = await world.spool.begin(world.file, bytes.length);
  await write(writer, bytes.subarray(0, MIB));
  const [leaving, staying] = [await world.follow(), await world.follow()];
  assert.ok(leaving !== null && staying !== null);
  await readBytes(leaving, MIB);
  const next = leaving.read();
  await leaving.cancel();
  assert.equal((await next).done, true);
  assert.deepEqual(world.ends, [null]);
  await write(writer, bytes.subarray(MIB));
  writer.finish();
  world.spool.complete();
  assert.deepEqual(await readAllBytes(staying), bytes);
  assert.equal(world.spool.isFollowed, false);
});

Deno.test("ZipSpool.equals() compares every byte", async () => {
  const bytes = zip(MIB);
  using world = openWorld(bytes);
  using writer = await world.spool.begin(world.file, bytes.length);
  await write(writer, bytes);
  const other = bytes.slice();
  flip(other, MIB - 1);
  const stream = (...parts: Bytes[]) => new Blob(parts).stream();
  assert.equal(await world.spool.equals(stream(bytes)), true);
  assert.equal(await world.spool.equals(stream(other)), false);
  assert.equal(await world.spool.equals(stream(bytes.subarray(1))), false);
  assert.equal(await world.spool.equals(stream(bytes.subarray(0, -1))), false);
  assert.equal(await world.spool.equals(stream(bytes, bytes.subarray(0, 1))), false);
});
