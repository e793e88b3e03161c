/**
 * The six questions of a {@linkcode Source}, each passed on by one method. A source that only
 * chooses, repeats or watches other sources extends this and says what it does in
 * {@linkcode SourceDecorator.around}.
 */
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

/** What a source is asked. */
export interface Question {
  readonly operation: "list" | "latest" | "resolve" | "describe" | "zip" | "fetch";
  readonly path: ModulePath;
  /** What `resolve` asks for, or the version of a copy. */
  readonly version?: Version | Query;
  readonly signal: AbortSignal;
}

export abstract class SourceDecorator implements Source {
  abstract readonly description: string;

  /** Answers a question with the help of other sources; `ask` puts it to one of them. */
  protected abstract around<T>(
    question: Question,
    ask: (source: Source) => Promise<T>,
  ): Promise<T>;

  list(path: ModulePath, signal: AbortSignal): Promise<KnownVersions> {
    const question: Question = { operation: "list", path, signal };
    return this.around(question, (source) => source.list(path, signal));
  }

  latest(path: ModulePath, signal: AbortSignal): Promise<VersionInfo> {
    const question: Question = { operation: "latest", path, signal };
    return this.around(question, (source) => source.latest(path, signal));
  }

  resolve({ path, query }: ModuleQuery, signal: AbortSignal): Promise<VersionInfo> {
    const question: Question = { operation: "resolve", path, version: query, signal };
    return this.around(question, (source) => source.resolve({ path, query }, signal));
  }

  describe(module: ModuleVersion, signal: AbortSignal): Promise<DescribedCopy> {
    const question: Question = { operation: "describe", ...module, signal };
    return this.around(question, (source) => source.describe(module, signal));
  }

  fetchZip(module: ModuleVersion, options: FetchOptions): Promise<FetchedZip> {
    const question: Question = { operation: "zip", ...module, signal: options.signal };
    return this.around(question, (source) => source.fetchZip(module, options));
  }

  fetch(module: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    const question: Question = { operation: "fetch", ...module, signal: options.signal };
    return this.around(question, (source) => source.fetch(module, options));
  }
}
