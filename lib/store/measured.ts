/** A store whose calls are counted and timed. What it answers is the other store's, unchanged. */
import { type Metrics, timed } from "../metrics.ts";
import type {
  Content,
  CreateOptions,
  GetOptions,
  ListOptions,
  ObjectStore,
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
    return this.#measure("get", options.signal, () => this.#store.get(key, options));
  }

  create(key: string, content: Content, options: CreateOptions = {}) {
    return this.#measure(
      "create",
      options.signal,
      () => this.#store.create(key, content, options),
    );
  }

  list(folder: string, options: ListOptions = {}): Promise<string[]> {
    return this.#measure("list", options.signal, () => this.#store.list(folder, options));
  }

  /** Is as slow as its reader, and not counted. */
  walk(options?: WalkOptions): AsyncIterable<string> {
    return this.#store.walk(options);
  }

  #measure<T>(
    operation: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    return timed(work, {
      signal,
      record: ({ outcome, seconds }) => {
        this.#metrics.add("gomodproxy_store_requests_total", { operation, outcome });
        this.#metrics.observe("gomodproxy_store_request_duration_seconds", { operation }, seconds);
      },
    });
  }
}
