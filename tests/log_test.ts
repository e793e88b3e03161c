/** The log of a session, as an operator searches it. */
import assert from "node:assert/strict";
import { status } from "./fakes/behaviours.ts";
import { startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n" },
};

Deno.test("one id links a request, its log lines, and its outgoing requests", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using server = await startServer({
    env: { GOPROXY: upstream.url, LOG_LEVEL: "DEBUG" },
  });
  const seen: (string | null)[] = [];
  const get = async (path: string, id: string) => {
    const response = await fetch(`${server.url}/${path}`, { headers: { "X-Request-Id": id } });
    await response.body?.cancel();
    assert.equal(response.headers.get("X-Request-Id"), id);
  };
  {
    using _rule = upstream.misbehave(/./, (request, honest) => {
      seen.push(request.headers.get("X-Request-Id"));
      return honest();
    });
    await get("example.com/m/@v/v1.0.0.mod", "build-1");
  }
  assert.ok(seen.length >= 3);
  assert.deepEqual([...new Set(seen)], ["build-1"]);
  {
    using _rule = upstream.misbehave(/list$/, status(503));
    await get("example.com/m/@v/list", "build-2");
  }
  await get("example.com/m/@v/v1.0.0.mod", "build-3");
  await server.log(({ id, msg }) => id === "build-3" && msg === "request");
  const of = (wanted: string) => server.logs.filter(({ id }) => id === wanted);

  const [first, ...none] = of("build-1");
  assert.deepEqual(none, []);
  const { time: _time, ms, ...line } = first ?? {};
  assert.equal(typeof ms, "number");
  assert.deepEqual(line, {
    level: "info",
    id: "build-1",
    method: "GET",
    path: "/example.com/m/@v/v1.0.0.mod",
    status: 200,
    route: "module",
    module: "example.com/m",
    version: "v1.0.0",
    cache: "miss",
    source: `proxy ${upstream.url}`,
    bytes: "module example.com/m\n".length,
    msg: "request",
  });
  const [warning, request] = of("build-2");
  assert.match(String(warning?.["msg"]), /answering from the store/);
  assert.match(String(warning?.["error"]), /status 503/);
  assert.equal(request?.["cache"], "stale");
  assert.equal(of("build-3")[0]?.["cache"], "hit");
});

Deno.test("an invalid LOG_LEVEL is refused with a list of the valid ones", async () => {
  await assert.rejects(
    startServer({ env: { LOG_LEVEL: "loud" } }),
    /LOG_LEVEL.*is invalid.*trace, debug, info, warn, error, fatal, silent/,
  );
});
