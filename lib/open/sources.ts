/** Where all modules come from: private ones from their own git sources, public ones from the upstream list. */
import { NO_METRICS } from "../log/metrics.ts";
import type { ModulePath } from "../module/path.ts";
import { SourceByPath } from "../source/source_by_path.ts";
import { type OpenedSource, openSource } from "../source/open.ts";
import type { Source } from "../source/source.ts";
import type { ListEntry } from "../source/source_list.ts";
import type { InspectZip } from "../zip/read.ts";
import { openGit, type OpenGitOptions } from "./git.ts";

export interface OpenSourcesOptions
  extends Omit<OpenGitOptions, "ownDirectory" | "sharedDirectory"> {
  /** The upstream list. */
  readonly entries: readonly ListEntry[];
  /** A directory of this process alone. */
  readonly scratchDirectory: string;
  /** The directory that processes share and that outlives them. */
  readonly scratchDir: string;
  /** Looks through zips of upstreams. Default: this thread. */
  readonly inspectZip?: InspectZip;
}

export interface OpenedSources extends OpenedSource, AsyncDisposable {
  /** @throws {ForbiddenError} when only the case of its letters keeps the path from being private */
  isPrivate(path: ModulePath): boolean;
  /**
   * The prefix of a private module and its source; null and the whole upstream list for a public one.
   *
   * @throws as {@linkcode isPrivate}
   */
  placesOf(
    path: ModulePath,
  ): { readonly privatePrefix: string | null; readonly sources: readonly Source[] };
}

export async function openSources(options: OpenSourcesOptions): Promise<OpenedSources> {
  const { entries, fetch, metrics = NO_METRICS } = options;
  const git = await openGit({
    ...options,
    ownDirectory: options.scratchDirectory,
    sharedDirectory: options.scratchDir,
  });
  const { source: publicSource, sources, upstreams } = openSource(entries, {
    fetch,
    direct: git.direct.source,
    metrics,
    inspectZip: options.inspectZip,
  });
  const source = new SourceByPath({
    findPrivate: (path) => git.findPrivate(path)?.source ?? null,
    publicSource,
  });
  return {
    source,
    sources,
    upstreams,
    placesOf: (path) => {
      const found = git.findPrivate(path);
      return found === null
        ? { privatePrefix: null, sources }
        : { privatePrefix: found.prefix?.pathPrefix ?? null, sources: [found.source] };
    },
    isPrivate: (path) => git.findPrivate(path) !== null,
    [Symbol.asyncDispose]: () => git[Symbol.asyncDispose](),
  };
}
