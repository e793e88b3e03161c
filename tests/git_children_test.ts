/**
 * The gits of a server: they end with it, also when it is killed, and their memory is limited.
 */
import assert from "node:assert/strict";
import { Semaphore } from "../lib/async/semaphore.ts";
import { Git, MAX_MEMORY_BYTES } from "../lib/git/command.ts";
import { GitError } from "../lib/git/errors.ts";
import { GitServer } from "./fakes/git_server.ts";
import { eventually } from "./support/eventually.ts";
import { runCommand } from "./support/run_command.ts";
import { startServer } from "./worlds/server.ts";
import { TestMirrors, testRemote } from "./worlds/mirrors.ts";

const MIB = 2 ** 20;
const RUN = { what: "test git", timeoutMs: 30_000, maxOutputBytes: MIB };

/** The processes that have `text` in their command line or environment. */
async function processesWith(text: string): Promise<string[]> {
  const { stdout } = await runCommand("ps", { args: ["axeww", "-o", "pid=,args="] });
  return stdout.split("\n").filter((line) => line.includes(text) && !line.includes("ps axeww"));
}

Deno.test("a server that is killed while git fetches leaves no git behind", async () => {
  await using git = await GitServer.start({ protocolV2: false });
  const repo = await git.createRepo("lib.git");
  await repo.commit({ "go.mod": "module go.example.com/lib\n" }, { tag: "v1.0.0" });
  const dir = await Deno.makeTempDir({ prefix: "children-" });
  const scratch = `${dir}/scratch`;
  try {
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      JSON.stringify({
        privateModules: [{
          pathPrefix: "go.example.com/lib",
          repository: git.urlOf("lib.git"),
          auth: { none: true },
        }],
      }),
    );
    const args = ["--config-file", `${dir}/config.yaml`, "--scratch-dir", scratch];
    const options = { args, env: { GOPROXY: "off" } };
    {
      await using server = await startServer(options);
      // The refs are listed, the pack never comes.
      git.misbehave = ({ method }) => method === "POST" ? "stall" : null;
      const broken = assert.rejects(fetch(`${server.url}/go.example.com/lib/@v/v1.0.0.info`));
      await eventually(
        "git to wait for the pack",
        async () =>
          git.requests.some(({ method }) => method === "POST") &&
          (await processesWith(scratch)).some((line) => line.includes("git-remote-http")),
      );
      await server.kill("SIGKILL");
      await broken;
    }
    await eventually(
      "git to end with its server",
      async () => (await processesWith(scratch)).length === 0,
    );
    git.misbehave = () => null;
    await using next = await startServer(options);
    const info = await fetch(`${next.url}/go.example.com/lib/@v/v1.0.0.info`);
    assert.equal(info.status, 200, await info.text());
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a large file is packed and fetched in little memory", async () => {
  await using server = await GitServer.start();
  const repo = await server.createRepo("large.git");
  // More than one piece of memory of a heavy git may be.
  const zeros = new Uint8Array(MAX_MEMORY_BYTES.heavy / 2 + MIB);
  await repo.commit({ "go.mod": "module x.y/r\n", zeros }, { tag: "v1.0.0" });
  await using started = await TestMirrors.start();
  await using lease = await started.mirrors.open(testRemote(server.urlOf("large.git")));
  const refs = await lease.repository.refs();
  const hash = refs.get("refs/tags/v1.0.0");
  assert.ok(hash !== undefined);
  const snapshot = await lease.repository.snapshot(refs, hash);
  assert.ok(snapshot !== null);
  const pack = async (facts: { isConverted: boolean; largestFileBytes: number }) => {
    let sizeBytes = 0;
    for await (const chunk of snapshot.archive("", facts)) sizeBytes += chunk.length;
    return sizeBytes;
  };
  assert.ok(await pack({ isConverted: false, largestFileBytes: 0 }) > zeros.length);
  const held = pack({ isConverted: true, largestFileBytes: 0 });
  await assert.rejects(held, (error) => {
    assert.ok(error instanceof GitError);
    assert.match(error.stderr, /over limit/);
    return true;
  });
  assert.ok(await pack({ isConverted: true, largestFileBytes: zeros.length }) > zeros.length);
});

Deno.test("a heavy git and its helpers have a limit of memory", async () => {
  const folder = await Deno.makeTempDir({ prefix: "memory-" });
  try {
    const turns = (permits: number) =>
      new Semaphore({ what: "start git", permits, maxWaiting: 8, maxWaitMs: 50 });
    const memory = { heavy: turns(1), huge: turns(1) };
    const environment = { path: Deno.env.get("PATH") ?? "" };
    await using git = new Git({
      environment,
      emptyDirectory: folder,
      processes: turns(4),
      memory,
    });
    const limit = ["-c", "alias.x=!ulimit -S -d", "x"];
    const { stdout } = await git.run(limit, RUN);
    const want = `${MAX_MEMORY_BYTES.heavy / 1024}\n`;
    assert.equal(new TextDecoder().decode(stdout), want);

    const reader = git.stream(["-c", "alias.x=!yes", "x"], RUN).getReader();
    await reader.read();
    await assert.rejects(git.run(["version"], { ...RUN, memory: "heavy" }), /no turn/);
    assert.equal((await git.run(["version"], { ...RUN, memory: "light" })).exitCode, 0);
    await reader.cancel();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
