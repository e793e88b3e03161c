/**
 * The single file that `deno task compile` puts into the executables. The executables themselves
 * are not tested, because Deno downloads their runtime. The file runs outside the project, and git
 * gets its credentials from it.
 */
import assert from "node:assert/strict";
import { compileArguments, TARGETS } from "../tools/compile.ts";
import { GitServer } from "./fakes/git_server.ts";
import { denoDir, startFlags, startServer } from "./worlds/server.ts";
import { runCommand } from "./support/run_command.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const MODULE = "go.example.com/lib";

async function run(args: readonly string[], cwd: string) {
  return await runCommand(Deno.execPath(), {
    args: [...args],
    cwd,
    clearEnv: true,
    env: { HOME: cwd, DENO_DIR: await denoDir(), NO_COLOR: "1", PATH: Deno.env.get("PATH") ?? "" },
  });
}

Deno.test("each target is compiled with the permissions of the start task", async () => {
  for (const target of TARGETS) {
    assert.deepEqual(compileArguments(target, "dist/x"), [
      ...["compile", "--bundle", "--target", target],
      ...await startFlags(),
      ...["--output", "dist/x", "main.ts"],
    ]);
  }
});

Deno.test("the program works as one file", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "bundle-" });
  try {
    const bundle = `${directory}/main.js`;
    const built = await run(["bundle", "--platform", "deno", "--output", bundle, "main.ts"], ROOT);
    assert.equal(built.code, 0, built.stderr);
    const flags = ["--cached-only", ...await startFlags()];

    await t.step("its help names its subcommands, and each of them has help", async () => {
      const { code, stdout } = await run(["run", ...flags, bundle, "--help"], directory);
      assert.equal(code, 0);
      const names = [...stdout.matchAll(/^ {2}([a-z][a-z-]+)\b/gm)].map(([, name]) => name ?? "");
      for (const name of ["serve", "fsck", "import"]) assert.ok(names.includes(name), stdout);
      for (const name of names) {
        const help = await run(["run", ...flags, bundle, name, "--help"], directory);
        assert.equal(help.code, 0, name);
      }
    });

    await t.step("it serves a private module, for which git asks it", async () => {
      await using git = await GitServer.start({
        authorize: (_repo, _user, token) => token === "t",
      });
      const repository = await git.createRepo("team/lib.git");
      await repository.commit({ "go.mod": `module ${MODULE}\n` }, { tag: "v1.0.0" });
      await Deno.writeTextFile(
        `${directory}/config.yaml`,
        JSON.stringify({
          parentProxy: { url: "off" },
          privateModules: [{
            pathPrefix: MODULE,
            auth: { token: { envVar: "TOKEN" } },
            repository: git.urlOf("team/lib.git"),
          }],
        }),
      );
      await using server = await startServer({
        entry: bundle,
        args: ["--config-file", `${directory}/config.yaml`],
        env: { TOKEN: "t" },
      });
      const list = await fetch(`${server.url}/${MODULE}/@v/list`);
      assert.deepEqual([list.status, await list.text()], [200, "v1.0.0\n"]);
      assert.equal((await server.kill("SIGTERM")).code, 0);
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
