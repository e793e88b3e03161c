/**
 * Publishing with known hashes: lazily, checked, and without a second opinion where nobody has one.
 */
import assert from "node:assert/strict";
import { startTestApp, type TestApp, type TestAppOptions } from "./worlds/app.ts";
import { StorageError, UpstreamError } from "../lib/errors.ts";
import { instead, status } from "./fakes/behaviours.ts";
import { buildModuleZip } from "./support/module_zip.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";

const PATH = "example.com/m";
const FILES = { "go.mod": `module ${PATH}\n`, "m.go": "package m\n" };
const MODULE = { path: PATH, version: "v1.0.0", files: FILES };
const OTHER_FILES = { ...FILES, "m.go": "package evil\n" };

async function withApp(
  options: (upstream: Upstream) => Omit<TestAppOptions, "upstreams">,
  test: (app: TestApp, upstream: Upstream) => Promise<void>,
): Promise<void> {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using app = await startTestApp({ upstreams: [upstream.url], ...options(upstream) });
  await test(app, upstream);
  assert.deepEqual(upstream.faults, []);
}

/** The hashes of what the upstream had at first, as a checksum database knows them. */
function known(upstream: Upstream): Omit<TestAppOptions, "upstreams"> {
  return {
    findHashes: ({ path, version }) => {
      const hashes = upstream.hashesOf(path, version);
      return Promise.resolve(
        hashes === null ? null : { zipH1: hashes.h1, goModH1: hashes.goModH1 },
      );
    },
  };
}

Deno.test("a version with known hashes is published without its zip, which comes when it is asked for", () =>
  withApp(known, async (app, upstream) => {
    for (const file of ["info", "mod"]) {
      assert.equal((await app.text(`${PATH}/@v/v1.0.0.${file}`)).status, 200);
    }
    assert.equal(upstream.count(/zip$/), 0);
    const zips = await Promise.all([1, 2, 3].map(() => app.get(`${PATH}/@v/v1.0.0.zip`)));
    const bytes = await Promise.all(zips.map(async (zip) => (await zip.bytes()).toHex()));
    assert.equal(new Set(bytes).size, 1);
    assert.equal(upstream.count(/zip$/), 1);
    await upstream.down();
    assert.equal((await app.text(`${PATH}/@v/v1.0.0.zip`)).status, 200);
  }));

Deno.test("a version is answered only when the record that vouches for it is kept", () => {
  const failed = Promise.reject(new StorageError("Cannot keep the record"));
  failed.catch(() => {});
  const options = (upstream: Upstream): Omit<TestAppOptions, "upstreams"> => ({
    findHashes: ({ path, version }) => {
      const hashes = upstream.hashesOf(path, version);
      assert.ok(hashes !== null);
      return Promise.resolve({ zipH1: hashes.h1, goModH1: hashes.goModH1, written: failed });
    },
  });
  return withApp(options, async (app) => {
    assert.equal((await app.text(`${PATH}/@v/v1.0.0.mod`)).status, 503);
    // It may be published all the same, as after any failure of the store.
    assert.equal((await app.text(`${PATH}/@v/v1.0.0.mod`)).status, 200);
  });
});

Deno.test("zips: eager fetches the zip with the rest", () =>
  withApp((upstream) => ({ ...known(upstream), zips: "eager" }), async (app, upstream) => {
    assert.equal((await app.text(`${PATH}/@v/v1.0.0.mod`)).status, 200);
    assert.equal(upstream.count(/zip$/), 1);
  }));

for (const zips of ["lazy", "eager"] as const) {
  Deno.test(`a version that the database has no record of is not published (${zips})`, () =>
    withApp(
      () => ({ findHashes: () => Promise.resolve("unrecorded"), zips }),
      async (app) => {
        for (const file of ["info", "mod", "zip"]) {
          const { status, body } = await app.text(`${PATH}/@v/v1.0.0.${file}`);
          assert.equal(status, 502);
          assert.match(
            body,
            /^Cannot publish \S+@v1\.0\.0: sum\.test has no record of it yet; a new/,
          );
          assert.match(body, /publicModules\.noSumDatabase/);
        }
        assert.equal((await app.text(`${PATH}/@v/v9.9.9.info`)).status, 404);
        assert.deepEqual(await app.store.list(`m1/${PATH}/@v`), []);
      },
    ));
}

Deno.test("a version without known hashes is published with its zip", () =>
  withApp(() => ({ findHashes: () => Promise.resolve(null) }), async (app, upstream) => {
    assert.equal((await app.text(`${PATH}/@v/v1.0.0.mod`)).status, 200);
    assert.equal(upstream.count(/zip$/), 1);
  }));

Deno.test("nothing is published while the hashes are unavailable", () =>
  withApp(() => ({
    findHashes: () => Promise.reject(new UpstreamError("Cannot reach the database")),
  }), async (app) => {
    const { status, body } = await app.text(`${PATH}/@v/v1.0.0.mod`);
    assert.equal(status, 502);
    assert.match(body, /^Cannot reach the database/);
    assert.deepEqual(await app.store.list(`m1/${PATH}/@v`), []);
  }));

Deno.test("a version that does not exist is 404, whatever the database says", () =>
  withApp(() => ({
    findHashes: () => Promise.reject(new UpstreamError("Cannot reach the database")),
  }), async (app) => {
    assert.equal((await app.text(`${PATH}/@v/v9.9.9.mod`)).status, 404);
  }));

for (const zips of ["lazy", "eager"] as const) {
  Deno.test(`a go.mod with another hash is refused, with both hashes (${zips})`, () =>
    withApp((upstream) => ({ ...known(upstream), zips }), async (app, upstream) => {
      const other = `module ${PATH} // moved\n`;
      const zip = await buildModuleZip({ ...MODULE, files: { ...FILES, "go.mod": other } });
      using _mod = upstream.misbehave(/mod$/, instead(other));
      using _zip = upstream.misbehave(/zip$/, instead(zip.bytes));
      const { status, body } = await app.text(`${PATH}/@v/v1.0.0.mod`);
      assert.equal(status, 502);
      assert.match(body, /its go\.mod has h1:\S+, expected h1:\S+; its tag was moved/);
      assert.deepEqual(await app.store.list(`m1/${PATH}/@v`), []);
    }));

  Deno.test(`a zip with another hash is refused, with both hashes, and not stored (${zips})`, () =>
    withApp((upstream) => ({ ...known(upstream), zips }), async (app, upstream) => {
      const zip = await buildModuleZip({ ...MODULE, files: OTHER_FILES });
      const rule = upstream.misbehave(/zip$/, instead(zip.bytes));
      const { status, body } = await app.text(`${PATH}/@v/v1.0.0.zip`);
      assert.equal(status, 502);
      assert.match(body, /its zip has h1:\S+, expected h1:\S+/);
      assert.deepEqual(await app.store.list(`z1/${PATH}/@v/v1.0.0`), []);
      rule[Symbol.dispose]();
      assert.equal((await app.text(`${PATH}/@v/v1.0.0.zip`)).status, 200);
    }));
}

Deno.test("a zip that the upstream has lost is 502: the version exists, it is published", () =>
  withApp(known, async (app, upstream) => {
    assert.equal((await app.text(`${PATH}/@v/v1.0.0.mod`)).status, 200);
    using _rule = upstream.misbehave(/zip$/, status(404));
    assert.equal((await app.text(`${PATH}/@v/v1.0.0.zip`)).status, 502);
  }));
