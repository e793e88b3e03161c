import assert from "node:assert/strict";
import fc from "fast-check";
import { InvalidRequestError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { isH1, manifestFolders, manifestKey, parseCopyKey, versionOfName, zipKey } from "./keys.ts";
import { assertKey } from "./object_store.ts";

/** The dirhash of nothing: the SHA-256 of no bytes. */
const H1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Deno.test("manifestKey() and zipKey() give the places of the head comment", async (t) => {
  const rows = [
    {
      input: "github.com/Azure/sdk@v1.2.0",
      manifest: "m1/github.com/!azure/sdk/@v/v1.2.0",
      zip: `z1/github.com/!azure/sdk/@v/v1.2.0/${HEX}`,
    },
    {
      input: "example.com/m/v2@v2.0.0-RC.1",
      manifest: "m1/example.com/m/v2/@v/v2.0.0-!r!c.1",
      zip: `z1/example.com/m/v2/@v/v2.0.0-!r!c.1/${HEX}`,
    },
    {
      input: "example.com/m@v2.0.0+incompatible",
      manifest: "m1/example.com/m/@v/v2.0.0+incompatible",
      zip: `z1/example.com/m/@v/v2.0.0+incompatible/${HEX}`,
    },
    {
      input: "example.com/m@v0.0.0-20240102030405-0123456789ab",
      manifest: "m1/example.com/m/@p/v0.0.0-20240102030405-0123456789ab",
      // Blobs are never listed, so all are in one folder.
      zip: `z1/example.com/m/@v/v0.0.0-20240102030405-0123456789ab/${HEX}`,
    },
    {
      input: "gopkg.in/yaml.v3@v3.0.1",
      manifest: "m1/gopkg.in/yaml.v3/@v/v3.0.1",
      zip: `z1/gopkg.in/yaml.v3/@v/v3.0.1/${HEX}`,
    },
  ];
  for (const row of rows) {
    await t.step(row.input, () => {
      const { path, version } = parsePathVersion(row.input);
      assert.equal(manifestKey(path, version), row.manifest);
      assert.equal(zipKey(path, version, H1), row.zip);
      assertKey(row.manifest);
      assertKey(row.zip);
      assert.deepEqual(parseCopyKey(row.manifest), { kind: "manifest", path, version });
      assert.deepEqual(parseCopyKey(row.zip), { kind: "zip", path, version, h1: H1 });
    });
  }
});

Deno.test("parseCopyKey() takes no key that manifestKey() and zipKey() do not give", async (t) => {
  const names = [
    "",
    "p1/probe",
    "s1/sum.example.com/tile/8/0/000",
    "m1/example.com/m",
    "m1/example.com/m/@v",
    "m1/example.com/m/@v/v1.0.0/v1.0.0",
    "m2/example.com/m/@v/v1.0.0",
    "m1/example.com/M/@v/v1.0.0",
    "m1/example/m/@v/main",
    "m1/nodot/@v/v1.0.0",
    // Of another major version than the path's.
    "m1/example.com/m/v2/@v/v1.0.0",
    // In the wrong folder.
    "m1/example.com/m/@p/v1.0.0",
    "m1/example.com/m/@v/v0.0.0-20240102030405-0123456789ab",
    `m1/example.com/m/@v/v1.0.0/${HEX}`,
    "z1/example.com/m/@v/v1.0.0",
    `z1/example.com/m/@p/v1.0.0/${HEX}`,
    `z1/example.com/m/@v/v1.0.0/${HEX.slice(1)}`,
    `z1/example.com/m/@v/v1.0.0/${HEX.toUpperCase()}`,
    `m1/example.com/${"a".repeat(400)}/@v/v1.0.0`,
  ];
  for (const name of names) await t.step(`"${name}"`, () => assert.equal(parseCopyKey(name), null));
});

Deno.test("manifestFolders() are the folders that manifestKey() puts manifests in", () => {
  const path = parseModulePath("github.com/Azure/sdk");
  assert.deepEqual(manifestFolders(path), {
    tagged: "m1/github.com/!azure/sdk/@v",
    pseudo: "m1/github.com/!azure/sdk/@p",
  });
});

Deno.test("versionOfName() reads the last element of manifestKey() back", async (t) => {
  const rows = [
    { input: "v1.2.0", want: "v1.2.0" },
    { input: "v2.0.0-!r!c.1", want: "v2.0.0-RC.1" },
    { input: "v2.0.0+incompatible", want: "v2.0.0+incompatible" },
    { input: "v1.2", want: null },
    { input: "v1.2.0+meta", want: null },
    { input: "v1.2.0-RC", want: null },
    { input: "v1.2.0-!!", want: null },
    { input: "v1.2.0 (copy)", want: null },
    { input: "README.txt", want: null },
    { input: "", want: null },
  ];
  for (const { input, want } of rows) {
    await t.step(`"${input}"`, () => assert.equal(versionOfName(input), want));
  }
});

Deno.test("manifestKey() refuses what not every back end can store", async (t) => {
  const element = "a".repeat(255);
  const long = `example.com/${element}/${element}/${element}`;
  const rows = [
    { name: "longest element", path: `example.com/${element}`, version: "v1.0.0", fits: true },
    { name: "element too long", path: `example.com/${element}a`, version: "v1.0.0", fits: false },
    // Escaping makes two bytes of one.
    { name: "capitals", path: `example.com/${"A".repeat(128)}`, version: "v1.0.0", fits: false },
    {
      name: "longest version",
      path: "example.com/m",
      version: `v1.0.0-${"a".repeat(248)}`,
      fits: true,
    },
    {
      name: "version too long",
      path: "example.com/m",
      version: `v1.0.0-${"a".repeat(249)}`,
      fits: false,
    },
    { name: "longest in all", path: long, version: `v1.0.0-${"a".repeat(42)}`, fits: true },
    { name: "too long in all", path: long, version: `v1.0.0-${"a".repeat(43)}`, fits: false },
  ];
  for (const row of rows) {
    await t.step(row.name, () => {
      const { path, version } = parsePathVersion(`${row.path}@${row.version}`);
      if (row.fits) {
        assertKey(manifestKey(path, version));
        assertKey(zipKey(path, version, H1));
      } else {
        assert.throws(() => manifestKey(path, version), InvalidRequestError);
        assert.throws(() => zipKey(path, version, H1), InvalidRequestError);
      }
    });
  }
});

Deno.test("isH1() takes h1: and the one base64 of 32 bytes, and zipKey() nothing else", async (t) => {
  const { path, version } = parsePathVersion("example.com/m@v1.0.0");
  const rows = [
    { input: H1, want: true },
    { input: "", want: false },
    { input: H1.slice(3), want: false },
    { input: H1.replace("h1:", "h2:"), want: false },
    { input: `${H1}\n`, want: false },
    { input: H1.replaceAll("+", "-").replaceAll("/", "_"), want: false },
    // The same bytes by a lax decoder: two names for one blob.
    { input: H1.replace("FU=", "FV="), want: false },
    { input: `h1:${HEX}`, want: false },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(isH1(input), want);
      if (!want) assert.throws(() => zipKey(path, version, input), /it is not h1: and base64/);
    });
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
    assert.ok(isH1(`h1:${bytes.toBase64()}`));
    assert.ok(zipKey(path, version, `h1:${bytes.toBase64()}`).endsWith(`/${bytes.toHex()}`));
  }));
});

function parsePathVersion(text: string) {
  const at = text.indexOf("@");
  const path = parseModulePath(text.slice(0, at));
  return { path, version: parseVersion(path, text.slice(at + 1)) };
}
