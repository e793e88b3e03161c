/**
 * Wraps a store and makes the calls that a test selects fail, in each way in which a call to a
 * remote store can fail. It passes on all other calls.
 */
import { StorageError } from "../../lib/errors.ts";
import { bytesContent } from "../../lib/store/object_store.ts";
import type {
  Content,
  CreateOptions,
  GetOptions,
  IsUnchanged,
  ListOptions,
  ObjectStore,
  StoredObject,
  WalkOptions,
} from "../../lib/store/object_store.ts";

/**
 * - `fail`: the request was lost.
 * - `fail-but-done`: the answer was lost.
 * - `fail-then-done`: the request is still on its way, and arrives with {@linkcode
 *   FaultyStore.land}.
 */
export type Fault = "fail" | "fail-but-done" | "fail-then-done";
export const FAULTS: readonly Fault[] = ["fail", "fail-but-done", "fail-then-done"];

export interface Call {
  /** 0 for the first call of all. */
  readonly index: number;
  readonly method: "get" | "create" | "list";
  readonly key: string;
}

export class FaultyStore implements ObjectStore {
  readonly description = "a faulty store";
  /** All calls so far. */
  readonly calls: Call[] = [];
  readonly #store: ObjectStore;
  readonly #plan: (call: Call) => Fault | null | Promise<Fault | null>;
  readonly #underWay: (() => Promise<unknown>)[] = [];

  /**
   * @param plan what happens to a call; a promise makes the call wait. By default nothing is
   * disturbed.
   */
  constructor(
    store: ObjectStore,
    plan: (call: Call) => Fault | null | Promise<Fault | null> = () => null,
  ) {
    this.#store = store;
    this.#plan = plan;
  }

  get(key: string, options?: GetOptions): Promise<StoredObject | null> {
    return this.#call("get", key, () => this.#store.get(key, options));
  }

  create(key: string, content: Content, options?: CreateOptions): Promise<"created" | "exists"> {
    return this.#call("create", key, () => this.#store.create(key, content, options), async () => {
      // The request is under way with its bytes. The caller can no longer cancel it, and need not
      // keep them.
      const bytes = await new Response(content.open()).bytes();
      this.#underWay.push(() => this.#store.create(key, bytesContent(bytes)));
    });
  }

  list(folder: string, options?: ListOptions): Promise<string[]> {
    return this.#call("list", folder, () => this.#store.list(folder, options));
  }

  /** Never disturbed: it is no request. */
  observe(folder: string): IsUnchanged | null {
    return this.#store.observe?.(folder) ?? null;
  }

  /** Never disturbed: no request of a client walks. */
  walk(options?: WalkOptions): AsyncIterable<string> {
    return this.#store.walk(options);
  }

  /** Lets the requests arrive that are still on their way. */
  async land(): Promise<void> {
    for (const request of this.#underWay.splice(0)) await request();
  }

  async #call<T>(
    method: Call["method"],
    key: string,
    request: () => Promise<T>,
    send: () => Promise<void> = () => Promise.resolve(),
  ): Promise<T> {
    const call = { index: this.calls.length, method, key };
    this.calls.push(call);
    const fault = await this.#plan(call);
    if (fault === null) return await request();
    // A read that nobody gets the answer of has changed nothing, whether or not it arrived.
    if (method === "create" && fault === "fail-but-done") await request();
    if (fault === "fail-then-done") await send();
    throw new StorageError(`Cannot ${method} "${key}": call ${call.index} was to ${fault}`);
  }
}
