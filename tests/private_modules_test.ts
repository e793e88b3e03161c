/**
 * Private modules end to end: the product as a process, a real git server that asks for the token
 * which a GitHub API has minted for exactly that repository, and the real `go` command as the
 * client.
 */
import assert from "node:assert/strict";
import { type GoCommand, goCommand, goTest } from "./support/go_command.ts";
import { GitServer } from "./fakes/git_server.ts";
import { Loopback } from "./fakes/loopback.ts";
import { FakeGitHubApi } from "./fakes/github_api.ts";
import type { TestRepo } from "./worlds/git_repo.ts";
import { runProgram, type Server, startServer } from "./worlds/server.ts";

const LIB = "go.example.com/team/lib";
const OTHER = "go.example.com/team/other";
const LIB_FILES = {
  "go.mod": `module ${LIB}\n\ngo 1.21\n`,
  "lib.go": 'package lib\n\n// Name is the name.\nconst Name = "lib"\n',
};

interface World extends AsyncDisposable {
  readonly api: FakeGitHubApi;
  readonly git: GitServer;
  readonly lib: TestRepo;
  readonly server: Server;
  readonly configFile: string;
  /**
   * The command lines of all processes of this machine, recorded repeatedly.
   */
  readonly commandLines: { text(): string };
}

async function startWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(new FakeGitHubApi());
  api.install({ owner: "My-Org", repositories: ["lib", "other", "third"] });
  const git = stack.use(
    await GitServer.start({
      authorize: (repo, user, password) =>
        user === "x-access-token" && api.isValidFor(password, repo.replace(/\.git$/, "")),
    }),
  );
  const lib = await git.createRepo("my-org/lib.git");
  await lib.commit(LIB_FILES, { tag: "v1.0.0" });
  await lib.commit({ "more.go": "package lib\n" }, { tag: "v1.1.0" });
  await lib.commit({ "dev.go": "package lib\n" });
  const other = await git.createRepo("my-org/other.git");
  await other.commit({ "go.mod": `module ${OTHER}\n` }, { tag: "v1.0.0" });

  const directory = await Deno.makeTempDir({ prefix: "private-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.writeTextFile(`${directory}/key.pem`, api.privateKeyPem);
  await Deno.writeTextFile(
    `${directory}/config.yaml`,
    `
privateModules:
  - { pathPrefix: ${LIB}, auth: { gitHubApp: ${api.appId} }, repository: ${
      git.urlOf("my-org/lib.git")
    } }
  - { pathPrefix: ${OTHER}, auth: { gitHubApp: ${api.appId} }, repository: ${
      git.urlOf("my-org/other.git")
    } }
gitHub:
  - host: github.example.com
    apiBaseUrl: ${api.apiBaseUrl}
    gitHubApps: [{ id: ${api.appId}, privateKey: { file: key.pem } }]
`,
  );
  const server = stack.use(
    await startServer({
      args: ["--config-file", `${directory}/config.yaml`, "--log-level", "debug"],
      env: { GOPROXY: "off" },
    }),
  );
  const commandLines = stack.use(watchCommandLines(`${directory}/command-lines`));
  const all = stack.move();
  const configFile = `${directory}/config.yaml`;
  return {
    api,
    git,
    lib,
    server,
    configFile,
    commandLines,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/**
 * Notes all command lines of this machine until it is disposed of; Deno itself may not look into
 * /proc.
 */
function watchCommandLines(file: string): AsyncDisposable & { text(): string } {
  const script = `while :; do cat /proc/[0-9]*/cmdline 2>/dev/null; sleep 0.01; done > '${file}'`;
  const watcher = new Deno.Command("sh", { args: ["-c", script] }).spawn();
  return {
    text: () => Deno.readTextFileSync(file),
    async [Symbol.asyncDispose]() {
      watcher.kill();
      await watcher.status;
    },
  };
}

/** Texts of all files below a folder, sockets left out. */
function* filesBelow(folder: string): Generator<string> {
  for (const { name, isDirectory, isFile } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesBelow(`${folder}/${name}`);
    else if (isFile) yield Deno.readTextFileSync(`${folder}/${name}`);
  }
}

async function newGo(server: Server, files: Record<string, string>): Promise<GoCommand> {
  return await goCommand({ proxy: server.url, sumdb: "off", files });
}

const MAIN = {
  "go.mod": `module example.com/main\n\ngo 1.21\n\nrequire ${LIB} v1.1.0\n`,
  "main.go": `package main\n\nimport "${LIB}"\n\nfunc main() { println(lib.Name) }\n`,
};

goTest("go builds a private module, and the token is nowhere to be seen", async (t) => {
  await using world = await startWorld();
  const { api, server, git } = world;
  await using go = await newGo(server, MAIN);

  await t.step("go run", async () => {
    const { code, stderr } = await go.run(["run", "-mod=mod", "."]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^lib$/m);
  });

  await t.step("versions, latest, a branch", async () => {
    const versions = await go.run(["list", "-m", "-versions", LIB]);
    assert.equal(versions.stdout, `${LIB} v1.0.0 v1.1.0\n`, versions.stderr);
    const branch = await go.run(["list", "-m", `${LIB}@main`]);
    assert.match(branch.stdout, /lib v1\.1\.1-0\.\d{14}-[0-9a-f]{12}\n$/, branch.stderr);
  });

  await t.step("each token is for one repository, to read", () => {
    assert.ok(api.tokens.length > 0);
    for (const { repositories, permissions } of api.tokens) {
      assert.equal(repositories.length, 1);
      assert.deepEqual(permissions, { contents: "read", metadata: "read" });
    }
  });

  await t.step("the token of one repository opens no other", async () => {
    const token = api.tokens.find(({ repositories }) => repositories[0]?.endsWith("/lib"))?.token;
    const ask = async (repository: string) => {
      const response = await fetch(`${git.urlOf(repository)}/info/refs?service=git-upload-pack`, {
        headers: { Authorization: `Basic ${btoa(`x-access-token:${token}`)}` },
      });
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await ask("my-org/lib.git"), 200);
    assert.equal(await ask("my-org/other.git"), 401);
  });

  await t.step("an error says nothing secret", async () => {
    api.misbehave = () => new Response("no\n", { status: 500 });
    git.authorize = () => false;
    const response = await fetch(`${server.url}/${OTHER}/@v/list`);
    const body = await response.text();
    assert.equal(response.status, 502, body);
    assertNoSecret(world, body);
    api.misbehave = null;
  });

  await t.step("the token is in no argument, log or file", () => {
    const commandLines = world.commandLines.text();
    // Otherwise the search would prove nothing.
    assert.match(commandLines, /\0(fetch|index-pack)\0/);
    assertNoSecret(world, commandLines);
    assertNoSecret(world, server.logs.map((line) => JSON.stringify(line)).join("\n"));
    assertNoSecret(world, [...filesBelow(server.dir)].join("\n"));
  });
});

function assertNoSecret({ api }: World, text: string): void {
  for (const { token } of api.tokens) {
    for (const form of [token, btoa(`x-access-token:${token}`), encodeURIComponent(token)]) {
      assert.ok(!text.includes(form), `a token is in: ${text.slice(0, 200)}`);
    }
  }
}

Deno.test("a private path never goes to the upstream, and its case cannot be varied", async () => {
  await using world = await startWorld();
  const status = async (path: string) => {
    const response = await fetch(`${world.server.url}/${path}`);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status(`${LIB}/@v/v1.0.0.info`), 200);
  assert.equal(await status(`${LIB}/@v/v9.0.0.info`), 404);
  assert.equal(await status("go.example.com/!team/lib/@v/v1.0.0.info"), 403);
});

Deno.test("a tag that moves while 100 clients ask has one copy, which outlives its repository", async () => {
  await using world = await startWorld();
  const { lib, server, git } = world;
  const move = async () => {
    for (let i = 0; i < 4; i++) {
      await lib.commit({ "moved.go": `package lib // ${i}\n` }, { branch: `side-${i % 2}` });
      await lib.git(["tag", "--force", "v1.2.0", `side-${i % 2}`]);
    }
  };
  await lib.tag("v1.2.0", "main");
  const mover = move();
  const ask = async (i: number) => {
    const file = ["info", "mod", "zip"][i % 3];
    const response = await fetch(`${server.url}/${LIB}/@v/v1.2.0.${file}`);
    return { file, status: response.status, body: (await response.bytes()).toHex() };
  };
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(i)));
  await mover;
  await Deno.remove(git.folder, { recursive: true });
  await Deno.mkdir(git.folder);
  const later = await Promise.all([0, 1, 2].map(ask));
  const all = [...answers, ...later];
  const failures = all.filter(({ status }) => status !== 200).map(({ body }) =>
    new TextDecoder().decode(Uint8Array.fromHex(body))
  );
  assert.deepEqual(failures, []);
  for (const file of ["info", "mod", "zip"]) {
    const bodies = new Set(all.filter((answer) => answer.file === file).map(({ body }) => body));
    assert.equal(bodies.size, 1, file);
  }
  const list = await (await fetch(`${server.url}/${LIB}/@v/list`)).text();
  assert.equal(list, "v1.2.0\n");
});

Deno.test("a git server that stalls or sends garbage is 5xx, and the product stays healthy", async (t) => {
  await using world = await startWorld();
  const { git, server } = world;
  const ROWS = [
    { what: "garbage", response: () => new Response("garbage", { status: 200 }) },
    { what: "500", response: () => new Response("broken", { status: 500 }) },
    { what: "403", response: () => new Response("no", { status: 403 }) },
  ];
  for (const { what, response } of ROWS) {
    await t.step(what, async () => {
      git.misbehave = response;
      const answer = await fetch(`${server.url}/${LIB}/@v/v1.0.0.info`);
      const body = await answer.text();
      assert.equal(answer.status, 502, body);
    });
  }
  git.misbehave = () => null;
  const answer = await fetch(`${server.url}/${LIB}/@v/v1.0.0.info`);
  assert.equal(answer.status, 200, await answer.text());
  const ready = await fetch(`${server.url}/readyz`);
  assert.equal(ready.status, 200, await ready.text());
});

Deno.test("check-source says step by step how a private module is found", async (t) => {
  await using world = await startWorld();
  const check = (module: string) =>
    runProgram(["check-source", "--config-file", world.configFile, module]);

  await t.step("all is well", async () => {
    const { code, stdout, stderr } = await check(LIB);
    assert.equal(code, 0, stdout + stderr);
    for (
      const line of [
        /^source +private prefix "go\.example\.com\/team\/lib", GitHub App 12345$/m,
        /^repository +http:\S+my-org\/lib\.git, whose root is module path go\.example\.com\/team\/lib$/m,
        /^ +installation \d+ on "my-org"/m,
        /^credentials +user "x-access-token" and a password \(not shown\)$/m,
        /^refs +1 branches, 2 tags$/m,
        /^versions +v1\.0\.0 v1\.1\.0$/m,
        /^latest +v1\.1\.0 of /m,
      ]
    ) {
      assert.match(stdout, line);
    }
    assertNoSecret(world, stdout + stderr);
  });

  await t.step("the App is not installed", async () => {
    world.api.installations.clear();
    const { code, stdout } = await check(OTHER);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^credentials +FAILED: .*not installed there; install it on "my-org".*\nremedy +\S/m,
    );
  });

  await t.step("a path that is none", async () => {
    const { code, stdout } = await check("not a path");
    assert.equal(code, 1);
    assert.match(stdout, /^module path +FAILED: /m);
  });
});

/** Status and text of an answer about {@linkcode LIB}. */
async function askLib({ server }: World, file: string): Promise<{ code: number; body: string }> {
  const response = await fetch(`${server.url}/${LIB}/@v/${file}`);
  return { code: response.status, body: await response.text() };
}

Deno.test("a token that is revoked is replaced, and nobody notices", async () => {
  await using world = await startWorld();
  const { api, lib } = world;
  assert.deepEqual(await askLib(world, "list"), { code: 200, body: "v1.0.0\nv1.1.0\n" });
  const [first] = api.tokens.splice(0);
  assert.ok(first !== undefined);
  await lib.commit({ "new.go": "package lib\n" }, { tag: "v1.2.0" });
  assert.deepEqual(await askLib(world, "list"), { code: 200, body: "v1.0.0\nv1.1.0\nv1.2.0\n" });
  api.tokens.splice(0);
  assert.equal((await askLib(world, "v1.2.0.zip")).code, 200);
  assert.equal(api.tokens.length, 1);

  // A server that refuses every token costs one, and not one for each request.
  api.tokens.splice(0);
  world.git.authorize = () => false;
  for (let i = 0; i < 3; i++) assert.equal((await askLib(world, "v9.0.0.info")).code, 502);
  assert.equal(api.tokens.length, 1);
});

Deno.test("a repository that is taken out of the App's selection is not 'not found'", async () => {
  await using world = await startWorld();
  const { api, git } = world;
  assert.equal((await askLib(world, "list")).code, 200);
  for (const installation of api.installations.values()) installation.selected = ["other"];
  // GitHub hides what a token is not for.
  git.misbehave = ({ repo }) =>
    repo === "my-org/lib.git" ? new Response("not found\n", { status: 404 }) : null;
  for (let i = 0; i < 2; i++) {
    const { code, body } = await askLib(world, "v1.1.0.info");
    assert.equal(code, 502);
    assert.match(body, /not among those selected for GitHub App 12345; add it to the installation/);
  }
  // The owner of all repositories knows.
  for (const installation of api.installations.values()) {
    delete installation.selected;
    installation.repositories = ["other"];
  }
  const until = performance.now() + 20_000;
  let code = 0;
  while (code !== 404 && performance.now() < until) {
    code = (await askLib(world, "v1.1.0.info")).code;
  }
  assert.equal(code, 404);
});

Deno.test("a repository that is renamed is read with a token for its new name", async (t) => {
  await using world = await startWorld();
  const { api, git } = world;
  const rename = async () => {
    await Deno.rename(`${git.folder}/my-org/lib.git`, `${git.folder}/my-org/new.git`);
    for (const installation of api.installations.values()) {
      installation.repositories = ["new", "other"];
    }
    git.misbehave = ({ repo, target }) => {
      if (repo !== "my-org/lib.git") return null;
      const location = target.replace("/my-org/lib.git", "/my-org/new.git");
      return new Response(null, { status: 301, headers: { location } });
    };
  };

  await t.step("while the server has a token for its old name", async () => {
    assert.equal((await askLib(world, "list")).code, 200);
    await rename();
    const { code, body } = await askLib(world, "v1.1.0.zip");
    assert.equal(code, 200, body);
    assert.deepEqual(api.tokens.at(-1)?.repositories, ["My-Org/new"]);
    assert.equal((await askLib(world, "list")).code, 200);
  });

  await t.step("check-source says where it is, and what to change", async () => {
    const args = ["check-source", "--config-file", world.configFile, LIB];
    const { code, stdout, stderr } = await runProgram(args);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^moved +to http:\S+\/my-org\/new\.git, which is used instead$/m);
    assert.match(
      stdout,
      /^ +change "repository" of "go\.example\.com\/team\/lib" to http:\S+\/new\.git$/m,
    );
    assert.match(stdout, /^versions +v1\.0\.0 v1\.1\.0$/m);
    assertNoSecret(world, stdout + stderr);
  });

  await t.step("to another host: refused, without the token", async () => {
    const authorizations: (string | null)[] = [];
    await using other = new Loopback((request) => {
      authorizations.push(request.headers.get("Authorization"));
      return new Response("hello\n");
    });
    git.misbehave = ({ target }) =>
      new Response(null, { status: 301, headers: { location: other.url + target } });
    const { code, body } = await askLib(world, "v9.0.0.info");
    assert.equal(code, 502);
    assert.match(
      body,
      /its server redirects to http:\/\/127\.0\.0\.1:\d+, which gets no credentials/,
    );
    assert.ok(authorizations.every((value) => value === null));
  });
});
