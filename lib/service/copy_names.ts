/**
 * The names that modules have because of where the code of their published copies is
 * (`namesByPlace`). Copies from git say so themselves; of others, an upstream may have said so in
 * their `.info`. Whoever is denied one of these names is denied the copy.
 */
import { each, forEach } from "../async/workers.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { namesByPlace, type RepositoryName } from "../module/repository_identity.ts";
import type { Copies } from "../store/copies.ts";
import { InvalidManifestError, type Manifest } from "../store/manifest.ts";

/** Manifests that are read from the store at once. */
const MAX_READS_AT_ONCE = 32;

/** The names of one copy. */
export function namesOfCopy({ path, origin, source }: Omit<Manifest, "goMod" | "zip">) {
  const [kind, url] = source.split(" ", 2);
  const remotes = new Set<string>();
  if (origin?.url !== undefined) remotes.add(origin.url);
  if (kind === "git" && url !== undefined) remotes.add(url);
  const places = [...remotes].map((remote) => ({ remote, subdir: origin?.subdir }));
  return unique(places.map((place) => namesByPlace(path, place)));
}

export class CopyNames {
  readonly #copies: Pick<Copies, "read" | "list">;

  constructor(copies: Pick<Copies, "read" | "list">) {
    this.#copies = copies;
  }

  /**
   * The names of a version's copy; none if it is not published.
   *
   * @returns null for a copy that nobody may have, because its manifest is damaged
   */
  async of(
    module: ModuleVersion,
    signal: AbortSignal,
  ): Promise<readonly RepositoryName[] | null> {
    try {
      const copy = await this.#copies.read(module, { signal });
      return copy === null ? [] : namesOfCopy(copy.manifest);
    } catch (error) {
      if (error instanceof InvalidManifestError) return null;
      throw error;
    }
  }

  /** The names of all copies that a list of a module's versions tells of. */
  async ofPublished(path: ModulePath, signal: AbortSignal): Promise<readonly RepositoryName[]> {
    const versions = await this.#copies.list(path, { signal });
    const found: (readonly RepositoryName[])[] = [];
    await forEach(each(versions), {
      workers: MAX_READS_AT_ONCE,
      work: async (version) => {
        found.push(await this.of({ path, version }, signal) ?? []);
      },
    });
    return unique(found);
  }
}

function unique(names: readonly (readonly RepositoryName[])[]): readonly RepositoryName[] {
  return [...new Set(names.flat())];
}
