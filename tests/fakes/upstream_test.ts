import assert from "node:assert/strict";
import {
  type Behaviour,
  type Cut,
  html,
  instead,
  oversized,
  redirect,
  stall,
  status,
  tap,
  truncated,
} from "./behaviours.ts";
import { goCommand, goTest } from "../support/go_command.ts";
import { syntheticGraph } from "../worlds/graph.ts";
import { buildModuleZip, type ModuleFiles } from "../support/module_zip.ts";
import { Sumdb } from "./sumdb.ts";
import { startUpstream, type Upstream } from "./upstream.ts";

const MODULE = {
  path: "example.com/Team/tool",
  version: "v1.2.0",
  files: { "go.mod": "module example.com/Team/tool\n", "tool.go": "package tool\n" },
} satisfies ModuleFiles;
const ZIP_PATH = "/example.com/!team/tool/@v/v1.2.0.zip";
const INFO_PATH = "/example.com/!team/tool/@v/v1.2.0.info";
const MOD_PATH = "/example.com/!team/tool/@v/v1.2.0.mod";

goTest(
  "go downloads a graph through the fake upstream and verifies it by the fake database",
  async () => {
    const graph = syntheticGraph(24);
    await using upstream = await startUpstream({ modules: graph.modules });
    const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
    upstream.mount(sumdb);
    await using go = await goCommand({
      proxy: upstream.url,
      sumdb: sumdb.verifierKey,
      files: graph.main,
    });

    const tidied = await go.run(["mod", "tidy"]);
    assert.equal(tidied.code, 0, tidied.stderr);
    const listed = await go.run(["list", "-m", "all"]);
    assert.equal(listed.code, 0, listed.stderr);
    assert.equal(listed.stdout.trim().split("\n").length, 1 + 24);

    const { code, stdout, stderr } = await go.run(["mod", "download", "-json"]);
    assert.equal(code, 0, stderr);
    const downloads = parseJsonStream(stdout);
    assert.equal(downloads.length, 24);
    for (const { Path, Version, Sum, GoModSum } of downloads) {
      assert.deepEqual(
        { path: Path, version: Version, h1: Sum, goModH1: GoModSum },
        upstream.hashesOf(String(Path), String(Version)),
      );
    }
    assert.equal(sumdb.size, 24);
    assert.deepEqual([upstream.faults, sumdb.faults], [[], []]);
  },
);

goTest("syntheticGraph() makes a program that counts its modules", async () => {
  const graph = syntheticGraph(24);
  await using upstream = await startUpstream({ modules: graph.modules });
  await using go = await goCommand({ proxy: upstream.url, files: graph.main });
  const { code, stderr } = await go.run(["run", "-mod=mod", "."]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^24$/m);
});

goTest("go finds versions, branches and the latest at the fake upstream", async (t) => {
  await using upstream = await startUpstream({
    modules: [MODULE, { ...MODULE, version: "v1.10.0" }, {
      ...MODULE,
      version: "v1.10.1-0.20240102030405-0123456789ab",
    }],
  });
  upstream.addQuery(MODULE.path, "main", "v1.10.1-0.20240102030405-0123456789ab");
  await using go = await goCommand({ proxy: upstream.url });
  const rows = [
    { query: "latest", want: "v1.10.0" },
    { query: "v1.2", want: "v1.2.0" },
    { query: "<v1.10.0", want: "v1.2.0" },
    { query: "main", want: "v1.10.1-0.20240102030405-0123456789ab" },
  ];
  for (const { query, want } of rows) {
    await t.step(query, async () => {
      const { stdout, stderr } = await go.run(["list", "-m", `${MODULE.path}@${query}`]);
      assert.equal(stdout, `${MODULE.path} ${want}\n`, stderr);
    });
  }
  assert.deepEqual(upstream.faults, []);
});

goTest("go refuses what the fake upstream fakes", async (t) => {
  const other = await buildModuleZip({ ...MODULE, path: "example.com/other" });
  const tampered = await buildModuleZip({
    ...MODULE,
    files: { ...MODULE.files, "tool.go": "package evil\n" },
  });
  const rows: { name: string; path: string; behaviour: Behaviour; want: RegExp }[] = [
    {
      name: "tampered zip",
      path: ZIP_PATH,
      behaviour: instead(tampered.bytes),
      want: /checksum mismatch[^]*SECURITY ERROR/,
    },
    {
      name: "zip of another module",
      path: ZIP_PATH,
      behaviour: instead(other.bytes),
      want: /unexpected file/,
    },
    ...(["declared", "reset"] as const).map((cut) => ({
      name: `zip cut: ${cut}`,
      path: ZIP_PATH,
      behaviour: truncated(cut),
      want: /unexpected EOF/,
    })),
    {
      name: "zip cut: clean",
      path: ZIP_PATH,
      behaviour: truncated("clean"),
      want: /not a valid zip file/,
    },
    { name: "page for people", path: INFO_PATH, behaviour: html(), want: /invalid character/ },
    {
      name: "info of another version",
      path: INFO_PATH,
      behaviour: instead(JSON.stringify({ Version: "v1.2.1", Time: "2024-01-02T03:04:05Z" })),
      want: /proxy returned info for version v1\.2\.1/,
    },
    {
      name: "go.mod of another module",
      path: MOD_PATH,
      behaviour: instead("module example.com/other\n"),
      want: /checksum mismatch/,
    },
    {
      name: "redirects without end",
      path: INFO_PATH,
      behaviour: redirect((url) => url),
      want: /stopped after 10 redirects/,
    },
    { name: "503", path: INFO_PATH, behaviour: status(503), want: /503 Service Unavailable/ },
  ];
  for (const { name, path, behaviour, want } of rows) {
    await t.step(name, async () => {
      await using upstream = await startUpstream({ modules: [MODULE] });
      const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
      upstream.mount(sumdb);
      upstream.misbehave(path, behaviour);
      await using go = await goCommand({ proxy: upstream.url, sumdb: sumdb.verifierKey });
      const { code, stdout, stderr } = await go.run(
        ["mod", "download", "-json", `${MODULE.path}@${MODULE.version}`],
      );
      assert.equal(code, 1);
      assert.match(stdout + stderr, want);
      assert.deepEqual(upstream.faults, []);
    });
  }
});

Deno.test("the fake upstream notes the faults of its clients", async (t) => {
  const rows = [
    { request: "GET /example.com/Team/tool/@v/list", fault: true },
    { request: "GET /example.com/!Team/tool/@v/list", fault: true },
    { request: "GET /example.com/team!/tool/@v/list", fault: true },
    { request: "GET /example.com//tool/@v/list", fault: true },
    { request: "GET /example.com/tool/@v/list?go-get=1", fault: true },
    { request: "GET /example.com/%zz/@v/list", fault: true },
    { request: "GET /example.com/tool/@v/main.zip", fault: true },
    { request: "GET /example.com/tool/@v/feature%2Fx.info", fault: true },
    { request: "GET /example.com/tool/@v/v1.0.0.ziphash", fault: true },
    { request: "GET /favicon.ico", fault: true },
    { request: "POST /example.com/!team/tool/@v/list", fault: true },
    { request: "HEAD /example.com/!team/tool/@v/list", fault: false },
    { request: "GET /example.com/%21team/tool/@v/list", fault: false },
    { request: "GET /example.com/tool/@v/v2.0.0+incompatible.zip", fault: false },
    { request: "GET /example.com/tool/@v/main.info", fault: false },
    { request: "GET /sumdb/sum.example.test/supported", fault: false },
  ];
  for (const { request, fault } of rows) {
    await t.step(request, async () => {
      await using upstream = await startUpstream({ modules: [MODULE] });
      const [method = "", path = ""] = request.split(" ");
      const response = await fetch(upstream.url + path, { method });
      await response.body?.cancel();
      assert.equal(response.status === 400, fault);
      assert.equal(upstream.faults.length, fault ? 1 : 0);
    });
  }
});

Deno.test("the fake upstream answers HEAD with the headers of GET", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const head = await fetch(upstream.url + ZIP_PATH, { method: "HEAD" });
  const get = await read(upstream, ZIP_PATH);
  assert.equal(head.headers.get("content-length"), String(get.length));
  assert.equal((await head.bytes()).length, 0);
});

Deno.test("the fake upstream keeps what was asked, and counts it", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const headers = { "user-agent": "go-mod-proxy/0.1.0" };
  const path = INFO_PATH.replace("!", "%21");
  await text(upstream, MOD_PATH);
  await (await fetch(upstream.url + path, { headers })).body?.cancel();
  const seen = upstream.requests.map(({ method, path, headers }) => ({
    method,
    path,
    agent: headers.get("user-agent"),
  }));
  assert.deepEqual(seen[1], { method: "GET", path: INFO_PATH, agent: "go-mod-proxy/0.1.0" });
  assert.equal(upstream.count(INFO_PATH), 1);
  assert.equal(upstream.count(/tool/), 2);
});

Deno.test("a list without tagged versions is empty and not missing", async () => {
  const version = "v0.0.0-20240102030405-0123456789ab";
  await using upstream = await startUpstream({ modules: [{ ...MODULE, version }] });
  const list = await fetch(`${upstream.url}/example.com/!team/tool/@v/list`);
  assert.deepEqual([list.status, await list.text()], [200, ""]);
  const missing = await fetch(`${upstream.url}/example.com/missing/@v/list`);
  await missing.body?.cancel();
  assert.equal(missing.status, 404);
});

Deno.test("addModule() a second time serves two copies, each file in its own turn", async () => {
  const second = { ...MODULE, time: "2025-01-01T00:00:00Z", goMod: "module other\n" };
  await using upstream = await startUpstream({ modules: [MODULE, second] });
  const infos = [await text(upstream, INFO_PATH), await text(upstream, INFO_PATH)];
  assert.match(infos[0] ?? "", /2024/);
  assert.match(infos[1] ?? "", /2025/);
  assert.match(await text(upstream, MOD_PATH), /Team/);
  assert.match(await text(upstream, INFO_PATH), /2024/);
  assert.match(await text(upstream, MOD_PATH), /other/);
});

Deno.test("down() cuts and refuses connections; up() listens at the same URL", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const held = stall();
  upstream.misbehave(ZIP_PATH, held.behaviour);
  const open = fetch(upstream.url + ZIP_PATH);
  const cut = assert.rejects(open, TypeError);
  await held.arrived;
  await upstream.down();
  await cut;
  await assert.rejects(fetch(upstream.url + INFO_PATH), TypeError);
  upstream.up();
  assert.match(await text(upstream, INFO_PATH), /v1\.2\.0/);
});

Deno.test("misbehave() for some times, then the honest answer", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  upstream.misbehave(/\.info$/, status(429, { headers: { "retry-after": "1" } }), { times: 2 });
  const answers: [number, string | null][] = [];
  for (let i = 0; i < 3; i++) {
    const response = await fetch(upstream.url + INFO_PATH);
    await response.body?.cancel();
    answers.push([response.status, response.headers.get("retry-after")]);
  }
  assert.deepEqual(answers, [[429, "1"], [429, "1"], [200, null]]);
  assert.equal(upstream.count(INFO_PATH), 3);
});

Deno.test("misbehave() until it is switched off", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  {
    using _rule = upstream.misbehave(INFO_PATH, html());
    assert.match(await text(upstream, INFO_PATH), /Please sign in/);
  }
  assert.match(await text(upstream, INFO_PATH), /v1\.2\.0/);
});

Deno.test("truncated() ends a body early", async (t) => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const whole = await read(upstream, ZIP_PATH);
  const rows: { cut: Cut; declaredBytes: string | null; fails: boolean }[] = [
    { cut: "declared", declaredBytes: String(whole.length), fails: true },
    { cut: "reset", declaredBytes: null, fails: true },
    { cut: "clean", declaredBytes: null, fails: false },
  ];
  for (const { cut, declaredBytes, fails } of rows) {
    await t.step(cut, async () => {
      using _rule = upstream.misbehave(ZIP_PATH, truncated(cut));
      const response = await fetch(upstream.url + ZIP_PATH);
      assert.equal(response.headers.get("content-length"), declaredBytes);
      if (fails) await assert.rejects(response.bytes(), TypeError);
      else assert.deepEqual(await response.bytes(), whole.subarray(0, whole.length >> 1));
    });
  }
  assert.deepEqual(upstream.faults, []);
});

Deno.test("oversized() sends more than anyone should read, and holds none of it", async (t) => {
  const sizeBytes = 2 ** 40;
  for (const declared of [true, false]) {
    await t.step(declared ? "declared" : "undeclared", async () => {
      await using upstream = await startUpstream({ modules: [MODULE] });
      upstream.misbehave(ZIP_PATH, oversized(sizeBytes, { declared }));
      const response = await fetch(upstream.url + ZIP_PATH);
      assert.equal(
        response.headers.get("content-length"),
        declared ? String(sizeBytes) : null,
      );
      let readBytes = 0;
      // Leaving the loop cancels the body.
      for await (const chunk of response.body ?? []) {
        readBytes += chunk.length;
        if (readBytes > 10 << 20) break;
      }
      assert.ok(readBytes > 10 << 20);
    });
  }
});

Deno.test("oversized() ends at its size", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  upstream.misbehave(ZIP_PATH, oversized(100_001, { declared: false }));
  assert.equal((await read(upstream, ZIP_PATH)).length, 100_001);
});

Deno.test("stall() answers when it is released", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const held = stall();
  upstream.misbehave(INFO_PATH, held.behaviour);
  let answered = false;
  const answer = text(upstream, INFO_PATH).finally(() => answered = true);
  await held.arrived;
  assert.equal(answered, false);
  held.release();
  assert.match(await answer, /v1\.2\.0/);
});

Deno.test("tap() sends the status at once and the body as it is given", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const whole = await read(upstream, ZIP_PATH);
  const held = tap();
  upstream.misbehave(ZIP_PATH, held.behaviour);
  const response = await fetch(upstream.url + ZIP_PATH);
  const reader = (response.body ?? new ReadableStream()).getReader();
  held.give(3);
  assert.equal((await reader.read()).value?.length, 3);
  held.give(2);
  assert.equal((await reader.read()).value?.length, 2);
  held.release();
  let rest = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    rest += part.value.length;
  }
  assert.equal(rest, whole.length - 5);
});

Deno.test("redirect() leads to a resource of this or another server", async (t) => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using other = await startUpstream();
  for (const host of [upstream, other]) {
    host.addResource("/blobs/1", new TextEncoder().encode("the blob"));
  }
  const rows = [
    { name: "same host", location: "/blobs/1?signature=a" },
    { name: "other host", location: `${other.url}/blobs/1?signature=a` },
  ];
  for (const { name, location } of rows) {
    await t.step(name, async () => {
      using _rule = upstream.misbehave(ZIP_PATH, redirect(location));
      assert.equal(await text(upstream, ZIP_PATH), "the blob");
    });
  }
  assert.deepEqual([upstream.faults, other.faults], [[], []]);
});

Deno.test("buildModuleZip() makes the same bytes again", async () => {
  assert.deepEqual(await buildModuleZip(MODULE), await buildModuleZip(MODULE));
});

async function read(upstream: Upstream, path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await (await fetch(upstream.url + path)).bytes();
}

async function text(upstream: Upstream, path: string): Promise<string> {
  return await (await fetch(upstream.url + path)).text();
}

/**
 * What `go … -json` prints: objects without commas between them, each ending in a line of its own.
 */
function parseJsonStream(stdout: string): Record<string, unknown>[] {
  return stdout.split(/^(?<=^\}\n)/m).filter((part) => part.trim() !== "").map((part) =>
    JSON.parse(part)
  );
}
