import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import fc from "fast-check";
// @ts-types="npm:@types/yauzl@3.4.0"
import { fromBufferPromise } from "yauzl";
import { readZip } from "../../tests/support/read_zip.ts";
import { Pace } from "../async/pace.ts";
import { ZipError } from "./rules.ts";
import { type WrittenZip, ZipWriter } from "./zip_writer.ts";

type Files = readonly (readonly [name: string, content: string | Uint8Array<ArrayBuffer>])[];

async function write(files: Files, { chunkBytes = 65536, limitBytes = 500 << 20, signal }: {
  /** As pipes have them. */
  chunkBytes?: number;
  limitBytes?: number;
  signal?: AbortSignal;
} = {}): Promise<{ written: WrittenZip; bytes: Uint8Array<ArrayBuffer> }> {
  const path = await Deno.makeTempFile({ suffix: ".zip" });
  try {
    using file = await Deno.open(path, { write: true });
    const zip = new ZipWriter(file, { limitBytes, pace: new Pace(signal) });
    for (const [name, content] of files) {
      await zip.add(name, chunksOf(Buffer.from(content), chunkBytes));
    }
    return { written: await zip.finish(), bytes: await Deno.readFile(path) };
  } finally {
    await Deno.remove(path);
  }
}

function* chunksOf(content: Uint8Array, chunkBytes: number): Generator<Uint8Array> {
  for (let offset = 0; offset < content.length; offset += chunkBytes) {
    yield content.subarray(offset, offset + chunkBytes);
  }
}

/** What neither repeats nor compresses. */
function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let i = 0; i < sizeBytes; i += 65536) crypto.getRandomValues(bytes.subarray(i, i + 65536));
  return bytes;
}

const PIECE = 256 * 1024;
const CASES: { what: string; files: Files }[] = [
  { what: "nothing", files: [] },
  { what: "an empty file", files: [["m@v1.0.0/empty", ""]] },
  {
    what: "small files",
    files: [["m@v1.0.0/b.go", "package b\n"], ["m@v1.0.0/a.go", "package a\n"]],
  },
  { what: "names of other scripts", files: [["m@v1.0.0/ü/世界.go", "x"], ["m@v1.0.0/𐐨", "y"]] },
  { what: "a name of 240 characters", files: [[`m@v1.0.0/${"n".repeat(240)}`, "x"]] },
  { what: "a file of one piece", files: [["a", noise(PIECE)], ["b", "x"]] },
  { what: "a byte less", files: [["a", noise(PIECE - 1)], ["b", "x"]] },
  { what: "a byte more", files: [["a", noise(PIECE + 1)], ["b", "x"]] },
  { what: "a file of many pieces", files: [["a", noise(5 * PIECE + 7)], ["b", "x"]] },
  { what: "a file that compresses well", files: [["a", new Uint8Array(20 * PIECE)], ["b", "x"]] },
];

Deno.test("ZipWriter writes zips that others read", async (t) => {
  for (const { what, files } of CASES) {
    await t.step(what, async () => {
      const { written, bytes } = await write(files);
      const want = files.map(([name, content]) => [name, Buffer.from(content)] as const);
      assert.deepEqual(await readZip(bytes), want);
      assert.equal(written.sizeBytes, bytes.length);
      assert.deepEqual(
        written.entries.map(({ name, sha256 }) => [name, sha256]),
        want.map(([name, content]) => [name, createHash("sha256").update(content).digest("hex")]),
      );
    });
  }
});

Deno.test("ZipWriter writes any files, in their order", async () => {
  const file = fc.tuple(fc.stringMatching(/^[a-z/]{1,20}[a-z]$/), fc.uint8Array({ maxLength: 50 }));
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 10 }), async (files) => {
      const { bytes } = await write(
        files.map(([name, content]) => [`m${name}`, new Uint8Array(content)]),
      );
      assert.deepEqual(
        await readZip(bytes),
        files.map(([name, content]) => [`m${name}`, Buffer.from(content)]),
      );
    }),
    { numRuns: 50 },
  );
});

Deno.test("ZipWriter counts 65,535 files in a zip64 record", async () => {
  const count = 0xffff;
  const { bytes } = await write(Array.from({ length: count }, (_, i) => [`m/${i}`, ""]));
  assert.ok(Buffer.from(bytes).includes("PK\x06\x06"));
  const zip = await fromBufferPromise(Buffer.from(bytes));
  const names: string[] = [];
  for await (const { fileName } of zip.eachEntry()) names.push(fileName);
  assert.deepEqual([names.length, names.at(-1)], [count, `m/${count - 1}`]);
});

Deno.test("ZipWriter makes the same bytes of the same files, whatever chunks they come in", async () => {
  const files: Files = [["m/a", "x"], ["m/b", "package b\n".repeat(100_000)]];
  const { bytes } = await write(files);
  for (const chunkBytes of [7000, PIECE - 1, PIECE, PIECE + 1, 10 * PIECE]) {
    assert.deepEqual((await write(files, { chunkBytes })).bytes, bytes, `chunks of ${chunkBytes}`);
  }
});

Deno.test("ZipWriter stores what does not become smaller, and deflates all else", async (t) => {
  const mixed = noise(PIECE);
  mixed.fill(0, PIECE / 2);
  const cases = [
    { what: "noise", content: noise(PIECE), atMost: 1.0002 },
    { what: "noise in base64", content: noise(PIECE / 4 * 3).toBase64(), atMost: 0.77 },
    { what: "a piece that is half noise", content: mixed, atMost: 0.51 },
    {
      what: "noise and then a piece of zeros",
      content: [noise(PIECE), new Uint8Array(PIECE)],
      atMost: 0.51,
    },
    { what: "a small file of text", content: "package a\n".repeat(200), atMost: 0.05 },
  ];
  for (const { what, content, atMost } of cases) {
    await t.step(what, async () => {
      const bytes = Array.isArray(content) ? Buffer.concat(content) : Buffer.from(content);
      const { written: { entries: [entry] } } = await write([["m/a", bytes]]);
      const ratio = (entry?.compressedBytes ?? Infinity) / bytes.length;
      assert.ok(ratio <= atMost, `${ratio}`);
    });
  }
});

Deno.test("ZipWriter refuses to make a zip larger than its limit", async () => {
  const files: Files = [["m/a", noise(100_000)], ["m/b", "x"]];
  const { written: { sizeBytes } } = await write(files);
  await write(files, { limitBytes: sizeBytes });
  for (const limitBytes of [sizeBytes - 1, sizeBytes - 30, 100_000, 10]) {
    await assert.rejects(write(files, { limitBytes }), ZipError);
  }
});

Deno.test("ZipWriter stops when the signal of its pace is aborted", async () => {
  const reason = new Error("enough");
  await assert.rejects(
    write([["m/a", new Uint8Array(3_000_000)]], { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
});
