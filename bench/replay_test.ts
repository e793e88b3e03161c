import assert from "node:assert/strict";
import { replay } from "./replay.ts";

/** Answers with a Content-Length, or in chunks where the path says so. */
function serve(requested: string[]): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    const { pathname } = new URL(url);
    requested.push(pathname);
    if (pathname === "/missing") return new Response("not found\n", { status: 404 });
    const body = "x".repeat(200_000);
    const isChunked = pathname.startsWith("/chunked");
    return new Response(isChunked ? new Blob([body, body]).stream() : body);
  });
}

Deno.test("replay() has each client ask for everything, in order", async () => {
  const requested: string[] = [];
  await using server = serve(requested);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const paths = ["/a", "/chunked/b", "/c", "/chunked/d", "/chunked/e", "/f"];
  const work = { url, paths, clients: 1, connections: 1, thinkMs: 0 };
  const [one = NaN, ...others] = await replay(work, { timeoutMs: 60_000 }) ?? [];
  assert.ok(one > 0);
  assert.deepEqual(others, []);
  assert.deepEqual(requested, paths);

  requested.length = 0;
  const many = await replay({ ...work, clients: 5, connections: 2 }, { timeoutMs: 60_000 });
  assert.equal(many?.length, 5);
  assert.deepEqual(requested.toSorted(), paths.flatMap((path) => Array(5).fill(path)).toSorted());
});

Deno.test("replay() has clients wait between an answer and the next request", async () => {
  await using server = serve([]);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const work = { url, paths: ["/a", "/b", "/c"], clients: 1, connections: 1, thinkMs: 20 };
  const [one = NaN] = await replay(work, { timeoutMs: 60_000 }) ?? [];
  // Timers of 20 ms may be a little early.
  assert.ok(one >= 55, `${one} ms`);
});

Deno.test("replay() fails when an answer is no success", async () => {
  await using server = serve([]);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const work = { url, paths: ["/missing"], clients: 1, connections: 1, thinkMs: 0 };
  await assert.rejects(replay(work, { timeoutMs: 60_000 }), /Cannot replay 1 requests/);
});

Deno.test("replay() gives up at its deadline", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    // It takes connections, and nobody answers.
    const url = `http://127.0.0.1:${listener.addr.port}`;
    const work = { url, paths: ["/a"], clients: 1, connections: 1, thinkMs: 0 };
    assert.equal(await replay(work, { timeoutMs: 100 }), null);
  } finally {
    listener.close();
  }
});
