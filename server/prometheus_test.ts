import assert from "node:assert/strict";
import { AggregatorRegistry } from "prom-client";
import { METRICS } from "../lib/log/metrics.ts";
import { Prometheus } from "./prometheus.ts";

Deno.test("Prometheus.render() has help and type of every metric", async () => {
  const metrics = new Prometheus({ version: "1.2.3" });
  const page = await metrics.render();
  for (const [name, { type, help }] of Object.entries(METRICS)) {
    assert.ok(page.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`), name);
  }
  assert.match(page, /^gomodproxy_build_info\{version="1\.2\.3",deno="[\d.]+"\} 1$/m);
  assert.match(page, /^process_cpu_seconds_total [\d.]+$/m);
  assert.match(page, /^process_resident_memory_bytes \d{6,}$/m);
});

Deno.test("Prometheus.render() has what was counted, observed and read", async () => {
  const metrics = new Prometheus({ version: "0" });
  metrics.add("gomodproxy_cache_requests_total", { result: "hit" });
  metrics.add("gomodproxy_cache_requests_total", { result: "hit" }, 2);
  metrics.observe("gomodproxy_git_queue_wait_seconds", {}, 0.3);
  let running = 1;
  metrics.gauge("gomodproxy_git_processes_running", () => running);
  running = 7;
  const page = await metrics.render();
  assert.match(page, /^gomodproxy_cache_requests_total\{result="hit"\} 3$/m);
  assert.match(page, /^gomodproxy_git_queue_wait_seconds_bucket\{le="0\.1"\} 0$/m);
  assert.match(page, /^gomodproxy_git_queue_wait_seconds_bucket\{le="0\.5"\} 1$/m);
  assert.match(page, /^gomodproxy_git_processes_running 7$/m);
});

Deno.test("two registries are two", async () => {
  const one = new Prometheus({ version: "0" });
  const other = new Prometheus({ version: "0" });
  one.add("gomodproxy_store_retries_total", {});
  assert.match(await one.render(), /^gomodproxy_store_retries_total 1$/m);
  assert.match(await other.render(), /^gomodproxy_store_retries_total 0$/m);
});

Deno.test("the registries of several workers become one page", async () => {
  const one = new Prometheus({ version: "0" });
  const other = new Prometheus({ version: "0" });
  for (const metrics of [one, other]) {
    metrics.add("gomodproxy_cache_requests_total", { result: "miss" }, 2);
    metrics.gauge("gomodproxy_git_processes_running", () => 3);
  }
  const snapshots = await Promise.all([one, other].map((m) => m.registry.getMetricsAsJSON()));
  const page = await AggregatorRegistry.aggregate(snapshots).metrics();
  assert.match(page, /^gomodproxy_cache_requests_total\{result="miss"\} 4$/m);
  assert.match(page, /^gomodproxy_git_processes_running 6$/m);
  // A fact of the process, which both tell.
  assert.match(page, /^gomodproxy_build_info\{.*\} 1$/m);
});
