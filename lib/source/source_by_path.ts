/**
 * Which source a module path has: a private prefix has its own and never another; everything else is public.
 */
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
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

export interface SourceChoice {
  /** The source of a private path, null for a public one. What it throws for a path that is neither, callers get. */
  readonly findPrivate: (path: ModulePath) => Source | null;
  readonly publicSource: Source;
}

export class SourceByPath implements Source {
  readonly description: string;
  readonly #choice: SourceChoice;

  constructor(choice: SourceChoice) {
    this.description = choice.publicSource.description;
    this.#choice = choice;
  }

  // `async` makes a rejection of what findPrivate throws.
  async list(path: ModulePath, signal: AbortSignal): Promise<KnownVersions> {
    return await this.#sourceOf(path).list(path, signal);
  }

  async latest(path: ModulePath, signal: AbortSignal): Promise<VersionInfo> {
    return await this.#sourceOf(path).latest(path, signal);
  }

  async resolve(asked: ModuleQuery, signal: AbortSignal): Promise<VersionInfo> {
    return await this.#sourceOf(asked.path).resolve(asked, signal);
  }

  async describe(module: ModuleVersion, signal: AbortSignal): Promise<DescribedCopy> {
    return await this.#sourceOf(module.path).describe(module, signal);
  }

  async fetchZip(module: ModuleVersion, options: FetchOptions): Promise<FetchedZip> {
    return await this.#sourceOf(module.path).fetchZip(module, options);
  }

  async fetch(module: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    return await this.#sourceOf(module.path).fetch(module, options);
  }

  #sourceOf(path: ModulePath): Source {
    return this.#choice.findPrivate(path) ?? this.#choice.publicSource;
  }
}
