import assert from "node:assert/strict";
import { runCommand } from "../../tests/support/run_command.ts";

const SUITE_TIMEOUT_MS = 300_000;

Deno.test("CredentialServer passes tests/suites/credential_server_suite.ts", async () => {
  const suite = new URL("../../tests/suites/credential_server_suite.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await runCommand(Deno.execPath(), {
    args: [
      ...["test", "--quiet", "--no-prompt", "--allow-net", "--allow-read", "--allow-write"],
      ...["--allow-env", "--allow-sys", "--allow-run", suite],
    ],
    timeoutMs: SUITE_TIMEOUT_MS,
  });
  assert.equal(code, 0, stdout + stderr);
});
