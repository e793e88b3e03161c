import assert from "node:assert/strict";
import { ANYONE, OPEN_GUARD } from "../lib/auth/guard.ts";
import { createLogger } from "../lib/log/log.ts";
import { createApp, type Route } from "../routes/app.ts";
import { LONG_REQUEST_MS, RequestsUnderWay } from "../routes/requests_under_way.ts";
import { EventLoopWatch } from "./event_loop_watch.ts";
import { Prometheus } from "./prometheus.ts";

interface Line {
  readonly msg: string;
  readonly ms: number;
  readonly underWay: Readonly<Record<string, number>>;
  readonly ended: Readonly<Record<string, number>>;
}

/** A route that waits for `gate`, and one that computes for longer than it should. */
function routes(gate: Promise<void>): Route[] {
  const route = (name: string, answer: () => void | Promise<void>): Route => ({
    name,
    matches: (path) => path === name,
    read: () => ({
      access: ANYONE,
      template: `/${name}/{version}`,
      answerAtOnce: () => {
        if (name === "waits") return null;
        void answer();
        return { status: 200, headers: {}, body: null };
      },
      answer: async () => {
        await answer();
        return { status: 200, headers: {}, body: null };
      },
    }),
  });
  return [
    route("waits", () => gate),
    route("computes", () => {
      const endMs = performance.now() + LONG_REQUEST_MS;
      while (performance.now() < endMs);
    }),
  ];
}

Deno.test("EventLoopWatch says which requests were under way when the loop was held up", async () => {
  const lines: Line[] = [];
  const log = createLogger("warn", { write: (line) => void lines.push(JSON.parse(line)) });
  const metrics = new Prometheus({ version: "0" });
  const requests = new RequestsUnderWay();
  using watch = new EventLoopWatch({ log, metrics, requests, thread: "main" });
  const gate = Promise.withResolvers<void>();
  const app = createApp({
    routes: routes(gate.promise),
    guard: OPEN_GUARD,
    log,
    via: "1.1 test",
    requests,
  });
  const ask = (path: string) => app(new Request(`http://localhost/${path}`));
  const waiting = ask("waits");
  await ask("computes");
  watch.tick(0, 1234);
  watch.tick(1, 5000);
  gate.resolve();
  await waiting;
  watch.tick(20_000, 300);
  // Nobody was there.
  watch.tick(40_000, 300);
  assert.deepEqual(
    lines.map(({ ms, underWay, ended }) => ({ ms, underWay, ended })),
    [
      {
        ms: 1234,
        underWay: { "/waits/{version}": 1 },
        ended: { "/computes/{version}": 1 },
      },
      { ms: 300, underWay: {}, ended: { "/waits/{version}": 1 } },
    ],
  );
  const page = await metrics.render();
  assert.match(page, /^gomodproxy_event_loop_delay_seconds_bucket\{le="0\.5"\} [1-9]/m);
  assert.match(page, /^gomodproxy_event_loop_lag_seconds 5$/m);
  assert.match(await metrics.render(), /^gomodproxy_event_loop_lag_seconds 0$/m);
});

Deno.test("EventLoopWatch sees a step that takes long", async () => {
  const warned = Promise.withResolvers<number>();
  const log = createLogger("warn", { write: (line) => warned.resolve(JSON.parse(line).ms) });
  const metrics = new Prometheus({ version: "0" });
  const requests = new RequestsUnderWay();
  requests.add({ template: "/{module}/@v/list" });
  using _watch = new EventLoopWatch({ log, metrics, requests, thread: "main" });
  const endMs = performance.now() + 500;
  while (performance.now() < endMs);
  // The watch's timer keeps no process waiting, nor a test.
  const keep = setTimeout(() => {}, 60_000);
  try {
    assert.ok(await warned.promise >= 200);
  } finally {
    clearTimeout(keep);
  }
});
