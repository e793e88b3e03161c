import assert from "node:assert/strict";
import { UpstreamError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import { ProxySource } from "./proxy_source.ts";
import { Upstream, UPSTREAM_TIMES } from "./upstream.ts";

const PATH = parseModulePath("example.com/m");
const { signal } = new AbortController();

/** An upstream whose list has one version more each time it is asked. */
function growing(headers: Record<string, string>) {
  let requests = 0;
  let nowMs = 0;
  const fetch = () => {
    const text = Array.from({ length: ++requests }, (_, i) => `v1.${i}.0\n`).join("");
    return Promise.resolve(new Response(text, { headers }));
  };
  const upstream = new Upstream(new URL("https://proxy.example.com"), fetch, UPSTREAM_TIMES);
  const source = new ProxySource(upstream, { now: () => nowMs });
  return {
    versionsAt: async (ms: number) => {
      nowMs = ms;
      return (await source.list(PATH, signal)).length;
    },
  };
}

Deno.test("ProxySource.list() asks again when the upstream's list is no longer new", async (t) => {
  const rows = [
    { name: "it does not say", headers: {}, want: [1, 2, 3, 4, 5] },
    { name: "5 s", headers: { "Cache-Control": "max-age=5" }, want: [1, 1, 2, 2, 2] },
    {
      name: "a minute, of which 10 s count",
      headers: { "Cache-Control": "max-age=60" },
      want: [1, 1, 1, 1, 2],
    },
  ];
  for (const { name, headers, want } of rows) {
    await t.step(name, async () => {
      const { versionsAt } = growing(headers);
      const seen = [];
      for (const seconds of [1, 4, 7, 10.9, 11.1]) seen.push(await versionsAt(seconds * 1000));
      assert.deepEqual(seen, want);
    });
  }
});

Deno.test("ProxySource.list() remembers no failure", async () => {
  const answers = [new Response("no", { status: 403 }), new Response("v1.0.0\n")];
  const fetch = () => Promise.resolve(answers.shift() ?? new Response());
  const source = new ProxySource(
    new Upstream(new URL("https://proxy.example.com"), fetch, UPSTREAM_TIMES),
  );
  await assert.rejects(source.list(PATH, signal), UpstreamError);
  assert.deepEqual(await source.list(PATH, signal), ["v1.0.0"]);
});
