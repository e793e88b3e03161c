/**
 * Invalid input and lying upstreams: the client gets a clear answer, the upstream gets no useless
 * requests, and nothing of it is ever stored.
 */
import assert from "node:assert/strict";
import { MAX_ZIP_BYTES } from "../lib/zip/rules.ts";
import { startTestApp, type TestApp } from "./worlds/app.ts";
import {
  type Behaviour,
  html,
  instead,
  oversized,
  redirect,
  stall,
  status,
  truncated,
} from "./fakes/behaviours.ts";
import { buildModuleZip } from "./support/module_zip.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n", "m.go": "package m\n" },
};

async function withApp(test: (app: TestApp, upstream: Upstream) => Promise<void>): Promise<void> {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using app = await startTestApp({
    upstreams: [upstream.url],
    limits: { askTimeoutMs: 500 },
  });
  await test(app, upstream);
}

/** Everything that a store of these tests could hold of the module. */
async function stored(app: TestApp): Promise<string[]> {
  const folders = ["m1/example.com/m/@v", "m1/example.com/m/@p", "z1/example.com/m/@v/v1.0.0"];
  return (await Promise.all(folders.map((folder) => app.store.list(folder)))).flat();
}

const BAD_PATHS: { path: string; message: RegExp }[] = [
  { path: "example.com/M/@v/list", message: /a capital is "!" and its lower case/ },
  { path: "example.com/!/@v/list", message: /not found: / },
  { path: "example.com/!!m/@v/list", message: /not found: / },
  { path: "example.com/m!/@v/list", message: /not found: / },
  { path: "example.com//m/@v/list", message: /empty path element/ },
  { path: "/example.com/m/@v/list", message: /not found: / },
  { path: "m/@v/list", message: /not found: / },
  { path: "example.com/../m/@v/list", message: /not found: / },
  { path: "example.com/%2e%2e/m/@v/list", message: /not found: / },
  { path: "example.com/%2e%2e%2fm/@v/list", message: /not found: / },
  { path: "example.com/m%00/@v/list", message: /not found: / },
  { path: "example.com/m%zz/@v/list", message: /percent-encoding/ },
  { path: "example.com/m%ff/@v/list", message: /percent-encoding/ },
  { path: "example.com/-m/../@v/list", message: /not found: / },
  { path: "-example.com/m/@v/list", message: /not found: / },
  { path: "example.com/m/@v/v1.0.0.tar", message: /not list, <version>\.info/ },
  { path: "example.com/m/@v/", message: /not list, <version>\.info/ },
  { path: "example.com/m/@v/.info", message: /not found: / },
  { path: "example.com/m/@v/../v1.0.0.info", message: /not found: / },
  { path: "example.com/m/@v/..%2fv1.0.0.info", message: /not found: / },
  { path: "example.com/m/@v/feature/x.info", message: /not found: / },
  { path: "example.com/m/@v/v1.0.0%0a.info", message: /not found: / },
  { path: "example.com/m/@v/main.zip", message: /only canonical versions/ },
  { path: "example.com/m/@v/v1.0.mod", message: /only canonical versions/ },
  { path: "example.com/m/@v/v2.0.0.mod", message: /v2/ },
  { path: "example.com/m/v2/@v/v1.0.0.mod", message: /v2/ },
  { path: "example.com/m", message: /not a module path, \/@v\/ or \/@latest/ },
  { path: `example.com/${"a".repeat(10_000)}/@v/list`, message: /longer than 4096 bytes/ },
  { path: "sumdb/", message: /not found: / },
  { path: "sumdb/sum.example.com/../../x", message: /not found: / },
  { path: "sumdb/sum.example.com/lookup/", message: /not found: / },
  { path: "sumdb/sum.example.com/tile/8/0/../000", message: /not found: / },
];

Deno.test("an invalid path is 404 with the reason, without asking the upstream", async (t) => {
  await withApp(async (app, upstream) => {
    for (const { path, message } of BAD_PATHS) {
      await t.step(path.slice(0, 60), async () => {
        // A Request normalises `..`, a server does not.
        const request = new Request("http://proxy.test/");
        Object.defineProperty(request, "url", { value: `http://proxy.test/${path}` });
        const response = await app.app(request);
        assert.equal(response.status, 404);
        assert.match(await response.text(), message);
      });
    }
    assert.deepEqual(upstream.requests, []);
  });
});

Deno.test("other methods than GET and HEAD are 405", () =>
  withApp(async (app, upstream) => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await app.get("example.com/m/@v/list", { method });
      await response.body?.cancel();
      assert.equal(response.status, 405);
      assert.equal(response.headers.get("Allow"), "GET, HEAD");
    }
    assert.deepEqual(upstream.requests, []);
  }));

const otherZip = (await buildModuleZip({ ...MODULE, path: "example.com/other" })).bytes;
const otherGoMod = (await buildModuleZip({
  ...MODULE,
  files: { ...MODULE.files, "go.mod": "module example.com/m\n\ngo 1.99\n" },
})).bytes;

const LIES: { name: string; file: RegExp; behaviour: () => Behaviour; message: RegExp }[] = [
  { name: "HTML as .info", file: /info$/, behaviour: html, message: /an HTML page/ },
  { name: "HTML as .mod", file: /mod$/, behaviour: html, message: /an HTML page/ },
  { name: "HTML as .zip", file: /zip$/, behaviour: html, message: /an HTML page/ },
  {
    name: "text that is not JSON",
    file: /info$/,
    behaviour: () => instead("hello"),
    message: /Cannot use .*v1\.0\.0\.info/,
  },
  {
    name: "another version's .info",
    file: /info$/,
    behaviour: () => instead('{"Version":"v1.0.1","Time":"2024-01-02T03:04:05Z"}'),
    message: /its \.info names version "v1\.0\.1"/,
  },
  {
    name: "an .info of 2 MB",
    file: /info$/,
    behaviour: () => oversized(2_000_000, { declared: false }),
    message: /larger than/,
  },
  {
    name: "a zip cut off, its length known",
    file: /zip$/,
    behaviour: () => truncated("declared"),
    message: /connection broke|Cannot reach/,
  },
  {
    name: "a zip cut off by a reset",
    file: /zip$/,
    behaviour: () => truncated("reset"),
    message: /connection broke|Cannot reach/,
  },
  {
    name: "a zip cut off unnoticed",
    file: /zip$/,
    behaviour: () => truncated("clean"),
    message: /Cannot use example\.com\/m@v1\.0\.0/,
  },
  {
    name: "another module's zip",
    file: /zip$/,
    behaviour: () => instead(otherZip),
    message: /Cannot use example\.com\/m@v1\.0\.0/,
  },
  {
    name: "a zip with another go.mod",
    file: /zip$/,
    behaviour: () => instead(otherGoMod),
    message: /differs from its \.mod/,
  },
  {
    name: "a zip that says it is too large",
    file: /zip$/,
    behaviour: () => oversized(MAX_ZIP_BYTES + 1, { declared: true }),
    message: /larger than/,
  },
  {
    name: "an empty zip file",
    file: /zip$/,
    behaviour: () => instead(new Uint8Array()),
    message: /Cannot use example\.com\/m@v1\.0\.0/,
  },
  { name: "status 500", file: /info$/, behaviour: () => status(500), message: /status 500/ },
  { name: "status 403", file: /zip$/, behaviour: () => status(403), message: /status 403/ },
  { name: "status 204", file: /mod$/, behaviour: () => status(204), message: /status 204/ },
  {
    name: "a redirect loop",
    file: /zip$/,
    behaviour: () => redirect((url) => url),
    message: /more than 10 redirects/,
  },
  {
    name: "a redirect to plain http elsewhere",
    file: /zip$/,
    behaviour: () => redirect("http://proxy.example.com/x.zip"),
    message: /only https is allowed/,
  },
];

for (const { name, file, behaviour, message } of LIES) {
  Deno.test(`an upstream that gives ${name} is 502, and nothing is stored`, () =>
    withApp(async (app, upstream) => {
      const rule = upstream.misbehave(file, behaviour());
      const { status, body } = await app.text("example.com/m/@v/v1.0.0.zip");
      assert.equal(status, 502);
      assert.match(body, message);
      assert.deepEqual(await stored(app), []);
      assert.deepEqual(await app.leftovers(), []);
      rule[Symbol.dispose]();
      assert.equal((await app.text("example.com/m/@v/v1.0.0.zip")).status, 200);
    }));
}

Deno.test("a list that is an HTML page is 502", () =>
  withApp(async (app, upstream) => {
    using _rule = upstream.misbehave(/list$/, html());
    assert.equal((await app.text("example.com/m/@v/list")).status, 502);
  }));

Deno.test("an upstream that stalls is 504", () =>
  withApp(async (app, upstream) => {
    const held = stall();
    using _rule = upstream.misbehave(/list$/, held.behaviour);
    const response = await app.text("example.com/m/@v/list");
    held.release();
    assert.equal(response.status, 504);
    assert.match(response.body, /^Cannot list example\.com\/m: no answer within 0\.5 s\n/);
  }));

Deno.test("429 and 503 that pass are not seen by the client", () =>
  withApp(async (app, upstream) => {
    using _a = upstream.misbehave(/info$/, status(429), { times: 2 });
    using _b = upstream.misbehave(/zip$/, status(503), { times: 1 });
    assert.equal((await app.text("example.com/m/@v/v1.0.0.info")).status, 200);
  }));

for (const code of [404, 410]) {
  Deno.test(`${code} of an upstream is 404 with its own words`, () =>
    withApp(async (app, upstream) => {
      const behaviour = status(code, {
        headers: { "content-type": "text/plain" },
        body: "not found: no such thing here\n",
      });
      using _rule = upstream.misbehave(/info$/, behaviour);
      const { status: got, body } = await app.text("example.com/m/@v/v1.0.0.info");
      assert.equal(got, 404);
      assert.match(body, /^not found: no such thing here\n/);
    }));
}

Deno.test("a copy that changes between its files is refused or published whole", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const moved = {
    ...MODULE,
    files: { ...MODULE.files, "go.mod": "module example.com/m // moved\n" },
  };
  await upstream.addModule(moved);
  await using app = await startTestApp({ upstreams: [upstream.url] });
  const mod = await app.text("example.com/m/@v/v1.0.0.mod");
  assert.equal(mod.status, 200);
  const again = await app.text("example.com/m/@v/v1.0.0.mod");
  assert.equal(again.body, mod.body);
});
