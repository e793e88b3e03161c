/**
 * What a stranger's path, page or redirect may make the server connect to: public hosts, and what
 * `egress.allow` lists.
 *
 * Strangers' pages are at pages.example.com, which a forward proxy on loopback answers for. They
 * name a git server and a module proxy on loopback, the "internal" ones, which NO_PROXY has reached
 * directly.
 */
import assert from "node:assert/strict";
import { GitServer } from "./fakes/git_server.ts";
import { startServer } from "./worlds/server.ts";

const PAGES = "pages.example.com";
const LIST = "v1.0.0\n";

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** An internal git server, strangers' pages, and the product between them. */
class World implements AsyncDisposable {
  readonly git: GitServer;
  /** By module path: a page, or where it redirects to. */
  readonly pages = new Map<string, string | Response>();
  readonly #stack: AsyncDisposableStack;
  readonly #proxy: Deno.HttpServer<Deno.NetAddr>;

  private constructor(git: GitServer, stack: AsyncDisposableStack) {
    this.git = git;
    this.#stack = stack;
    this.#proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { pathname } = new URL(request.url);
      const page = this.pages.get(`${PAGES}${pathname}`);
      if (page instanceof Response) return page.clone();
      return new Response(page ?? "", { status: page === undefined ? 404 : 200 });
    });
    stack.defer(() => this.#proxy.shutdown());
  }

  static async start(): Promise<World> {
    const stack = new AsyncDisposableStack();
    const git = stack.use(await GitServer.start());
    const repo = await git.createRepo("lib.git");
    await repo.commit({ "go.mod": "module pages.example.com/lib\n" }, { tag: "v1.0.0" });
    return new World(git, stack);
  }

  /** The port of the internal git server. */
  get port(): string {
    return new URL(this.git.url).port;
  }

  async server(allow: readonly string[] = [], insecureHosts: readonly string[] = []) {
    const directory = await Deno.makeTempDir({ prefix: "egress-" });
    this.#stack.defer(() => Deno.remove(directory, { recursive: true }));
    const config = {
      insecureHosts: [PAGES, `127.0.0.1:${this.port}`, ...insecureHosts],
      publicModules: { sumDatabase: "off" },
      ...allow.length === 0 ? {} : { egress: { allow } },
    };
    await Deno.writeTextFile(`${directory}/config.yaml`, JSON.stringify(config));
    return await startServer({
      args: ["--config-file", `${directory}/config.yaml`],
      env: {
        GOPROXY: "direct",
        HTTP_PROXY: `http://127.0.0.1:${this.#proxy.addr.port}`,
        NO_PROXY: "127.0.0.0/8,localhost,::1,::ffff:0:0/96",
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function pageOf(path: string, { vcs = "git", url }: { vcs?: string; url: string }): string {
  return `<meta name="go-import" content="${path} ${vcs} ${url}">`;
}

async function ask(url: string): Promise<Answer> {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
}

/** Spellings of 127.0.0.1 and how the URL standard writes them. */
const SPELLINGS: { name: string; host: string; canonical?: string }[] = [
  { name: "dotted", host: "127.0.0.1" },
  { name: "decimal", host: "2130706433" },
  { name: "octal", host: "0177.0.0.1" },
  { name: "hexadecimal", host: "0x7f000001" },
  { name: "short", host: "127.1" },
  { name: "full width", host: "127。0。0。1" },
  { name: "percent-encoded", host: "127%2e0.0.1" },
  { name: "trailing dot", host: "127.0.0.1." },
  { name: "localhost", host: "localhost", canonical: "localhost" },
  { name: "localhost with a dot", host: "LOCALHOST.", canonical: "localhost." },
  { name: "IPv4-mapped", host: "[::ffff:127.0.0.1]", canonical: "[::ffff:7f00:1]" },
];

Deno.test("a page cannot name an internal git server", async (t) => {
  await using world = await World.start();
  const { pages, git, port } = world;
  const canonical = SPELLINGS.flatMap(({ canonical }) => canonical ?? []);
  await using server = await world.server([], canonical.map((host) => `${host}:${port}`));
  for (const [i, { name, host }] of SPELLINGS.entries()) {
    await t.step(name, async () => {
      const path = `${PAGES}/m${i}`;
      pages.set(path, pageOf(path, { url: `http://${host}:${port}/lib.git` }));
      const { status, body } = await ask(`${server.url}/${path}/@v/list`);
      assert.deepEqual(git.requests, []);
      assert.equal(status, 502);
      assert.match(body, /^Cannot reach [\w.:]+\nrequest id: \S+\n$/);
    });
  }
});

Deno.test("a path cannot name an internal host, and the log has the reason", async () => {
  await using world = await World.start();
  await using server = await world.server();
  const { status, body } = await ask(`${server.url}/127.0.0.1/x/@v/list`);
  assert.equal(status, 502);
  assert.match(body, /^Cannot reach 127\.0\.0\.1\nrequest id: \S+\n$/);
  const { error } = await server.log(({ error }) => String(error).startsWith("Cannot reach 127"));
  assert.match(String(error), /is not a public address \(loopback\)/);
  assert.match(String(error), /egress\.allow does not allow it/);
  for (
    const path of ["localhost/x", "[::1]/x", "[::ffff:127.0.0.1]/x", "127.0.0.1:80/x", "127.1/x"]
  ) {
    const { status } = await ask(`${server.url}/${path}/@v/list`);
    assert.ok(status === 404 || status === 502, `${path}: ${status}`);
  }
});

Deno.test("a page cannot redirect to an internal host", async () => {
  await using world = await World.start();
  await using internal = serve(() => new Response(pageOf(`${PAGES}/m`, { vcs: "hg", url: "x" })));
  await using server = await world.server([], [internal.host]);
  world.pages.set(`${PAGES}/m`, Response.redirect(`${internal.url}/m`));
  const { status, body } = await ask(`${server.url}/${PAGES}/m/@v/list`);
  assert.equal(status, 502);
  assert.match(body, /^Cannot reach 127\.0\.0\.1\nrequest id: \S+\n$/);
  assert.deepEqual(internal.asked, []);
});

for (const protocolV2 of [true, false]) {
  const version = protocolV2 ? "version 2" : "version 0, by git itself";
  Deno.test(`a repository cannot redirect to an internal one, ${version}`, async () => {
    await using world = await World.start();
    world.git.protocolV2 = protocolV2;
    await using moved = serve((url) =>
      Response.redirect(
        `${world.git.url}/lib.git${url.pathname.slice("/m.git".length)}${url.search}`,
      )
    );
    await using server = await world.server([moved.host], [moved.host]);
    world.pages.set(`${PAGES}/m`, pageOf(`${PAGES}/m`, { url: `${moved.url}/m.git` }));
    const { status, body } = await ask(`${server.url}/${PAGES}/m/@v/list`);
    assert.deepEqual(world.git.requests, []);
    assert.ok(moved.asked.length > 0);
    assert.equal(status, 502);
    assert.match(body, /^Cannot reach 127\.0\.0\.1\nrequest id: \S+\n$/);
  });

  Deno.test(`what egress.allow lists is served, also behind a redirect, ${version}`, async () => {
    await using world = await World.start();
    world.git.protocolV2 = protocolV2;
    await using moved = serve((url) =>
      Response.redirect(
        `${world.git.url}/lib.git${url.pathname.slice("/m.git".length)}${url.search}`,
      )
    );
    await using server = await world.server(["127.0.0.0/8"], [moved.host]);
    const urls = new Map([
      [`${PAGES}/lib`, `${world.git.url}/lib.git`],
      [`${PAGES}/m`, `${moved.url}/m.git`],
    ]);
    for (const [path, url] of urls) {
      world.pages.set(path, pageOf(path, { url }));
      assert.deepEqual(await ask(`${server.url}/${path}/@v/list`), { status: 200, body: LIST });
    }
    const { status } = await ask(`${server.url}/${PAGES}/lib/@v/v1.0.0.zip`);
    assert.equal(status, 200);
  });
}

Deno.test("a page cannot name an internal module proxy, and nobody is told what an allowed one says", async () => {
  await using world = await World.start();
  await using internal = serve(() => new Response("not found: top secret", { status: 404 }));
  world.pages.set(`${PAGES}/m`, pageOf(`${PAGES}/m`, { vcs: "mod", url: internal.url }));
  {
    await using server = await world.server([], [internal.host]);
    const { status, body } = await ask(`${server.url}/${PAGES}/m/@v/list`);
    assert.equal(status, 502);
    assert.match(body, /^Cannot reach 127\.0\.0\.1\nrequest id: \S+\n$/);
    assert.deepEqual(internal.asked, []);
  }
  await using server = await world.server([internal.host], [internal.host]);
  const { status, body } = await ask(`${server.url}/${PAGES}/m/@v/list`);
  assert.equal(status, 404);
  assert.ok(internal.asked.length > 0);
  assert.doesNotMatch(body, /secret/);
});

Deno.test("what git says of a stranger's repository is in the log and not in the answer", async () => {
  await using world = await World.start();
  world.git.misbehave = () => new Response("top secret\n", { status: 500 });
  await using server = await world.server([`127.0.0.1:${world.port}`]);
  world.pages.set(`${PAGES}/lib`, pageOf(`${PAGES}/lib`, { url: `${world.git.url}/lib.git` }));
  const { status, body } = await ask(`${server.url}/${PAGES}/lib/@v/list`);
  assert.equal(status, 502);
  assert.match(body, /^Cannot list the refs of \S+: git ended with 128\nrequest id: \S+\n$/);
  const { error } = await server.log(({ error }) => /git ended with 128/.test(String(error)));
  assert.match(String(error), /The requested URL returned error: 500/);
});

/** A server on loopback that answers every request so. */
function serve(answer: (url: URL) => Response) {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.push(request.url);
    return answer(new URL(request.url));
  });
  const host = `127.0.0.1:${server.addr.port}`;
  return {
    host,
    url: `http://${host}`,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
