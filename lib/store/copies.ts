/**
 * The published copies, as the rest of the program sees them: a store, the protocol over it,
 * deadlines for each call, and manifests, small zips and lists kept in memory. Manifests and zips
 * never change, so one that was read once is right forever; that there is none is never
 * remembered. A list is right as long as the store can tell that its folder is as it was.
 */
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { atPace, eachStep, Pace, sortSteps } from "../async/pace.ts";
import type { Logger } from "../log/log.ts";
import type { H1 } from "../module/h1.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import {
  compareParsedVersions,
  type ParsedVersion,
  parsedVersion,
  type Version,
} from "../module/version.ts";
import { manifestFolders, versionOfName, zipKey } from "./keys.ts";
import type { Copy, Manifest } from "./manifest.ts";
import {
  type ByteRange,
  type Content,
  type IsUnchanged,
  ObjectInMemory,
  type ObjectStore,
  readAll,
  type StoredObject,
} from "./object_store.ts";
import {
  type CallOptions,
  type Publication,
  type Published,
  publishManifest,
  readCopy,
  storeBlob,
} from "./publish.ts";
import { SignedUrls } from "./signed_urls.ts";

export interface CopiesOptions {
  /**
   * Among how many of a process's threads, each with its own, the memory is to be shared. Default
   * 1.
   */
  readonly threads?: number;
  /** How much memory manifests may take. Default 64 MiB. */
  readonly cacheSizeBytes?: number;
  /** How much memory small zips may take. Default 32 MiB. */
  readonly zipCacheSizeBytes?: number;
  /**
   * Told of each copy that was read from the store or published to it; of one that was forgotten
   * meanwhile, again.
   */
  readonly onSeen?: (manifest: Manifest) => void;
  /** Logs that URLs of zips cannot be signed. Default: it is not logged. */
  readonly log?: Pick<Logger, "warn"> | undefined;
  /** How long the store may take to answer a read or a list. Default 20 s. */
  readonly readTimeoutMs?: number;
  /** How long it may take to take a zip of up to 500 MiB and its manifest. Default 10 min. */
  readonly writeTimeoutMs?: number;
}

export interface OpenZipOptions extends CallOptions {
  readonly range?: ByteRange | undefined;
}

/**
 * What a cached manifest takes besides its go.mod, and besides the compressed form of it that the
 * server keeps as long: objects, strings and the cache's own entry, generously.
 */
const ENTRY_OVERHEAD_BYTES = 2048;

/** They take some 10 MB. */
const MAX_LISTED_VERSIONS = 100_000;

/**
 * Opening a file, or asking a bucket, costs more than sending this much; larger zips are streams.
 */
export const MAX_SMALL_ZIP_BYTES = 128 * 1024;

/** The part of {@linkcode Copies} that waits for nothing. */
export type CopiesInMemory = Pick<Copies, "remembered" | "rememberedZip" | "rememberedList">;

interface RememberedList {
  /** Whether its folder is as it was before it was listed. */
  readonly isUnchanged: IsUnchanged;
  readonly versions: readonly Version[];
}

export class Copies {
  readonly #store: ObjectStore;
  readonly #cache: LRUCache<string, Copy>;
  readonly #onSeen: (manifest: Manifest) => void;
  /** By their h1, which a copy's one zip has alone. */
  readonly #smallZips: LRUCache<H1, Uint8Array<ArrayBuffer>>;
  readonly #lists: LRUCache<ModulePath, RememberedList>;
  readonly #urls: SignedUrls;
  readonly #readTimeoutMs: number;
  readonly #writeTimeoutMs: number;

  constructor(store: ObjectStore, options: CopiesOptions = {}) {
    this.#store = store;
    const { threads = 1 } = options;
    this.#cache = new LRUCache({
      maxSize: Math.floor((options.cacheSizeBytes ?? 64 * 1024 * 1024) / threads),
      sizeCalculation: ({ goMod }) => 2 * goMod.length + ENTRY_OVERHEAD_BYTES,
    });
    this.#smallZips = new LRUCache({
      maxSize: Math.floor((options.zipCacheSizeBytes ?? 32 * 1024 * 1024) / threads),
      // The cache refuses entries of size 0, which no valid zip has.
      sizeCalculation: (bytes) => Math.max(1, bytes.length),
    });
    this.#lists = new LRUCache({
      maxSize: Math.floor(MAX_LISTED_VERSIONS / threads),
      sizeCalculation: ({ versions }) => versions.length + 1,
    });
    this.#urls = new SignedUrls(store, { log: options.log });
    this.#onSeen = options.onSeen ?? (() => {});
    this.#readTimeoutMs = options.readTimeoutMs ?? 20_000;
    this.#writeTimeoutMs = options.writeTimeoutMs ?? 600_000;
  }

  /** The copy if it is in memory; null says nothing. */
  remembered(module: ModuleVersion): Copy | null {
    return this.#cache.get(nameOf(module)) ?? null;
  }

  /** The zip of a copy if it is in memory; null says nothing. */
  rememberedZip({ manifest }: Copy): Uint8Array<ArrayBuffer> | null {
    return this.#smallZips.get(manifest.zip.h1) ?? null;
  }

  /**
   * What {@linkcode list} would answer; null says nothing. As long as it stays the same, it is the
   * same array.
   */
  rememberedList(path: ModulePath): readonly Version[] | null {
    const known = this.#lists.get(path);
    if (known === undefined) return null;
    if (known.isUnchanged()) return known.versions;
    // It will not be valid again, so it need not be checked another time.
    this.#lists.delete(path);
    return null;
  }

  /**
   * The published copy of a version, or null where there is none.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   * @throws {InvalidManifestError} when its manifest must not be served
   */
  async read(module: ModuleVersion, options: CallOptions = {}): Promise<Copy | null> {
    const cached = this.remembered(module);
    if (cached !== null) return cached;
    const { signal } = options;
    const copy = await withDeadline(
      (signal) => readCopy(this.#store, module, { signal }),
      { timeoutMs: this.#readTimeoutMs, what: `read ${nameOf(module)} from the store`, signal },
    );
    if (copy !== null) this.#remember(copy);
    return copy;
  }

  /**
   * The tagged versions that are published, lowest first. Nothing that was listed is ever missing
   * later.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  async list(path: ModulePath, options: CallOptions = {}): Promise<readonly Version[]> {
    const known = this.rememberedList(path);
    if (known !== null) return known;
    const folder = manifestFolders(path).tagged;
    const isUnchanged = this.#store.observe?.(folder) ?? null;
    const versions = await this.#versionsIn(folder, options);
    if (isUnchanged !== null) this.#lists.set(path, { isUnchanged, versions });
    return versions;
  }

  /** The pseudo-versions that are published, lowest first. Otherwise as {@linkcode list}. */
  async listPseudo(path: ModulePath, options: CallOptions = {}): Promise<Version[]> {
    return await this.#versionsIn(manifestFolders(path).pseudo, options);
  }

  /**
   * The zip of a copy, or null where the store has none: the copy was published lazily, or the blob
   * is lost. Either way {@linkcode storeZip} is the remedy. The deadline covers the answer; the
   * reader of the body is responsible for the rest.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say, or the zip has not all of the
   * range
   */
  async openZip(
    { manifest }: Copy,
    { range, signal }: OpenZipOptions = {},
  ): Promise<StoredObject | null> {
    const { zip } = manifest;
    const cached = this.#smallZips.get(zip.h1);
    if (cached !== undefined) return new ObjectInMemory(cached, range);
    return await withDeadline(async (signal) => {
      const key = zipKey(manifest, zip.h1);
      const object = await this.#store.get(key, { range, signal });
      const isSmall = object !== null && object.sizeBytes <= MAX_SMALL_ZIP_BYTES;
      if (!isSmall || range !== undefined) return object;
      const bytes = await readAll(object, signal);
      this.#smallZips.set(zip.h1, bytes);
      return new ObjectInMemory(bytes);
    }, { timeoutMs: this.#readTimeoutMs, what: `read the zip of ${nameOf(manifest)}`, signal });
  }

  /**
   * A URL from which anyone who has it can read the zip of a copy, for four minutes at least; null
   * where the store has no zip, or no URL can be had for it.
   */
  async zipUrl({ manifest }: Copy, { signal }: CallOptions = {}): Promise<URL | null> {
    return await this.#urls.urlOf(zipKey(manifest, manifest.zip.h1), signal);
  }

  /**
   * The path, below the store's directory, of the file that is the zip of a copy; null where the
   * store has no zip, or no files.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  async zipFile({ manifest }: Copy, { signal }: CallOptions = {}): Promise<string | null> {
    return await withDeadline(
      async (signal) =>
        await this.#store.fileOf?.(zipKey(manifest, manifest.zip.h1), { signal }) ?? null,
      { timeoutMs: this.#readTimeoutMs, what: `find the zip of ${nameOf(manifest)}`, signal },
    );
  }

  /** {@linkcode publishManifest}, to this store. */
  async publish(publication: Publication, { signal }: CallOptions = {}): Promise<Published> {
    const published = await withDeadline(
      (signal) => publishManifest(this.#store, publication, { signal }),
      { timeoutMs: this.#writeTimeoutMs, what: `publish ${nameOf(publication.manifest)}`, signal },
    );
    this.#remember(published.copy);
    return published;
  }

  /** {@linkcode storeBlob}, to this store. */
  async storeZip(
    { manifest }: Copy,
    zip: { readonly h1: H1; readonly content: Content },
    { signal }: CallOptions = {},
  ): Promise<"created" | "exists"> {
    return await withDeadline(
      (signal) => storeBlob(this.#store, { manifest, ...zip }, { signal }),
      {
        timeoutMs: this.#writeTimeoutMs,
        what: `store the zip of ${nameOf(manifest)}`,
        signal,
      },
    );
  }

  #remember(copy: Copy): void {
    this.#cache.set(nameOf(copy.manifest), copy);
    this.#onSeen(copy.manifest);
  }

  async #versionsIn(folder: string, { signal }: CallOptions): Promise<Version[]> {
    const names = await withDeadline(
      (signal) => this.#store.list(folder, { signal }),
      { timeoutMs: this.#readTimeoutMs, what: `list ${folder} of the store`, signal },
    );
    // An object that somebody put there by hand is no version; a whole list must not fail because
    // of it.
    const versions: ParsedVersion[] = [];
    const pace = new Pace(signal);
    const add = (name: string) => {
      const version = versionOfName(name);
      if (version !== null) versions.push(parsedVersion(version));
    };
    await atPace(eachStep(names, add), pace);
    const sorted = await atPace(sortSteps(versions, compareParsedVersions), pace);
    return sorted.map(({ text }) => text);
  }
}
