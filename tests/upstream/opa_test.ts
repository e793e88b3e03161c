/**
 * Open Policy Agent as the hook of a policy: its decisions, and their reasons and ends, reach the
 * client, by the client's identity; where it has no such document, or is down, nothing is decided.
 *
 * `OPA=FILE` names an executable, which is otherwise built from the upstream of this machine
 * (`go env GOPROXY`), in some minutes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startUpstream } from "../fakes/upstream.ts";
import { eventually } from "../support/eventually.ts";
import { goTest } from "../support/go_command.ts";
import { report } from "../support/report.ts";
import { kill, runCommand } from "../support/run_command.ts";
import { type Server, startServer } from "../worlds/server.ts";

const VERSION = "v1.22.4";
const BUILD_TIMEOUT_MS = 900_000;

const POLICY = `
package gomod

default decision := {"allow": true}

decision := {"allow": false, "reason": sprintf("%s is not vetted", [input.module])} if {
	input.module == "example.com/bad"
	input.identity != "alice"
}

decision := {"allow": false, "reason": "wait for it", "until": "2999-12-31T00:00:00Z"} if {
	input.module == "example.com/good"
	input.version == "v1.1.0"
}

default allow := false

allow if input.module == "example.com/good"
`;

async function opa(directory: string): Promise<string | null> {
  const given = Deno.env.get("OPA");
  if (given !== undefined) return given;
  const { code, stderr } = await runCommand("go", {
    args: ["install", `github.com/open-policy-agent/opa@${VERSION}`],
    env: { GOBIN: directory },
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  if (code === 0) return join(directory, "opa");
  assert.notEqual(Deno.env.get("CI"), "true", stderr);
  report(`SKIP: OPA ${VERSION} cannot be built: ${stderr.trim().split("\n").at(-1)}`);
  return null;
}

/** OPA on a port that was free a moment ago. */
async function serve(program: string, policy: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = `http://127.0.0.1:${port}`;
  const process = new Deno.Command(program, {
    args: ["run", "--server", "--disable-telemetry", "--addr", `127.0.0.1:${port}`, policy],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually("OPA to answer", () =>
    fetch(`${url}/health`).then(async (response) => {
      await response.body?.cancel();
      return response.ok;
    }, () => false));
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      kill(process);
      await process.status;
    },
  };
}

async function ask(server: Server, user: string, path: string) {
  const response = await fetch(`${server.url}/example.com/${path}`, {
    headers: { Authorization: `Basic ${btoa(`${user}:${user}-pass`)}` },
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

goTest("Open Policy Agent decides about zips", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "opa-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const program = await opa(directory);
  if (program === null) return;
  const modules = [["good", "v1.0.0"], ["good", "v1.1.0"], ["bad", "v1.0.0"]].map((
    [name = "", version = ""],
  ) => ({
    path: `example.com/${name}`,
    version,
    files: { "go.mod": `module example.com/${name}\n`, "m.go": "package m\n" },
  }));
  const upstream = stack.use(await startUpstream({ modules }));
  const policy = join(directory, "policy.rego");
  await Deno.writeTextFile(policy, POLICY);
  await using agent = await serve(program, policy);
  let started = 0;
  const startWith = async (document: string) => {
    const config = join(directory, `config-${started++}.yaml`);
    await Deno.writeTextFile(
      config,
      JSON.stringify({
        publicModules: { sumDatabase: "off" },
        clientAuth: {
          enabled: true,
          acl: [{ access: "allow" }],
          identities: ["alice", "bob"].map((name) => ({ name, password: `${name}-pass` })),
        },
        policy: {
          hook: { kind: "opa", url: `${agent.url}/v1/data/gomod/${document}`, timeout: "5s" },
        },
      }),
    );
    return stack.use(
      await startServer({ args: ["--config-file", config], env: { GOPROXY: upstream.url } }),
    );
  };

  const server = await startWith("decision");
  await t.step("by module and client, with its reason", async () => {
    assert.equal((await ask(server, "alice", "bad/@v/v1.0.0.zip")).status, 200);
    const { status, text } = await ask(server, "bob", "bad/@v/v1.0.0.zip");
    assert.equal(status, 403);
    assert.match(text, /policy rule "hook"\nexample\.com\/bad is not vetted\n/);
    assert.equal((await ask(server, "bob", "good/@v/v1.0.0.zip")).status, 200);
  });

  await t.step("with an end", async () => {
    const { status, text } = await ask(server, "alice", "good/@v/v1.1.0.zip");
    assert.equal(status, 403);
    assert.match(text, /\nwait for it\nallowed from 2999-12-31 00:00 UTC\n/);
  });

  await t.step("by a document that is a boolean", async () => {
    const plain = await startWith("allow");
    assert.equal((await ask(plain, "bob", "good/@v/v1.1.0.zip")).status, 200);
    assert.equal((await ask(plain, "alice", "bad/@v/v1.0.0.zip")).status, 403);
  });

  await t.step("a document that it does not have decides nothing", async () => {
    const missing = await startWith("missing");
    const { status, text } = await ask(missing, "bob", "good/@v/v1.0.0.zip");
    assert.equal(status, 503);
    assert.match(text, /^Cannot determine the decision that the policy asks for: /);
  });

  await t.step(
    "when it is down, what it has decided holds, and nothing else is decided",
    async () => {
      const unasked = await startWith("decision");
      await agent[Symbol.asyncDispose]();
      assert.equal((await ask(server, "bob", "bad/@v/v1.0.0.zip")).status, 403);
      const { status, headers } = await ask(unasked, "bob", "bad/@v/v1.0.0.zip");
      assert.equal(status, 503);
      assert.equal(headers.get("Retry-After"), "30");
      assert.equal((await ask(unasked, "bob", "bad/@v/v1.0.0.info")).status, 200);
      assert.equal((await ask(unasked, "bob", "bad/@v/list")).text, "v1.0.0\n");
    },
  );
});
