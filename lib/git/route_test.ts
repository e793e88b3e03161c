import assert from "node:assert/strict";
import { GitServer } from "../../tests/fakes/git_server.ts";
import { Semaphore } from "../async/semaphore.ts";
import { Git, type GitBufferOptions, ORIGIN } from "./command.ts";
import { GitError } from "./errors.ts";
import { parseRemoteUrl, type RemoteUrl } from "./remote_url.ts";
import { type NetworkRoute, proxiesFor, routeConfig } from "./route.ts";

const HOST = "git.example.com";

function remoteAt(url: string): RemoteUrl {
  return parseRemoteUrl(url, { isHttpAllowed: () => true });
}

function directTo(url: string, addresses: readonly string[]): NetworkRoute {
  const { hostname, port } = new URL(url);
  return {
    remote: remoteAt(url),
    route: { kind: "direct", destination: { hostname, port: Number(port) }, addresses },
  };
}

const LIST = ["ls-remote", "--end-of-options", ORIGIN];
const FETCH = ["fetch", "--end-of-options", ORIGIN, "+refs/heads/main:refs/heads/main"];

/** Runs git with a route, in an empty repository. */
async function run(args: readonly string[], route: NetworkRoute): Promise<string> {
  const emptyDirectory = await Deno.makeTempDir({ prefix: "git-route-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(emptyDirectory, { recursive: true }));
  await using git = new Git({
    environment: {
      path: Deno.env.get("PATH") ?? "",
      // Nobody is there: with a route of its own, git is not told.
      httpProxy: "http://127.0.0.1:1",
    },
    emptyDirectory,
    processes: new Semaphore({ what: "start git", permits: 1, maxWaiting: 1, maxWaitMs: 1000 }),
  });
  const gitDir = `${emptyDirectory}/r.git`;
  const limits = { what: "test git", timeoutMs: 30_000, maxOutputBytes: 10_000 };
  await git.run(["init", "--quiet", "--bare", gitDir], limits);
  const options: GitBufferOptions = {
    ...limits,
    gitDir,
    network: {
      remote: remoteAt("https://nobody.example.com/x.git"),
      findRoute: () => Promise.resolve(route),
    },
  };
  const { stdout } = await git.run(args, options);
  return new TextDecoder().decode(stdout);
}

Deno.test("git connects to the address of its route, and looks no name up", async () => {
  await using server = await GitServer.start();
  const repo = await server.createRepo("lib.git");
  await repo.commit({ "a.txt": "a" }, { tag: "v1.0.0" });
  const { port } = new URL(server.url);
  const url = `http://${HOST}:${port}/lib.git`;
  assert.match(await run(LIST, directTo(url, ["127.0.0.1"])), /\trefs\/tags\/v1\.0\.0\n/);
  // It tries one after the other, as curl does.
  assert.match(await run(LIST, directTo(url, ["::1", "127.0.0.1"])), /\trefs\/tags\/v1\.0\.0\n/);
});

Deno.test("git with a route follows no redirect", async () => {
  await using server = await GitServer.start();
  const repo = await server.createRepo("lib.git");
  await repo.commit({ "a.txt": "a" }, { tag: "v1.0.0" });
  server.misbehave = ({ repo, target }) =>
    repo === "moved.git"
      ? Response.redirect(`${server.url}${target.replace("moved", "lib")}`)
      : null;
  const { port } = new URL(server.url);
  await assert.rejects(
    run(LIST, directTo(`http://${HOST}:${port}/moved.git`, ["127.0.0.1"])),
    GitError,
  );
  assert.deepEqual(server.requests.map(({ repo }) => repo), ["moved.git"]);
});

Deno.test("git with a route takes no objects from where a dumb server points to", async () => {
  await using server = await GitServer.start();
  const hash = "1".repeat(40);
  await using other = await GitServer.start();
  server.misbehave = ({ target }) => {
    const { pathname } = new URL(target, "http://x");
    switch (pathname) {
      case "/dumb.git/info/refs":
        return new Response(`${hash}\trefs/heads/main\n`);
      case "/dumb.git/HEAD":
        return new Response("ref: refs/heads/main\n");
      case "/dumb.git/objects/info/http-alternates":
        return new Response(`${other.url}/lib.git/objects\n`);
      default:
        return new Response(null, { status: 404 });
    }
  };
  const url = `http://${HOST}:${new URL(server.url).port}/dumb.git`;
  await assert.rejects(run(FETCH, directTo(url, ["127.0.0.1"])), GitError);
  assert.ok(server.requests.some(({ target }) => target.endsWith("/http-alternates")));
  assert.deepEqual(other.requests, []);
});

Deno.test("routeConfig() and proxiesFor() by kind of route", () => {
  const environment = { path: "/bin", httpsProxy: "http://p:1", noProxy: "*" };
  assert.deepEqual(routeConfig(undefined), []);
  assert.deepEqual(proxiesFor(environment, undefined), environment);
  const direct = directTo(`https://${HOST}:8443/x`, ["8.8.8.8", "2606:4700::1"]);
  assert.deepEqual(routeConfig(direct), [
    ["http.followRedirects", "false"],
    ["http.curloptResolve", `${HOST}:8443:8.8.8.8,[2606:4700::1]`],
  ]);
  assert.deepEqual(proxiesFor(environment, direct), {});
  // An address is no name to look up.
  assert.deepEqual(routeConfig(directTo("https://8.8.8.8:8443/x", ["8.8.8.8"])), [
    ["http.followRedirects", "false"],
  ]);
  const proxy = new URL("http://me:secret@proxy.example.com:3128");
  const proxied: NetworkRoute = {
    remote: remoteAt("https://a.example.com/x"),
    route: { kind: "proxy", proxy },
  };
  assert.deepEqual(routeConfig(proxied), [["http.followRedirects", "false"]]);
  assert.deepEqual(proxiesFor(environment, proxied), {
    httpsProxy: proxy.href,
    httpProxy: proxy.href,
  });
});
