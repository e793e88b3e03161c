/**
 * Clients that do not read: each holds an open file or a connection to the store, and a place among the requests under
 * way. `Deno.serve` waits for them for ever. A large body that nobody has wanted more of for a while ends itself: what it
 * holds is free then, and a client that goes on reading finds its answer cut off.
 *
 * A small body is in the system's buffers at once, whoever reads it.
 *
 * KNOWN LIMIT: the connection itself stays, with what the system has buffered, until the client ends it: Deno.serve has no
 * way to close one that is full. Nor does it close idle ones. What keeps strangers from opening many is in front of this
 * server, if it is needed.
 */

/** A smaller body is left to the system's buffers. */
const LARGE_BODY_BYTES = 1024 * 1024;
/** What is read at once where the body allows it: less costs CPU time, more is no faster. */
const READ_BYTES = 256 * 1024;

export interface SlowClientOptions {
  /** For how long a client may take nothing. */
  readonly timeoutMs: number;
  /** Is told before the body ends itself. */
  readonly onCutOff: () => void;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** The same response; a large body of it fails when its client takes nothing. */
export function withoutSlowClient(response: Response, options: SlowClientOptions): Response {
  const isLarge = Number(response.headers.get("Content-Length") ?? 0) > LARGE_BODY_BYTES;
  // To look at the body of a small one would make a stream of bytes that the runtime sends at once.
  if (!isLarge || response.body === null) return response;
  return new Response(cutOffSlowClient(response.body, options), response);
}

/** The same body, which fails when nobody takes anything of it for {@linkcode SlowClientOptions.timeoutMs}. */
export function cutOffSlowClient(
  body: ReadableStream<Bytes>,
  { timeoutMs, onCutOff }: SlowClientOptions,
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

interface BodyReader {
  /** Null at the end. */
  read(): Promise<Bytes | null>;
  cancel(reason: unknown): Promise<void>;
}

/** Files and sockets give as much as there is room for; other streams give their own chunks. */
function openReader(body: ReadableStream<Bytes>): BodyReader {
  const byob = byobReader(body);
  if (byob === null) {
    const reader = body.getReader();
    return {
      read: async () => (await reader.read()).value ?? null,
      cancel: (reason) => reader.cancel(reason),
    };
  }
  return {
    read: async () => {
      const { done, value } = await byob.read(new Uint8Array(READ_BYTES));
      return done ? null : value;
    },
    cancel: (reason) => byob.cancel(reason),
  };
}

function byobReader(body: ReadableStream<Bytes>): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: "byob" });
  } catch (error) {
    // It is no stream of bytes, by its type.
    if (error instanceof TypeError && !body.locked) return null;
    throw error;
  }
}
