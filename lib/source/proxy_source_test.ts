import assert from "node:assert/strict";
import { UpstreamError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import { ProxySource } from "./proxy_source.ts";
import { Upstream, UPSTREAM_TIMES } from "./upstream.ts";

const PATH = parseModulePath("example.com/m");
const { signal } = new AbortController();

function sourceOf(...answers: Response[]) {
  const fetch = () => Promise.resolve(answers.shift() ?? new Response());
  return new ProxySource(
    new Upstream(new URL("https://proxy.example.com"), fetch, UPSTREAM_TIMES),
  );
}

Deno.test("ProxySource.list() says for how long its upstream takes the list for new", async () => {
  const source = sourceOf(
    new Response("v1.0.0\nv1.1.0 2026-01-02\nmain\n"),
    new Response("v1.0.0\n", { headers: { "Cache-Control": "max-age=60", "Age": "20" } }),
  );
  assert.deepEqual(await source.list(PATH, signal), {
    versions: ["v1.0.0", "v1.1.0"],
    freshMs: 0,
  });
  assert.deepEqual(await source.list(PATH, signal), { versions: ["v1.0.0"], freshMs: 40_000 });
});

Deno.test("ProxySource.list() takes nothing but a list for one", async () => {
  const source = sourceOf(new Response("no", { status: 403 }));
  await assert.rejects(source.list(PATH, signal), UpstreamError);
});
