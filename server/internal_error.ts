/** The answer if the application itself failed to make one. */
import type { Logger } from "../lib/log/log.ts";

/** Logs an unhandled error, and answers 500. */
export function internalError(error: unknown, log: Logger): Response {
  log.error({ err: error }, "internal error while answering");
  return new Response("internal error\n", {
    status: 500,
    headers: {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
    },
  });
}
