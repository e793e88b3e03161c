/**
 * Clients share git fairly: one that asks for many slow repositories takes nothing from another,
 * and what it has hung up on ends.
 */
import assert from "node:assert/strict";
import { GitServer } from "./fakes/git_server.ts";
import { eventually } from "./support/eventually.ts";
import { startServer } from "./worlds/server.ts";

const SLOW = 8;

Deno.test("a client with many slow repositories does not keep another from one", async () => {
  // Its first question says that the server speaks the old protocol; then git asks, and waits.
  const asked = new Set<string>();
  await using git = await GitServer.start({
    protocolV2: false,
    misbehave: ({ repo }) => {
      if (!repo.startsWith("slow") || !asked.has(repo)) {
        asked.add(repo);
        return null;
      }
      return "stall";
    },
  });
  const repositories = ["fine", ...Array.from({ length: SLOW }, (_, i) => `slow${i}`)];
  for (const name of repositories) {
    const repo = await git.createRepo(`${name}.git`);
    await repo.commit({ "go.mod": `module go.example.com/${name}\n` }, { tag: "v1.0.0" });
  }
  const dir = await Deno.makeTempDir({ prefix: "fair-" });
  try {
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      JSON.stringify({
        maxChildProcesses: 4,
        privateModules: repositories.map((name) => ({
          pathPrefix: `go.example.com/${name}`,
          repository: git.urlOf(`${name}.git`),
          auth: { none: true },
        })),
        clientAuth: {
          enabled: true,
          acl: [{ access: "allow" }],
          identities: [{ name: "eve", password: "e" }, { name: "alice", password: "a" }],
        },
      }),
    );
    await using server = await startServer({
      args: ["--config-file", `${dir}/config.yaml`],
      env: { GOPROXY: "off" },
    });
    const as = (user: string) => ({ Authorization: `Basic ${btoa(user)}` });
    const running = async () => {
      const response = await fetch(`${server.url}/metrics`, { headers: as("alice:a") });
      const page = await response.text();
      return Number(/^gomodproxy_git_processes_running (\d+)$/m.exec(page)?.[1]);
    };
    const eve = new AbortController();
    const held = Array.from(
      { length: SLOW },
      (_, i) =>
        fetch(`${server.url}/go.example.com/slow${i}/@v/list`, {
          headers: as("eve:e"),
          signal: eve.signal,
        }),
    );
    const hungUp = Promise.allSettled(held);
    await eventually("eve to have her share", async () => await running() === 3);
    const fine = await fetch(`${server.url}/go.example.com/fine/@v/list`, {
      headers: as("alice:a"),
      signal: AbortSignal.timeout(30_000),
    });
    assert.deepEqual([fine.status, await fine.text()], [200, "v1.0.0\n"]);
    assert.equal(await running(), 3, "eve's still wait");
    eve.abort();
    await hungUp;
    await eventually("git to end when nobody waits", async () => await running() === 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
