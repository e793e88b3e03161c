/**
 * {@linkcode Metrics} by prom-client, and the page that Prometheus scrapes
 * (prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4).
 *
 * Each {@linkcode Prometheus} has a registry of its own. The results of
 * `registry.getMetricsAsJSON()` in several workers are merged by prom-client's
 * `AggregatorRegistry.aggregate`; each metric knows how.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import process from "node:process";
import { type Labels, type MetricName, METRICS, type Metrics } from "../lib/log/metrics.ts";

/** From answers out of memory up to the fetch of a large repository. */
const BUCKETS_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

export interface PrometheusOptions {
  /** This program's. */
  readonly version: string;
}

type Read = () => number | Promise<number>;

export class Prometheus implements Metrics {
  readonly registry = new Registry();
  readonly contentType = this.registry.contentType;
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #readings = new Map<string, Read>();

  constructor({ version }: PrometheusOptions) {
    const readings = this.#readings;
    for (const [name, spec] of Object.entries(METRICS)) {
      const options = {
        name,
        help: spec.help,
        labelNames: spec.labels,
        registers: [this.registry],
        aggregator: "across" in spec ? spec.across : "sum" as const,
      };
      if (spec.type === "histogram") {
        this.#histograms.set(name, new Histogram({ ...options, buckets: BUCKETS_SECONDS }));
      } else if (spec.type === "counter") {
        const counter = new Counter({
          ...options,
          async collect() {
            const read = readings.get(name);
            if (read === undefined) return;
            this.reset();
            this.inc(await read());
          },
        });
        this.#counters.set(name, counter);
      } else {
        const gauge = new Gauge({
          ...options,
          async collect() {
            const read = readings.get(name);
            if (read !== undefined) this.set(await read());
          },
        });
        if (name === "gomodproxy_build_info") gauge.set({ version, deno: Deno.version.deno }, 1);
      }
    }
    readings.set("process_resident_memory_bytes", () => Deno.memoryUsage().rss);
    readings.set("process_cpu_seconds_total", cpuSeconds);
    readings.set("process_start_time_seconds", () => performance.timeOrigin / 1000);
  }

  add<N extends MetricName>(name: N, labels: Labels<N>, by = 1): void {
    this.#counters.get(name)?.inc({ ...labels }, by);
  }

  observe<N extends MetricName>(name: N, labels: Labels<N>, seconds: number): void {
    this.#histograms.get(name)?.observe({ ...labels }, seconds);
  }

  gauge(name: MetricName, read: Read): void {
    this.#readings.set(name, read);
  }

  /** The page. */
  async render(): Promise<string> {
    return await this.registry.metrics();
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
