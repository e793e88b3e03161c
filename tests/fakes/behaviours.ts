/**
 * Ways in which a server can misbehave, for `misbehave` of a fake upstream. Each is a function that
 * replaces the honest answer with another one. They do not compose, and know nothing about modules.
 *
 * None of them waits for time to pass: a held-back answer is released by the test, or ends with the
 * server.
 */
import { within } from "../support/eventually.ts";

/**
 * Makes the answer to a request. `honest` gives the answer that would have been right, as often as
 * it is called.
 */
export type Behaviour = (
  request: Request,
  honest: () => Promise<Response>,
) => Response | Promise<Response>;

/** How a body ends too early. */
export type Cut =
  /** Content-Length promises the whole; half of it comes and the connection ends. */
  | "declared"
  /** No Content-Length; half of it comes and the connection ends. */
  | "reset"
  /** No Content-Length; half of it comes and the answer ends as if all were well. */
  | "clean";

/** A held-back answer. */
export interface Held {
  readonly behaviour: Behaviour;
  /** Resolves when the first request has come in. */
  readonly arrived: Promise<void>;
  /** Lets everything pass, now and from now on. */
  release(): void;
}

/** A held-back body. */
export interface Tap extends Held {
  /** Lets this many more bytes of each body pass. */
  give(sizeBytes: number): void;
}

/** The error that a cut body ends with: wanted, and no fault of a test. */
export class WantedCut extends Error {}

/** A status, perhaps with headers such as `Retry-After`. */
export function status(
  code: number,
  { headers = {}, body = NO_BODY.has(code) ? null : `status ${code}, as the test wants it\n` }: {
    headers?: Record<string, string>;
    body?: string | Uint8Array<ArrayBuffer> | null;
  } = {},
): Behaviour {
  return () => new Response(body, { status: code, headers });
}

/** The statuses that a test may ask for and that HTTP gives no body. */
const NO_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** A page for people, as captive portals and login walls send it. */
export function html(): Behaviour {
  return status(200, {
    headers: { "content-type": "text/html; charset=utf-8" },
    body: "<!DOCTYPE html><title>Sign in</title><p>Please sign in\n",
  });
}

/**
 * Wrong bytes with status 200: another module's zip, an `.info` that names another version.
 */
export function instead(body: string | Uint8Array<ArrayBuffer>): Behaviour {
  return status(200, { body });
}

/**
 * A redirect to a URL or a path. A function gets the URL that was asked for: with `(url) => url` it
 * loops for ever.
 */
export function redirect(location: string | ((url: string) => string), code = 302): Behaviour {
  return (request) =>
    new Response(null, {
      status: code,
      headers: { location: typeof location === "string" ? location : location(request.url) },
    });
}

/** The first half of the honest body. */
export function truncated(cut: Cut): Behaviour {
  return async (_request, honest) => {
    const { status, headers, bytes } = await open(honest);
    const half = bytes.subarray(0, bytes.length >> 1);
    if (cut !== "declared") headers.delete("content-length");
    // The two bodies end differently: an error cuts the connection, and so does an end before
    // Content-Length.
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => {
        controller.enqueue(half);
        if (cut !== "reset") controller.close();
      },
      pull: (controller) => controller.error(new WantedCut("cut by the test")),
    });
    return new Response(body, { status, headers });
  };
}

/**
 * The honest body and then zeros, up to a size, made as the client reads: a server that never stops
 * sending. `declared` says the size in Content-Length.
 */
export function oversized(sizeBytes: number, { declared }: { declared: boolean }): Behaviour {
  return async (_request, honest) => {
    const { status, headers, bytes } = await open(honest);
    headers.delete("content-length");
    if (declared) headers.set("content-length", String(sizeBytes));
    let left = sizeBytes;
    let next = bytes;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => {
        const chunk = next.subarray(0, left);
        next = ZEROS;
        left -= chunk.length;
        controller.enqueue(chunk);
        if (left === 0) controller.close();
      },
    });
    return new Response(body, { status, headers });
  };
}

const ZEROS = new Uint8Array(64 << 10);

/** Accepts the request and sends nothing, not even a status, until it is released. */
export function stall(): Held {
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  return {
    behaviour: async (_request, honest) => {
      arrived.resolve();
      await released.promise;
      return await honest();
    },
    get arrived() {
      return within("a request to arrive", arrived.promise);
    },
    release: released.resolve,
  };
}

/**
 * Sends status and headers at once and of the body only what the test gives: slow, or stalled in
 * the middle.
 */
export function tap(): Tap {
  const arrived = Promise.withResolvers<void>();
  let allowedBytes = 0;
  let changed = Promise.withResolvers<void>();
  function allow(sizeBytes: number): void {
    allowedBytes += sizeBytes;
    changed.resolve();
    changed = Promise.withResolvers<void>();
  }
  return {
    behaviour: async (_request, honest) => {
      const { status, headers, bytes } = await open(honest);
      arrived.resolve();
      let sentBytes = 0;
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull: async (controller) => {
          while (sentBytes >= allowedBytes) await changed.promise;
          const chunk = bytes.subarray(sentBytes, allowedBytes);
          sentBytes += chunk.length;
          controller.enqueue(chunk);
          if (sentBytes === bytes.length) controller.close();
        },
      }, { highWaterMark: 0 });
      return new Response(body, { status, headers });
    },
    get arrived() {
      return within("a request to arrive", arrived.promise);
    },
    give: allow,
    release: () => allow(Infinity),
  };
}

async function open(
  honest: () => Promise<Response>,
): Promise<{ status: number; headers: Headers; bytes: Uint8Array<ArrayBuffer> }> {
  const response = await honest();
  return {
    status: response.status,
    headers: new Headers(response.headers),
    bytes: await response.bytes(),
  };
}
