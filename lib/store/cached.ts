/**
 * A store with a cache on a local disk in front of it, for buckets: an object that was read or
 * created once comes from this machine the next time. Objects never change, so what the cache has
 * is right, and no replica needs to tell another.
 *
 * - **Absence is never cached.** What is not in the cache is asked of the store, so C3 holds: once
 *   one replica has created an object, every other one's `get` sees it.
 * - **`create` and `list` are the store's alone.** Only the store decides who was first. Content
 *   goes into the cache after the store has said "created", and only then is it known to be the
 *   object's.
 * - **Only what is complete gets in**, and the store's own checksum has been compared by then: a
 *   body is written along while it is read, and gets its name after the last byte. A reader that
 *   stops reading leaves nothing.
 * - **A range is answered from an object that is in the cache.** One of an object that is not is
 *   asked of the store and leaves nothing: a client that wants the directory at the end of a zip
 *   must not wait for all of it.
 * - **Only some objects**, {@linkcode isCacheable}: neither the probe's, which are to say what the
 *   store does, nor those that are read once.
 *
 * KNOWN LIMIT: after an object of the bucket is removed or repaired by hand, or the bucket is
 * restored from a backup, has to empty the caches too (docs/operating.md).
 */
import type { Metrics } from "../log/metrics.ts";
import type { CacheFolder } from "./cache_folder.ts";
import {
  assertKey,
  type Content,
  type CreateOptions,
  type GetOptions,
  type ListOptions,
  type ObjectStore,
  type SignedUrlOptions,
  type StoredObject,
  type WalkOptions,
} from "./object_store.ts";

export interface CachedStoreOptions {
  readonly folder: CacheFolder;
  /** Tells this store from all others whose objects may be in the same folder. */
  readonly identity: string;
  /** Which keys go through the cache. Default: {@linkcode isCacheable}. */
  readonly covers?: (key: string) => boolean;
  readonly metrics?: Metrics | undefined;
}

/**
 * Manifests, zips, and of checksum databases the records and full tiles. Not their signed trees,
 * each of which is read at a start at most, nor `fork`, which an operator removes; not the batches
 * of our own log, in which a gap must show.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.ok(isCacheable("m1/example.com/a/@v/v1.0.0"));
 * assert.ok(!isCacheable("p1/probe"));
 * ```
 */
export function isCacheable(key: string): boolean {
  return /^(?:[mz]1\/|s1\/[^/]+\/(?:lookup|tile)\/)/.test(key);
}

export class CachedStore implements ObjectStore {
  readonly description: string;
  readonly #store: ObjectStore;
  readonly #folder: CacheFolder;
  readonly #identity: string;
  readonly #covers: (key: string) => boolean;
  readonly #metrics: Metrics | undefined;

  constructor(store: ObjectStore, options: CachedStoreOptions) {
    this.description = store.description;
    this.#store = store;
    this.#folder = options.folder;
    this.#identity = options.identity;
    this.#covers = options.covers ?? isCacheable;
    this.#metrics = options.metrics;
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject | null> {
    assertKey(key);
    const { range, signal } = options;
    signal?.throwIfAborted();
    if (!this.#covers(key)) return await this.#store.get(key, options);
    const cached = await this.#folder.read(this.#nameOf(key), {
      range,
      onDamage: () => this.#count("damaged"),
    });
    if (cached !== null) {
      if (signal?.aborted) {
        await cached.body.cancel();
        throw signal.reason;
      }
      this.#count("hit");
      return cached;
    }
    const object = await this.#store.get(key, options);
    if (object === null) return null;
    this.#count("miss");
    return range === undefined ? await this.#fillAlong(key, object) : object;
  }

  async create(
    key: string,
    content: Content,
    options: CreateOptions = {},
  ): Promise<"created" | "exists"> {
    const outcome = await this.#store.create(key, content, options);
    // It is read again soon: a publisher reads the copy that counts, and a client requested the
    // zip.
    if (outcome === "created" && this.#covers(key)) await this.#fillFrom(key, content);
    return outcome;
  }

  list(folder: string, options?: ListOptions): Promise<string[]> {
    return this.#store.list(folder, options);
  }

  walk(options?: WalkOptions): AsyncIterable<string> {
    return this.#store.walk(options);
  }

  /** Whoever has the URL reads from the store, whatever is here. */
  async signedUrl(key: string, options: SignedUrlOptions): Promise<URL | null> {
    return await this.#store.signedUrl?.(key, options) ?? null;
  }

  /** A space is in no key. */
  #nameOf(key: string): string {
    return `${this.#identity} ${key}`;
  }

  #count(result: "hit" | "miss" | "damaged"): void {
    this.#metrics?.add("gomodproxy_store_cache_requests_total", { result });
  }

  /** The object, whose body is written into the cache while it is read. */
  async #fillAlong(key: string, object: StoredObject): Promise<StoredObject> {
    const filling = await this.#folder.fill(this.#nameOf(key), object.sizeBytes);
    if (filling === null) return object;
    const reader = object.body.getReader();
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        try {
          const { value, done } = await reader.read();
          if (done) {
            await filling.finish();
            controller.close();
          } else {
            await filling.write(value);
            controller.enqueue(value);
          }
        } catch (error) {
          await filling.abandon();
          throw error;
        }
      },
      async cancel(reason) {
        await filling.abandon();
        await reader.cancel(reason);
      },
    }, { highWaterMark: 0 });
    return { sizeBytes: object.sizeBytes, body };
  }

  /** The object is created, whatever becomes of this. */
  async #fillFrom(key: string, content: Content): Promise<void> {
    const filling = await this.#folder.fill(this.#nameOf(key), content.sizeBytes);
    if (filling === null) return;
    try {
      for await (const chunk of content.open()) await filling.write(chunk);
      await filling.finish();
    } catch {
      // Harmless: the content cannot be read a second time. The store has it, and the cache takes
      // it from there.
      await filling.abandon();
    }
  }
}
