/** A source whose answers are counted and timed. The answers are the other source's, unchanged. */
import { type Metrics, timed } from "../log/metrics.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { FetchedCopy, FetchedZip, FetchOptions, Source } from "./source.ts";
import { type Question, SourceDecorator } from "./source_decorator.ts";

/** An upstream proxy, git of public modules, git of a private prefix. */
export type SourceKind = "proxy" | "direct" | "private";

export class MeasuredSource extends SourceDecorator {
  override readonly description: string;
  readonly #source: Source;
  readonly #kind: SourceKind;
  readonly #metrics: Metrics;

  constructor(source: Source, { kind, metrics }: { kind: SourceKind; metrics: Metrics }) {
    super();
    this.description = source.description;
    this.#source = source;
    this.#kind = kind;
    this.#metrics = metrics;
  }

  override async fetchZip(module: ModuleVersion, options: FetchOptions): Promise<FetchedZip> {
    const zip = await super.fetchZip(module, options);
    this.#countZip(zip);
    return zip;
  }

  override async fetch(module: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    const copy = await super.fetch(module, options);
    this.#countZip(copy.zip);
    return copy;
  }

  #countZip({ sizeBytes }: FetchedZip): void {
    this.#metrics.add("gomodproxy_source_zip_bytes_total", { source: this.#kind }, sizeBytes);
  }

  protected override around<T>(
    { operation, path, version, signal }: Question,
    ask: (source: Source) => Promise<T>,
  ): Promise<T> {
    const source = this.#kind;
    return timed(() => ask(this.#source), {
      span: `source ${operation}`,
      attributes: {
        "gomodproxy.source": this.description,
        "gomodproxy.module": path,
        ...version === undefined ? {} : { "gomodproxy.version": version },
      },
      signal,
      record: ({ outcome, seconds }) => {
        this.#metrics.add("gomodproxy_source_requests_total", { source, operation, outcome });
        this.#metrics.observe(
          "gomodproxy_source_request_duration_seconds",
          { source, operation },
          seconds,
        );
      },
    });
  }
}
