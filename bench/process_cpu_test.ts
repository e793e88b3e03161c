import assert from "node:assert/strict";
import { cpuTime } from "./process_cpu.ts";
import { runCommand } from "../tests/support/run_command.ts";

Deno.test({
  name: "cpuTime() counts a child's child, once both have ended",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const before = await cpuTime();
    const count = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    await runCommand("sh", { args: ["-c", `sh -c '${count}'; true`] });
    const after = await cpuTime();
    assert.ok(before !== null && after !== null);
    assert.ok(after.childrenMs - before.childrenMs >= 20, JSON.stringify({ before, after }));
  },
});

Deno.test("cpuTime() of a process that does not exist is null", async () => {
  assert.equal(await cpuTime(2 ** 30), null);
});
