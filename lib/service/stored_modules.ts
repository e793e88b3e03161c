/**
 * Answers of the module protocol from the store, and the interface of everything that answers it
 * ({@linkcode ModuleAnswers}). No source is asked: the answer is null for what the store does not
 * have. {@linkcode ModuleService} then asks the sources; other threads of the server pass the
 * request to the main one.
 */
import type { AdmitTo } from "../auth/guard.ts";
import type { H1 } from "../module/h1.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { RepositoryName } from "../module/repository_identity.ts";
import type { Version } from "../module/version.ts";
import type { KnownVersions, ModuleQuery } from "../source/source.ts";
import type { GrowingZip } from "../source/zip_spool.ts";
import type { Copies } from "../store/copies.ts";
import type { Copy } from "../store/manifest.ts";
import type { ByteRange, StoredObject } from "../store/object_store.ts";
import { CopyNames } from "./copy_names.ts";
import { VersionLists } from "./version_lists.ts";
import type { Answered } from "./walk_ahead.ts";

export interface ServiceOptions {
  /** Whether a source may be asked. If not, only the store is used. */
  readonly mayFetch: boolean;
  readonly signal: AbortSignal;
  /** The client's; null or missing without client authentication. */
  readonly identity?: string | null;
  /**
   * Asked once a source has said where the code of a query's answer is, before anything of it is
   * sent. Null or missing if it makes no difference.
   */
  readonly admitTo?: AdmitTo | null;
  /**
   * Facts for the access log are added here: `cache` is hit, miss or stale, `source` is where the
   * copy came from.
   */
  readonly facts: Record<string, unknown>;
}

export interface ModuleList extends Timed {
  /** The tagged ones, lowest first. */
  readonly versions: readonly Version[];
  /** Its source was not asked, or failed. */
  readonly stale: boolean;
  /** The names that its source says the module has ({@linkcode KnownVersions.names}). */
  readonly names?: readonly RepositoryName[] | undefined;
}

/** An answer that changes as time passes, because a policy withholds a version until a moment. */
export interface Timed {
  /** How long it stays as it is although nothing else changes. Missing: no end is known. */
  readonly unchangedMs?: number;
}

export interface RememberedList extends Timed {
  /** Lowest first. The array stays the same object as long as the list does not change. */
  readonly versions: readonly Version[];
}

export interface ModuleZip {
  readonly copy: Copy;
  readonly h1: H1;
  /** Opens the stored zip, or a range of it; null if it is not available here. */
  readonly open: (range?: ByteRange) => Promise<StoredObject | null>;
  /** {@linkcode Copies.zipUrl} */
  readonly url: () => Promise<URL | null>;
  /** {@linkcode Copies.zipFile} */
  readonly file: () => Promise<string | null>;
  /** Opens the zip, or the zip as it is fetched; null if it is not available here. */
  readonly follow: () => Promise<StoredObject | GrowingZip | null>;
}

export interface LatestCopy extends Timed {
  readonly copy: Copy;
  readonly stale: boolean;
}

/**
 * Answers of the module protocol. The `remembered` methods answer synchronously from memory:
 * published copies never change, so they are current. Null: not available here. `identity` is the
 * client's, null without client authentication.
 */
export interface ModuleAnswers {
  remembered(module: ModuleVersion, identity: string | null): Copy | null;
  rememberedZip(copy: Copy, identity: string | null): Uint8Array<ArrayBuffer> | null;
  rememberedList(path: ModulePath, identity: string | null): RememberedList | null;
  /** The copy of a version. */
  copy(module: ModuleVersion, options: ServiceOptions): Promise<Copy | null>;
  zip(module: ModuleVersion, options: ServiceOptions): Promise<ModuleZip | null>;
  /** The copy of the version that a branch, tag, commit or version prefix currently resolves to. */
  query(asked: ModuleQuery, options: ServiceOptions): Promise<Copy | null>;
  list(path: ModulePath, options: ServiceOptions): Promise<ModuleList | null>;
  /** The names of all published copies of a module (copy_names.ts). */
  publishedNames(path: ModulePath, signal: AbortSignal): Promise<readonly RepositoryName[]>;
  /** The copy that `@latest` resolves to. */
  latest(path: ModulePath, options: ServiceOptions): Promise<LatestCopy | null>;
  /** A client is given a file of a version; sources may be asked for what it needs next. */
  answered(answered: Answered): void;
}

/** What a thread other than the main one has given to a client. */
export interface AnsweredByThread {
  readonly module: ModuleVersion;
  readonly file: Answered["file"];
  /** {@linkcode FollowedClient.key}. */
  readonly key: string;
}

/**
 * How long after a copy was first answered here its answers are reported: what is older was not
 * fetched ahead of this client.
 */
const REPORTED_MS = 30_000;

export interface StoredModulesOptions {
  readonly copies: Copies;
  /** The number of threads that share a process's memory for lists. Default 1. */
  readonly threads?: number;
  /**
   * The last answer of a module's source about its versions; null if the source would have to be
   * asked.
   */
  readonly knownVersions?: (path: ModulePath) => Promise<KnownVersions | null>;
  /** Told of answers that may have been fetched ahead. Default: nobody is. */
  readonly onAnswered?: (answered: AnsweredByThread) => void;
}

export class StoredModules implements ModuleAnswers {
  /** Recent answers of sources. */
  readonly lists: VersionLists;
  readonly copyNames: CopyNames;
  readonly #copies: Copies;
  readonly #knownVersions: NonNullable<StoredModulesOptions["knownVersions"]>;
  readonly #onAnswered: StoredModulesOptions["onAnswered"];
  /** When a copy was first answered, in milliseconds. */
  readonly #answeredAtMs = new WeakMap<Copy, number>();

  constructor(
    { copies, threads = 1, knownVersions = () => Promise.resolve(null), onAnswered }:
      StoredModulesOptions,
  ) {
    this.lists = new VersionLists({ published: copies, threads });
    this.copyNames = new CopyNames(copies);
    this.#copies = copies;
    this.#knownVersions = knownVersions;
    this.#onAnswered = onAnswered;
  }

  remembered(module: ModuleVersion): Copy | null {
    return this.#copies.remembered(module);
  }

  rememberedZip(copy: Copy): Uint8Array<ArrayBuffer> | null {
    return this.#copies.rememberedZip(copy);
  }

  rememberedList(path: ModulePath): RememberedList | null {
    const versions = this.lists.remembered(path);
    return versions === null ? null : { versions };
  }

  async copy(module: ModuleVersion, options: ServiceOptions): Promise<Copy | null> {
    const copy = await this.#copies.read(module, options);
    if (copy !== null) noteHit(copy, options.facts);
    return copy;
  }

  async zip(module: ModuleVersion, options: ServiceOptions): Promise<ModuleZip | null> {
    const copy = await this.copy(module, options);
    return copy === null ? null : this.zipOf(copy, options);
  }

  query(_asked: ModuleQuery, _options: ServiceOptions): Promise<Copy | null> {
    return Promise.resolve(null);
  }

  async list(path: ModulePath, options: ServiceOptions): Promise<ModuleList | null> {
    const known = options.mayFetch
      ? this.lists.known(path) ?? await this.#knownVersions(path)
      : null;
    if (known === null) return null;
    const published = await this.#copies.list(path, options);
    options.facts["cache"] = "hit";
    const versions = this.lists.add(path, { published, known });
    return { versions, stale: false, names: known.names };
  }

  publishedNames(path: ModulePath, signal: AbortSignal): Promise<readonly RepositoryName[]> {
    return this.copyNames.ofPublished(path, signal);
  }

  latest(_path: ModulePath, _options: ServiceOptions): Promise<LatestCopy | null> {
    return Promise.resolve(null);
  }

  answered({ copy, file, client }: Answered): void {
    if (this.#onAnswered === undefined) return;
    const nowMs = performance.now();
    const firstMs = this.#answeredAtMs.get(copy);
    if (firstMs === undefined) this.#answeredAtMs.set(copy, nowMs);
    else if (nowMs - firstMs > REPORTED_MS) return;
    const { path, version } = copy.manifest;
    this.#onAnswered({ module: { path, version }, file, key: client.key() });
  }

  protected zipOf(copy: Copy, { signal }: ServiceOptions): ModuleZip {
    const open = (range?: ByteRange) => this.#copies.openZip(copy, { range, signal });
    return {
      copy,
      h1: copy.manifest.zip.h1,
      open,
      follow: () => open(),
      url: () => this.#copies.zipUrl(copy, { signal }),
      file: () => this.#copies.zipFile(copy, { signal }),
    };
  }
}

/** Records in the access log that the copy came from the store. */
export function noteHit({ manifest }: Copy, facts: ServiceOptions["facts"]): void {
  facts["cache"] = "hit";
  facts["source"] = manifest.source;
}
