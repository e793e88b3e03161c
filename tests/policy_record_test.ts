/**
 * What a policy decides about zips is recorded once for each request, whichever thread answers: in
 * the access log at level info, and in the metrics.
 */
import assert from "node:assert/strict";
import { startUpstream } from "./fakes/upstream.ts";
import { eventually } from "./support/eventually.ts";
import { startServer } from "./worlds/server.ts";

/** Enough connections for each thread to get some. */
const VERSIONS = 16;
/** The first zip of a version is fetched, by the main thread; the others are in the store. */
const ROUNDS = 3;

const RULES = {
  denied: { action: "deny" },
  audited: { action: "deny", mode: "audit" },
  warned: { action: "warn" },
  allowed: { action: "allow" },
};

Deno.test("what a policy decides is recorded once for each request, on all threads", async (t) => {
  const names = Object.keys(RULES);
  const versions = Array.from({ length: VERSIONS }, (_, i) => `v1.${i}.0`);
  await using upstream = await startUpstream({
    modules: names.flatMap((name) =>
      versions.map((version) => ({
        path: `example.com/${name}`,
        version,
        files: { "go.mod": `module example.com/${name}\n`, "m.go": "package m\n" },
      }))
    ),
  });
  const dir = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  const rules = Object.entries(RULES).map(([name, rule]) => ({
    name,
    modules: [`example.com/${name}`],
    ...rule,
  }));
  const config = { publicModules: { sumDatabase: "off" }, policy: { rules } };
  await Deno.writeTextFile(`${dir}/config.yaml`, JSON.stringify(config));
  const server = stack.use(
    await startServer({
      args: ["--config-file", `${dir}/config.yaml`, "--workers", "3"],
      env: { GOPROXY: upstream.url },
    }),
  );
  const ask = async (path: string) => {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const response = await fetch(`${server.url}/example.com/${path}`, { client });
    await response.bytes();
    return response.status;
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      for (const version of versions) {
        assert.equal(await ask(`${name}/@v/${version}.zip`), name === "denied" ? 403 : 200);
      }
    }
  }
  assert.equal(await ask("denied/@latest"), 403);
  const page = await (await fetch(`${server.url}/metrics`)).text();

  for (const [name, rule] of Object.entries(RULES)) {
    const mode = "mode" in rule ? rule.mode : "enforce";
    const requests = VERSIONS * ROUNDS + (name === "denied" ? 1 : 0);
    await t.step(`${name}: the metric`, () => {
      const labels = `rule="${name}",action="${rule.action}",mode="${mode}"`;
      const line = page.split("\n").find((one) =>
        one.startsWith("gomodproxy_policy_decisions_total") && one.includes(labels)
      );
      assert.equal(line?.split(" ").at(-1), String(requests));
    });
    await t.step(`${name}: the access log`, async () => {
      const isOf = ({ msg, path }: Readonly<Record<string, unknown>>) =>
        msg === "request" && String(path).startsWith(`/example.com/${name}/`);
      await eventually("all lines", () => server.logs.filter(isOf).length >= requests);
      const lines = server.logs.filter(isOf);
      assert.equal(lines.length, requests);
      for (const { level, policy } of lines) {
        const { action } = rule;
        const isEnforced = mode === "enforce";
        assert.deepEqual(
          { level, policy },
          { level: "info", policy: { rule: name, action, isEnforced, reason: "" } },
        );
      }
    });
  }
});
