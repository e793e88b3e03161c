import assert from "node:assert/strict";

Deno.test("CredentialServer passes tests/suites/credential_server_suite.ts", async () => {
  const suite = new URL("../../tests/suites/credential_server_suite.ts", import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--quiet", "--no-prompt", "--allow-net", "--allow-read", "--allow-write"],
      ...["--allow-env", "--allow-sys", "--allow-run", suite],
    ],
  }).output();
  assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
});
