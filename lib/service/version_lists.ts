/**
 * Lists of versions that may be answered without waiting: the source's last answer is still fresh
 * by its own declaration, and the store can tell that nothing was published since it was listed
 * (C10). A developer who has tagged a version waits at most {@linkcode MAX_KNOWN_AGE_MS} until the
 * list has it; a version that any replica has published is listed at once.
 */
import { LRUCache } from "lru-cache";
import type { ModulePath } from "../module/path.ts";
import { isPseudoVersion } from "../module/pseudo_version.ts";
import { compareVersions, type Version } from "../module/version.ts";
import type { KnownVersions } from "../source/source.ts";
import type { CopiesInMemory } from "../store/copies.ts";

export const MAX_KNOWN_AGE_MS = 10_000;
/** They take some 10 MB, and the lists made from them as much again. */
const MAX_KNOWN_VERSIONS = 100_000;

export interface VersionListsOptions {
  readonly published: Pick<CopiesInMemory, "rememberedList">;
  /** The number of threads that share a process's memory for lists. Default 1. */
  readonly threads?: number;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
}

export class VersionLists {
  readonly #published: VersionListsOptions["published"];
  readonly #known: LRUCache<ModulePath, KnownList>;

  constructor({ published, threads = 1, now = () => performance.now() }: VersionListsOptions) {
    this.#published = published;
    this.#known = new LRUCache({
      maxSize: Math.floor(MAX_KNOWN_VERSIONS / threads),
      sizeCalculation: ({ versions }) => versions.length + 1,
      perf: { now },
      ttlResolution: 0,
    });
  }

  /**
   * The current list; null if unknown. The array stays the same object as long as the list does not
   * change.
   */
  remembered(path: ModulePath): readonly Version[] | null {
    const known = this.#known.get(path);
    if (known === undefined) return null;
    const published = this.#published.rememberedList(path);
    return published === null ? null : known.with(published);
  }

  /** The source's last answer, while it is fresh; null if unknown. */
  known(path: ModulePath): KnownVersions | null {
    const known = this.#known.get(path);
    if (known === undefined) return null;
    const { versions, names } = known;
    const freshMs = this.#known.getRemainingTTL(path);
    return names === undefined ? { versions, freshMs } : { versions, freshMs, names };
  }

  /** The list of the published versions and the source's answer. */
  add(
    path: ModulePath,
    { published, known }: { published: readonly Version[]; known: KnownVersions },
  ): readonly Version[] {
    const same = this.#known.get(path);
    if (same?.versions === known.versions) return same.with(published);
    const list = new KnownList(known);
    const ttl = Math.min(known.freshMs, MAX_KNOWN_AGE_MS);
    if (ttl > 0) this.#known.set(path, list, { ttl });
    return list.with(published);
  }
}

/** A source's answer, and the last list that was made from it. */
class KnownList {
  readonly versions: readonly Version[];
  readonly names: KnownVersions["names"];
  #published: readonly Version[] | null = null;
  #union: readonly Version[] = [];

  constructor({ versions, names }: KnownVersions) {
    this.versions = versions;
    this.names = names;
  }

  /** Lowest first, without pseudo-versions. */
  with(published: readonly Version[]): readonly Version[] {
    if (published === this.#published) return this.#union;
    this.#published = published;
    this.#union = merge(published, this.versions);
    return this.#union;
  }
}

/**
 * The union of two lists in order, with what the second has that is a pseudo-version left out.
 * Versions are compared only where the lists differ: mostly the second has all of the first.
 */
function merge(first: readonly Version[], second: readonly Version[]): readonly Version[] {
  const union: Version[] = [];
  let taken = 0;
  for (const version of second) {
    if (isPseudoVersion(version)) continue;
    for (let next = first[taken]; next !== undefined && next !== version; next = first[taken]) {
      if (compareVersions(next, version) > 0) break;
      union.push(next);
      taken++;
    }
    if (first[taken] === version) taken++;
    union.push(version);
  }
  return [...union, ...first.slice(taken)];
}
