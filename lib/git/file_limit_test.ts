import assert from "node:assert/strict";
import { readFileLimit } from "./file_limit.ts";

Deno.test("readFileLimit() returns the limit of this process", async () => {
  const limit = await readFileLimit({ path: Deno.env.get("PATH") ?? "" });
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "ulimit -n"] }).output();
  const want = new TextDecoder().decode(stdout).trim();
  assert.equal(String(limit ?? "unlimited"), want);
});

Deno.test("readFileLimit() returns null without git", async () => {
  assert.equal(await readFileLimit({ path: "/var/empty" }), null);
});
