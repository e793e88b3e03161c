/**
 * `explain` and `/explain/`: a running server and the command give the same answer, as text and as
 * JSON.
 */
import assert from "node:assert/strict";
import { instead, status } from "./fakes/behaviours.ts";
import { GitServer } from "./fakes/git_server.ts";
import { runProgram, startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const MODULE = {
  path: "example.com/Big/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/Big/m\n", "m.go": "package m\n" },
};
const ADMIN = "correct-horse-battery";

Deno.test("a version is explained by its store, its sources, and the access list", async (t) => {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream({ modules: [MODULE] }));
  const git = stack.use(await GitServer.start());
  const repo = await git.createRepo("lib.git");
  await repo.commit({ "go.mod": "module git.example.com/lib\n" }, { tag: "v1.0.0" });
  const directory = await Deno.makeTempDir({ prefix: "explain-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.writeTextFile(
    `${directory}/config.yaml`,
    `
storage: { disk: { path: ${directory}/data } }
parentProxy: { url: "${upstream.url}|off" }
privateModules:
  - { pathPrefix: git.example.com, auth: { none: true }, repository: "${git.url}/lib.git" }
clientAuth:
  enabled: true
  identities:
    - { name: admin, password: ${ADMIN} }
    - { name: ci, password: another-password }
  acl:
    - { identities: [ci], modules: ["git.example.com/*"], access: deny }
    - { access: allow }
`,
  );
  const args = ["--config-file", `${directory}/config.yaml`];
  const server = stack.use(await startServer({ args }));
  const get = async (path: string, { user = "admin", password = ADMIN, accept = "*/*" } = {}) => {
    const response = await fetch(`${server.url}/${path}`, {
      headers: { Authorization: `Basic ${btoa(`${user}:${password}`)}`, Accept: accept },
    });
    return { status: response.status, body: await response.text() };
  };
  const explain = async (module: string) => {
    const { status, body } = await get(`explain/${module}`, { accept: "application/json" });
    assert.equal(status, 200, body);
    return JSON.parse(body);
  };

  await t.step("nothing is published yet", async () => {
    const told = await explain("example.com/!big/m@v1.0.0");
    assert.equal(told.module, "example.com/Big/m");
    assert.equal(told.privatePrefix, null);
    assert.equal(told.published, null);
    assert.equal(told.sources.length, 1);
    assert.equal(told.sources[0].source, `proxy ${upstream.url}`);
    assert.equal(told.sources[0].isAsPublished, null);
    assert.deepEqual(told.access, [{ identity: "admin", isAllowed: true, rule: 1 }]);
    // Asking publishes nothing.
    assert.equal((await explain("example.com/Big/m@v1.0.0")).published, null);
  });

  await t.step("it is published, and a source gives something else", async () => {
    const zip = await get("example.com/!big/m/@v/v1.0.0.zip");
    assert.equal(zip.status, 200);
    const same = await explain("example.com/Big/m@v1.0.0");
    assert.match(same.published.zip.h1, /^h1:/);
    assert.ok(same.published.zip.sizeBytes > 100);
    assert.equal(same.published.source, `proxy ${upstream.url}`);
    assert.equal(same.sources[0].isAsPublished, true);
    using _moved = upstream.misbehave(/\.mod$/, instead("module example.com/Big/m\n// moved\n"));
    const moved = await explain("example.com/Big/m@v1.0.0");
    assert.equal(moved.sources[0].isAsPublished, false);
    const text = await get("explain/example.com/Big/m@v1.0.0");
    assert.match(text.body, /^example\.com\/Big\/m@v1\.0\.0\n/);
    assert.match(text.body, /^published +a copy of 20\d\d-.*, from proxy http/m);
    assert.match(text.body, /DIFFERS FROM THE PUBLISHED COPY/);
    assert.match(text.body, /^access of admin +allowed by clientAuth\.acl\[1\]$/m);
  });

  await t.step("a source that fails has its reason", async () => {
    using _rule = upstream.misbehave(/./, status(503));
    const told = await explain("example.com/Big/m@v1.0.0");
    assert.equal(told.sources[0].failed, "bad-upstream");
    assert.match(told.sources[0].reason, /answered status 503/);
    assert.match(told.published.zip.h1, /^h1:/);
  });

  await t.step("a private module has its own source, and no database", async () => {
    const told = await explain("git.example.com/lib@v1.0.0");
    assert.equal(told.privatePrefix, "git.example.com");
    assert.deepEqual(told.sources.map(({ source }: { source: string }) => source), [
      "git for git.example.com",
    ]);
    assert.equal(told.checksumDatabase, null);
  });

  await t.step("who may not read it may not ask", async () => {
    const ci = { user: "ci", password: "another-password" };
    assert.equal((await get("explain/git.example.com/lib@v1.0.0", ci)).status, 403);
    assert.equal((await get("explain/example.com/Big/m@v1.0.0", ci)).status, 200);
    const stranger = await fetch(`${server.url}/explain/example.com/Big/m@v1.0.0`);
    await stranger.body?.cancel();
    assert.equal(stranger.status, 401);
  });

  for (
    const bad of ["example.com/m", "example.com/m@latest", "m@@v1.0.0", "example.com/m@v2.0.0"]
  ) {
    await t.step(`${bad} is refused`, async () => {
      assert.equal((await get(`explain/${bad}`)).status, 404);
    });
  }

  await t.step("the command says the same, of all identities", async () => {
    const { code, stdout, stderr } = await runProgram(
      ["explain", "--json", ...args, "git.example.com/lib@v1.0.0"],
    );
    assert.equal(code, 0, stderr);
    const told = JSON.parse(stdout);
    assert.deepEqual(told.access, [
      { identity: "admin", isAllowed: true, rule: 1 },
      { identity: "ci", isAllowed: false, rule: 0 },
    ]);
    assert.equal(told.privatePrefix, "git.example.com");
    const text = await runProgram(["explain", ...args, "example.com/Big/m@v1.0.0"]);
    assert.match(text.stdout, /^zip +h1:.* bytes in the store$/m);
    const bad = await runProgram(["explain", ...args, "example.com/m"]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /not <module>@<version>/);
  });
});
