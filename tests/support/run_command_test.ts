import assert from "node:assert/strict";
import { eventually } from "./eventually.ts";
import { runCommand } from "./run_command.ts";

Deno.test("runCommand() gives what a program wrote, and how it ended", async () => {
  const script = "cat; echo no >&2; exit 3";
  assert.deepEqual(await runCommand("sh", { args: ["-c", script], input: "yes" }), {
    code: 3,
    stdout: "yes",
    stderr: "no\n",
  });
});

Deno.test("runCommand() does not mind a program that does not read its input", async () => {
  const { code } = await runCommand("true", { input: new Uint8Array(1 << 20) });
  assert.equal(code, 0);
});

Deno.test("runCommand() kills a program at its deadline", async () => {
  const args = ["-c", "exec sleep 324.5"];
  await assert.rejects(
    runCommand("sh", { args, timeoutMs: 100 }),
    /^Error: Waited 0.1 s in vain for the end of "sh -c exec sleep 324.5"$/,
  );
  await eventually("the end of the program", async () => {
    const { stdout } = await runCommand("ps", { args: ["axww", "-o", "args="] });
    return !stdout.split("\n").includes("sleep 324.5");
  });
});
