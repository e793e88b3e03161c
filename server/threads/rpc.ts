/**
 * Calls between threads by messages. Each side offers methods by name and calls those of the other.
 * Streams and buffers are transferred with the call or its answer and then belong to the other
 * side.
 *
 * ```text
 * { call: 7, name: "ask", value: … }     { answer: 7, value: … }   or   { answer: 7, fault: "…" }
 * { abort: 7 }                           the answer is no longer needed
 * ```
 *
 * Limits: of an error only the message is transferred. A caller that needs more of it makes it a
 * value.
 */

/** A value, and the parts of it that are transferred instead of copied. */
export interface Sent<T> {
  readonly value: T;
  readonly transfer?: readonly Transferable[];
}

/** The signal is aborted when the other side no longer waits. */
// deno-lint-ignore no-explicit-any -- the methods of one side have different arguments; Peer has their types
export type Method<A = any, R = unknown> = (
  argument: A,
  signal: AbortSignal,
) => Sent<R> | Promise<Sent<R>>;

export type Methods = Readonly<Record<string, Method>>;

/** A Worker, or the global scope of one. */
export interface MessagePlace {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

type Argument<M> = M extends Method<infer A, unknown> ? A : never;
type Result<M> = M extends Method<never, infer R> ? R : never;

/** The methods of the other side. */
export class Peer<M extends { readonly [Name in keyof M]: Method }> {
  readonly #place: MessagePlace;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #closed: Error | null = null;

  /** @param methods what the other side may call here */
  constructor(place: MessagePlace, methods: Methods) {
    this.#place = place;
    const underWay = new Map<number, AbortController>();
    place.addEventListener("message", ({ data }) => {
      if ("call" in data) void this.#answer(data, { methods, underWay });
      else if ("abort" in data) underWay.get(data.abort)?.abort();
      else if ("answer" in data) this.#take(data);
    });
  }

  /**
   * @throws {Error} when the method failed, or the other side is gone
   * @throws the reason of `signal` when it is aborted first
   */
  async call<Name extends keyof M & string>(
    name: Name,
    { value, transfer = [] }: Sent<Argument<M[Name]>>,
    signal?: AbortSignal,
  ): Promise<Result<M[Name]>> {
    if (this.#closed !== null) throw this.#closed;
    signal?.throwIfAborted();
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    const onAbort = () => {
      this.#place.postMessage({ abort: id }, []);
      answer.reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      this.#place.postMessage({ call: id, name, value }, [...transfer]);
      return await answer.promise as Result<M[Name]>;
    } finally {
      this.#waiting.delete(id);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** The other side is gone: pending calls are rejected with the reason. */
  close(reason: Error): void {
    this.#closed = reason;
    for (const { reject } of this.#waiting.values()) reject(reason);
  }

  async #answer(
    { call, name, value }: { call: number; name: string; value: unknown },
    { methods, underWay }: { methods: Methods; underWay: Map<number, AbortController> },
  ): Promise<void> {
    const controller = new AbortController();
    underWay.set(call, controller);
    try {
      const method = methods[name];
      if (method === undefined) throw new Error(`there is no method "${name}"`);
      const sent = await method(value, controller.signal);
      this.#place.postMessage({ answer: call, value: sent.value }, [...sent.transfer ?? []]);
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      this.#place.postMessage({ answer: call, fault }, []);
    } finally {
      underWay.delete(call);
    }
  }

  #take({ answer, value, fault }: { answer: number; value?: unknown; fault?: string }): void {
    const waiting = this.#waiting.get(answer);
    if (fault === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(fault));
  }
}
