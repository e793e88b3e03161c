/**
 * The policy of a server with several threads, and of replicas that share a store: exceptions that
 * are recorded over HTTP are applied everywhere, and nothing answers otherwise meanwhile.
 */
import assert from "node:assert/strict";
import { REFRESH_MS } from "../lib/policy/exception_log.ts";
import { startUpstream } from "./fakes/upstream.ts";
import { eventually } from "./support/eventually.ts";
import { type Server, startServer } from "./worlds/server.ts";

const A = "example.com/a";
const ZIP = `${A}/@v/v1.2.0.zip`;
/** Enough connections for each thread to get some. */
const CONNECTIONS = 12;

const CONFIG = (dir: string) => `
storage: { disk: { path: ${dir}/data } }
publicModules: { sumDatabase: off }
clientAuth:
  enabled: true
  identities: [{ name: alice, password: a }, { name: bob, password: b }]
  acl: [{ access: allow }]
policy:
  approvers: [alice]
  rules:
    - { name: broken, modules: [${A}], versions: "1.2.0", action: deny }
`;

function as(user: string, init: RequestInit = {}): RequestInit {
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Basic ${btoa(`${user}:${user[0]}`)}`);
  return { ...init, headers };
}

/** The statuses of a path on new connections, each of which a thread accepts. */
async function statuses(servers: readonly Server[], path: string): Promise<number[]> {
  const found: number[] = [];
  for (const server of servers) {
    for (let i = 0; i < CONNECTIONS; i++) {
      using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
      const response = await fetch(`${server.url}/${path}`, { ...as("bob"), client });
      await response.bytes();
      found.push(response.status);
    }
  }
  return found;
}

const all = (status: number, found: readonly number[]) =>
  found.length > 0 && found.every((one) => one === status);

Deno.test("an exception is applied by all threads and replicas, and so is its end", async (t) => {
  const versions = ["v1.1.0", "v1.2.0"];
  await using upstream = await startUpstream({
    modules: versions.map((version) => ({
      path: A,
      version,
      files: { "go.mod": `module ${A}\n`, "a.go": "package a\n" },
    })),
  });
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/config.yaml`, CONFIG(dir));
  const start = () =>
    startServer({
      args: ["--config-file", `${dir}/config.yaml`, "--workers", "3"],
      env: { GOPROXY: upstream.url },
    });
  await using one = await start();
  await using two = await start();
  const both = [one, two];
  const exceptions = `${one.url}/-/policy/exceptions`;
  const post = (user: string, body: unknown, path = "") =>
    fetch(exceptions + path, as(user, { method: "POST", body: JSON.stringify(body) }));
  const exception = {
    modules: [A],
    rules: ["broken"],
    reason: "an outage",
    until: "2999-12-31",
    by: "bob",
  };

  await t.step("all threads withhold the version", async () => {
    const response = await fetch(`${one.url}/${ZIP}`, as("bob"));
    assert.equal(response.headers.get("X-Go-Mod-Proxy-Policy"), "broken");
    assert.match(await response.text(), /is not allowed by policy rule "broken"/);
    assert.ok(all(403, await statuses(both, ZIP)));
    assert.ok(all(200, await statuses(both, `${A}/@v/v1.2.0.info`)));
    const list = await fetch(`${two.url}/${A}/@v/list`, as("bob"));
    assert.equal(await list.text(), "v1.1.0\n");
    const latest = await fetch(`${two.url}/${A}/@latest`, as("bob"));
    assert.equal((await latest.json()).Version, "v1.1.0");
  });

  await t.step("only approvers record exceptions, and only complete ones", async () => {
    const denied = await post("bob", exception);
    assert.equal(denied.status, 403, await denied.text());
    for (const wrong of [{ ...exception, until: "soon" }, { ...exception, reason: "" }, [], "x"]) {
      const refused = await post("alice", wrong);
      assert.equal(refused.status, 400, await refused.text());
    }
  });

  await t.step("a recorded exception is applied everywhere", async () => {
    const recorded = await post("alice", exception);
    assert.equal(recorded.status, 201);
    const { number, recordedBy } = await recorded.json();
    assert.deepEqual([number, recordedBy], [0, "alice"]);
    assert.ok(all(200, await statuses([one], ZIP)), "the replica that has recorded it");
    await eventually("all replicas to apply it", async () => all(200, await statuses(both, ZIP)), {
      timeoutMs: 4 * REFRESH_MS,
    });
    const listed = await fetch(`${two.url}/-/policy/exceptions`, as("bob"));
    assert.equal((await listed.json())[0].exception.reason, "an outage");
  });

  await t.step("so is its end", async () => {
    const revoked = await post("alice", {}, "/0/revoke");
    assert.equal(revoked.status, 200, await revoked.text());
    assert.ok(all(403, await statuses([one], ZIP)));
    await eventually("all replicas to apply it", async () => all(403, await statuses(both, ZIP)), {
      timeoutMs: 4 * REFRESH_MS,
    });
  });
  await Deno.remove(dir, { recursive: true });
});
