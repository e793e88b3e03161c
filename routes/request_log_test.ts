import assert from "node:assert/strict";
import { createLogger } from "../lib/log/log.ts";
import type { Metrics } from "../lib/log/metrics.ts";
import { type EndedRequest, MAX_GATHERED, RequestLog } from "./request_log.ts";
import { within } from "../tests/support/eventually.ts";

function recorded(gathers: boolean) {
  const lines: Record<string, unknown>[] = [];
  const counted: unknown[] = [];
  const log = createLogger("info", { write: (line) => void lines.push(JSON.parse(line)) });
  const metrics: Metrics = {
    add: (name, labels, by = 1) => void counted.push([name, { ...labels }, by]),
    observe: (name, labels, seconds) => void counted.push([name, { ...labels }, seconds]),
    gauge: () => {},
  };
  return { lines, counted, requestLog: new RequestLog({ log, metrics, gathers }) };
}

function ended(overrides: Partial<EndedRequest> = {}): EndedRequest {
  return {
    id: "1",
    method: "GET",
    path: "example.com/m/@v/v1.0.0.info",
    template: "/{module}/@v/{version}.info",
    status: 200,
    sizeBytes: 50,
    durationMs: 3.4,
    isAborted: false,
    facts: { route: "module", cache: "hit" },
    ...overrides,
  };
}

Deno.test("RequestLog writes and counts a request", () => {
  const { lines, counted, requestLog } = recorded(false);
  requestLog.add(ended());
  assert.deepEqual(lines.map(({ time: _, ...line }) => line), [{
    level: "info",
    id: "1",
    method: "GET",
    path: "/example.com/m/@v/v1.0.0.info",
    status: 200,
    route: "module",
    cache: "hit",
    bytes: 50,
    ms: 3,
    msg: "request",
  }]);
  const route = "/{module}/@v/{version}.info";
  assert.deepEqual(counted, [
    ["gomodproxy_http_requests_total", { route, status: "200" }, 1],
    ["gomodproxy_http_request_duration_seconds", { route }, 0.0034],
    ["gomodproxy_http_response_bytes_total", { route }, 50],
    ["gomodproxy_cache_requests_total", { result: "hit" }, 1],
  ]);
});

Deno.test("RequestLog says of a client that hung up so, and counts no bytes", () => {
  const { lines, counted, requestLog } = recorded(false);
  requestLog.add(ended({ isAborted: true, facts: {} }));
  assert.equal(lines[0]?.["aborted"], true);
  assert.equal("bytes" in (lines[0] ?? {}), false);
  assert.deepEqual(counted.at(-1), [
    "gomodproxy_http_aborted_requests_total",
    { route: "/{module}/@v/{version}.info" },
    1,
  ]);
});

Deno.test("RequestLog gathers requests until there are many, or somebody looks", () => {
  const { lines, requestLog } = recorded(true);
  const ids = Array.from({ length: MAX_GATHERED + 1 }, (_, i) => String(i));
  for (const id of ids.slice(0, -2)) requestLog.add(ended({ id }));
  assert.deepEqual(lines, []);
  for (const id of ids.slice(-2)) requestLog.add(ended({ id }));
  assert.equal(lines.length, MAX_GATHERED);
  requestLog.flush();
  requestLog.flush();
  assert.deepEqual(lines.map(({ id }) => id), ids);
});

Deno.test("RequestLog gathers requests for a short time only", async () => {
  const written = Promise.withResolvers<void>();
  const log = createLogger("info", { write: () => written.resolve() });
  const metrics: Metrics = { add: () => {}, observe: () => {}, gauge: () => {} };
  new RequestLog({ log, metrics, gathers: true }).add(ended());
  await within("the line to be written", written.promise);
});
