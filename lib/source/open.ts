/**
 * From an upstream list to the source of public modules: one case for each kind of entry.
 */
import type { Fetch } from "../http/client.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import type { InspectZip } from "../zip/read.ts";
import { MeasuredSource } from "./measured.ts";
import { ProxySource } from "./proxy_source.ts";
import type { Source } from "./source.ts";
import { type ListedSource, type ListEntry, SourceList } from "./source_list.ts";
import { Upstream } from "./upstream.ts";

export interface OpenSourceOptions {
  readonly fetch: Fetch;
  /** The source behind `direct`. */
  readonly direct: Source;
  readonly metrics?: Metrics;
  /** Looks through zips of upstreams. Default: here. */
  readonly inspectZip?: InspectZip | undefined;
}

export interface OpenedSource {
  readonly source: Source;
  /** What it consists of, in its order. */
  readonly sources: readonly Source[];
  /** The proxies of the list, in its order: they may serve checksum databases too. */
  readonly upstreams: readonly Upstream[];
}

export function openSource(
  entries: readonly ListEntry[],
  { fetch, direct, metrics = NO_METRICS, inspectZip }: OpenSourceOptions,
): OpenedSource {
  const sources: ListedSource[] = [];
  const upstreams: Upstream[] = [];
  for (const entry of entries) {
    switch (entry.kind) {
      case "proxy": {
        const upstream = new Upstream(entry.url, fetch);
        upstreams.push(upstream);
        const proxy = new ProxySource(upstream, { inspect: inspectZip });
        const source = new MeasuredSource(proxy, { kind: "proxy", metrics });
        sources.push({ source, onAnyError: entry.onAnyError });
        break;
      }
      case "direct":
        sources.push({ source: direct, onAnyError: false });
        break;
      case "off":
        break;
    }
  }
  return {
    source: new SourceList(sources),
    sources: sources.map(({ source }) => source),
    upstreams,
  };
}
