/**
 * A store in memory: the contract and nothing else.
 *
 * Limits: everything is held in memory, without a bound; nothing survives the process.
 */
import {
  assertKey,
  assertRange,
  type Content,
  type CreateOptions,
  type GetOptions,
  type IsUnchanged,
  type ListOptions,
  type ObjectStore,
  openExactly,
  type StoredObject,
  type WalkOptions,
} from "../../lib/store/object_store.ts";

export class MemoryStore implements ObjectStore {
  readonly description = "memory";
  readonly #objects = new Map<string, Blob>();

  // deno-lint-ignore require-await -- a bad key or an aborted signal rejects, as with every other store
  async get(key: string, { range, signal }: GetOptions = {}): Promise<StoredObject | null> {
    assertKey(key);
    signal?.throwIfAborted();
    const object = this.#objects.get(key);
    if (object === undefined) return null;
    if (range !== undefined) assertRange(range, object.size);
    const bytes = range === undefined ? object : object.slice(range.start, range.end);
    return { sizeBytes: object.size, body: bytes.stream() };
  }

  async create(
    key: string,
    content: Content,
    { signal }: CreateOptions = {},
  ): Promise<"created" | "exists"> {
    assertKey(key);
    signal?.throwIfAborted();
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    const sink = new WritableStream<Uint8Array<ArrayBuffer>>({
      write: (chunk) => void chunks.push(chunk),
    });
    await openExactly(content).pipeTo(sink, signal ? { signal } : {});
    // From here on nothing awaits, which makes look and set one step.
    if (this.#objects.has(key)) return "exists";
    this.#objects.set(key, new Blob(chunks));
    return "created";
  }

  // deno-lint-ignore require-await -- as get()
  async list(folder: string, { after = "", limit, signal }: ListOptions = {}): Promise<string[]> {
    assertKey(folder);
    signal?.throwIfAborted();
    const prefix = `${folder}/`;
    return [...this.#objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .filter((name) => !name.includes("/") && name > after)
      .sort()
      .slice(0, limit);
  }

  /** Nothing has come into any folder as long as there are as many objects, because none goes. */
  observe(): IsUnchanged {
    const { size } = this.#objects;
    return () => this.#objects.size === size;
  }

  async *walk({ signal }: WalkOptions = {}): AsyncGenerator<string> {
    for (const key of [...this.#objects.keys()].sort()) {
      signal?.throwIfAborted();
      yield key;
    }
  }
}
