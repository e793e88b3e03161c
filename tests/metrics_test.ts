/**
 * What a scripted session leaves in `/metrics`, and that the documents about metrics speak of these
 * and of no others.
 */
import assert from "node:assert/strict";
import { METRICS } from "../lib/log/metrics.ts";
import { status } from "./fakes/behaviours.ts";
import { startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n", "m.go": "package m\n" },
};

Deno.test("/metrics counts the requests of a session", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using server = await startServer({ env: { GOPROXY: upstream.url } });
  const get = async (path: string) => {
    const response = await fetch(`${server.url}/${path}`);
    return { status: response.status, body: await response.text() };
  };
  const page = async () => {
    const response = await fetch(`${server.url}/metrics`);
    assert.match(response.headers.get("Content-Type") ?? "", /^text\/plain; version=0\.0\.4/);
    return await response.text();
  };

  assert.equal((await get("example.com/m/@v/list")).status, 200);
  assert.equal((await get("example.com/m/@v/v1.0.0.info")).status, 200);
  assert.equal((await get("example.com/m/@v/v1.0.0.info")).status, 200);
  assert.equal((await get("example.com/m/@v/v1.0.0.zip")).status, 200);
  assert.equal((await get("example.com/none/@v/v1.0.0.mod")).status, 404);
  assert.equal((await get("no/route")).status, 404);
  {
    using _rule = upstream.misbehave(/m\/@v\/list$/, status(503));
    assert.equal((await get("example.com/m/@v/list")).status, 200);
  }

  const text = await page();
  const valueOf = (line: string) => {
    const found = text.split("\n").find((row) => row.startsWith(`${line} `));
    return found === undefined ? null : Number(found.slice(line.length));
  };
  const WANT: { line: string; want: number }[] = [
    { line: 'gomodproxy_http_requests_total{route="/{module}/@v/list",status="200"}', want: 2 },
    {
      line: 'gomodproxy_http_requests_total{route="/{module}/@v/{version}.info",status="200"}',
      want: 2,
    },
    {
      line: 'gomodproxy_http_requests_total{route="/{module}/@v/{version}.mod",status="404"}',
      want: 1,
    },
    { line: 'gomodproxy_http_requests_total{route="other",status="404"}', want: 1 },
    { line: 'gomodproxy_http_request_duration_seconds_count{route="/{module}/@v/list"}', want: 2 },
    { line: 'gomodproxy_cache_requests_total{result="hit"}', want: 2 },
    { line: 'gomodproxy_cache_requests_total{result="stale"}', want: 1 },
    {
      line:
        'gomodproxy_source_requests_total{source="proxy",operation="fetch",outcome="not-found"}',
      want: 1,
    },
    {
      line:
        'gomodproxy_source_requests_total{source="proxy",operation="list",outcome="bad-upstream"}',
      want: 1,
    },
    { line: 'gomodproxy_publications_total{outcome="created"}', want: 1 },
    { line: "gomodproxy_http_requests_in_flight", want: 1 },
  ];
  for (const { line, want } of WANT) assert.equal(valueOf(line), want, line);
  const sent = valueOf(
    'gomodproxy_http_response_bytes_total{route="/{module}/@v/{version}.zip"}',
  );
  assert.ok(sent !== null && sent > 100);
  assert.equal(valueOf('gomodproxy_source_zip_bytes_total{source="proxy"}'), sent);
  assert.ok((valueOf('gomodproxy_store_requests_total{operation="get",outcome="ok"}') ?? 0) > 2);
  // Nothing in a label comes from a client or a source.
  assert.doesNotMatch(text, /example\.com|v1\.0\.0|127\.0\.0\.1/);
});

Deno.test("the dashboard uses metrics that exist", async () => {
  const text = await Deno.readTextFile(
    new URL("../deploy/grafana/dashboard.json", import.meta.url),
  );
  const names = new Set(text.match(/\b(gomodproxy|process)_[a-z_]+\b/g));
  const known = new Set(
    Object.entries(METRICS).flatMap(([name, { type }]) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name]
    ),
  );
  assert.deepEqual([...names.difference(known)], []);
  const shown = new Set([...names].map((name) => name.replace(/_bucket$/, "")));
  assert.deepEqual(Object.keys(METRICS).filter((name) => !shown.has(name)), []);
});

Deno.test("docs/operating.md describes each metric", async () => {
  const text = await Deno.readTextFile(new URL("../docs/operating.md", import.meta.url));
  const rows = [
    ...text.matchAll(/^\| `((?:gomodproxy|process)_[a-z_]+)` +\| (\w+) +\| ([^|]*)\|/gm),
  ];
  const documented = rows.map(([, name, type, labels = ""]) => ({
    name,
    type,
    labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
  }));
  const want = Object.entries(METRICS).map(([name, { type, labels }]) => ({
    name,
    type,
    labels: [...labels],
  }));
  assert.deepEqual(documented, want);
});
