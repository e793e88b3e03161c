/**
 * Clients that do not read: each holds an open file or a connection to the store, and a place among
 * the requests in progress. `Deno.serve` waits for them forever.
 *
 * - A small body fits into the system's buffers, whether the client reads or not.
 * - A large body that the client has not read from for a while fails: that frees its resources, and
 *   a client that resumes reading finds its answer cut off.
 * - A client that reads a little of a large body now and then keeps it for longer. After the same
 *   time, its place is given to others, and its connection may be closed when there are too many
 *   (server/connections.ts). It is closed in any case when the client has read less than
 *   {@linkcode MIN_BYTES_PER_SECOND} on average, not counting the time that it waited for us: a zip
 *   may come from a slow upstream (lib/source/zip_spool.ts).
 * - When a body is cut off, so is its connection.
 *
 * To watch a body, as a stream of ours, takes the runtime twice the CPU time of a file's own
 * stream. Zips are such streams anyway, because their blocks are checked on the way
 * (lib/store/block_body.ts).
 */

import { openReader } from "../lib/http/body_reader.ts";
import type { Answer } from "./answer.ts";

/** Smaller bodies are left to the system's buffers. */
const LARGE_BODY_BYTES = 1024 * 1024;
/**
 * The rate at which a client must read a large body, beyond the time that its place is held.
 */
export const MIN_BYTES_PER_SECOND = 16 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

export interface SlowClientsOptions {
  /** For how long a client may read nothing, or a body may hold its place. */
  readonly timeoutMs: number;
  /** Default: {@linkcode MIN_BYTES_PER_SECOND}. */
  readonly minBytesPerSecond?: number;
}

/** One answer to one client. */
export interface Sending {
  /**
   * Settles when the answer has been sent, or could not be. If undefined, the body's end counts.
   */
  readonly completed: Promise<void> | undefined;
  /** Called when a body takes longer than its place is held. The body continues. */
  readonly onSlow: () => void;
  /** Called before a body fails of which the client has read nothing for a while. */
  readonly onCutOff: () => void;
  /** Called when the client has gone: over HTTP/1.1, `completed` does not report it. */
  readonly onHungUp: () => void;
  /** Called when a body was read to its end. */
  readonly onRead: () => void;
  /** Called when a body fails of itself, which `completed` does not report either. */
  readonly onBroken: () => void;
  /** Called when a body has taken too long for its size: it ends with its connection. */
  readonly onOverdue: () => void;
}

/** Whether its body is more than the system's buffers take at once. */
export function isLarge({ body, sizeBytes = 0 }: Answer): boolean {
  return body !== null && sizeBytes > LARGE_BODY_BYTES;
}

export class SlowClients {
  readonly #timeoutMs: number;
  readonly #minBytesPerSecond: number;

  constructor(options: SlowClientsOptions) {
    this.#timeoutMs = options.timeoutMs;
    this.#minBytesPerSecond = options.minBytesPerSecond ?? MIN_BYTES_PER_SECOND;
  }

  /** The same answer; a large body of it fails when its client stops reading. */
  guard(answer: Answer, sending: Sending): Answer {
    const { body, sizeBytes = 0 } = answer;
    if (body === null || !isLarge(answer)) return answer;
    const stream = body instanceof Uint8Array ? new Blob([body]).stream() : body;
    const { completed, onCutOff, onHungUp, onRead, onBroken } = sending;
    const wait = new SourceWait();
    const stop = this.#startClock(sizeBytes, { ...sending, wait });
    completed?.then(stop, stop);
    const watched = cutOffSlowClient(stream, {
      timeoutMs: this.#timeoutMs,
      wait,
      onCutOff: () => {
        stop();
        onCutOff();
      },
      onHungUp: () => {
        stop();
        onHungUp();
      },
      onRead: () => {
        // What the runtime and the system have of it is not sent yet.
        if (completed === undefined) stop();
        onRead();
      },
      onBroken: () => {
        stop();
        onBroken();
      },
    });
    return { ...answer, body: watched };
  }

  /** @returns stops it */
  #startClock(
    sizeBytes: number,
    { onSlow, onOverdue, wait }: Sending & { readonly wait: SourceWait },
  ): () => void {
    const startWatch = (leftMs: number, excusedMs: number) =>
      setTimeout(() => {
        const waitedMs = wait.totalMs;
        if (waitedMs <= excusedMs) return onOverdue();
        timer = startWatch(waitedMs - excusedMs, waitedMs);
      }, leftMs);
    let timer = setTimeout(() => {
      onSlow();
      timer = startWatch(sizeBytes / this.#minBytesPerSecond * 1000, 0);
    }, this.#timeoutMs);
    return () => clearTimeout(timer);
  }
}

/** How long the client of a body has waited for its bytes. */
class SourceWait {
  #endedMs = 0;
  #sinceMs: number | null = null;

  get totalMs(): number {
    return this.#endedMs + (this.#sinceMs === null ? 0 : performance.now() - this.#sinceMs);
  }

  async during<T>(read: Promise<T>): Promise<T> {
    this.#sinceMs = performance.now();
    try {
      return await read;
    } finally {
      this.#endedMs = this.totalMs;
      this.#sinceMs = null;
    }
  }
}

export interface CutOffOptions {
  /** For how long a client may read nothing. */
  readonly timeoutMs: number;
  /** Told how long the client waits. Default: nobody is. */
  readonly wait?: SourceWait;
  /** Called before the body fails. */
  readonly onCutOff: () => void;
  /** Called when the rest is no longer needed. Default: not called. */
  readonly onHungUp?: () => void;
  /** Called at the end of the body. Default: not called. */
  readonly onRead?: () => void;
  /** Called when the body fails of itself. Default: not called. */
  readonly onBroken?: () => void;
}

/** The same body, which fails when nothing of it is read for `timeoutMs`. */
export function cutOffSlowClient(
  body: ReadableStream<Bytes>,
  { timeoutMs, wait = new SourceWait(), onCutOff, onHungUp, onRead, onBroken }: CutOffOptions,
): ReadableStream<Bytes> {
  const source = openReader(body);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waitForClient = (controller: ReadableStreamDefaultController<Bytes>) => {
    timer = setTimeout(() => {
      onCutOff();
      const reason = new Error(`the client read nothing for ${timeoutMs / 1000} s`);
      controller.error(reason);
      // If closing fails, too, there is nothing left to do.
      source.cancel(reason).catch(() => {});
    }, timeoutMs);
  };
  return new ReadableStream<Bytes>({
    start: waitForClient,
    async pull(controller) {
      clearTimeout(timer);
      const chunk = await wait.during(source.read()).catch((error) => {
        onBroken?.();
        throw error;
      });
      if (chunk === null) {
        onRead?.();
        return controller.close();
      }
      controller.enqueue(chunk);
      waitForClient(controller);
    },
    async cancel(reason) {
      clearTimeout(timer);
      onHungUp?.();
      await source.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
