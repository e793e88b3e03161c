/** Reads the body of a request, up to a limit and within a deadline. */
import { withDeadline } from "../lib/async/deadline.ts";
import { DeadlineError, HungUpError, MalformedBodyError, ProxyError } from "../lib/errors.ts";
import type { RouteRequest } from "./app.ts";

const BODY_TIMEOUT_MS = 10_000;

export interface BodyOptions {
  readonly maxBytes: number;
  /** How long it may take to arrive. Default: 10 s. */
  readonly timeoutMs?: number;
}

/**
 * The whole body of a request.
 *
 * @throws {MalformedBodyError} when it is larger than the limit, or does not arrive in time
 * @throws {HungUpError} when the client disconnects before its end
 */
export async function readRequestBody(
  { body, signal }: Pick<RouteRequest, "body" | "signal">,
  { maxBytes, timeoutMs = BODY_TIMEOUT_MS }: BodyOptions,
): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const reader = body?.getReader();
  try {
    await withDeadline(async () => {
      let sizeBytes = 0;
      for (;;) {
        const { value } = await reader?.read() ?? {};
        if (value === undefined) return;
        sizeBytes += value.length;
        if (sizeBytes > maxBytes) {
          throw new MalformedBodyError(
            `Cannot read the body: larger than ${maxBytes} bytes`,
          );
        }
        chunks.push(value);
      }
    }, { timeoutMs, what: "read the body", signal });
  } catch (cause) {
    // Not awaited: the client's next bytes may never come.
    void reader?.cancel().catch(() => {
      // The connection broke before; the error has been reported.
    });
    if (cause instanceof DeadlineError) throw new MalformedBodyError(cause.message, { cause });
    if (cause instanceof ProxyError) throw cause;
    throw new HungUpError("Cannot read the body: the client hung up", { cause });
  }
  return await new Blob(chunks).text();
}
