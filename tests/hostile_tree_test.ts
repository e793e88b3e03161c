/**
 * A repository of a few objects that unfold to very many files: one tree for each level, whose
 * entries are all the same tree of the next. It is refused at the limit of its listing, not after
 * all of it, whatever the limit is exceeded by.
 */
import assert from "node:assert/strict";
import { GitServer } from "./fakes/git_server.ts";
import { eventually } from "./support/eventually.ts";
import { runCommand } from "./support/run_command.ts";
import type { TestRepo } from "./worlds/git_repo.ts";
import { type Server, startServer } from "./worlds/server.ts";

const MIB = 2 ** 20;
/** What the server needs beyond its idle memory; all names of the deepest tree have 780 MB. */
const MAX_GROWTH_BYTES = 400 * MIB;
const TIMEOUT_MS = 60_000;

interface Unfolding {
  readonly name: string;
  readonly width: number;
  readonly depth: number;
  readonly nameChars: number;
  readonly want: RegExp;
}

const UNFOLDINGS: readonly Unfolding[] = [
  {
    name: "9^6 files with names of 240 characters",
    ...{ width: 9, depth: 6, nameChars: 240 },
    want:
      /^Cannot read the files of [0-9a-f]{40}: larger than 67108864 bytes \(limit: git tree\)$/m,
  },
  {
    name: "30^4 files with names of 2 characters",
    ...{ width: 30, depth: 4, nameChars: 2 },
    want: /^Cannot read the files of [0-9a-f]{40}: more than 500000 entries \(limit: git tree\)$/m,
  },
  {
    name: "9^20 files",
    ...{ width: 9, depth: 20, nameChars: 1 },
    want: /^Cannot read the files of [0-9a-f]{40}: .*\(limit: git tree\)$/m,
  },
];

/** Tags a commit of such a tree. */
async function unfold(
  repo: TestRepo,
  { width, depth, nameChars }: Pick<Unfolding, "width" | "depth" | "nameChars">,
): Promise<void> {
  let object = `100644 blob ${await repo.git(["hash-object", "-w", "--stdin"], new Uint8Array())}`;
  for (let level = 0; level < depth; level++) {
    const entries = Array.from(
      { length: width },
      (_, i) =>
        `${object}\t${String.fromCharCode(97 + i % 26).repeat(nameChars)}${i >= 26 ? "2" : ""}\n`,
    );
    const tree = await repo.git(["mktree"], new TextEncoder().encode(entries.join("")));
    object = `040000 tree ${tree}`;
  }
  const [, , tree = ""] = object.split(" ");
  const commit = await repo.git(["commit-tree", "-m", "unfold", tree]);
  await repo.setRef("refs/heads/main", commit);
  await repo.tag("v1.0.0", commit);
}

async function residentBytes({ pid }: Server): Promise<number> {
  // Tests may not read /proc themselves.
  const { stdout } = await runCommand("cat", { args: [`/proc/${pid}/status`] });
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(stdout)?.[1]) * 1024;
}

/** The most that the server takes while `work` is done, beyond what it took before. */
async function growthBytes(server: Server, work: () => Promise<void>): Promise<number> {
  const before = await residentBytes(server);
  let most = before;
  const probe = setInterval(async () => {
    most = Math.max(most, await residentBytes(server));
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(probe);
  }
  return most - before;
}

Deno.test({
  name: "a tree that unfolds to very many files is refused at the limit",
  ignore: Deno.build.os !== "linux", // SKIP: no /proc to read the memory from
  fn: async (t) => {
    await using git = await GitServer.start();
    for (const [i, unfolding] of UNFOLDINGS.entries()) {
      await unfold(await git.createRepo(`bomb${i}.git`), unfolding);
    }
    const fine = await git.createRepo("fine.git");
    await fine.commit({ "m.go": "package m\n" }, { tag: "v1.0.0" });
    const dir = await Deno.makeTempDir({ prefix: "tree-" });
    try {
      const names = ["fine", ...UNFOLDINGS.keys().map((i) => `bomb${i}`)];
      await Deno.writeTextFile(
        `${dir}/config.yaml`,
        JSON.stringify({
          privateModules: names.map((name) => ({
            pathPrefix: `go.example.com/${name}`,
            repository: git.urlOf(`${name}.git`),
            auth: { none: true },
          })),
        }),
      );
      await using server = await startServer({
        args: ["--config-file", `${dir}/config.yaml`],
        env: { GOPROXY: "off" },
      });
      const ask = async (name: string) => {
        const response = await fetch(`${server.url}/go.example.com/${name}/@v/v1.0.0.zip`, {
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        return { status: response.status, body: await response.text() };
      };
      for (const [i, { name, want }] of UNFOLDINGS.entries()) {
        await t.step(name, async () => {
          const growth = await growthBytes(server, async () => {
            const { status, body } = await ask(`bomb${i}`);
            assert.equal(status, 502, body);
            assert.match(body, want);
          });
          assert.ok(growth < MAX_GROWTH_BYTES, `it took ${Math.round(growth / MIB)} MiB`);
          await eventually("git to end", async () => {
            const page = await (await fetch(`${server.url}/metrics`)).text();
            return /^gomodproxy_git_processes_running 0$/m.test(page);
          });
        });
      }
      await t.step("and others are served", async () => {
        assert.equal((await ask("fine")).status, 200);
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
