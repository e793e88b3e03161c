/** A source whose answers are counted and timed. What it answers is the other source's, unchanged. */
import { type Metrics, timed } from "../log/metrics.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { Query, Version } from "../module/version.ts";
import type {
  DescribedCopy,
  FetchedCopy,
  FetchedZip,
  FetchOptions,
  KnownVersions,
  ModuleQuery,
  Source,
  VersionInfo,
} from "./source.ts";

/** An upstream proxy, git of public modules, git of a private prefix. */
export type SourceKind = "proxy" | "direct" | "private";

export class MeasuredSource implements Source {
  readonly description: string;
  readonly #source: Source;
  readonly #kind: SourceKind;
  readonly #metrics: Metrics;

  constructor(source: Source, { kind, metrics }: { kind: SourceKind; metrics: Metrics }) {
    this.description = source.description;
    this.#source = source;
    this.#kind = kind;
    this.#metrics = metrics;
  }

  list(path: ModulePath, signal: AbortSignal): Promise<KnownVersions> {
    const question = { operation: "list", path, signal };
    return this.#measure(question, () => this.#source.list(path, signal));
  }

  latest(path: ModulePath, signal: AbortSignal): Promise<VersionInfo> {
    const question = { operation: "latest", path, signal };
    return this.#measure(question, () => this.#source.latest(path, signal));
  }

  resolve(asked: ModuleQuery, signal: AbortSignal): Promise<VersionInfo> {
    const question = { operation: "resolve", path: asked.path, version: asked.query, signal };
    return this.#measure(question, () => this.#source.resolve(asked, signal));
  }

  describe(module: ModuleVersion, signal: AbortSignal): Promise<DescribedCopy> {
    const question = { operation: "describe", ...module, signal };
    return this.#measure(question, () => this.#source.describe(module, signal));
  }

  async fetchZip(module: ModuleVersion, options: FetchOptions): Promise<FetchedZip> {
    const question = { operation: "zip", ...module, signal: options.signal };
    const zip = await this.#measure(
      question,
      () => this.#source.fetchZip(module, options),
    );
    this.#countZip(zip);
    return zip;
  }

  async fetch(module: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    const question = { operation: "fetch", ...module, signal: options.signal };
    const copy = await this.#measure(question, () => this.#source.fetch(module, options));
    this.#countZip(copy.zip);
    return copy;
  }

  #countZip({ sizeBytes }: FetchedZip): void {
    this.#metrics.add("gomodproxy_source_zip_bytes_total", { source: this.#kind }, sizeBytes);
  }

  #measure<T>(question: Question, work: () => Promise<T>): Promise<T> {
    const { operation, path, version, signal } = question;
    const source = this.#kind;
    return timed(work, {
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

interface Question {
  readonly operation: string;
  readonly path: ModulePath;
  readonly version?: Version | Query;
  readonly signal: AbortSignal;
}
