/**
 * Clients that do not read: each holds an open file or a connection to the store, and a place among the requests under
 * way. `Deno.serve` waits for them for ever.
 *
 * - A small body is in the system's buffers at once, whoever reads it.
 * - A large one that nobody has wanted more of for a while ends itself: what it holds is free then, and a client that goes
 *   on reading finds its answer cut off. For that it must be watched, as a stream of ours, which takes the runtime twice
 *   the CPU time of a file's own stream.
 * - So the first {@linkcode MAX_UNWATCHED_BODIES} files at once go out as they are. Once the runtime has such a stream
 *   nobody can end it (`FsFile.close` finds nothing to close), nor see how far it is. Its place is given to others after the
 *   same time, and the file stays open until its client has read everything or hangs up: as many as that, and no more.
 *   When clients who do not read have taken them all, everybody else's bodies are watched.
 *
 * KNOWN LIMIT: of an unwatched body the runtime says that it was sent, also when its client hung up.
 *
 * KNOWN LIMIT: the connection itself stays, with what the system has buffered, until the client ends it: Deno.serve has no
 * way to close one that is full. Nor does it close idle ones. What keeps strangers from opening many is in front of this
 * server, if it is needed.
 */

import { isStreamOfBytes, openReader } from "../lib/http/body_reader.ts";
import type { Answer } from "./answer.ts";

/** A smaller body is left to the system's buffers. */
const LARGE_BODY_BYTES = 1024 * 1024;
/** More clients than that, and each gets little of the machine anyway. Of each thread. */
export const MAX_UNWATCHED_BODIES = 64;

type Bytes = Uint8Array<ArrayBuffer>;

export interface SlowClientsOptions {
  /** For how long a client may take nothing, or an unwatched body may keep its place. */
  readonly timeoutMs: number;
  /** Default: {@linkcode MAX_UNWATCHED_BODIES}. */
  readonly maxUnwatched?: number;
}

/** One answer to one client. */
export interface Sending {
  /** Settles when it has been sent, or could not be. Where nobody can tell, the body is watched. */
  readonly completed: Promise<void> | undefined;
  /** Is told when an unwatched body takes longer than its place is kept. It goes on. */
  readonly onSlow: () => void;
  /** Is told before a watched body ends itself. */
  readonly onCutOff: () => void;
}

/** Whether its body is more than the system's buffers take at once. */
export function isLarge({ body, sizeBytes = 0 }: Answer): boolean {
  return body !== null && sizeBytes > LARGE_BODY_BYTES;
}

export class SlowClients {
  readonly #timeoutMs: number;
  readonly #maxUnwatched: number;
  #unwatched = 0;

  constructor({ timeoutMs, maxUnwatched = MAX_UNWATCHED_BODIES }: SlowClientsOptions) {
    this.#timeoutMs = timeoutMs;
    this.#maxUnwatched = maxUnwatched;
  }

  /** The same answer; a large body of it, if it is watched, fails when its client takes nothing. */
  guard(answer: Answer, { completed, onSlow, onCutOff }: Sending): Answer {
    const { body } = answer;
    if (body === null || !isLarge(answer)) return answer;
    const stream = body instanceof Uint8Array ? new Blob([body]).stream() : body;
    if (
      completed !== undefined && this.#unwatched < this.#maxUnwatched && isStreamOfBytes(stream)
    ) {
      this.#leaveAlone(completed, onSlow);
      return { ...answer, body: stream };
    }
    const watched = cutOffSlowClient(stream, { timeoutMs: this.#timeoutMs, onCutOff });
    return { ...answer, body: watched };
  }

  #leaveAlone(completed: Promise<void>, onSlow: () => void): void {
    this.#unwatched++;
    const timer = setTimeout(onSlow, this.#timeoutMs);
    const end = () => {
      clearTimeout(timer);
      this.#unwatched--;
    };
    completed.then(end, end);
  }
}

export interface CutOffOptions {
  /** For how long a client may take nothing. */
  readonly timeoutMs: number;
  /** Is told before the body ends itself. */
  readonly onCutOff: () => void;
}

/** The same body, which fails when nobody takes anything of it for `timeoutMs`. */
export function cutOffSlowClient(
  body: ReadableStream<Bytes>,
  { timeoutMs, onCutOff }: CutOffOptions,
): ReadableStream<Bytes> {
  const source = openReader(body);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waitForClient = (controller: ReadableStreamDefaultController<Bytes>) => {
    timer = setTimeout(() => {
      onCutOff();
      const reason = new Error(`the client took nothing for ${timeoutMs / 1000} s`);
      controller.error(reason);
      // It has nobody to tell if closing fails, too.
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
      await source.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
