/**
 * What people do with a policy besides serving it: they see what it would break, try a change, and
 * audit what clients have in their caches.
 */
import assert from "node:assert/strict";
import { startUpstream } from "./fakes/upstream.ts";
import { runProgram, startServer } from "./worlds/server.ts";

const A = "example.com/a";
const B = "example.com/b";
const H1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const GO_SUM = [`${A} v1.0.0 ${H1}`, `${A} v1.2.0 ${H1}`, `${B} v1.0.0/go.mod ${H1}`, ""].join(
  "\n",
);
const SBOM = JSON.stringify({
  bomFormat: "CycloneDX",
  components: [
    { purl: `pkg:golang/${A}@v1.2.0?type=module`, components: [{ purl: "pkg:npm/x@1.0.0" }] },
    { purl: "pkg:golang/std@1.26.0" },
  ],
});

const config = (dir: string, rules: string) => `
storage: { disk: { path: ${dir}/data } }
publicModules: { sumDatabase: off }
usage: identities
clientAuth:
  enabled: true
  identities: [{ name: alice, password: a }, { name: bob, password: b }]
  acl: [{ identities: [alice], access: allow }, { modules: [${B}], access: allow }]
policy:
  rules:
${rules}
`;
const AUDIT =
  `    - { name: broken, modules: [${A}], versions: "1.2.0", action: deny, mode: audit }`;
const ENFORCED = `    - { name: broken, modules: [${A}], versions: "1.2.0", action: deny }`;
const EVERYTHING = `    - { name: closed, action: deny }`;

function as(user: string): RequestInit {
  return { headers: { Authorization: `Basic ${btoa(`${user}:${user[0]}`)}` } };
}

async function withDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const files = (path: string) => ({ "go.mod": `module ${path}\n`, "x.go": "package x\n" });

Deno.test("usage, report and try", () =>
  withDir(async (dir) => {
    const file = `${dir}/config.yaml`;
    await Deno.writeTextFile(file, config(dir, AUDIT));
    await Deno.writeTextFile(`${dir}/new.yaml`, config(dir, EVERYTHING));
    await using upstream = await startUpstream({
      modules: [
        { path: A, version: "v1.0.0", files: files(A) },
        { path: A, version: "v1.2.0", files: files(A) },
        { path: B, version: "v1.0.0", files: files(B) },
      ],
    });
    const env = { GOPROXY: upstream.url };
    {
      await using server = await startServer({
        args: ["--config-file", file, "--workers", "2"],
        env,
      });
      const get = async (user: string, path: string) => {
        using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
        const response = await fetch(`${server.url}/${path}`, { ...as(user), client });
        await response.bytes();
        return response.status;
      };
      for (let i = 0; i < 6; i++) assert.equal(await get("alice", `${A}/@v/v1.2.0.zip`), 200);
      assert.equal(await get("alice", `${A}/@v/v1.0.0.zip`), 200);
      assert.equal(await get("bob", `${B}/@v/v1.0.0.zip`), 200);
      assert.equal(await get("bob", `${A}/@v/v1.2.0.zip`), 403);
      // What is left of usage is written at the end.
      assert.equal((await server.kill()).code, 0);
    }
    const run = (...args: string[]) => runProgram([...args, "--config-file", file], { env });
    const report = await run("policy", "report");
    assert.equal(report.code, 0, report.stderr);
    assert.deepEqual(report.stdout.trimEnd().split("\n"), [
      "broken: deny, audit: 6 of 8 zips",
      `  ${A}@v1.2.0       6  alice`,
    ]);
    const json = JSON.parse((await run("policy", "report", "--json")).stdout);
    assert.equal(json.rules[0].versions[0].requests, 6);

    const tried = await run("policy", "try", `${dir}/new.yaml`);
    assert.equal(tried.code, 1, tried.stderr);
    assert.deepEqual(tried.stdout.trimEnd().split("\n").toSorted(), [
      "3 versions: 3 newly denied",
      `newly denied: ${A}@v1.0.0: closed, used by alice`,
      `newly denied: ${A}@v1.2.0: closed, used by alice`,
      `newly denied: ${B}@v1.0.0: closed, used by bob`,
    ]);
    await Deno.writeTextFile(`${dir}/go.sum`, GO_SUM);
    const same = await run("policy", "try", file, "--against", `${dir}/go.sum`);
    assert.deepEqual([same.code, same.stdout], [0, "2 versions: 0 newly denied\n"]);
  }));

Deno.test("audit asks a server about go.sum files and bills of materials", (t) =>
  withDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/config.yaml`, config(dir, ENFORCED));
    await Deno.writeTextFile(`${dir}/go.sum`, GO_SUM);
    await Deno.writeTextFile(`${dir}/sbom.json`, SBOM);
    await Deno.writeTextFile(`${dir}/bad.sum`, "x\n");
    await using upstream = await startUpstream({ modules: [] });
    await using server = await startServer({
      args: ["--config-file", `${dir}/config.yaml`],
      env: { GOPROXY: upstream.url },
    });
    const audit = async (user: string, ...args: string[]) => {
      const host = new URL(server.url).hostname;
      const netrc = `${dir}/netrc-${user}`;
      await Deno.writeTextFile(netrc, `machine ${host} login ${user} password ${user[0]}\n`);
      return await runProgram(["audit", "--proxy", server.url, ...args], {
        env: { NETRC: netrc, HOME: dir },
      });
    };

    await t.step("as text", async () => {
      const { code, stdout, stderr } = await audit("alice", `${dir}/go.sum`);
      assert.equal(code, 1, stderr);
      assert.deepEqual(stdout.trimEnd().split("\n"), [
        `${dir}/go.sum: not allowed: ${A}@v1.2.0: broken`,
        "2 versions: 1 not allowed, 0 with warnings",
      ]);
    });

    await t.step("of a bill of materials, as JSON", async () => {
      const { code, stdout, stderr } = await audit("alice", "--format", "json", `${dir}/sbom.json`);
      assert.equal(code, 1, stderr);
      const [{ verdicts }] = JSON.parse(stdout);
      assert.deepEqual(
        verdicts.map(({ module, rule }: { module: string; rule: string }) => [
          module,
          rule,
        ]),
        [[A, "broken"]],
      );
    });

    await t.step("as SARIF", async () => {
      const { stdout } = await audit("alice", "--format", "sarif", `${dir}/go.sum`);
      const { version, runs: [{ results }] } = JSON.parse(stdout);
      assert.equal(version, "2.1.0");
      const [{ ruleId, level, locations: [{ physicalLocation }] }] = results;
      assert.deepEqual([ruleId, level, physicalLocation.region.startLine], ["broken", "error", 2]);
    });

    await t.step("says nothing of what the client may not read", async () => {
      const { code, stdout, stderr } = await audit("bob", `${dir}/go.sum`);
      assert.equal(code, 0, stderr);
      assert.equal(
        stdout,
        "0 versions: 0 not allowed, 0 with warnings; 2 more may not be read by this client\n",
      );
    });

    await t.step("refuses what it cannot read", async () => {
      const { code, stderr } = await audit("alice", `${dir}/bad.sum`);
      assert.equal(code, 1);
      assert.match(stderr, /status 400: .*it has not three fields/);
    });
  }));
