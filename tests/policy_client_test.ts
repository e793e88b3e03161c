/** The `go` command under a policy. upstream/policy_client_test.ts does the same with Go 1.21. */
import { goTest } from "./support/go_command.ts";
import { policyClientSuite } from "./suites/policy_client.ts";

goTest("the go command meets a policy", async (t) => await policyClientSuite(t));
