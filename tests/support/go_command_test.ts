import assert from "node:assert/strict";
import { stall } from "../fakes/behaviours.ts";
import { goCommand, goTest } from "./go_command.ts";
import { startUpstream } from "../fakes/upstream.ts";
import { runCommand } from "./run_command.ts";

goTest("goCommand() sees nothing of the machine's configuration", async () => {
  await using go = await goCommand({ proxy: "off", env: { GOPRIVATE: "example.com/*" } });
  const names = ["GOPROXY", "GOSUMDB", "GOPRIVATE", "GOTOOLCHAIN", "GOMODCACHE"];
  const { stdout, stderr } = await go.run(["env", ...names]);
  const want = ["off", "off", "example.com/*", "local", go.moduleCache];
  assert.deepEqual(stdout.trim().split("\n"), want, stderr);
});

goTest("run() ends a command at its deadline", async () => {
  await using upstream = await startUpstream();
  const held = stall();
  upstream.misbehave(/./, held.behaviour);
  await using go = await goCommand({ proxy: upstream.url });
  await assert.rejects(
    go.run(["list", "-m", "example.com/a@v1.0.0"], { deadlineMs: 200 }),
    /Cannot end "go list -m example\.com\/a@v1\.0\.0" in 200 ms/,
  );
  await held.arrived;
});

goTest("a disposed command leaves nothing behind", async () => {
  let home = "";
  {
    await using upstream = await startUpstream({
      modules: [{
        path: "example.com/a",
        version: "v1.0.0",
        files: { "go.mod": "module example.com/a\n" },
      }],
    });
    await using go = await goCommand({ proxy: upstream.url });
    await go.run(["mod", "download", "example.com/a@v1.0.0"]);
    home = (await go.run(["env", "GOPATH"])).stdout.trim();
    assert.ok((await Deno.stat(`${home}/pkg/mod/example.com/a@v1.0.0/go.mod`)).isFile);
  }
  await assert.rejects(Deno.stat(home), Deno.errors.NotFound);
});

Deno.test("goTest() without go says SKIP, and fails in CI", async (t) => {
  const dir = await Deno.makeTempDir();
  try {
    const module = new URL("./go_command.ts", import.meta.url).href;
    const file = `${dir}/some_test.ts`;
    await Deno.writeTextFile(
      file,
      `import { goTest } from ${JSON.stringify(module)};\ngoTest("needs go", () => {});\n`,
    );
    const rows = [
      { ci: "", code: 0, output: /needs go \(SKIP: no go command in PATH; install Go/ },
      { ci: "true", code: 1, output: /Cannot run this test: no go command in PATH; install Go/ },
    ];
    for (const { ci, code, output } of rows) {
      await t.step(`CI=${ci}`, async () => {
        const result = await runCommand(Deno.execPath(), {
          args: ["test", "--no-check", "--no-config", "--allow-env", "--allow-run", file],
          env: { PATH: dir, CI: ci, NO_COLOR: "1" },
        });
        assert.equal(result.code, code, result.stdout);
        assert.match(result.stdout, output);
      });
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
