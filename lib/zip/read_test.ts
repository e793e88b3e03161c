import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { buildZip, h1OfFiles } from "../../tests/support/module_zip.ts";
import vectors from "../../tests/testdata/zips/vectors.json" with { type: "json" };
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { MAX_DIRECTORY_BYTES } from "./archive.ts";
import { inspectZip, ZipError, type ZipSummary } from "./read.ts";
import { MAX_ZIP_BYTES } from "./rules.ts";

const path = parseModulePath("example.com/Mod");
const version = parseVersion(path, "v1.2.3");
const PREFIX = "example.com/Mod@v1.2.3/";
const MIB = 1024 * 1024;

type Faults = Readonly<Record<string, string>>;

/** What Go refuses too, and our reason. `P/` stands for the prefix. */
const REFUSED: Faults = {
  "another module": '"example.com/other@v1.2.3/a.go" is not in "P/"',
  "another version": '"example.com/Mod@v1.2.4/a.go" is not in "P/"',
  "another case": '"example.com/mod@v1.2.3/a.go" is not in "P/"',
  "no version": '"example.com/Mod/a.go" is not in "P/"',
  "a name that the prefix is the start of": '"example.com/Mod@v1.2.3a.go" is not in "P/"',
  "no name": '"" is not in "P/"',
  "a name with ..": '"../a.go": path element ".." has nothing but dots',
  "a name with .": '"a/./b.go": path element "." has nothing but dots',
  "a name with two slashes": '"a//b.go": empty path element',
  "a name that starts with a slash": '"/a.go": leading slash',
  "a directory with two slashes": '"a/": trailing slash',
  "a directory ..": '"a/..": path element ".." has nothing but dots',
  "a name with a backslash": '"a\\\\b.go": invalid character "\\\\"',
  "a name with a colon": '"a:b.go": invalid character ":"',
  "a name with a newline": '"a\\u{a}.go": invalid character "\\u{a}"',
  "a name with a zero byte": '"a.go\\u{0}.txt": invalid character "\\u{0}"',
  "a name with a byte order mark": '"\\u{feff}a.go": invalid character "\\u{feff}"',
  "a byte order mark before the prefix": '"\\u{feff}P/a.go" is not in "P/"',
  "a name that is not UTF-8": 'the name "P/\\u{fffd}.go" is not UTF-8',
  "a name that is not UTF-8: a surrogate":
    'the name "P/\\u{fffd}\\u{fffd}\\u{fffd}.go" is not UTF-8',
  "a name that Windows reserves": '"a/aux.go": "aux" is a reserved file name on Windows',
  "a name that ends with a dot": '"a./b.go": trailing dot in path element',
  "a combining accent": '"e\\u{301}.go": invalid character "\\u{301}"',
  "two files of one name": '"a.go": there are two files of this name',
  "two files that differ by case": '"A.go": "A.go" and "a.go" differ only by case',
  "two files that differ by case, in a directory":
    '"d/A.go": "A.go" and "a.go" differ only by case',
  "two directories that differ by case": '"D/b.go": "D" and "d" differ only by case',
  "a directory entry and one that differs by case": '"D": "D" and "d" differ only by case',
  "a file and a directory": '"a/b": "a" is both a file and a directory',
  "a directory and a file": '"a": "a" is both a file and a directory',
  "a file and a directory that differ by case": '"A/b": "A" and "a" differ only by case',
  "a file and a directory entry": '"a": "a" is both a file and a directory',
  "the kelvin sign": '"\\u{212a}": "\\u{212a}" and "k" differ only by case',
  "a long s": '"\\u{17f}": "\\u{17f}" and "s" differ only by case',
  "sigmas": '"\\u{3c2}": "\\u{3c2}" and "\\u{3c3}" differ only by case',
  "go.mod in capitals": '"GO.MOD" is not spelled "go.mod"',
  "go.mod in both": '"Go.mod": "Go.mod" and "go.mod" differ only by case',
  "go.mod in a directory": '"a/go.mod" is not in the root, so its directory is another module',
  "go.mod in a directory, in capitals":
    '"a/Go.Mod" is not in the root, so its directory is another module',
  "go.mod larger than 16 MiB": "go.mod is larger than 16777216 bytes",
  "LICENSE larger than 16 MiB": "LICENSE is larger than 16777216 bytes",
  "more than 500 MiB in one file": "more than 524288000 bytes in its files",
  "more than 500 MiB together": "more than 524288000 bytes in its files",
  "fewer bytes than declared, stored": '"P/a.go": it is smaller than its header says',
  "more bytes than declared, stored": '"P/a.go": it is larger than its header says',
  "fewer bytes than declared, deflated": '"P/a.go": it is smaller than its header says',
  "more bytes than declared, deflated": '"P/a.go": it is larger than its header says',
  "some bytes, declared to be none": '"P/a.go": it is larger than its header says',
  "a wrong checksum, stored": '"P/a.go": its checksum is wrong',
  "a wrong checksum, deflated": '"P/a.go": its checksum is wrong',
  "a wrong checksum in the data descriptor": '"P/a.go": its two checksums differ',
  "a wrong checksum in the directory": '"P/a.go": its checksum is wrong',
  "a checksum of 0 in directory and data descriptor": '"P/a.go": its checksum is wrong',
  "no data descriptor where there should be one": '"P/a.go": it overlaps what follows it',
  "deflated data that is not": '"P/a.go": it cannot be inflated',
  "deflated data that is cut off": '"P/a.go": its compressed data ends early',
  "no deflated data": '"P/a.go": its compressed data ends early',
  "a compression method that Go does not know": '"P/a.go": its compression method 12 is not known',
  "a directory with content": '"P/a/": it is a directory with content',
  "nothing": "it is not a well-formed zip file",
  "text": "it is not a well-formed zip file",
  "cut off": "it is not a well-formed zip file",
  "no start": "its directory does not end where its end record begins",
  "no local header": '"P/a.go": it has no header',
  "a directory without a local header": '"P/a/": it has no header',
  "a local header behind the end": "it is cut off",
  "content that reaches behind the end": '"P/a.go": it overlaps what follows it',
  "a zip64 field that is too short": "it is not a well-formed zip file",
  "zip64 sizes that are huge": "more than 524288000 bytes in its files",
  "more headers than the end record counts":
    "its directory has not the size that its end record says",
  "fewer headers than the end record counts": "it is cut off",
  "a zip64 record that is not where its locator says": "it is not a well-formed zip file",
};

/** What the `go` command would accept. Go's own zip writer makes none of it. */
const REFUSED_BY_US_ALONE: Faults = {
  "an encrypted entry": '"P/a.go": it is encrypted',
  "bytes before the zip": "its directory does not end where its end record begins",
  "bytes behind the zip": "it is not a well-formed zip file",
  "entries that overlap": '"P/b.go": it overlaps what follows it',
  "an extra field that is too long": "it is not a well-formed zip file",
  "a directory that is longer than the end record says":
    "its directory does not end where its end record begins",
  "a zip64 record that counts more entries than can be": "it has more than 100000 entries",
  "two directories, by the size in the end record":
    "its directory does not end where its end record begins",
  "two directories, by a zip64 record that nothing asks for":
    "its end records contradict each other",
};

async function inspect(zip: Uint8Array, signal?: AbortSignal): Promise<ZipSummary> {
  const file = await Deno.makeTempFile({ suffix: ".zip" });
  try {
    await Deno.writeFile(file, zip);
    return await inspectZip(file, { module: { path, version }, ...(signal && { signal }) });
  } finally {
    await Deno.remove(file);
  }
}

/** A `ZipError` with exactly this reason. */
function refusal(fault: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ZipError, `${error}`);
    assert.equal(error.message.replaceAll(PREFIX, "P/"), `Cannot read zip: ${fault}`);
    return true;
  };
}

Deno.test("inspectZip() finds what golang.org/x/mod finds", async (t) => {
  for (const { about, zip, h1 } of vectors) {
    const fault = REFUSED[about] ?? REFUSED_BY_US_ALONE[about];
    await t.step(about, async () => {
      const inspected = inspect(Uint8Array.fromBase64(zip));
      if (fault === undefined) assert.equal((await inspected).h1, h1);
      else await assert.rejects(inspected, refusal(fault));
      assert.equal(about in REFUSED, h1 === "", "the tables contradict golang.org/x/mod");
    });
  }
});

Deno.test("inspectZip() tells the size of the file and the bytes of the go.mod", async () => {
  const goMod = "module example.com/Mod\n";
  const zip = await buildZip([[`${PREFIX}a/b.go`, ""], [`${PREFIX}go.mod`, goMod]]);
  const summary = await inspect(zip);
  assert.equal(summary.sizeBytes, zip.length);
  assert.deepEqual(summary.goMod, new TextEncoder().encode(goMod));
});

Deno.test("inspectZip() has the bytes of a go.mod that comes in many chunks", async () => {
  const goMod = noise(1_000_000);
  assert.deepEqual((await inspect(await buildZip([[`${PREFIX}go.mod`, goMod]]))).goMod, goMod);
});

Deno.test("inspectZip() has null for a go.mod that is not there, and an empty one for an empty one", async () => {
  assert.equal((await inspect(await buildZip([[`${PREFIX}go.sum`, ""]]))).goMod, null);
  assert.equal((await inspect(await buildZip([[`${PREFIX}go.mod`, ""]]))).goMod?.length, 0);
});

/** Two entries that are streamed: one hard to compress and stored, one deflated to little. */
async function largeZip(): Promise<Uint8Array<ArrayBuffer>> {
  return await buildZip([[`${PREFIX}a`, noise(1_000_000)], [
    `${PREFIX}b`,
    new Uint8Array(2_000_000),
  ]]);
}

function noise(length: number): Uint8Array {
  let state = length;
  return Uint8Array.from({ length }, () => (state = Math.imul(state, 1103515245) + 12345) >>> 16);
}

/** Where the last header in the directory of a zip without a comment begins. */
function lastHeader(zip: Uint8Array): number {
  return Buffer.from(zip.buffer).lastIndexOf(Buffer.from("PK\x01\x02"));
}

/** Where the content of the last entry begins. */
function contentOfLast(zip: DataView): number {
  const header = Buffer.from(zip.buffer).lastIndexOf(Buffer.from("PK\x03\x04"));
  return header + 30 + zip.getUint16(header + 26, true) + zip.getUint16(header + 28, true);
}

Deno.test("inspectZip() holds streamed content to its headers", async (t) => {
  const changes: {
    about: string;
    change: (zip: DataView, header: number) => void;
    want: string;
  }[] = [
    {
      about: "more bytes than declared",
      change: (zip, header) => zip.setUint32(header + 24, 1_999_999, true),
      want: '"P/b": it is larger than its header says',
    },
    {
      about: "fewer bytes than declared",
      change: (zip, header) => zip.setUint32(header + 24, 2_000_001, true),
      want: '"P/b": it is smaller than its header says',
    },
    {
      about: "a wrong checksum",
      change: (zip, header) => zip.setUint32(header + 16, 1, true),
      want: '"P/b": its checksum is wrong',
    },
    {
      about: "deflated data that is damaged",
      change: (zip) => zip.setUint8(contentOfLast(zip), 0xff),
      want: '"P/b": it cannot be inflated',
    },
    {
      about: "deflated data that is cut off",
      change: (zip, header) => zip.setUint32(header + 20, 1000, true),
      want: '"P/b": its compressed data ends early',
    },
  ];
  assert.equal((await inspect(await largeZip())).goMod, null);
  for (const { about, change, want } of changes) {
    await t.step(about, async () => {
      const zip = await largeZip();
      change(new DataView(zip.buffer), lastHeader(zip));
      await assert.rejects(inspect(zip), refusal(want));
    });
  }
});

/** A file of holes with `end` behind them, opened as a zip. */
async function inspectSparse(holeBytes: number, end = new Uint8Array()): Promise<ZipSummary> {
  const name = await Deno.makeTempFile({ suffix: ".zip" });
  try {
    await Deno.truncate(name, holeBytes);
    await Deno.writeFile(name, end, { append: true });
    return await inspectZip(name, { module: { path, version } });
  } finally {
    await Deno.remove(name);
  }
}

Deno.test("inspectZip() refuses a file over the limit before it reads it", async () => {
  await assert.rejects(
    inspectSparse(MAX_ZIP_BYTES + 1),
    refusal(`the file is larger than ${MAX_ZIP_BYTES} bytes`),
  );
  await assert.rejects(inspectSparse(MAX_ZIP_BYTES), refusal("it is not a well-formed zip file"));
});

Deno.test("inspectZip() refuses a directory over the limit before it reads it", async () => {
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(10, 1, true);
  end.setUint32(12, MAX_DIRECTORY_BYTES + 1, true);
  await assert.rejects(
    inspectSparse(MAX_DIRECTORY_BYTES + 1, new Uint8Array(end.buffer)),
    refusal(`its directory is larger than ${MAX_DIRECTORY_BYTES} bytes`),
  );
});

Deno.test("inspectZip() passes on that a file cannot be read", async () => {
  await assert.rejects(
    inspectZip("/nowhere/a.zip", { module: { path, version } }),
    Deno.errors.NotFound,
  );
});

/**
 * How often the work looks whether it is time to give others a turn; it looks at its signal then.
 */
async function countTurns(zip: Uint8Array): Promise<number> {
  let turns = 0;
  const { signal } = new AbortController();
  await inspect(zip, Object.assign(signal, { throwIfAborted: () => turns++ }));
  return turns;
}

Deno.test("inspectZip() may give others a turn for every megabyte or some hundred files", async (t) => {
  const zips: { about: string; files: [name: string, content: Uint8Array][] }[] = [
    { about: "8 MiB in one file", files: [[`${PREFIX}a`, new Uint8Array(8 * MIB)]] },
    {
      about: "8 MiB in 32 files",
      files: Array.from({ length: 32 }, (_, i) => [`${PREFIX}${i}`, new Uint8Array(MIB / 4)]),
    },
    {
      about: "1000 empty files",
      files: Array.from({ length: 1000 }, (_, i) => [`${PREFIX}${i}`, new Uint8Array()]),
    },
  ];
  for (const { about, files } of zips) {
    await t.step(about, async () => {
      const turns = await countTurns(await buildZip(files));
      assert.ok(turns >= 8, `${turns} turns`);
    });
  }
});

Deno.test("inspectZip() ends with the reason of a signal that is aborted on the way", async () => {
  const zip = await buildZip([[`${PREFIX}a`, new Uint8Array(4 * MIB)]]);
  const reason = new Error("nobody waits any more");
  const controller = new AbortController();
  const { signal } = controller;
  let turns = 0;
  const throwIfAborted = () => {
    if (++turns === 2) controller.abort(reason);
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
  await assert.rejects(inspect(zip, Object.assign(signal, { throwIfAborted })), reason);
});

/**
 * Content that is inflated in one call, and content that is streamed; easy and hard to compress.
 */
const content = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.integer({ min: 0, max: 1_000_000 }).map((length) => new Uint8Array(length).fill(7)),
  fc.integer({ min: 500_000, max: 600_000 }).map(noise),
);

/** Files `…/f_x` in directories `d_x`, so that no name can be both. */
const files = fc.uniqueArray(
  fc.tuple(
    fc.array(
      fc.string({
        unit: fc.constantFrom("a", "1", "\u00e9", "\uff41", "\u{10428}"),
        minLength: 1,
        maxLength: 3,
      }),
      {
        minLength: 1,
        maxLength: 3,
      },
    ).map((elements) =>
      PREFIX + elements.map((e, i) => (i < elements.length - 1 ? "d_" : "f_") + e).join("/")
    ),
    content,
  ),
  { selector: ([name]) => name, maxLength: 5 },
);

Deno.test("inspectZip() has the h1 of any files", async () => {
  await fc.assert(
    fc.asyncProperty(files, async (files) => {
      assert.equal((await inspect(await buildZip(files))).h1, h1OfFiles(files));
    }),
    { numRuns: 30 },
  );
});

Deno.test("inspectZip() throws nothing but ZipError for bytes that were changed", async () => {
  const zips = vectors.filter(({ h1 }) => h1 !== "").map(({ zip }) => Uint8Array.fromBase64(zip));
  const change = fc.record({ at: fc.nat(), byte: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...zips),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.option(fc.nat(), { freq: 4 }),
      async (zip, changes, cutAt) => {
        const changed = zip.slice(0, cutAt === null ? zip.length : cutAt % zip.length);
        for (const { at, byte } of changes) changed[at % changed.length] = byte;
        try {
          await inspect(changed);
        } catch (error) {
          assert.ok(error instanceof ZipError, `${error}`);
        }
      },
    ),
    { numRuns: 400 },
  );
});
