/**
 * Clients that do not read: each holds an open file or a connection to the store, and a place among
 * the requests in progress. `Deno.serve` waits for them forever.
 *
 * - A small body fits into the system's buffers, whether the client reads or not.
 * - A large body that the client has not read from for a while fails: that frees its resources, and
 *   a client that resumes reading finds its answer cut off. Such a body must be watched, as a
 *   stream of ours, which takes the runtime twice the CPU time of a file's own stream.
 * - The first {@linkcode MAX_UNWATCHED_BODIES} concurrent files are therefore sent unwatched. The
 *   progress of such a stream is invisible, and only the end of the connection ends it. Its place
 *   is given to others after the same time; from then on the connection may be closed when there
 *   are too many (server/connections.ts). It is closed in any case when the client has read less
 *   than {@linkcode MIN_BYTES_PER_SECOND} on average. When clients that do not read hold all
 *   places, all further bodies are watched.
 * - When a body is cut off, so is its connection.
 *
 * KNOWN LIMIT: the runtime reports an unwatched body as sent even if its client hung up.
 */

import { isStreamOfBytes, openReader } from "../lib/http/body_reader.ts";
import type { Answer } from "./answer.ts";

/** Smaller bodies are left to the system's buffers. */
const LARGE_BODY_BYTES = 1024 * 1024;
/** With more clients than that, each gets little of the machine anyway. Per thread. */
export const MAX_UNWATCHED_BODIES = 64;

/**
 * The rate at which a client must read an unwatched body, beyond the time that its place is held.
 */
export const MIN_BYTES_PER_SECOND = 16 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

export interface SlowClientsOptions {
  /** For how long a client may read nothing, or an unwatched body may hold its place. */
  readonly timeoutMs: number;
  /** Default: {@linkcode MAX_UNWATCHED_BODIES}. */
  readonly maxUnwatched?: number;
  /** Default: {@linkcode MIN_BYTES_PER_SECOND}. */
  readonly minBytesPerSecond?: number;
}

/** One answer to one client. */
export interface Sending {
  /** Settles when the answer has been sent, or could not be. If undefined, the body is watched. */
  readonly completed: Promise<void> | undefined;
  /** Called when an unwatched body takes longer than its place is held. The body continues. */
  readonly onSlow: () => void;
  /** Called before a watched body fails. */
  readonly onCutOff: () => void;
  /**
   * Called when the client of a watched body has gone: over HTTP/1.1, `completed` does not report
   * it.
   */
  readonly onHungUp: () => void;
  /** Called when an unwatched body has taken too long for its size: it ends with its connection. */
  readonly onOverdue: () => void;
}

/** Whether its body is more than the system's buffers take at once. */
export function isLarge({ body, sizeBytes = 0 }: Answer): boolean {
  return body !== null && sizeBytes > LARGE_BODY_BYTES;
}

export class SlowClients {
  readonly #timeoutMs: number;
  readonly #maxUnwatched: number;
  readonly #minBytesPerSecond: number;
  #unwatched = 0;

  constructor(options: SlowClientsOptions) {
    this.#timeoutMs = options.timeoutMs;
    this.#maxUnwatched = options.maxUnwatched ?? MAX_UNWATCHED_BODIES;
    this.#minBytesPerSecond = options.minBytesPerSecond ?? MIN_BYTES_PER_SECOND;
  }

  /** The same answer; a large body of it, if it is watched, fails when its client stops reading. */
  guard(answer: Answer, sending: Sending): Answer {
    const { completed, onCutOff, onHungUp } = sending;
    const { body, sizeBytes = 0 } = answer;
    if (body === null || !isLarge(answer)) return answer;
    const stream = body instanceof Uint8Array ? new Blob([body]).stream() : body;
    if (
      completed !== undefined && this.#unwatched < this.#maxUnwatched && isStreamOfBytes(stream)
    ) {
      this.#leaveAlone(completed, { ...sending, sizeBytes });
      return { ...answer, body: stream };
    }
    const watched = cutOffSlowClient(stream, { timeoutMs: this.#timeoutMs, onCutOff, onHungUp });
    return { ...answer, body: watched };
  }

  #leaveAlone(
    completed: Promise<void>,
    { onSlow, onOverdue, sizeBytes }: Sending & { readonly sizeBytes: number },
  ): void {
    this.#unwatched++;
    let timer = setTimeout(() => {
      onSlow();
      timer = setTimeout(onOverdue, sizeBytes / this.#minBytesPerSecond * 1000);
    }, this.#timeoutMs);
    const end = () => {
      clearTimeout(timer);
      this.#unwatched--;
    };
    completed.then(end, end);
  }
}

export interface CutOffOptions {
  /** For how long a client may read nothing. */
  readonly timeoutMs: number;
  /** Called before the body fails. */
  readonly onCutOff: () => void;
  /** Called when the rest is no longer needed. Default: not called. */
  readonly onHungUp?: () => void;
}

/** The same body, which fails when nothing of it is read for `timeoutMs`. */
export function cutOffSlowClient(
  body: ReadableStream<Bytes>,
  { timeoutMs, onCutOff, onHungUp }: CutOffOptions,
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
      const chunk = await source.read();
      if (chunk === null) return controller.close();
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
