/** Outgoing connections through a forward proxy, as the usual variables ask for it. */
import assert from "node:assert/strict";
import { startServer } from "./fakes/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n" },
};
const UPSTREAM_HOST = "modules.example.com";

/** A forward proxy for plain http: a request for any host is answered by the upstream on loopback. */
function startForwardProxy(upstreamUrl: string) {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.push(request.url);
    return fetch(new URL(new URL(request.url).pathname, upstreamUrl));
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
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
