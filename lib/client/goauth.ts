/**
 * The input and output of a GOAUTH program (`go help goauth`; cmd/go/internal/auth/userauth.go, Go
 * 1.24 and later).
 *
 * Before its first https request the `go` command runs the program as it is written in `GOAUTH`.
 * After a response of 4xx it runs it again, with the URL as one more argument and the response's
 * head on standard input:
 *
 * ```
 * HTTP/2.0 401 Unauthorized
 * Www-Authenticate: Basic realm="go-mod-proxy", Bearer realm="go-mod-proxy"
 *
 * ```
 *
 * The program writes the headers for all later requests below a URL; no output changes nothing:
 *
 * ```
 * https://proxy.example.com
 *
 * Authorization: Bearer eyJ…
 *
 * ```
 */
import { UpstreamError } from "../errors.ts";

/** Response heads are much smaller. */
export const MAX_HEAD_BYTES = 64 * 1024;

/** @param authorization the value of `Authorization` for everything below `server` */
export function formatHeaders(server: URL, authorization: string): string {
  return `${server.href.replace(/\/$/, "")}\n\nAuthorization: ${authorization}\n\n`;
}

/**
 * The status in the head of a response.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseStatus("HTTP/1.1 401 Unauthorized\nContent-Length: 19\n\n"), 401);
 * ```
 *
 * @throws {UpstreamError} when it is not a response head
 */
export function parseStatus(head: string): number {
  const status = /^HTTP\/[0-9.]+ ([1-5][0-9]{2})\b/.exec(head)?.[1];
  if (status === undefined) {
    throw new UpstreamError("Cannot read the response that go received: no HTTP status line");
  }
  return Number(status);
}

/** Whether requests for `url` carry the headers for `server`. */
export function isBelow(url: URL, server: URL): boolean {
  const prefix = server.pathname.replace(/\/$/, "");
  return url.origin === server.origin &&
    (url.pathname === prefix || url.pathname.startsWith(`${prefix}/`));
}
