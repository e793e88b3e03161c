/** Makes the source of public modules from an upstream list: one case for each kind of entry. */
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import type { InspectZip } from "../zip/read.ts";
import { MeasuredSource } from "./measured.ts";
import { ProxySource } from "./proxy_source.ts";
import type { Source } from "./source.ts";
import { type ListedSource, SourceList } from "./source_list.ts";
import type { Upstream } from "./upstream.ts";

/** An entry of the upstream list. */
export type SourceEntry =
  | { readonly kind: "proxy"; readonly upstream: Upstream; readonly onAnyError: boolean }
  | { readonly kind: "direct" }
  | { readonly kind: "off" };

export interface OpenSourceOptions {
  /** The source behind `direct`. */
  readonly direct: Source;
  readonly metrics?: Metrics;
  /** Inspects zips of upstreams. Default: in this thread. */
  readonly inspectZip?: InspectZip | undefined;
}

export interface OpenedSource {
  readonly source: Source;
  /** The sources that it consists of, in order. */
  readonly sources: readonly Source[];
}

export function openSource(
  entries: readonly SourceEntry[],
  { direct, metrics = NO_METRICS, inspectZip }: OpenSourceOptions,
): OpenedSource {
  const sources: ListedSource[] = [];
  for (const entry of entries) {
    switch (entry.kind) {
      case "proxy": {
        const proxy = new ProxySource(entry.upstream, { inspect: inspectZip });
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
  return { source: new SourceList(sources), sources: sources.map(({ source }) => source) };
}
