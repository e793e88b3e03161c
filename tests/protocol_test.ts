/** What clients of the GOPROXY protocol see, over a store in memory and an upstream on loopback. */
import assert from "node:assert/strict";
import { startTestApp, type TestApp } from "./worlds/app.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { stall } from "./fakes/behaviours.ts";

const PATH = "example.com/Hello";
const ESCAPED = "example.com/!hello";
const FILES = { "go.mod": `module ${PATH}\n\ngo 1.21\n`, "hello.go": "package hello\n" };
const COMMIT_VERSION = "v1.1.1-0.20240203040506-0123456789ab";

async function withApp(
  test: (app: TestApp, upstream: Upstream) => Promise<void>,
): Promise<void> {
  await using upstream = await startUpstream({
    modules: [
      {
        path: PATH,
        version: "v1.0.0",
        files: FILES,
        origin: { VCS: "git", Ref: "refs/tags/v1.0.0" },
      },
      { path: PATH, version: "v1.1.0", files: FILES },
      { path: PATH, version: "v1.2.0-rc.1", files: FILES },
      { path: PATH, version: COMMIT_VERSION, files: FILES, time: "2024-02-03T04:05:06Z" },
    ],
  });
  upstream.addQuery(PATH, "main", COMMIT_VERSION);
  upstream.setLatest(PATH, "v1.1.0");
  await using app = await startTestApp({ upstreams: [upstream.url] });
  await test(app, upstream);
  assert.deepEqual(upstream.faults, []);
}

Deno.test("list names the tagged versions, lowest first", () =>
  withApp(async (app) => {
    const { status, body } = await app.text(`${ESCAPED}/@v/list`);
    assert.equal(status, 200);
    assert.equal(body, "v1.0.0\nv1.1.0\nv1.2.0-rc.1\n");
  }));

Deno.test("list and @latest say what the upstream knows now", () =>
  withApp(async (app, upstream) => {
    await app.text(`${ESCAPED}/@v/list`);
    await app.text(`${ESCAPED}/@latest`);
    await upstream.addModule({ path: PATH, version: "v1.3.0", files: FILES });
    upstream.setLatest(PATH, "v1.3.0");
    assert.match((await app.text(`${ESCAPED}/@v/list`)).body, /^v1\.3\.0$/m);
    assert.equal(JSON.parse((await app.text(`${ESCAPED}/@latest`)).body).Version, "v1.3.0");
  }));

Deno.test("list of a module without tags is empty and 200", async () => {
  await using upstream = await startUpstream({
    modules: [{
      path: "example.com/m",
      version: COMMIT_VERSION,
      files: { "go.mod": "module example.com/m\n" },
    }],
  });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  assert.deepEqual(await app.text("example.com/m/@v/list"), { status: 200, body: "" });
});

Deno.test(".info, .mod and .zip show one copy, fetched once", () =>
  withApp(async (app, upstream) => {
    const info = await app.text(`${ESCAPED}/@v/v1.0.0.info`);
    assert.deepEqual(JSON.parse(info.body), {
      Version: "v1.0.0",
      Time: "2024-01-02T03:04:05Z",
      Origin: { VCS: "git", Ref: "refs/tags/v1.0.0" },
    });
    assert.equal((await app.text(`${ESCAPED}/@v/v1.0.0.mod`)).body, FILES["go.mod"]);
    const zip = await app.get(`${ESCAPED}/@v/v1.0.0.zip`);
    assert.equal(zip.headers.get("Content-Type"), "application/zip");
    const bytes = await zip.bytes();
    assert.equal(zip.headers.get("Content-Length"), String(bytes.length));
    assert.equal(upstream.count(/v1\.0\.0\.(info|mod|zip)$/), 3);
  }));

Deno.test("a query is answered with the version that it means, which is published", () =>
  withApp(async (app, upstream) => {
    const { status, body } = await app.text(`${ESCAPED}/@v/main.info`);
    assert.equal(status, 200);
    assert.equal(JSON.parse(body).Version, COMMIT_VERSION);
    await upstream.down();
    assert.equal((await app.text(`${ESCAPED}/@v/${COMMIT_VERSION}.mod`)).status, 200);
  }));

Deno.test("@latest is what the upstream says", () =>
  withApp(async (app) => {
    const { body } = await app.text(`${ESCAPED}/@latest`);
    assert.equal(JSON.parse(body).Version, "v1.1.0");
  }));

Deno.test("with the upstream gone, what was read is served and listed", () =>
  withApp(async (app, upstream) => {
    for (const file of ["v1.0.0.info", "v1.2.0-rc.1.mod"]) await app.text(`${ESCAPED}/@v/${file}`);
    await upstream.down();
    assert.equal((await app.text(`${ESCAPED}/@v/v1.0.0.zip`)).status, 200);
    const list = await app.get(`${ESCAPED}/@v/list`);
    assert.equal(await list.text(), "v1.0.0\nv1.2.0-rc.1\n");
    assert.equal(list.headers.get("Cache-Control"), "public, max-age=5");
    const latest = await app.text(`${ESCAPED}/@latest`);
    assert.equal(JSON.parse(latest.body).Version, "v1.0.0");
    const unread = await app.text(`${ESCAPED}/@v/v1.1.0.info`);
    assert.equal(unread.status, 502);
    assert.match(
      unread.body,
      /^Cannot reach http:\/\/127\.0\.0\.1:\d+: .*refused.*\nrequest id: \S+\n$/,
    );
  }));

Deno.test("with the upstream gone, @latest of a module without tags is its newest pseudo-version", () =>
  withApp(async (app, upstream) => {
    await app.text(`${ESCAPED}/@v/main.info`);
    await upstream.down();
    assert.deepEqual(await app.text(`${ESCAPED}/@v/list`), { status: 200, body: "" });
    assert.equal(JSON.parse((await app.text(`${ESCAPED}/@latest`)).body).Version, COMMIT_VERSION);
  }));

Deno.test("with the upstream gone, @latest passes over what the best version retracts", async () => {
  const files = (retract: string) => ({ "go.mod": `module example.com/m\n${retract}` });
  await using upstream = await startUpstream({
    modules: [
      { path: "example.com/m", version: "v1.0.0", files: files("") },
      { path: "example.com/m", version: "v1.1.0", files: files("retract v1.1.0\n") },
    ],
  });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  for (const version of ["v1.0.0", "v1.1.0"]) await app.text(`example.com/m/@v/${version}.mod`);
  await upstream.down();
  assert.equal(JSON.parse((await app.text("example.com/m/@latest")).body).Version, "v1.0.0");
});

Deno.test("lists never shrink: what was read stays listed when the upstream forgets it", () =>
  withApp(async (app, upstream) => {
    await app.text(`${ESCAPED}/@v/v1.0.0.info`);
    using _rule = upstream.misbehave(/list$/, () => new Response("v1.1.0\n"));
    assert.equal((await app.text(`${ESCAPED}/@v/list`)).body, "v1.0.0\nv1.1.0\n");
  }));

const CACHED_ONLY: { name: string; path: string; headers: Record<string, string> }[] = [
  { name: "cached-only/", path: `cached-only/${ESCAPED}`, headers: {} },
  { name: "Disable-Module-Fetch", path: ESCAPED, headers: { "Disable-Module-Fetch": "true" } },
];

for (const { name, path, headers } of CACHED_ONLY) {
  Deno.test(`${name} answers from the store alone`, () =>
    withApp(async (app, upstream) => {
      for (const file of ["@v/list", "@latest", "@v/v1.0.0.info", "@v/main.info"]) {
        assert.equal((await app.text(`${path}/${file}`, { headers })).status, 404, file);
      }
      assert.equal(upstream.requests.length, 0);
      await app.text(`${ESCAPED}/@v/v1.0.0.info`);
      const asked = upstream.requests.length;
      assert.equal((await app.text(`${path}/@v/v1.0.0.zip`, { headers })).status, 200);
      assert.deepEqual(await app.text(`${path}/@v/list`, { headers }), {
        status: 200,
        body: "v1.0.0\n",
      });
      assert.equal(
        JSON.parse((await app.text(`${path}/@latest`, { headers })).body).Version,
        "v1.0.0",
      );
      assert.equal(upstream.requests.length, asked);
    }));
}

Deno.test("HEAD says what GET says, without a body", () =>
  withApp(async (app) => {
    for (const file of ["list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"]) {
      const get = await app.get(`${ESCAPED}/@v/${file}`);
      const body = await get.bytes();
      const head = await app.get(`${ESCAPED}/@v/${file}`, { method: "HEAD" });
      assert.equal(head.status, 200);
      assert.equal((await head.bytes()).length, 0);
      for (const header of ["Content-Type", "ETag", "Cache-Control"]) {
        assert.equal(head.headers.get(header), get.headers.get(header), `${file} ${header}`);
      }
      assert.equal(head.headers.get("Content-Length"), String(body.length), file);
    }
  }));

Deno.test("what never changes has a strong ETag and may be cached for a year", () =>
  withApp(async (app) => {
    for (const file of ["v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"]) {
      const response = await app.get(`${ESCAPED}/@v/${file}`);
      await response.body?.cancel();
      const etag = response.headers.get("ETag") ?? "";
      assert.match(etag, /^"[^"]+"$/);
      assert.equal(response.headers.get("Cache-Control"), "public, max-age=31536000, immutable");
      const again = await app.get(`${ESCAPED}/@v/${file}`, {
        headers: { "If-None-Match": `W/"x", ${etag}` },
      });
      assert.equal(again.status, 304);
    }
  }));

const RANGES: { range: string; want: (size: number) => [number, number] | 416 | null }[] = [
  { range: "bytes=0-9", want: () => [0, 10] },
  { range: "bytes=10-", want: (size) => [10, size] },
  { range: "bytes=-5", want: (size) => [size - 5, size] },
  { range: "bytes=0-999999999", want: (size) => [0, size] },
  { range: "bytes=-999999999", want: (size) => [0, size] },
  { range: "bytes=999999999-", want: () => 416 },
  { range: "bytes=-0", want: () => 416 },
  // Not understood, or not worth it: the whole (RFC 9110, 14.2).
  { range: "bytes=5-2", want: () => null },
  { range: "bytes=0-1,4-5", want: () => null },
  { range: "lines=0-1", want: () => null },
];

Deno.test("zips come in ranges", (t) =>
  withApp(async (app) => {
    const whole = await (await app.get(`${ESCAPED}/@v/v1.0.0.zip`)).bytes();
    for (const { range, want } of RANGES) {
      await t.step(range, async () => {
        const response = await app.get(`${ESCAPED}/@v/v1.0.0.zip`, { headers: { Range: range } });
        const body = await response.bytes();
        const expected = want(whole.length);
        if (expected === 416) {
          assert.equal(response.status, 416);
          assert.equal(response.headers.get("Content-Range"), `bytes */${whole.length}`);
        } else if (expected === null) {
          assert.equal(response.status, 200);
          assert.deepEqual(body, whole);
        } else {
          const [start, end] = expected;
          assert.equal(response.status, 206);
          assert.deepEqual(body, whole.slice(start, end));
          const contentRange = `bytes ${start}-${end - 1}/${whole.length}`;
          assert.equal(response.headers.get("Content-Range"), contentRange);
        }
      });
    }
  }));

Deno.test("If-Range with another ETag gives the whole file", () =>
  withApp(async (app) => {
    const headers = { "Range": "bytes=0-1", "If-Range": '"other"' };
    const response = await app.get(`${ESCAPED}/@v/v1.0.0.zip`, { headers });
    await response.body?.cancel();
    assert.equal(response.status, 200);
  }));

Deno.test("text is compressed for clients that take gzip", async () => {
  const goMod = `module example.com/m\n${"// a long comment\n".repeat(100)}`;
  await using upstream = await startUpstream({
    modules: [{ path: "example.com/m", version: "v1.0.0", files: { "go.mod": goMod } }],
  });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  const headers = { "Accept-Encoding": "gzip;q=0.8, br" };
  const response = await app.get("example.com/m/@v/v1.0.0.mod", { headers });
  assert.equal(response.headers.get("Content-Encoding"), "gzip");
  assert.match(response.headers.get("Vary") ?? "", /Accept-Encoding/);
  const unzipped = response.body?.pipeThrough(new DecompressionStream("gzip"));
  assert.equal(await new Response(unzipped).text(), goMod);
  const plain = await app.get("example.com/m/@v/v1.0.0.mod", {
    headers: { "Accept-Encoding": "gzip;q=0" },
  });
  assert.equal(await plain.text(), goMod);
});

Deno.test("200 simultaneous first requests cause one fetch", () =>
  withApp(async (app, upstream) => {
    const files = ["info", "mod", "zip"];
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => app.text(`${ESCAPED}/@v/v1.0.0.${files[i % 3]}`)),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(upstream.count(/v1\.0\.0\./), 3);
  }));

Deno.test("a client that disconnects does not end work that another one waits for", () =>
  withApp(async (app, upstream) => {
    const held = stall();
    using _rule = upstream.misbehave(/v1\.0\.0\.zip$/, held.behaviour);
    const leaver = new AbortController();
    const left = app.text(`${ESCAPED}/@v/v1.0.0.zip`, { signal: leaver.signal });
    const stayed = app.text(`${ESCAPED}/@v/v1.0.0.info`);
    await held.arrived;
    leaver.abort();
    await left;
    held.release();
    assert.equal((await stayed).status, 200);
    assert.equal(upstream.count(/v1\.0\.0\.zip$/), 1);
  }));

Deno.test("a request carries its id through answer and log", () =>
  withApp(async (app) => {
    const response = await app.get(`${ESCAPED}/@v/v1.0.0.info`, {
      headers: { "X-Request-Id": "build-42" },
    });
    await response.body?.cancel();
    assert.equal(response.headers.get("X-Request-Id"), "build-42");
    const [line] = app.log.filter((line) => line["msg"] === "request");
    assert.equal(line?.["id"], "build-42");
    assert.equal(line?.["module"], PATH);
    assert.equal(line?.["version"], "v1.0.0");
    assert.equal(line?.["cache"], "miss");
    assert.equal(line?.["status"], 200);
  }));

Deno.test("a request that comes back to us is refused", () =>
  withApp(async (app, upstream) => {
    const headers = { Via: `1.1 somebody, ${app.via}` };
    const { status, body } = await app.text(`${ESCAPED}/@v/list`, { headers });
    assert.equal(status, 502);
    assert.match(body, /configured as its own upstream/);
    assert.equal(upstream.requests.length, 0);
  }));
