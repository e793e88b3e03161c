import assert from "node:assert/strict";
import { openScratch } from "./scratch.ts";
import { within } from "../../tests/support/eventually.ts";

async function inTempDir(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map((entry) => entry.name);
}

Deno.test("openScratch() makes a directory that disposing removes", () =>
  inTempDir(async (parent) => {
    const scratch = await openScratch(`${parent}/a/b`);
    assert.ok((await Deno.stat(scratch.directory)).isDirectory);
    await scratch[Symbol.asyncDispose]();
    assert.deepEqual(names(`${parent}/a/b`), []);
  }));

Deno.test("openScratch() removes what a dead process left, and nothing else", () =>
  inTempDir(async (parent) => {
    await Deno.mkdir(`${parent}/run-dead`);
    await Deno.writeTextFile(`${parent}/run-dead/lock`, "");
    await Deno.writeTextFile(`${parent}/run-dead/module.zip`, "half");
    await Deno.mkdir(`${parent}/new-beginning`);
    await Deno.mkdir(`${parent}/somebody-else`);
    await using _scratch = await openScratch(parent);
    const left = names(parent).filter((name) => !/^run-[0-9a-f]{12}$/.test(name)).sort();
    assert.deepEqual(left, ["new-beginning", "somebody-else"]);
  }));

Deno.test("openScratch() leaves a living process's directory alone", () =>
  inTempDir(async (parent) => {
    const module = new URL("./scratch.ts", import.meta.url).href;
    const script = `
      import { openScratch } from ${JSON.stringify(module)};
      const scratch = await openScratch(${JSON.stringify(parent)});
      console.log(scratch.directory);
      await Deno.stdin.read(new Uint8Array(1));
    `;
    await using living = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = living.stdout.getReader();
    const directory = new TextDecoder().decode(
      (await within("the process to be ready", reader.read())).value,
    ).trim();
    await using _scratch = await openScratch(parent);
    assert.ok((await Deno.stat(directory)).isDirectory);
    living.kill("SIGKILL");
    await living.status;
    await reader.cancel();
    await living.stdin.abort().catch(() => {});
    await using _next = await openScratch(parent);
    await assert.rejects(Deno.stat(directory), Deno.errors.NotFound);
  }));

Deno.test("openScratch() without a directory makes one for its user alone, and removes it", async () => {
  const scratch = await openScratch(null);
  assert.equal(((await Deno.stat(scratch.parent)).mode ?? 0) & 0o777, 0o700);
  assert.ok(scratch.directory.startsWith(`${scratch.parent}/run-`));
  await scratch[Symbol.asyncDispose]();
  await assert.rejects(Deno.stat(scratch.parent), Deno.errors.NotFound);
});
