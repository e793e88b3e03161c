/**
 * The real `go` command against the product as users start it: a process of its own, with an
 * upstream and a checksum database on loopback, GOSUMDB on. First with empty caches, then again
 * with the upstream switched off.
 *
 * upstream/go_client_test.ts does the same with the upstream of this machine and modules of the
 * real world.
 */
import assert from "node:assert/strict";
import { type GoCommand, goCommand, type GoResult, goTest } from "./support/go_command.ts";
import { syntheticGraph } from "./worlds/graph.ts";
import { type Server, startServer } from "./worlds/server.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { runCommand } from "./support/run_command.ts";

/** A smaller one outside of CI takes a quarter less of a long test. */
const GRAPH_SIZE = Deno.env.get("CI") === "true" ? 220 : 60;
const TOOL = "example.com/Team/tool";
const TOOL_FILES = { "go.mod": `module ${TOOL}\n\ngo 1.21\n`, "tool.go": "package tool\n" };
const TOOL_COMMIT = "v1.2.1-0.20240102030405-0123456789ab";
/** A toolchain as the `go` command downloads it; this one only says its name. */
const TOOLCHAIN = "go1.99.0";

interface World {
  readonly upstream: Upstream;
  readonly server: Server;
  /** A `go` command with empty caches; `files` are its main module. */
  newGo(files?: Readonly<Record<string, string | Uint8Array>>): Promise<GoCommand>;
}

async function withWorld(test: (world: World) => Promise<void>): Promise<void> {
  const graph = syntheticGraph(GRAPH_SIZE);
  await using upstream = await startUpstream({
    modules: [
      ...graph.modules,
      { path: TOOL, version: "v1.0.0", files: TOOL_FILES },
      { path: TOOL, version: "v1.2.0", files: TOOL_FILES },
      { path: TOOL, version: "v1.3.0-beta", files: TOOL_FILES },
      { path: TOOL, version: TOOL_COMMIT, files: TOOL_FILES },
      {
        path: "golang.org/toolchain",
        version: `v0.0.1-${TOOLCHAIN}.${await goPlatform()}`,
        files: {
          "bin/go": `#!/bin/sh\necho "go version ${TOOLCHAIN} of the test"\n`,
          // The go command makes the tools executable, and wants all these folders to be there.
          "bin/gofmt": "#!/bin/sh\n",
          "pkg/tool/x/compile": "#!/bin/sh\n",
          "lib/wasm/x": "#!/bin/sh\n",
        },
      },
    ],
  });
  upstream.addQuery(TOOL, "main", TOOL_COMMIT);
  upstream.addQuery(TOOL, "0123456789ab", TOOL_COMMIT);
  upstream.setLatest(TOOL, "v1.2.0");
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  await using server = await startServer({ env: { GOPROXY: upstream.url } });
  await using commands = new AsyncDisposableStack();
  await test({
    upstream,
    server,
    newGo: async (files = {}) =>
      commands.use(
        await goCommand({ proxy: server.url, sumdb: sumdb.verifierKey, files }),
      ),
  });
  assert.deepEqual([upstream.faults, sumdb.faults], [[], []]);
}

/** `linux-amd64`. */
async function goPlatform(): Promise<string> {
  const { stdout } = await runCommand("go", { args: ["env", "GOOS", "GOARCH"] });
  return stdout.trim().replace("\n", "-");
}

async function succeed(go: GoCommand, ...args: string[]): Promise<GoResult> {
  const result = await go.run(args);
  assert.equal(result.code, 0, `go ${args.join(" ")}: ${result.stderr}`);
  return result;
}

/** A module graph: download, verify, list, build. */
async function downloadGraph(go: GoCommand): Promise<void> {
  const { stdout } = await succeed(go, "mod", "download", "-json", "all");
  assert.equal(stdout.match(/"Sum": "h1:/g)?.length, GRAPH_SIZE);
  assert.match((await succeed(go, "mod", "verify")).stdout, /^all modules verified$/m);
  const all = await succeed(go, "list", "-m", "all");
  assert.equal(all.stdout.trim().split("\n").length, GRAPH_SIZE + 1);
  assert.match((await succeed(go, "run", ".")).stderr, new RegExp(`^${GRAPH_SIZE}$`, "m"));
}

/** What `go get` turns each query into. */
const QUERIES = [
  { query: "latest", want: "v1.2.0" },
  { query: "v1", want: "v1.2.0" },
  { query: "v1.0.0", want: "v1.0.0" },
  { query: "main", want: TOOL_COMMIT },
  { query: "0123456789ab", want: TOOL_COMMIT },
];

async function getTool(go: GoCommand, query: string): Promise<string> {
  await succeed(go, "get", `${TOOL}@${query}`);
  return (await succeed(go, "list", "-m", TOOL)).stdout.trim();
}

goTest(
  "the go command works through this server, and again with the upstream off",
  (t) =>
    withWorld(async ({ upstream, server, newGo }) => {
      const { main } = syntheticGraph(GRAPH_SIZE);
      // With the upstream goes its checksum database: what clients verify then, they have verified
      // before.
      let goSum = "";
      const lister = await newGo();

      await t.step(`a graph of ${GRAPH_SIZE} modules`, async () => {
        const go = await newGo(main);
        await downloadGraph(go);
        goSum = await Deno.readTextFile(`${go.dir}/go.sum`);
      });

      await t.step("go list -m -versions", async () => {
        const { stdout } = await succeed(lister, "list", "-m", "-versions", TOOL);
        assert.equal(stdout, `${TOOL} v1.0.0 v1.2.0 v1.3.0-beta\n`);
      });

      for (const { query, want } of QUERIES) {
        await t.step(`go get @${query}`, async () => {
          const go = await newGo({ "go.mod": "module example.com/main\n\ngo 1.21\n" });
          assert.equal(await getTool(go, query), `${TOOL} ${want}`);
        });
      }

      await t.step("a toolchain by GOTOOLCHAIN", async () => {
        const go = await newGo();
        const { stdout, stderr } = await go.run(["version"], { env: { GOTOOLCHAIN: TOOLCHAIN } });
        assert.equal(stdout, `go version ${TOOLCHAIN} of the test\n`, stderr);
      });

      await t.step("a module that does not exist", async () => {
        const go = await newGo();
        const { code, stderr } = await go.run(["list", "-m", "example.com/nothing@v1.0.0"]);
        assert.equal(code, 1);
        assert.match(
          stderr,
          /example\.com\/nothing@v1\.0\.0: reading \S+: 404 Not Found\n\tserver response:\n\tnot found: no version \S+ of example\.com\/nothing|server response:\n\tnot found: no module example\.com\/nothing\n\trequest id: \S+/,
        );
      });

      await upstream.down();

      await t.step("upstream off: the graph, from empty caches", async () => {
        await downloadGraph(await newGo({ ...main, "go.sum": goSum }));
      });

      await t.step("upstream off: lists and latest are what was read", async () => {
        const { stdout } = await succeed(lister, "list", "-m", "-versions", TOOL);
        assert.equal(stdout, `${TOOL} v1.0.0 v1.2.0\n`);
        const latest = await succeed(lister, "list", "-m", `${TOOL}@latest`);
        assert.equal(latest.stdout, `${TOOL} v1.2.0\n`);
      });

      await t.step(
        "upstream off: what was not read is a gateway's failure, not missing",
        async () => {
          const go = await newGo();
          const { code, stderr } = await go.run(["list", "-m", "example.com/nothing@v1.0.0"]);
          assert.equal(code, 1);
          assert.match(stderr, /502 Bad Gateway\n\tserver response:\n\tCannot reach http:/);
        },
      );

      assert.deepEqual(server.logs.filter(({ level }) => level === "error"), []);
    }),
);
