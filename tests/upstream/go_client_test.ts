/**
 * The real `go` command and real modules: more than 200 of them, and a toolchain, through this
 * server, from the upstream of this machine (`go env GOPROXY`), with the machine's own GOSUMDB.
 * Then again with the upstream switched off. The command itself can reach nothing but this server.
 *
 * It needs the network and downloads some 300 MB, so it has its own task:
 * `deno task test:upstream`. Where the upstream cannot be reached it says SKIP, and fails with
 * `CI=true`. Branches and commits are tested on loopback alone (../go_client_test.ts), because not
 * every upstream answers them.
 */
import assert from "node:assert/strict";
import { type GoCommand, goCommand, goTest } from "../support/go_command.ts";
import { type Server, startServer } from "../worlds/server.ts";
import { report } from "../support/report.ts";
import { runCommand } from "../support/run_command.ts";

/**
 * A program whose graph has 229 modules, of all ages and shapes, among them zips of up to 30 MB.
 */
const PROGRAM = "github.com/prometheus/prometheus@v0.305.0";
const MIN_MODULES = 200;
/** Of some 20 kB each. */
const SMALL_MODULES = ["sync", "mod", "term", "time"].map((name) => `golang.org/x/${name}`);
const VERSIONS_EACH = 30;
const MIN_LOOKUPS = 300;
const TOOLCHAIN = "go1.25.5";

async function goEnv(name: string): Promise<string> {
  return (await runCommand("go", { args: ["env", name] })).stdout.trim();
}

/** How this machine reaches the outside. */
function networkEnv(): Record<string, string> {
  const names = ["SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
  const entries = names.map((name) => [name, Deno.env.get(name)] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

async function succeed(go: GoCommand, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await go.run(args, { deadlineMs: 600_000 });
  assert.equal(code, 0, `go ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** The paths of all records that clients were given. */
function lookupsAt({ logs }: Server): Set<unknown> {
  const paths = logs.filter(({ status }) => status === 200).map(({ path }) => String(path));
  return new Set(paths.filter((path) => /^\/sumdb\/.*\/lookup\//.test(path)));
}

const MAIN = { "go.mod": "module example.com/main\n\ngo 1.24\n" };

goTest("real modules come through this server, and again with the upstream off", async (t) => {
  const [proxy, sumdb] = [await goEnv("GOPROXY"), await goEnv("GOSUMDB")];
  const directory = await Deno.makeTempDir({ prefix: "upstream-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  // Nothing listens on the discard port. A proxy is not asked for what is on this machine.
  const closed = { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" };
  const newGo = async (url: string) =>
    stack.use(await goCommand({ proxy: url, sumdb, files: MAIN, env: closed }));
  let goSum = "";
  let goMod = "";
  const small: string[] = [];

  {
    const env = { ...networkEnv(), GOPROXY: proxy };
    await using server = await startServer({ dir: directory, env });
    const go = await newGo(server.url);

    await t.step("a graph of more than 200 modules", async () => {
      await succeed(go, "get", PROGRAM);
      const downloaded = await succeed(go, "mod", "download", "-json", "all");
      assert.ok((downloaded.match(/"Sum": "h1:/g)?.length ?? 0) > MIN_MODULES);
      assert.match(await succeed(go, "mod", "verify"), /^all modules verified$/m);
      goSum = await Deno.readTextFile(`${go.dir}/go.sum`);
      goMod = await Deno.readTextFile(`${go.dir}/go.mod`);
    });

    await t.step(
      "older versions of small modules, to have more of the checksum database",
      async () => {
        const lists = await succeed(go, "list", "-m", "-versions", ...SMALL_MODULES);
        for (const line of lists.trim().split("\n")) {
          const [path, ...versions] = line.split(" ");
          small.push(...versions.slice(0, VERSIONS_EACH).map((version) => `${path}@${version}`));
        }
        await succeed(go, "mod", "download", ...small);
      },
    );

    await t.step("each was verified with the checksum database", () => {
      const looked = lookupsAt(server);
      report(`${looked.size} different lookups`);
      assert.ok(looked.size > MIN_LOOKUPS);
      const versions = goSum.trim().split("\n").map((line) => line.split(/\/go\.mod | h1:/)[0]);
      assert.ok(looked.size > new Set(versions).size);
    });

    await t.step("versions and latest", async () => {
      const versions = await succeed(go, "list", "-m", "-versions", "golang.org/x/text");
      assert.match(versions, /^golang\.org\/x\/text .*v0\.3\.7 v0\.3\.8 v0\.4\.0 /);
      const latest = await succeed(go, "list", "-m", "golang.org/x/text@latest");
      assert.match(latest, /^golang\.org\/x\/text v\d+\.\d+\.\d+\n$/);
      const prefix = await succeed(go, "list", "-m", "golang.org/x/text@v0.3");
      assert.equal(prefix, "golang.org/x/text v0.3.8\n");
    });

    await t.step("a toolchain by GOTOOLCHAIN", async () => {
      const { stdout, stderr } = await go.run(["version"], {
        env: { GOTOOLCHAIN: TOOLCHAIN },
        deadlineMs: 600_000,
      });
      assert.ok(stdout.startsWith(`go version ${TOOLCHAIN} `), stderr);
    });
  }

  {
    // Nothing listens on the discard port.
    const env = { GOPROXY: "http://127.0.0.1:9" };
    await using server = await startServer({ dir: directory, env });
    await t.step("upstream off: the same graph, from empty caches and without go.sum", async () => {
      const go = await newGo(server.url);
      await go.writeFile("go.mod", goMod);
      await succeed(go, "mod", "download", "all");
      await succeed(go, "mod", "download", ...small);
      assert.ok(lookupsAt(server).size > MIN_LOOKUPS);
      assert.match(await succeed(go, "mod", "verify"), /^all modules verified$/m);
    });
  }
});
