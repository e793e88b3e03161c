/**
 * Opens the sources of all modules: private ones come from their own git sources, public ones from
 * the upstream list.
 */
import type { ModulePath } from "../module/path.ts";
import type { Scratch } from "../scratch/scratch.ts";
import { openSource, type SourceEntry } from "../source/open.ts";
import { SourceByPath } from "../source/source_by_path.ts";
import type { Source } from "../source/source.ts";
import type { InspectZip } from "../zip/read.ts";
import { openGit } from "./git.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenSourcesOptions {
  readonly upstreams: readonly SourceEntry[];
  readonly scratch: Scratch;
  /** Inspects zips of upstreams. Default: this thread. */
  readonly inspectZip?: InspectZip | undefined;
}

export interface OpenedSources extends AsyncDisposable {
  readonly source: Source;
  /**
   * The prefix of a private module and its source; null and the whole upstream list for a public
   * one.
   *
   * @throws {ForbiddenError} when the path differs from a private prefix only in upper and lower
   * case
   */
  sourcesOf(
    path: ModulePath,
  ): { readonly privatePrefix: string | null; readonly sources: readonly Source[] };
}

export async function openSources(
  surroundings: Surroundings,
  { upstreams, scratch, inspectZip }: OpenSourcesOptions,
): Promise<OpenedSources> {
  const git = await openGit(surroundings, scratch);
  const { source: publicSource, sources } = openSource(upstreams, {
    direct: git.direct.source,
    metrics: surroundings.metrics,
    inspectZip,
  });
  const source = new SourceByPath({
    findPrivate: (path) => git.findPrivate(path)?.source ?? null,
    publicSource,
  });
  return {
    source,
    sourcesOf: (path) => {
      const found = git.findPrivate(path);
      return found === null
        ? { privatePrefix: null, sources }
        : { privatePrefix: found.prefix?.pathPrefix ?? null, sources: [found.source] };
    },
    [Symbol.asyncDispose]: () => git[Symbol.asyncDispose](),
  };
}
