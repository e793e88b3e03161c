/**
 * Whoever is denied a repository gets nothing of it under any of its names, and what is private
 * under one name is told to nobody under another. The server, a git host, a site with go-import
 * pages and an upstream are all on this machine; a forward proxy leads to them by their names.
 */
import assert from "node:assert/strict";
import { GitServer } from "./fakes/git_server.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { runProgram, type Server, startServer } from "./worlds/server.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";

const GIT_HOST = "git.example.com";
const SITE = "vanity.example.com";
const OWN_DATABASE = "sum.example.com/team";

/** The page of a path at the site, and what repository it names. */
const PAGES: Readonly<Record<string, string>> = {
  [`${SITE}/lab`]: `${SITE}/lab git http://${GIT_HOST}/shared/lab.git`,
  [`${SITE}/kit`]: `${SITE}/kit git http://${GIT_HOST}/shared/open.git`,
  [`${SITE}/moved`]: `${SITE}/moved git http://${SITE}/moved.git`,
  [`${SITE}/secret`]: `${SITE}/secret git http://${GIT_HOST}:80/team//SECRET.git/`,
};

interface World extends AsyncDisposable {
  readonly git: GitServer;
  readonly upstream: Upstream;
  readonly directory: string;
  start(config: string): Promise<Server>;
}

async function startWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const git = stack.use(await GitServer.start());
  for (const name of ["team/secret", "shared/lab", "shared/open"]) {
    const repo = await git.createRepo(`${name}.git`);
    const goMod = `module ${GIT_HOST}/${name}\n`;
    await repo.commit({ "go.mod": goMod, "a.go": "package a\n" }, { tag: "v1.0.0" });
  }
  // A server that is configured to ignore case.
  await Deno.symlink("secret.git", `${git.folder}/team/SECRET.git`);
  await Deno.symlink("secret.git", `${git.folder}/team/Secret.git`);
  const upstream = stack.use(await startUpstream());
  const proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { hostname, pathname, search, searchParams } = new URL(request.url);
    if (hostname === SITE && pathname.startsWith("/moved.git/")) {
      const target = `http://${GIT_HOST}${pathname.replace("moved", "team/secret")}${search}`;
      return new Response(null, { status: 302, headers: { Location: target } });
    }
    if (hostname === GIT_HOST && !searchParams.has("go-get")) {
      return fetch(new URL(pathname + search, git.url), request);
    }
    const path = `${hostname}${pathname}`;
    // As GitLab does: each repository has a page.
    const content = hostname === GIT_HOST ? `${path} git http://${path}.git` : PAGES[path];
    const page = `<meta name="go-import" content="${content}">`;
    return new Response(content === undefined ? null : page, { status: content ? 200 : 404 });
  });
  stack.defer(() => proxy.shutdown());
  const directory = await Deno.makeTempDir({ prefix: "identity-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const all = stack.move();
  return {
    git,
    upstream,
    directory,
    start: async (config) => {
      const file = `${directory}/config.yaml`;
      await Deno.writeTextFile(
        file,
        `
insecureHosts: [${GIT_HOST}, ${SITE}]
storage: { disk: { path: "${directory}/store" } }
parentProxy: { url: "${upstream.url},direct" }
${config}`,
      );
      return all.use(
        await startServer({
          args: ["--config-file", file],
          env: { HTTP_PROXY: `http://127.0.0.1:${proxy.addr.port}`, NO_PROXY: "127.0.0.1" },
        }),
      );
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function as(user: string): { headers: Record<string, string> } {
  return { headers: { Authorization: `Basic ${btoa(`${user}:${user}-password`)}` } };
}

/** The answer of each of several connections: each may be another thread's. */
async function ask({ url }: Server, path: string, init: RequestInit = {}) {
  const answers = [];
  for (let i = 0; i < 4; i++) {
    using client = Deno.createHttpClient({});
    const response = await fetch(`${url}/${path}`, { ...init, client });
    answers.push({ status: response.status, body: await response.text() });
  }
  const [first] = answers;
  assert.ok(first !== undefined);
  assert.deepEqual(answers.map(({ status }) => status), answers.map(() => first.status), path);
  return first;
}

/** What is asked of a module. */
function questionsOf(name: string): string[] {
  return [
    `${name}/@v/v1.0.0.info`,
    `${name}/@v/v1.0.0.mod`,
    `${name}/@v/v1.0.0.zip`,
    `${name}/@v/list`,
    `${name}/@latest`,
    `${name}/@v/main.info`,
    `${name}/@v/v9.9.9.info`,
    `cached-only/${name}/@v/v1.0.0.zip`,
    `cached-only/${name}/@v/list`,
    `cached-only/${name}/@latest`,
    `explain/${name}@v1.0.0`,
  ];
}

const CLIENT_AUTH = `
clientAuth:
  enabled: true
  identities:
    - { name: ops, password: ops-password }
    - { name: dev, password: dev-password }
  acl:
    - { identities: [dev], modules: [${GIT_HOST}/team/secret, ${GIT_HOST}/shared/lab], access: deny }
    - { access: allow }
`;

Deno.test("who is denied a repository gets nothing of it by any of its names", async (t) => {
  await using world = await startWorld();
  const { directory, git } = world;
  const keyFile = `${directory}/key`;
  const keygen = await runProgram(["config", "keygen", OWN_DATABASE, "--key-file", keyFile]);
  assert.equal(keygen.code, 0, keygen.stderr);
  const server = await world.start(`
index: all
privateModules:
  - { pathPrefix: ${GIT_HOST}/team, auth: { none: true } }
privateSumDatabase: { name: ${OWN_DATABASE}, privateKey: { file: key } }
${CLIENT_AUTH}`);

  const denied = [
    // Private, and covered by the prefix as it is written.
    `${GIT_HOST}/team/secret`,
    `${GIT_HOST}/team/secret.git`,
    `${GIT_HOST}/team/!secret.git`,
    // Public.
    `${GIT_HOST}/shared/lab.git`,
    `${SITE}/lab`,
  ];
  for (const name of [...denied, `${SITE}/kit`]) {
    await t.step(`ops reads ${name}`, async () => {
      const { status, body } = await ask(server, `${name}/@v/v1.0.0.zip`, as("ops"));
      assert.equal(status, 200, body);
      const list = await ask(server, `${name}/@v/list`, as("ops"));
      assert.deepEqual([list.status, list.body], [200, "v1.0.0\n"]);
    });
  }
  for (const name of [...denied, `${GIT_HOST}/team/secret.git.git`, `${GIT_HOST}/team/secret.hg`]) {
    for (const question of questionsOf(name)) {
      await t.step(`dev may not have ${question}`, async () => {
        const seen = git.requests.length;
        const { status, body } = await ask(server, question, as("dev"));
        assert.equal(status, 403, body);
        assert.doesNotMatch(body, /v1\.0\.0/);
        // What its path tells is not even looked up.
        if (!name.startsWith(SITE)) assert.equal(git.requests.length, seen);
      });
    }
  }
  await t.step("dev gets what else there is", async () => {
    for (const question of questionsOf(`${SITE}/kit`)) {
      const want = question.includes("v9.9.9") ? 404 : 200;
      const { status, body } = await ask(server, question, as("dev"));
      assert.equal(status, want, `${question}: ${body}`);
    }
  });

  await t.step("the database of the server's own tells dev nothing", async () => {
    for (const name of denied.filter((name) => name.includes("/team/"))) {
      const path = `sumdb/${OWN_DATABASE}/lookup/${name}@v1.0.0`;
      assert.equal((await ask(server, path, as("ops"))).status, 200, path);
      assert.equal((await ask(server, path, as("dev"))).status, 403, path);
    }
    // It has three records, all of the secret.
    const tile = `sumdb/${OWN_DATABASE}/tile/8/data/000.p/3`;
    assert.equal((await ask(server, tile, as("ops"))).status, 200);
    assert.equal((await ask(server, tile, as("dev"))).status, 403);
  });

  await t.step("the index tells dev nothing", async () => {
    const pathsFor = async (user: string) => {
      const { body } = await ask(server, "index", as(user));
      return body.trim().split("\n").map((line) => JSON.parse(line).Path).sort();
    };
    const unescaped = denied.map((name) => name.replace("!secret", "Secret"));
    assert.deepEqual(await pathsFor("ops"), [...unescaped, `${SITE}/kit`].sort());
    assert.deepEqual(await pathsFor("dev"), [`${SITE}/kit`]);
  });

  await t.step("explain says by which name", async () => {
    const { stdout, stderr } = await runProgram([
      "config",
      "explain",
      "--config-file",
      `${directory}/config.yaml`,
      "--identity",
      "dev",
      `${GIT_HOST}/team/secret.git`,
    ]);
    assert.match(stdout, /dev may not read it: .*acl\[0\].*, by its name git.*\/secret$/m, stderr);
    const { body } = await ask(server, `explain/${SITE}/lab@v1.0.0`, as("ops"));
    assert.match(body, new RegExp(`^is also +${GIT_HOST}/shared/lab$`, "m"));
  });

  await t.step("the log has an audit line with the name", () => {
    const line = server.logs.find(({ audit, module }) =>
      audit === "denied" && module === `${SITE}/lab`
    );
    assert.match(String(line?.["reason"]), /acl\[0\] denies it by its name "git\S+\/shared\/lab"/);
    assert.equal(line?.["identity"], "dev");
  });
});

Deno.test("who is denied a repository gets nothing that an upstream says is from it", async () => {
  await using world = await startWorld();
  const path = `${SITE}/mirrored`;
  await world.upstream.addModule({
    path,
    version: "v1.0.0",
    files: { "go.mod": `module ${path}\n` },
    origin: { VCS: "git", URL: `git@${GIT_HOST}:shared/lab.git` },
  });
  const server = await world.start(CLIENT_AUTH);
  for (const user of ["dev", "ops", "dev"]) {
    const info = await ask(server, `${path}/@v/v1.0.0.info`, as(user));
    assert.equal(info.status, user === "ops" ? 200 : 403, info.body);
    const list = await ask(server, `${path}/@v/list`, as(user));
    assert.equal(list.status, user === "ops" ? 200 : 403, list.body);
  }
});

const ONE_PRIVATE = `
privateModules:
  - { pathPrefix: ${GIT_HOST}/team/secret, auth: { none: true } }
`;

const OTHER_NAMES = [
  `${GIT_HOST}/team/secret.git`,
  `${GIT_HOST}/team/secret.git.git/sub`,
  `${GIT_HOST}/team/secret.svn`,
  `${GIT_HOST}/!team/secret.git/v2`,
];

Deno.test("another name of a private repository is told to nobody, and is 403", async (t) => {
  await using world = await startWorld();
  const { upstream, git } = world;
  const server = await world.start(ONE_PRIVATE);
  for (const name of OTHER_NAMES) {
    const version = name.endsWith("/v2") ? "v2.0.0" : "v1.0.0";
    const questions = questionsOf(name).map((question) => question.replace("v1.0.0", version));
    for (
      const question of [...questions, `sumdb/sum.golang.org/lookup/${name}@${version}`]
    ) {
      await t.step(question, async () => {
        const { status, body } = await ask(server, question);
        assert.equal(status, 403, body);
        assert.match(body, /private prefix "git\.example\.com\/team\/secret"/);
      });
    }
  }
  // A page may name it too, itself or by a redirect: the path is no secret, the repository is.
  const byPage = [`${SITE}/secret`, `${SITE}/moved`].flatMap(questionsOf)
    .filter((one) => !/^(cach|expl)/.test(one));
  for (const question of byPage) {
    await t.step(question, async () => {
      const { status, body } = await ask(server, question);
      assert.equal(status, 403, body);
      assert.doesNotMatch(body, /team/i);
    });
  }
  const told = upstream.requests.map(({ path }) => path).filter((path) => /secret\./.test(path));
  assert.deepEqual(told, [], "what the upstream was asked");
  assert.equal(git.requests.length, 0);
  assert.equal((await ask(server, `${GIT_HOST}/team/secret/@v/list`)).body, "v1.0.0\n");
});

goTest("go stops at another name of a private repository", async () => {
  await using world = await startWorld();
  const server = await world.start(ONE_PRIVATE);
  await using go = await goCommand({ proxy: `${server.url},direct` });
  const download = (name: string) =>
    go.run(["mod", "download", `${name}@v1.0.0`], { env: { GOFLAGS: "-mod=mod -modcacherw" } });
  for (const name of [`${GIT_HOST}/team/secret.git`, `${SITE}/secret`, `${SITE}/moved`]) {
    const { code, stderr } = await download(name);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /403 Forbidden/);
  }
  const own = await download(`${GIT_HOST}/team/secret`);
  assert.equal(own.code, 0, own.stderr);
  const told = world.upstream.requests.filter(({ path }) => /secret\./.test(path));
  assert.equal(told.length, 0);
});
