import assert from "node:assert/strict";
import fc from "fast-check";
import { type H1, parseH1 } from "../module/h1.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import {
  type Copy,
  type CopyFacts,
  decodeManifest,
  encodeManifest,
  InvalidManifestError,
  makeCopy,
  MAX_LINE_BYTES,
} from "./manifest.ts";

const path = parseModulePath("example.com/hello");
const version = parseVersion(path, "v1.0.0");
const goMod = new TextEncoder().encode("module example.com/hello\n");
/** The dirhash of nothing: the SHA-256 of no bytes. */
const zipH1 = parseH1("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");

function copyOf(facts: Partial<CopyFacts> = {}): Copy {
  const time = "2024-02-03T04:05:06Z";
  const source = "git https://git.example.com/hello";
  return makeCopy({ path, version, time, goMod, zipH1, source, ...facts });
}

/** A manifest's bytes with a part of its line replaced. */
function changed(from: string | RegExp, to: string): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder().decode(encodeManifest(copyOf()));
  assert.notEqual(text.replace(from, to), text, `${from} is not in the manifest`);
  return new TextEncoder().encode(text.replace(from, to));
}

Deno.test("encodeManifest() writes one JSON line and go.mod", () => {
  assert.equal(
    new TextDecoder().decode(encodeManifest(copyOf())),
    '{"format":1,"path":"example.com/hello","version":"v1.0.0","time":"2024-02-03T04:05:06Z",' +
      '"goMod":{"sizeBytes":25,"h1":"h1:fpu2YBs8Cn+uPELS7pdczZmF9hlK1PibTkwahffYMfo="},' +
      `"zip":{"h1":"${zipH1}"},"source":"git https://git.example.com/hello",` +
      '"sha256":"zTBlum4SRZ1e17/hcBklxJz/xmAqSP/Q2GZFQc4kxB8="}\n' +
      "module example.com/hello\n",
  );
});

Deno.test("decodeManifest() gives back what encodeManifest() took", () => {
  const text = fc.string({ unit: "binary", maxLength: 50 });
  const origin = fc.record(
    {
      vcs: text,
      url: text,
      subdir: text,
      hash: text,
      tagPrefix: text,
      tagSum: text,
      ref: text,
      repoSum: text,
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  const facts = fc.record(
    {
      goMod: fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)),
      origin,
      time: fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true })
        .map((date) => date.toISOString()),
    },
    { requiredKeys: ["goMod", "time"], noNullPrototype: true },
  );
  fc.assert(fc.property(facts, (facts) => {
    const copy = copyOf(facts);
    assert.deepEqual(decodeManifest(encodeManifest(copy), { path, version }), copy);
  }));
});

Deno.test("decodeManifest() keeps a go.mod that is empty, binary, or full of lines", async (t) => {
  for (const input of ["", "\n", "\n\n{}\n", "\u{feff}module x\r\n", "\xff\x00\n"]) {
    await t.step(JSON.stringify(input), () => {
      const goMod = Uint8Array.from(input, (c) => c.charCodeAt(0) & 0xff);
      const copy = decodeManifest(encodeManifest(copyOf({ goMod })), { path, version });
      assert.deepEqual(copy.goMod, goMod);
    });
  }
});

/** A manifest's bytes as versions before 0.2 wrote them, with a part of its line replaced. */
function unsummed(from: string | RegExp, to: string): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder().decode(changed(/,"sha256":"[^"]*"/, ""));
  return new TextEncoder().encode(text.replace(from, to));
}

Deno.test("decodeManifest() takes a line with members that it does not know", () => {
  const copy = decodeManifest(unsummed('"format":1', '"format":1,"note":{}'), { path, version });
  assert.deepEqual(copy, copyOf());
});

Deno.test("decodeManifest() takes a line without a checksum", () => {
  assert.deepEqual(decodeManifest(unsummed("", ""), { path, version }), copyOf());
});

Deno.test("decodeManifest() notices a flip of any bit, but in the name of the checksum", () => {
  const valid = encodeManifest(copyOf());
  const name = new TextDecoder().decode(valid).indexOf('"sha256"');
  for (let bit = 0; bit < 8 * valid.length; bit++) {
    const at = bit >> 3;
    // With another name, the line is one without a checksum, and all else in it is right.
    if (at > name && at < name + '"sha256'.length) continue;
    const bytes = valid.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 1 << (bit & 7);
    const decode = () => decodeManifest(bytes, { path, version });
    assert.throws(decode, InvalidManifestError, `bit ${bit}`);
  }
});

Deno.test("decodeManifest() refuses whatever is not whole and right", async (t) => {
  const rows = [
    { name: "nothing", input: new Uint8Array(), want: /no line/ },
    { name: "no line", input: new TextEncoder().encode("{}"), want: /no line/ },
    { name: "a line that is no JSON", input: changed("{", ""), want: /expected object/ },
    { name: "a line that is no UTF-8", input: withByte(40, 0xff), want: /expected object/ },
    { name: "a byte order mark", input: changed("{", "\u{feff}{"), want: /expected object/ },
    { name: "a null", input: new TextEncoder().encode("null\n"), want: /expected object/ },
    { name: "a list", input: new TextEncoder().encode("[]\n"), want: /expected object/ },
    {
      name: "a later format",
      input: changed('"format":1', '"format":2'),
      want: /expected 1.*at format/s,
    },
    { name: "no format", input: changed('"format":1,', ""), want: /expected 1.*at format/s },
    {
      name: "another path",
      input: changed("com/hello", "com/hullo"),
      want: /about example.com\/hullo@/,
    },
    {
      name: "another version",
      input: changed("v1.0.0", "v1.0.1"),
      want: /about example.com\/hello@v1.0.1/,
    },
    { name: "an edited time", input: changed("05:06Z", "05:07Z"), want: /checksum/ },
    {
      name: "a member after the checksum",
      input: changed('"}\n', '","time":"2024-02-03T04:05:07Z"}\n'),
      want: /checksum/,
    },
    { name: "a time without zone", input: changed("06Z", "06"), want: /at time/ },
    { name: "a number for a source", input: changed(/"git [^"]*"/, "7"), want: /at source/ },
    {
      name: "a path for an origin",
      input: changed('"goMod"', '"origin":"x","goMod"'),
      want: /at origin/,
    },
    {
      name: "an origin with a number",
      input: changed('"goMod"', '"origin":{"vcs":1},"goMod"'),
      want: /at origin.vcs/,
    },
    { name: "no zip hash", input: changed(/"zip":{[^}]*}/, '"zip":{}'), want: /at zip.h1/ },
    { name: "half a zip hash", input: changed(/h1:47DEQ/, "h1:"), want: /at zip.h1/ },
    {
      name: "a cut go.mod",
      input: encodeManifest(copyOf()).slice(0, -1),
      want: /24 bytes, not 25/,
    },
    { name: "a go.mod that goes on", input: changed(/$/, "x"), want: /26 bytes, not 25/ },
    { name: "a negative size", input: changed(":25,", ":-25,"), want: /at goMod.sizeBytes/ },
    { name: "a changed go.mod", input: changed(/hello\n$/, "hallo\n"), want: /another hash/ },
  ];
  for (const { name, input, want } of rows) {
    await t.step(name, () => {
      assert.throws(
        () => decodeManifest(input, { path, version }),
        (error) => error instanceof InvalidManifestError && want.test(error.message),
      );
    });
  }
});

Deno.test("decodeManifest() throws nothing but its error", () => {
  const valid = encodeManifest(copyOf());
  const edits = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 });
  const damaged = edits.map((edits) => {
    const bytes = valid.slice();
    for (const [at, byte] of edits) bytes[at] = byte;
    return bytes;
  });
  const json = fc.json().map((text) => new TextEncoder().encode(`${text}\n`));
  const noise = fc.uint8Array().map((bytes) => new Uint8Array(bytes));
  fc.assert(fc.property(fc.oneof(damaged, json, noise), (bytes) => {
    try {
      decodeManifest(bytes, { path, version });
    } catch (error) {
      assert.ok(error instanceof InvalidManifestError, String(error));
    }
  }));
});

Deno.test("encodeManifest() refuses what decodeManifest() would", async (t) => {
  const rows: { name: string; input: Partial<CopyFacts>; want: RegExp }[] = [
    {
      name: "a user in the source",
      input: { source: "git https://u@git.example.com/x" },
      want: /at source/,
    },
    {
      name: "a password",
      input: { source: "proxy https://u:p@proxy.example.com" },
      want: /at source/,
    },
    {
      name: "a source of two lines",
      input: { source: "git https://git.example.com/\nx" },
      want: /at source/,
    },
    { name: "an empty source", input: { source: "" }, want: /at source/ },
    { name: "no hash of the zip", input: { zipH1: "" as H1 }, want: /at zip.h1/ },
    { name: "no time", input: { time: "yesterday" }, want: /at time/ },
    {
      name: "an endless origin",
      input: { origin: { ref: "x".repeat(MAX_LINE_BYTES) } },
      want: /no line/,
    },
    {
      name: "an endless go.mod",
      input: { goMod: new Uint8Array(MAX_GO_MOD_SIZE_BYTES + 1) },
      want: /at goMod/,
    },
  ];
  for (const { name, input, want } of rows) {
    await t.step(name, () => {
      assert.throws(
        () => encodeManifest(copyOf(input)),
        (error) => error instanceof InvalidManifestError && want.test(error.message),
      );
    });
  }
  await t.step("a go.mod other than the manifest says", () => {
    const other = new TextEncoder().encode("module example.com/hallo\n");
    assert.throws(() => encodeManifest({ ...copyOf(), goMod: other }), InvalidManifestError);
  });
});

Deno.test("encodeManifest() takes an @ in a source that is no userinfo", () => {
  for (
    const source of [
      "git https://git.example.com/a@b",
      "proxy https://proxy.example.com/?q=@",
      "import x@y",
    ]
  ) {
    assert.equal(encodeManifest(copyOf({ source })).length > 0, true);
  }
});

function withByte(at: number, byte: number): Uint8Array<ArrayBuffer> {
  const bytes = encodeManifest(copyOf());
  bytes[at] = byte;
  return bytes;
}
