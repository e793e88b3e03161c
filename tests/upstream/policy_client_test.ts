/**
 * The `go` command of Go 1.21, the oldest that may be used with this server, under a policy: as
 * ../policy_client_test.ts does with the one of this machine. The toolchain is from the upstream of
 * this machine (`go env GOPROXY`). Where it cannot be had, this test says SKIP and why, and fails
 * with `CI=true`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { goTest } from "../support/go_command.ts";
import { report } from "../support/report.ts";
import { runCommand } from "../support/run_command.ts";
import { policyClientSuite } from "../suites/policy_client.ts";

const TOOLCHAIN = "go1.21.13";
const DOWNLOAD_TIMEOUT_MS = 300_000;

goTest(`the go command of ${TOOLCHAIN} meets a policy`, async (t) => {
  const { code, stdout, stderr } = await runCommand("go", {
    args: ["env", "GOROOT"],
    env: { GOTOOLCHAIN: TOOLCHAIN },
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  if (code !== 0) {
    assert.notEqual(Deno.env.get("CI"), "true", stderr);
    report(`SKIP: there is no ${TOOLCHAIN}: ${stderr.trim()}`);
    return;
  }
  const env = { PATH: `${join(stdout.trim(), "bin")}:${Deno.env.get("PATH") ?? ""}` };
  const version = await runCommand("go", {
    args: ["version"],
    env: { ...env, GOTOOLCHAIN: "local" },
  });
  assert.ok(version.stdout.startsWith(`go version ${TOOLCHAIN} `), version.stdout + version.stderr);
  await policyClientSuite(t, { env });
});
