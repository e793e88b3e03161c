/**
 * Outgoing connections follow the usual variables and the configuration: forward proxies and
 * certificates.
 */
import assert from "node:assert/strict";
import { createAuthority } from "./fakes/authority.ts";
import { GitServer } from "./fakes/git_server.ts";
import { startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n" },
};
const UPSTREAM_HOST = "modules.example.com";

/**
 * A forward proxy for plain http: a request for any host is answered by the upstream on loopback.
 */
function startForwardProxy(upstreamUrl: string) {
  const asked: string[] = [];
  const credentials = new Set<string | null>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.push(request.url);
    credentials.add(request.headers.get("Proxy-Authorization"));
    const { pathname, search } = new URL(request.url);
    return fetch(new URL(pathname + search, upstreamUrl), request);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
    credentials,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("HTTP_PROXY and NO_PROXY decide how the upstream is reached", async (t) => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using proxy = startForwardProxy(upstream.url);
  const directory = await Deno.makeTempDir({ prefix: "outbound-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.writeTextFile(`${directory}/config.yaml`, `insecureHosts: [${UPSTREAM_HOST}]\n`);
  const args = ["--config-file", `${directory}/config.yaml`];
  const env = { HTTP_PROXY: proxy.url, GOPROXY: `http://${UPSTREAM_HOST}` };
  const statusOf = async (url: string) => {
    const response = await fetch(`${url}/example.com/m/@v/list`);
    await response.body?.cancel();
    return response.status;
  };

  await t.step("through the proxy", async () => {
    await using server = await startServer({ args, env });
    assert.equal(await statusOf(server.url), 200);
    assert.ok(proxy.asked.some((url) => url.startsWith(`http://${UPSTREAM_HOST}/example.com/m/`)));
  });

  await t.step("not for hosts that NO_PROXY names", async () => {
    const before = proxy.asked.length;
    await using server = await startServer({ args, env: { ...env, NO_PROXY: UPSTREAM_HOST } });
    // The name leads nowhere without the proxy.
    assert.equal(await statusOf(server.url), 502);
    assert.equal(proxy.asked.length, before);
  });
});

Deno.test("httpProxy takes the place of the variables, for our requests and for git's", async (t) => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using proxy = startForwardProxy(upstream.url);
  await using git = await GitServer.start();
  // Without version 2 of the protocol, git itself is what asks.
  git.protocolV2 = false;
  const repo = await git.createRepo("lib.git");
  await repo.commit({ "go.mod": "module git.example.com/lib\n" }, { tag: "v1.0.0" });
  await using gitProxy = startForwardProxy(git.url);
  const directory = await Deno.makeTempDir({ prefix: "outbound-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.writeTextFile(`${directory}/password`, "p@ss\n");
  const start = async (httpProxy: string) => {
    await Deno.writeTextFile(
      `${directory}/config.yaml`,
      `
insecureHosts: [${UPSTREAM_HOST}, git.example.com]
httpProxy: ${httpProxy}
privateModules:
  - { pathPrefix: git.example.com/lib, auth: { none: true }, repository: "http://git.example.com/lib.git" }
`,
    );
    const args = ["--config-file", `${directory}/config.yaml`];
    // Nobody is there.
    const env = { HTTP_PROXY: "http://127.0.0.1:1", GOPROXY: `http://${UPSTREAM_HOST}` };
    return await startServer({ args, env });
  };
  const answer = async (url: string) => {
    const response = await fetch(url);
    return { status: response.status, body: await response.text() };
  };
  const account = "user: me, password: { file: password }";

  await t.step("our requests, with user and password", async () => {
    await using server = await start(`{ url: "${proxy.url}", ${account} }`);
    const list = await answer(`${server.url}/example.com/m/@v/list`);
    assert.deepEqual([list.status, list.body], [200, "v1.0.0\n"]);
    assert.deepEqual([...proxy.credentials], [`Basic ${btoa("me:p@ss")}`]);
  });

  await t.step("git's", async () => {
    await using server = await start(`{ url: "${gitProxy.url}", ${account} }`);
    const mod = await answer(`${server.url}/git.example.com/lib/@v/v1.0.0.mod`);
    assert.deepEqual([mod.status, mod.body], [200, "module git.example.com/lib\n"]);
    assert.ok(gitProxy.asked.includes("http://git.example.com/lib.git/git-upload-pack"));
    assert.ok(gitProxy.credentials.has(`Basic ${btoa("me:p@ss")}`));
  });

  await t.step("hosts of noProxy are reached directly", async () => {
    const before = proxy.asked.length;
    await using server = await start(`{ url: "${proxy.url}", noProxy: "*.example.com" }`);
    // The name leads nowhere without a proxy.
    const list = await answer(`${server.url}/example.com/m/@v/list`);
    assert.equal(list.status, 502);
    assert.equal(proxy.asked.length, before);
  });
});

Deno.test("caFile is trusted besides the usual certificates", async () => {
  const authority = await createAuthority();
  const { certificate: cert, privateKey: key } = await authority.issue();
  await using upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, cert, key },
    () => new Response("v1.0.0\n"),
  );
  const directory = await Deno.makeTempDir({ prefix: "outbound-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.writeTextFile(`${directory}/ca.pem`, authority.certificate);
  const env = { GOPROXY: `https://127.0.0.1:${upstream.addr.port}` };
  for (
    const { config, status } of [{ config: "", status: 502 }, {
      config: "caFile: ca.pem\n",
      status: 200,
    }]
  ) {
    await Deno.writeTextFile(`${directory}/config.yaml`, config);
    const args = ["--config-file", `${directory}/config.yaml`];
    await using server = await startServer({ args, env });
    const response = await fetch(`${server.url}/example.com/m/@v/list`);
    assert.equal(response.status, status, await response.text());
  }
});

Deno.test("HTTP_PROXY alone causes a warning: it does not apply to https", async () => {
  await using server = await startServer({
    env: { HTTP_PROXY: "http://127.0.0.1:1", GOPROXY: "off" },
  });
  const { msg } = await server.log(({ level, msg }) =>
    level === "warn" && /HTTP_PROXY/.test(String(msg))
  );
  assert.match(String(msg), /HTTPS_PROXY/);
});
