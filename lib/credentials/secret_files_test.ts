import assert from "node:assert/strict";
import { pathText } from "../schema/fault.ts";
import { secretFileWarnings } from "./secret_files.ts";

Deno.test("secretFileWarnings() finds files that every user can read", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "secret-files-" });
  const rows = [
    { name: "readable", mode: 0o644, want: true },
    { name: "by others alone", mode: 0o604, want: true },
    { name: "by a group", mode: 0o640, want: false },
    { name: "by its owner", mode: 0o600, want: false },
  ];
  const warningsOf = async (file: string) =>
    (await secretFileWarnings([
      { path: ["a"], secret: "text" },
      { path: ["b"], secret: { envVar: "X" } },
      { path: ["c"], secret: { file } },
    ], { directory })).map(({ path }) => pathText(path));
  try {
    await Deno.chmod(directory, 0o755);
    for (const { name, mode, want } of rows) {
      await Deno.writeTextFile(`${directory}/${name}`, "x");
      await Deno.chmod(`${directory}/${name}`, mode);
      await t.step(name, async () => assert.deepEqual(await warningsOf(name), want ? ["c"] : []));
    }
    await t.step("by a symbolic link", async () => {
      await Deno.symlink(`${directory}/readable`, `${directory}/link`);
      assert.deepEqual(await warningsOf("link"), ["c"]);
    });
    await t.step("what is missing", async () => assert.deepEqual(await warningsOf("nothing"), []));
    await t.step("in a folder that others may not enter", async () => {
      await Deno.chmod(directory, 0o750);
      assert.deepEqual(await warningsOf("readable"), []);
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
