import assert from "node:assert/strict";
import fc from "fast-check";
import { InvalidRequestError } from "../errors.ts";
import { h1Of, parseH1 } from "../module/h1.ts";
import { type ModuleVersion, moduleVersion } from "../module/module_version.ts";
import { parseModulePath } from "../module/path.ts";
import { manifestFolders, manifestKey, parseCopyKey, versionOfName, zipKey } from "./keys.ts";
import { assertKey } from "./object_store.ts";

/** The dirhash of nothing: the SHA-256 of no bytes. */
const H1 = parseH1("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
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
      const module = moduleOf(row.input);
      assert.equal(manifestKey(module), row.manifest);
      assert.equal(zipKey(module, H1), row.zip);
      assertKey(row.manifest);
      assertKey(row.zip);
      assert.deepEqual(parseCopyKey(row.manifest), { kind: "manifest", ...module });
      assert.deepEqual(parseCopyKey(row.zip), { kind: "zip", ...module, h1: H1 });
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
      const module = moduleOf(`${row.path}@${row.version}`);
      if (row.fits) {
        assertKey(manifestKey(module));
        assertKey(zipKey(module, H1));
      } else {
        assert.throws(() => manifestKey(module), InvalidRequestError);
        assert.throws(() => zipKey(module, H1), InvalidRequestError);
      }
    });
  }
});

Deno.test("zipKey() ends in the hash as hex", () => {
  const module = moduleOf("example.com/m@v1.0.0");
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
    assert.ok(zipKey(module, h1Of(bytes)).endsWith(`/${bytes.toHex()}`));
  }));
});

/** Unlike parseModuleVersion(), it takes capitals as they are. */
function moduleOf(text: string): ModuleVersion {
  const at = text.indexOf("@");
  return moduleVersion(text.slice(0, at), text.slice(at + 1));
}
