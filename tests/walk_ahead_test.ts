/**
 * Walking ahead of clients through the product: each file is requested from the upstream once, most
 * of them before the client asks; a busy upstream is left alone; what the client or a stranger must
 * not have fetched is not.
 */
import assert from "node:assert/strict";
import { AccessList } from "../lib/auth/access_list.ts";
import { ClientAuth } from "../lib/auth/client_auth.ts";
import { createLogger } from "../lib/log/log.ts";
import type { HashDatabase } from "../lib/module/hash_database.ts";
import { parseH1 } from "../lib/module/h1.ts";
import { FIRST_WINDOW } from "../lib/service/client_graph.ts";
import { status } from "./fakes/behaviours.ts";
import { GitServer } from "./fakes/git_server.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream, type Upstream, type UpstreamModule } from "./fakes/upstream.ts";
import { eventually, within } from "./support/eventually.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { startTestApp, type TestApp } from "./worlds/app.ts";
import { startServer } from "./worlds/server.ts";

const ROOT = "example.com/root";

function name(i: number): string {
  return `example.com/m${String(i).padStart(3, "0")}`;
}

/** As `go mod tidy` leaves it: the root requires all modules, which require older versions. */
function tidyGraph(size: number): UpstreamModule[] {
  const all = Array.from({ length: size }, (_, i) => i);
  const lines = all.map((i) => `require ${name(i)} v1.2.0\n`).join("");
  return [
    { path: ROOT, version: "v1.0.0", files: { "go.mod": `module ${ROOT}\n\ngo 1.21\n\n${lines}` } },
    ...all.map((i) => ({
      path: name(i),
      version: "v1.2.0",
      files: {
        "go.mod": `module ${name(i)}\n\ngo 1.21\n\nrequire ${name((i + 1) % size)} v1.1.0\n`,
      },
    })),
  ];
}

for (const workers of ["1", "2"]) {
  const threads = workers === "1" ? "one thread" : `${workers} threads`;
  goTest(
    `the go command finds most of a graph fetched, each file once, by ${threads}`,
    () => goThrough(workers),
  );
}

async function goThrough(workers: string): Promise<void> {
  const size = 60;
  await using upstream = await startUpstream({ modules: tidyGraph(size) });
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  const dir = await Deno.makeTempDir({ prefix: "ahead-" });
  try {
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      JSON.stringify({
        parentProxy: { url: upstream.url },
        publicModules: {
          sumDatabase: {
            name: sumdb.name,
            publicKey: sumdb.verifierKey.slice(`${sumdb.name}+`.length),
            url: `${upstream.url}/sumdb/${sumdb.name}`,
          },
        },
      }),
    );
    await using server = await startServer({
      args: ["--config-file", `${dir}/config.yaml`, "--workers", workers],
    });
    await using go = await goCommand({
      proxy: server.url,
      files: { "go.mod": `module example.com/main\n\ngo 1.21\n\nrequire ${ROOT} v1.0.0\n` },
    });
    const { code, stdout, stderr } = await go.run(["list", "-mod=mod", "-m", "all"]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim().split("\n").length, size + 2);
    const smallFiles = upstream.requests.filter(({ path }) => !path.startsWith("/sumdb/"));
    assert.equal(smallFiles.length, 2 * (size + 1), ".info and .mod of each version");
    const download = await go.run(["mod", "download", "all"]);
    assert.equal(download.code, 0, download.stderr);

    const asked = new Map<string, number>();
    for (const { path } of upstream.requests) asked.set(path, (asked.get(path) ?? 0) + 1);
    assert.deepEqual([...asked].filter(([, times]) => times > 1), []);
    assert.equal(upstream.count(/\.zip$/), size + 1);

    const page = await (await fetch(`${server.url}/metrics`)).text();
    const count = (line: string) =>
      Number(new RegExp(`^${line} (\\d+)$`, "m").exec(page)?.[1] ?? 0);
    const guesses = (kind: string, outcome: string) =>
      count(`gomodproxy_ahead_guesses_total{kind="${kind}",outcome="${outcome}"}`);
    assert.ok(guesses("version", "useful") >= size / 2);
    assert.ok(guesses("zip", "useful") > 0);
    assert.equal(guesses("version", "useless") + guesses("zip", "useless"), 0);
    assert.doesNotMatch(page, /^gomodproxy_ahead_fetches_total\{.*"failed"\}/m);
    assert.deepEqual([upstream.faults, sumdb.faults], [[], []]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A database that has a record of everything that the upstream has. */
function recordsOf(upstream: Upstream): HashDatabase["find"] {
  return ({ path, version }) => {
    const hashes = upstream.hashesOf(path, version);
    return Promise.resolve(
      hashes === null
        ? "unrecorded"
        : { zipH1: parseH1(hashes.h1), goModH1: parseH1(hashes.goModH1) },
    );
  };
}

async function mod(app: TestApp, path: string, version: string): Promise<number> {
  const headers = { Authorization: `Basic ${btoa("eve:e")}` };
  return (await app.text(`${path}/@v/${version}.mod`, { headers })).status;
}

Deno.test("an upstream that answers 429 is left alone", async () => {
  await using upstream = await startUpstream({ modules: tidyGraph(40) });
  await using app = await startTestApp({
    upstreams: [upstream.url],
    findHashes: recordsOf(upstream),
  });
  using _busy = upstream.misbehave(/\/m\d+\//, status(429, { headers: { "Retry-After": "3600" } }));
  assert.equal(await mod(app, ROOT, "v1.0.0"), 200);
  const refused = () => upstream.count(/\/m\d+\//);
  await eventually("a guess", () => Promise.resolve(refused() > 0));
  const pauses = () => app.log.filter(({ msg }) => msg === "walking ahead pauses");
  await eventually("all guesses to end", () => Promise.resolve(pauses().length === FIRST_WINDOW));
  assert.equal(refused(), 2 * FIRST_WINDOW, "one attempt for .info and .mod of each guess");
  assert.equal(await mod(app, ROOT, "v1.0.0"), 200);
  assert.equal(refused(), 2 * FIRST_WINDOW);
  assert.deepEqual(pauses().map(({ pauseMs }) => pauseMs), Array(FIRST_WINDOW).fill(3_600_000));
});

Deno.test("a client that has joined a guess that fails gets its own attempts", async () => {
  await using upstream = await startUpstream({ modules: tidyGraph(1) });
  await using app = await startTestApp({
    upstreams: [upstream.url],
    findHashes: recordsOf(upstream),
  });
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  upstream.misbehave(`/${name(0)}/@v/v1.2.0.info`, async () => {
    arrived.resolve();
    await released.promise;
    return new Response("busy\n", { status: 503 });
  }, { times: 1 });
  assert.equal(await mod(app, ROOT, "v1.0.0"), 200);
  await within("the guess to begin", arrived.promise);
  const joined = mod(app, name(0), "v1.2.0");
  const info = app.text(`${name(0)}/@v/v1.2.0.info`);
  released.resolve();
  assert.equal(await joined, 200);
  assert.equal((await info).status, 200);
  assert.equal(upstream.count(`/${name(0)}/@v/v1.2.0.info`), 2);
});

Deno.test("nothing is fetched ahead that the client may not read", async () => {
  await using upstream = await startUpstream({ modules: tidyGraph(5) });
  const denied = name(3);
  await using app = await startTestApp({
    upstreams: [upstream.url],
    findHashes: recordsOf(upstream),
    auth: new ClientAuth({
      authenticators: [{
        method: "userpassword",
        authenticate: () => Promise.resolve({ identity: "eve", expiresMs: Infinity }),
      }],
      identities: new Set(["eve"]),
      accessList: new AccessList([{ modules: [denied], access: "deny" }, { access: "allow" }]),
      accessTokens: null,
      now: Date.now,
      log: createLogger("fatal", { write: () => {} }),
    }),
  });
  assert.equal(await mod(app, ROOT, "v1.0.0"), 200);
  await eventually(
    "the others",
    () =>
      Promise.resolve(
        [0, 1, 2, 4].every((i) => upstream.count(`/${name(i)}/@v/v1.2.0.mod`) === 1),
      ),
  );
  assert.equal(upstream.count(new RegExp(denied)), 0);
  assert.equal(await mod(app, denied, "v1.2.0"), 403);
});

Deno.test("a public go.mod file leads to nothing private", async () => {
  // It comes first in the order of the paths.
  const secret = "a.example.com/team/secret";
  await using git = await GitServer.start();
  const repo = await git.createRepo("secret.git");
  await repo.commit({ "go.mod": `module ${secret}\n` }, { tag: "v1.0.0" });
  const lines = `require ${secret} v1.0.0\nrequire ${name(0)} v1.2.0\n`;
  await using upstream = await startUpstream({
    modules: [
      {
        path: ROOT,
        version: "v1.0.0",
        files: { "go.mod": `module ${ROOT}\n\ngo 1.21\n\n${lines}` },
      },
      { path: name(0), version: "v1.2.0", files: { "go.mod": `module ${name(0)}\n` } },
    ],
  });
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  const { name: database, verifierKey: publicKey } = sumdb;
  const dir = await Deno.makeTempDir({ prefix: "ahead-" });
  try {
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      JSON.stringify({
        publicModules: {
          sumDatabase: {
            name: database,
            publicKey: publicKey.slice(`${database}+`.length),
            url: `${upstream.url}/sumdb/${database}`,
          },
        },
        privateModules: [
          { pathPrefix: secret, repository: git.urlOf("secret.git"), auth: { none: true } },
        ],
      }),
    );
    await using server = await startServer({
      args: ["--config-file", `${dir}/config.yaml`],
      env: { GOPROXY: upstream.url },
    });
    const response = await fetch(`${server.url}/${ROOT}/@v/v1.0.0.mod`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
    await eventually("the public one", () => Promise.resolve(upstream.count(/\/m000\/@v/) === 2));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  assert.equal(git.requests.length, 0);
  assert.equal(upstream.count(/secret/), 0);
});

Deno.test("the private modules that a private one requires come by few fetches", async () => {
  const size = FIRST_WINDOW;
  const paths = Array.from({ length: size }, (_, i) => `go.example.com/mono/m${i}`);
  await using git = await GitServer.start();
  const mono = await git.createRepo("mono.git");
  for (const [i, path] of paths.entries()) {
    await mono.commit({ [`m${i}/go.mod`]: `module ${path}\n\ngo 1.21\n` }, {
      tag: `m${i}/v1.0.0`,
    });
  }
  const app = await git.createRepo("app.git");
  const lines = paths.map((path) => `require ${path} v1.0.0\n`).join("");
  await app.commit({ "go.mod": `module go.example.com/app\n\ngo 1.21\n\n${lines}` }, {
    tag: "v1.0.0",
  });
  const dir = await Deno.makeTempDir({ prefix: "ahead-" });
  try {
    const prefixOf = (name: string) => ({
      pathPrefix: `go.example.com/${name}`,
      repository: git.urlOf(`${name}.git`),
      auth: { none: true },
    });
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      JSON.stringify({ privateModules: [prefixOf("mono"), prefixOf("app")] }),
    );
    await using server = await startServer({
      args: ["--config-file", `${dir}/config.yaml`],
      env: { GOPROXY: "off" },
    });
    const mod = async (path: string) => {
      const response = await fetch(`${server.url}/${path}/@v/v1.0.0.mod`);
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await mod("go.example.com/app"), 200);
    await eventually("all to be published", async () => {
      const page = await (await fetch(`${server.url}/metrics`)).text();
      return page.includes(`gomodproxy_ahead_fetches_total{kind="version",outcome="ok"} ${size}\n`);
    });
    const packs = () =>
      git.requests.filter(({ method, repo }) => method === "POST" && repo === "mono.git").length;
    const before = packs();
    // One lists the refs. A fetch is two, for all that wait for it; alone, each version would be
    // two.
    assert.ok(before < 2 * size, `${before} requests for ${size} versions`);
    for (const path of paths) assert.equal(await mod(path), 200);
    assert.equal(packs(), before);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
