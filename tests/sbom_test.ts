/**
 * The software bill of materials: it is valid CycloneDX, and has every package of deno.lock. The
 * packages below are those of this checkout; the lock in between is made up.
 */
import assert from "node:assert/strict";
import { Version } from "@cyclonedx/cyclonedx-library/Spec";
import { JsonStrictValidator } from "@cyclonedx/cyclonedx-library/Validation";
// The validator takes these where it finds them.
import "ajv";
import "ajv-formats";
import "ajv-formats-draft2019";
import deno from "../deno.json" with { type: "json" };
import { type Bom, cachedLicenses, createBom, type Lock } from "../tools/sbom.ts";
import { runCommand } from "./support/run_command.ts";

const LOCK: Lock = JSON.parse(
  await Deno.readTextFile(new URL("../deno.lock", import.meta.url)),
);
const LICENSES = await cachedLicenses();
const BOM = await createBom(LOCK, { denoVersion: "2.9.6", licenseOf: LICENSES });

function integrityOf(byte: number): string {
  return `sha512-${new Uint8Array(64).fill(byte).toBase64()}`;
}

async function faultsOf(bom: unknown): Promise<unknown> {
  return await new JsonStrictValidator(Version.v1dot6).validate(JSON.stringify(bom));
}

Deno.test("the bill is valid CycloneDX 1.6, and a wrong one is not", async () => {
  assert.equal(await faultsOf(BOM), null);
  assert.notEqual(await faultsOf({ ...BOM, components: [{ type: "library" }] }), null);
  const unknownLicense = { license: { id: "Apache-3.0" } };
  assert.notEqual(
    await faultsOf({
      ...BOM,
      components: BOM.components.map((part) => ({ ...part, licenses: [unknownLicense] })),
    }),
    null,
  );
});

/** The `<name>@<version>` of an id, whose name may have a `_` too. */
function withoutPeers(id: string): string {
  return id.replace(/(?<=.@[^_]+)_.*$/, "");
}

Deno.test("every package of deno.lock is in the bill, with its hash and its license", () => {
  const byPurl = new Map(BOM.components.map((component) => [component.purl, component]));
  for (const [id, { integrity }] of Object.entries(LOCK.npm)) {
    const name = withoutPeers(id).replace(/^@/, "%40");
    const component = byPurl.get(`pkg:npm/${name}`);
    assert.ok(component !== undefined, id);
    const sha512 = Uint8Array.fromBase64(integrity.slice("sha512-".length)).toHex();
    assert.deepEqual(component.hashes, [{ alg: "SHA-512", content: sha512 }], id);
    assert.equal(component.licenses?.length, 1, id);
  }
  const libraries = BOM.components.filter(({ type }) => type === "library");
  assert.equal(
    libraries.length,
    new Set(Object.keys(LOCK.npm).map(withoutPeers)).size,
  );
  for (const specifier of Object.values(deno.imports)) {
    const purl = `pkg:npm/${specifier.slice("npm:".length).replace(/^@/, "%40")}`;
    assert.equal(byPurl.get(purl)?.scope, "required", specifier);
  }
  for (const { name, group, scope } of libraries) {
    if (group === "@types") assert.equal(scope, "excluded", name);
  }
  assert.deepEqual(
    BOM.components.filter(({ type }) => type !== "library").map(({ name }) => name),
    ["deno", "git"],
  );
});

Deno.test("every component of the bill is needed by another one, and every need is a component", () => {
  const refs = [BOM.metadata.component, ...BOM.components].map((component) => component["bom-ref"]);
  const needed = BOM.dependencies.flatMap(({ dependsOn }) => dependsOn);
  assert.deepEqual([...new Set(needed)].sort(), refs.slice(1).sort());
  for (const { ref } of BOM.dependencies) assert.ok(refs.includes(ref), ref);
});

Deno.test("two bills are the same bytes, and only SOURCE_DATE_EPOCH gives one a time", async () => {
  const options = { denoVersion: "2.9.6", licenseOf: LICENSES };
  assert.equal(JSON.stringify(await createBom(LOCK, options)), JSON.stringify(BOM));
  const dated = await createBom(LOCK, { ...options, sourceDateEpoch: "1790000000" });
  assert.equal(dated.metadata.timestamp, "2026-09-21T14:13:20Z");
  assert.equal(await faultsOf(dated), null);
  assert.deepEqual({ ...dated, metadata: BOM.metadata }, BOM);
  await assert.rejects(createBom(LOCK, { ...options, sourceDateEpoch: "yesterday" }), {
    message: 'Cannot use SOURCE_DATE_EPOCH: "yesterday" is not in seconds',
  });
});

const MADE_UP: Lock = {
  version: "5",
  specifiers: { "npm:@a/b@^1.0.0": "1.0.0+x_c@2.0.0", "npm:@types/d@1.0.0": "1.0.0" },
  npm: {
    "@a/b@1.0.0+x_c@2.0.0": {
      integrity: integrityOf(1),
      dependencies: ["c@2.0.0"],
      optionalDependencies: ["elsewhere"],
    },
    "@types/d@1.0.0": { integrity: integrityOf(2), dependencies: ["c@1.0.0"] },
    "c@1.0.0": { integrity: integrityOf(3) },
    "c@2.0.0": { integrity: integrityOf(4) },
  },
};

function create(lock: Lock, licenses: Readonly<Record<string, string>> = {}): Promise<Bom> {
  return createBom(lock, {
    denoVersion: "1.2.3",
    licenseOf: (name) => Promise.resolve(licenses[name] ?? null),
  });
}

Deno.test("createBom() knows scopes, peers, versions of one package, and what only types need", async () => {
  const { components, dependencies } = await create(MADE_UP);
  assert.deepEqual(
    components.slice(2).map(({ purl, group, name, version, scope }) => ({
      ...{ purl, group, name, version, scope },
    })),
    [
      ["pkg:npm/%40a/b@1.0.0%2Bx", "@a", "b", "1.0.0+x", "required"],
      ["pkg:npm/%40types/d@1.0.0", "@types", "d", "1.0.0", "excluded"],
      ["pkg:npm/c@1.0.0", undefined, "c", "1.0.0", "excluded"],
      ["pkg:npm/c@2.0.0", undefined, "c", "2.0.0", "required"],
    ].map(([purl, group, name, version, scope]) => ({ purl, group, name, version, scope })),
  );
  assert.deepEqual(dependencies.find(({ ref }) => ref === "pkg:npm/%40a/b@1.0.0%2Bx")?.dependsOn, [
    "pkg:npm/c@2.0.0",
  ]);
});

Deno.test("createBom() tells identifiers, expressions and other licenses apart", async (t) => {
  const rows = [
    { license: "BSD-2-Clause", want: [{ license: { id: "BSD-2-Clause" } }] },
    { license: "(MIT OR Apache-2.0)", want: [{ expression: "(MIT OR Apache-2.0)" }] },
    { license: "SEE LICENSE IN x", want: [{ license: { name: "SEE LICENSE IN x" } }] },
  ];
  for (const { license, want } of rows) {
    await t.step(license, async () => {
      const bom = await create(MADE_UP, { c: license });
      assert.deepEqual(bom.components.find(({ name }) => name === "c")?.licenses, want);
      assert.equal(await faultsOf(bom), null);
    });
  }
});

Deno.test("createBom() refuses locks that it does not understand", async (t) => {
  const b = "@a/b@1.0.0+x_c@2.0.0";
  const rows: { lock: Lock; message: RegExp }[] = [
    { lock: { ...MADE_UP, version: "6" }, message: /its version is "6"/ },
    {
      lock: { ...MADE_UP, npm: { ...MADE_UP.npm, [b]: { integrity: "sha1-x" } } },
      message: /"sha1-x" is not SHA-512/,
    },
    {
      lock: {
        ...MADE_UP,
        npm: { ...MADE_UP.npm, [b]: { integrity: integrityOf(1), dependencies: ["e"] } },
      },
      message: /"e" is not among its packages/,
    },
    { lock: { ...MADE_UP, specifiers: { "npm:f@1": "1.0.0" } }, message: /"npm:f@1" is not among/ },
  ];
  for (const { lock, message } of rows) {
    await t.step(message.source, () => assert.rejects(create(lock), { message }));
  }
});

Deno.test("deno task sbom writes the bill", async () => {
  const root = new URL("..", import.meta.url).pathname;
  const directory = await Deno.makeTempDir({ prefix: "sbom-" });
  try {
    for (const name of ["deno.json", "deno.lock", "tools"]) {
      await Deno.symlink(`${root}/${name}`, `${directory}/${name}`);
    }
    const [, run = ""] = deno.tasks.sbom.split(" && ");
    const { code, stderr } = await runCommand("sh", {
      args: ["-c", run],
      cwd: directory,
      env: { SOURCE_DATE_EPOCH: "1790000000" },
    });
    assert.equal(code, 0, stderr);
    const written: Bom = JSON.parse(await Deno.readTextFile(`${directory}/dist/sbom.cdx.json`));
    assert.equal(written.metadata.timestamp, "2026-09-21T14:13:20Z");
    assert.deepEqual(written.components.slice(1), BOM.components.slice(1));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
