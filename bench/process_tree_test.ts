import assert from "node:assert/strict";
import {
  MemoryPeak,
  parseStat,
  treeCpuMs,
  treeHighWaterBytes,
  treeMemoryBytes,
} from "./process_tree.ts";
import { within } from "../tests/support/eventually.ts";

Deno.test("parseStat() takes any program's name", async (t) => {
  const fields = "S 12 7 7 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 999";
  for (const name of ["sh", "a b", "a) R 1 (b", "42"]) {
    await t.step(name, () => {
      assert.deepEqual(parseStat(`42 (${name}) ${fields}`), { pid: 42, parent: 12, cpuMs: 43_300 });
    });
  }
});

const ignore = Deno.build.os !== "linux";

Deno.test("a tree is a process and its descendants", { ignore }, async () => {
  // The outer shell waits, so that all of it is the child's: some CPU time and 20 MB.
  const script = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); echo ready; read -r line";
  const process = new Deno.Command("sh", {
    args: ["-c", `sh -c "$0"; true`, script],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  await using peak = new MemoryPeak(process.pid);
  await within("the shell to be ready", process.stdout.getReader().read());
  assert.ok((await treeCpuMs(process.pid) ?? 0) >= 10);
  assert.ok((await treeMemoryBytes(process.pid) ?? 0) > 20e6);
  assert.ok((await treeHighWaterBytes(process.pid) ?? 0) > 20e6);
  assert.ok(await peak.stop() > 20e6);
  await process.stdin.close();
  await within("the end of the shell", process.status);
});

Deno.test("a process tree that does not exist is null", async () => {
  assert.equal(await treeCpuMs(2 ** 30), null);
  assert.equal(await treeMemoryBytes(2 ** 30), null);
  assert.equal(await treeHighWaterBytes(2 ** 30), null);
});
