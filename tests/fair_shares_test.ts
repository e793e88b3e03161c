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

const PAGES = "pages.example.com";
const FLOOD = ["eve", "mallory", "trudy", "oscar"];

Deno.test("a flood of public modules does not keep a client from a private one", async () => {
  // The server asks twice what a repository has; then git asks, and waits.
  const asked = new Map<string, number>();
  await using git = await GitServer.start({
    protocolV2: false,
    misbehave: ({ repo }) => {
      const count = (asked.get(repo) ?? 0) + 1;
      asked.set(repo, count);
      return repo.startsWith("public") && count > 2 ? "stall" : null;
    },
  });
  const publicNames = FLOOD.flatMap((user) => [0, 1].map((i) => `public-${user}${i}`));
  for (const name of ["lib", ...publicNames]) {
    const repo = await git.createRepo(`${name}.git`);
    await repo.commit({ "m.go": "package m\n" }, { tag: "v1.0.0" });
  }
  // The pages of public modules, which the server reads through a forward proxy.
  await using pages = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) => {
      const name = new URL(url).pathname.slice(1);
      const content = `${PAGES}/${name} git ${git.urlOf(`${name}.git`)}`;
      return new Response(`<meta name="go-import" content="${content}">`);
    },
  );
  const { host } = new URL(git.url);
  const dir = await Deno.makeTempDir({ prefix: "reserved-" });
  try {
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      JSON.stringify({
        maxChildProcesses: 4,
        limits: { reservedForPrivate: 1 },
        insecureHosts: [PAGES, host],
        egress: { allow: [host] },
        publicModules: { sumDatabase: "off" },
        privateModules: [{
          pathPrefix: "go.example.com/lib",
          repository: git.urlOf("lib.git"),
          auth: { none: true },
        }],
        clientAuth: {
          enabled: true,
          acl: [
            { identities: ["alice"], access: "allow" },
            { access: "deny", modules: ["go.example.com/lib"] },
            { access: "allow" },
          ],
          identities: [...FLOOD, "alice"].map((name) => ({ name, password: name })),
        },
      }),
    );
    await using server = await startServer({
      args: ["--config-file", `${dir}/config.yaml`],
      env: {
        GOPROXY: "direct",
        HTTP_PROXY: `http://127.0.0.1:${pages.addr.port}`,
        NO_PROXY: "127.0.0.1",
      },
    });
    const as = (user: string) => ({ Authorization: `Basic ${btoa(`${user}:${user}`)}` });
    const processes = async () => {
      const response = await fetch(`${server.url}/metrics`, { headers: as("alice") });
      const page = await response.text();
      return ["running", "waiting"].map((what) =>
        Number(new RegExp(`^gomodproxy_git_processes_${what} (\\d+)$`, "m").exec(page)?.[1])
      );
    };
    const hangUp = new AbortController();
    const flood = Promise.allSettled(
      FLOOD.flatMap((user) =>
        [0, 1].map((i) =>
          fetch(`${server.url}/${PAGES}/public-${user}${i}/@v/list`, {
            headers: as(user),
            signal: hangUp.signal,
          })
        )
      ),
    );
    await eventually("all that others may have to be taken, with a queue", async () => {
      const [running, waiting = 0] = await processes();
      return running === 3 && waiting > 0;
    });
    for (const file of ["list", "v1.0.0.info", "v1.0.0.zip"]) {
      const answer = await fetch(`${server.url}/go.example.com/lib/@v/${file}`, {
        headers: as("alice"),
        signal: AbortSignal.timeout(30_000),
      });
      await answer.body?.cancel();
      assert.equal(answer.status, 200, file);
    }
    const [running, waiting = 0] = await processes();
    assert.equal(running, 3, "the flood still has what it had");
    assert.ok(waiting > 0, "and waits for more");
    hangUp.abort();
    await flood;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
