/**
 * Our own checksum database through the product as users start it, with the real `go` command as
 * the client: two replicas on one store, a git server for private modules, an upstream and a public
 * checksum database for the others.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DiskStore } from "../lib/store/disk.ts";
import { checkLog } from "../lib/sumdb/check_log.ts";
import { VerifierKey } from "../lib/sumdb/note.ts";
import { openTree } from "../lib/sumdb/signed_tree.ts";
import type { TestRepo } from "./worlds/git_repo.ts";
import { GitServer } from "./fakes/git_server.ts";
import { type GoCommand, goCommand, type GoResult, goTest } from "./support/go_command.ts";
import { runProgram, type Server, startServer } from "./worlds/server.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";

const NAME = "sum.example.com/team";
const LIB = "go.example.com/team/lib";
const PUBLIC = ["A", "b", "c"].map((name) => `example.com/${name}`);
const MAIN = {
  "go.mod": `module example.com/main\n\ngo 1.21\n\nrequire (\n\t${LIB} v1.0.0\n${
    PUBLIC.map((path) => `\t${path} v1.0.0\n`).join("")
  })\n`,
};

interface World extends AsyncDisposable {
  readonly upstream: Upstream;
  readonly publicSumdb: Sumdb;
  readonly lib: TestRepo;
  /** What `config keygen` says clients are to have, without the URL. */
  readonly verifierKey: string;
  readonly storeDirectory: string;
  readonly configFile: string;
  start(): Promise<Server>;
  /** A server with a store of its own, and without a database of its own. */
  startStranger(): Promise<Server>;
}

async function startWorld({ combined = true } = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const git = stack.use(await GitServer.start({}));
  const lib = await git.createRepo("lib.git");
  await lib.commit({ "go.mod": `module ${LIB}\n`, "lib.go": "package lib\n" }, { tag: "v1.0.0" });
  const upstream = stack.use(await startUpstream());
  for (const path of PUBLIC) {
    await upstream.addModule({ path, version: "v1.0.0", files: { "go.mod": `module ${path}\n` } });
  }
  const publicSumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(publicSumdb);

  const directory = await Deno.makeTempDir({ prefix: "private-sumdb-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const keyFile = join(directory, "sumdb-key");
  const verifierKey = await keygen(keyFile);
  const { name, verifierKey: publicKey } = publicSumdb;
  const common = `
parentProxy: { url: "${upstream.url}" }
publicModules:
  sumDatabase: { name: ${name}, publicKey: "${publicKey}", url: "http://127.0.0.1:1" }
privateModules:
  - { pathPrefix: ${LIB}, auth: { none: true }, repository: "${git.urlOf("lib.git")}" }
`;
  const own =
    `privateSumDatabase: { name: ${NAME}, privateKey: { file: sumdb-key }, combined: ${combined} }`;
  const storeDirectory = join(directory, "store");
  const store = (path: string) => `storage: { disk: { path: "${join(directory, path)}" } }\n`;
  const configFile = join(directory, "config.yaml");
  await Deno.writeTextFile(configFile, store("store") + common + own);
  await Deno.writeTextFile(join(directory, "stranger.yaml"), store("other") + common);
  const all = stack.move();
  const startIn = async (file: string) =>
    all.use(await startServer({ args: ["--config-file", file] }));
  return {
    upstream,
    publicSumdb,
    lib,
    verifierKey,
    storeDirectory,
    configFile,
    start: () => startIn(configFile),
    startStranger: () => startIn(join(directory, "stranger.yaml")),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Makes a key as users do. What it says clients are to put into GOSUMDB, without the URL. */
async function keygen(keyFile: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram([
    "config",
    "keygen",
    NAME,
    "--key-file",
    keyFile,
  ]);
  assert.equal(code, 0, stderr);
  return /GOSUMDB="(\S+) https:/.exec(stdout)?.[1] ?? assert.fail(stdout);
}

async function newGo({ verifierKey }: World, proxy: Server, sumdb = proxy): Promise<GoCommand> {
  return await goCommand({
    proxy: proxy.url,
    sumdb: `${verifierKey} ${sumdb.url}/sumdb/${NAME}`,
    files: MAIN,
  });
}

function assertOk({ code, stderr }: GoResult): void {
  assert.equal(code, 0, stderr);
}

/** What is wrong with the log in the store, and the module versions that are in it. */
async function walk({ storeDirectory }: World) {
  const faults: unknown[] = [];
  const modules: string[] = [];
  const { tree } = await checkLog({
    name: NAME,
    store: await DiskStore.open({ path: storeDirectory }),
    checkRecord: ({ path, version }) => {
      modules.push(`${path}@${version}`);
      return Promise.resolve(null);
    },
    report: (fault) => void faults.push(fault),
    signal: new AbortController().signal,
  });
  assert.deepEqual(faults, []);
  return { tree, modules };
}

goTest(
  "go verifies private and public modules with our own database, at any replica",
  async (t) => {
    await using world = await startWorld();
    const [one, two] = await Promise.all([world.start(), world.start()]);
    await using go = await newGo(world, one);
    await t.step("cold", async () => {
      assertOk(await go.run(["mod", "download", "all"]));
      const sum = await Deno.readTextFile(join(go.dir, "go.sum"));
      for (const path of [LIB, ...PUBLIC]) {
        assert.match(sum, new RegExp(`^${path} v1\\.0\\.0 h1:`, "m"));
      }
    });
    await t.step("each is in the log once", async () => {
      const { modules } = await walk(world);
      assert.deepEqual(modules.sort(), [LIB, ...PUBLIC].map((path) => `${path}@v1.0.0`).sort());
    });
    await t.step(
      "each public one is in the public database, and no private one was asked for",
      () => {
        const lookups = world.publicSumdb.requests.filter((path) => path.startsWith("/lookup/"));
        assert.deepEqual(lookups.sort(), [
          "/lookup/example.com/!a@v1.0.0",
          "/lookup/example.com/b@v1.0.0",
          "/lookup/example.com/c@v1.0.0",
        ]);
        assert.deepEqual(world.upstream.requests.filter(({ path }) => path.includes("team")), []);
      },
    );
    await t.step("another client, at the other replica, while nothing else is there", async () => {
      await world.upstream.down();
      // GOPROXY alone says where the database is.
      const { verifierKey: sumdb } = world;
      await using other = await goCommand({ proxy: two.url, sumdb, files: MAIN });
      assertOk(await other.run(["mod", "download", "all"]));
    });
    await t.step(
      "the first client goes on at the other replica, and sees the log grow",
      async () => {
        await world.lib.commit({ "more.go": "package lib\n" }, { tag: "v1.1.0" });
        assertOk(await go.run(["mod", "download", `${LIB}@v1.1.0`], { env: { GOPROXY: two.url } }));
        assertOk(await go.run(["clean", "-modcache"]));
        assertOk(await go.run(["mod", "download", "all"]));
        assert.equal((await walk(world)).tree.size, 5);
      },
    );
    await t.step("both replicas sign trees of the log", async () => {
      const key = VerifierKey.parse(world.verifierKey);
      const { tree } = await walk(world);
      for (const { url } of [one, two]) {
        const latest = await (await fetch(`${url}/sumdb/${NAME}/latest`)).bytes();
        const { size, hash } = openTree(latest, key);
        assert.deepEqual({ size, hash: hash.toBase64() }, { size: 5, hash: tree.hash.toBase64() });
      }
    });
    await t.step("the public database is still told nothing of a private path", async () => {
      const answer = await fetch(`${one.url}/sumdb/${world.publicSumdb.name}/lookup/${LIB}@v1.0.0`);
      assert.equal(answer.status, 404);
      assert.match(await answer.text(), /the path is private here/);
    });
    assert.deepEqual([world.upstream.faults, world.publicSumdb.faults], [[], []]);
  },
);

goTest("go refuses a private module whose tag was moved", async (t) => {
  await using world = await startWorld();
  const server = await world.start();
  await using first = await newGo(world, server);
  assertOk(await first.run(["mod", "download", LIB]));
  await world.lib.commit({ "moved.go": "package lib\n" });
  await world.lib.git(["tag", "--force", "v1.0.0"]);

  await t.step("by another server, with the words for it", async () => {
    const stranger = await world.startStranger();
    await using go = await newGo(world, stranger, server);
    const { code, stderr } = await go.run(["mod", "download", LIB]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^go: go\.example\.com\/team\/lib@v1\.0\.0: verifying module: checksum mismatch\n\tdownloaded: h1:\S+\n\tsum\.example\.com\/team: h1:\S+\n\nSECURITY ERROR\n/,
    );
  });
  await t.step("which this one would not even publish, had it lost the copy", async () => {
    await server.kill();
    for (const part of ["m1", "z1"]) {
      await Deno.remove(join(world.storeDirectory, part, LIB), { recursive: true });
    }
    const again = await world.start();
    const answer = await fetch(`${again.url}/${LIB}/@v/v1.0.0.zip`);
    const body = await answer.text();
    assert.equal(answer.status, 502, body);
    assert.match(body, /its zip has h1:\S+, expected h1:\S+; its tag was moved/);
    await world.lib.git(["tag", "--force", "v1.0.0", "HEAD~1"]);
    // Which commit a tag names is remembered for a while.
    const third = await world.start();
    await using go = await newGo(world, third);
    assertOk(await go.run(["mod", "download", LIB]));
  });
});

goTest("a new key goes on with the log, and clients have to be told", async () => {
  await using world = await startWorld();
  const server = await world.start();
  await using go = await newGo(world, server);
  assertOk(await go.run(["mod", "download", LIB]));
  await server.kill();
  const keyFile = join(world.configFile, "../sumdb-key");
  await Deno.remove(keyFile);
  const verifierKey = await keygen(keyFile);
  const again = await world.start();
  const env = { GOPROXY: again.url, GOSUMDB: `${verifierKey} ${again.url}/sumdb/${NAME}` };
  const download = async () => {
    assertOk(await go.run(["clean", "-modcache"]));
    return await go.run(["mod", "download", "all"], { env });
  };
  const { code, stderr } = await download();
  assert.equal(code, 1);
  assert.match(stderr, /reading tree note: note has no verifiable signatures/);
  await Deno.remove(join(go.moduleCache, "../sumdb", NAME), { recursive: true });
  assertOk(await download());
  assert.equal((await walk(world)).tree.size, 4);
});

goTest("fsck walks the log, and compares it with what is published", async (t) => {
  await using world = await startWorld();
  const server = await world.start();
  await using go = await newGo(world, server);
  assertOk(await go.run(["mod", "download", "all"]));
  await server.kill();
  const fsck = async () => {
    const { code, stdout } = await runProgram(["fsck", "--config-file", world.configFile]);
    const lines = stdout.trimEnd().split("\n");
    return { code, faults: lines.filter((line) => line.startsWith("fault")), log: lines.at(-2) };
  };
  await t.step("all is well", async () => {
    const { code, faults, log } = await fsck();
    assert.deepEqual([code, faults], [0, []]);
    assert.match(
      log ?? "",
      /^log of sum\.example\.com\/team: 4 records in \d batch(es)?; 0 faults$/,
    );
  });
  await t.step("a manifest is lost", async () => {
    const manifest = join(world.storeDirectory, "m1", LIB, "@v/v1.0.0");
    const kept = await Deno.readFile(manifest);
    await Deno.remove(manifest);
    const { code, faults } = await fsck();
    assert.equal(code, 1);
    assert.deepEqual(faults, [
      `fault    l1/sum.example.com+2fteam/lookup/${LIB}/@v/v1.0.0: the version has no manifest`,
    ]);
    await Deno.writeFile(manifest, kept);
  });
  await t.step("a batch is damaged", async () => {
    const folder = join(world.storeDirectory, "l1/sum.example.com+2fteam/log");
    const file = join(folder, "9007199254740990");
    const bytes = await Deno.readFile(file);
    await Deno.writeFile(file, bytes.with(-9, 65));
    const { code, faults } = await fsck();
    assert.equal(code, 1);
    assert.match(
      faults.join(),
      /^fault .*log\/9007199254740990: Cannot read batch 1: its records do not have hash/,
    );
    await Deno.writeFile(file, bytes);
    assert.equal((await fsck()).code, 0);
  });
});

goTest("go refuses a public module that the public database contradicts", async () => {
  await using world = await startWorld();
  const server = await world.start();
  const { path, version, ...files } = { path: "example.com/b", version: "v1.0.0", files: {} };
  const copy = await world.upstream.addModule({ path: "example.com/other", version, ...files });
  world.publicSumdb.append({ ...copy, path });
  await using go = await newGo(world, server);
  const { code, stderr } = await go.run(["mod", "download", path]);
  assert.equal(code, 1);
  assert.match(stderr, /502 Bad Gateway/);
});

goTest("a database that is not combined answers for private modules alone", async () => {
  await using world = await startWorld({ combined: false });
  const server = await world.start();
  await using go = await newGo(world, server);
  const { code, stderr } = await go.run(["mod", "download", "example.com/b"]);
  assert.equal(code, 1);
  assert.match(stderr, /404 Not Found[^]*is about private modules alone/);
  assertOk(await go.run(["mod", "download", "all"], { env: { GONOSUMDB: "example.com" } }));
  assert.deepEqual((await walk(world)).modules, [`${LIB}@v1.0.0`]);
});
