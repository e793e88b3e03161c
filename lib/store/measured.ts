/** A store whose calls are counted and timed. What it answers is the other store's, unchanged. */
import { type Metrics, timed } from "../log/metrics.ts";
import type {
  Content,
  CreateOptions,
  FileOptions,
  GetOptions,
  IsUnchanged,
  ListOptions,
  ObjectStore,
  SignedUrlOptions,
  StoredObject,
  WalkOptions,
} from "./object_store.ts";

export class MeasuredStore implements ObjectStore {
  readonly description: string;
  readonly #store: ObjectStore;
  readonly #metrics: Metrics;

  constructor(store: ObjectStore, metrics: Metrics) {
    this.description = store.description;
    this.#store = store;
    this.#metrics = metrics;
  }

  get(key: string, options: GetOptions = {}): Promise<StoredObject | null> {
    const call = { operation: "get", key, signal: options.signal };
    return this.#measure(call, () => this.#store.get(key, options));
  }

  create(key: string, content: Content, options: CreateOptions = {}) {
    const call = { operation: "create", key, signal: options.signal };
    return this.#measure(call, () => this.#store.create(key, content, options));
  }

  list(folder: string, options: ListOptions = {}): Promise<string[]> {
    const call = { operation: "list", key: folder, signal: options.signal };
    return this.#measure(call, () => this.#store.list(folder, options));
  }

  /** Is as slow as its reader, and not counted. */
  walk(options?: WalkOptions): AsyncIterable<string> {
    return this.#store.walk(options);
  }

  /** Is no request, and not counted. */
  observe(folder: string): IsUnchanged | null {
    return this.#store.observe?.(folder) ?? null;
  }

  async signedUrl(key: string, options: SignedUrlOptions): Promise<URL | null> {
    if (this.#store.signedUrl === undefined) return null;
    const call = { operation: "sign", key, signal: options.signal };
    return await this.#measure(
      call,
      async () => await this.#store.signedUrl?.(key, options) ?? null,
    );
  }

  async fileOf(key: string, options: FileOptions = {}): Promise<string | null> {
    if (this.#store.fileOf === undefined) return null;
    const call = { operation: "locate", key, signal: options.signal };
    return await this.#measure(call, async () => await this.#store.fileOf?.(key, options) ?? null);
  }

  #measure<T>({ operation, key, signal }: Call, work: () => Promise<T>): Promise<T> {
    return timed(work, {
      span: `store ${operation}`,
      attributes: { "gomodproxy.store": this.description, "gomodproxy.key": key },
      signal,
      record: ({ outcome, seconds }) => {
        this.#metrics.add("gomodproxy_store_requests_total", { operation, outcome });
        this.#metrics.observe("gomodproxy_store_request_duration_seconds", { operation }, seconds);
      },
    });
  }
}

interface Call {
  readonly operation: string;
  readonly key: string;
  readonly signal: AbortSignal | undefined;
}
