/**
 * Responses: the forms that all routes share.
 *
 * Errors are plain text in the form that the `go` command prints (cmd/go/internal/web): valid UTF-8, every character
 * graphic or white space, at most 8 lines and 648 bytes, no blank line. The cause comes first, the request id last.
 */
import {
  ANSWERS,
  meaningOf,
  ProxyError,
  StorageError,
  TooManyRequestsError,
} from "../lib/errors.ts";
import type { StoredObject } from "../lib/store/object_store.ts";
import { ReadyText } from "./ready_text.ts";

/** What never changes may be kept by everybody, for a year (the most that caches honour). */
export const IMMUTABLE = "public, max-age=31536000, immutable";
/** What a source said just now. */
export const FRESH = "public, max-age=60";
/** What the store said because the source could not be asked. */
export const STALE = "public, max-age=5";

/** What one client may have, another may not: nothing between keeps it for all. The client itself may. */
export function keepForOneClient(headers: Headers): void {
  const cacheControl = headers.get("Cache-Control");
  if (cacheControl === null || !cacheControl.startsWith("public")) return;
  headers.set("Cache-Control", forOneClient(cacheControl));
  headers.append("Vary", "Authorization");
}

function forOneClient(cacheControl: string): string {
  return cacheControl.replace(/^public\b/, "private");
}

/** The `go` command cuts a body off at 648 bytes; the id line needs about 60 of them. */
const MAX_REASON_LENGTH = 560;

export function errorResponse(
  error: unknown,
  { requestId, head }: { requestId: string; head: boolean },
): Response {
  const { status, cacheControl, retryAfterSeconds } = ANSWERS[meaningOf(error)];
  const headers = new Headers({
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": cacheControl,
    "Vary": VARY,
  });
  const retryAfter = error instanceof TooManyRequestsError
    ? error.retryAfterSeconds
    : retryAfterSeconds;
  if (retryAfter !== undefined) headers.set("Retry-After", String(retryAfter));
  if (status === 401) {
    headers.append("WWW-Authenticate", 'Basic realm="go-mod-proxy"');
    headers.append("WWW-Authenticate", 'Bearer realm="go-mod-proxy"');
  }
  const body = new TextEncoder().encode(`${reason(error, status)}\nrequest id: ${requestId}\n`);
  headers.set("Content-Length", String(body.length));
  return new Response(head ? null : body, { status, headers });
}

/** Requests with another value of these headers may get another answer. */
const VARY = "Accept-Encoding, Disable-Module-Fetch";

function reason(error: unknown, status: number): string {
  const text = shownText(error);
  const shown = text
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " ")
    .slice(0, MAX_REASON_LENGTH);
  // The words by which people and tools tell a missing module from a failing proxy.
  return status === 404 ? `not found: ${shown}` : shown;
}

/** Where the store is, and what is wrong inside, is for the log; the client gets the id by which to find it. */
function shownText(error: unknown): string {
  if (error instanceof StorageError) return "the module store failed";
  return error instanceof ProxyError ? error.message : "internal error";
}

export interface TextOptions {
  readonly request: {
    readonly method: string;
    readonly headers: Headers;
    /** {@linkcode keepForOneClient}, done here because it takes time afterwards. */
    readonly answersDiffer: boolean;
  };
  readonly contentType: string;
  readonly cacheControl: string;
}

/** A small answer: ETag by its bytes, gzip where the client takes it, 304 and HEAD. */
export function textResponse(
  text: ReadyText | Uint8Array<ArrayBuffer>,
  { request, contentType, cacheControl }: TextOptions,
): Response {
  const ready = text instanceof ReadyText ? text : new ReadyText(text);
  const form = ready.form(() => acceptsGzip(request.headers));
  // A plain object, because the runtime takes it over faster than a Headers.
  const headers = request.answersDiffer
    ? {
      "Content-Type": contentType,
      "Cache-Control": forOneClient(cacheControl),
      "Vary": `${VARY}, Authorization`,
    }
    : { "Content-Type": contentType, "Cache-Control": cacheControl, "Vary": VARY };
  if (matches(request.headers.get("If-None-Match"), form.etag)) {
    return new Response(null, { status: 304, headers: { ...headers, "ETag": form.etag } });
  }
  return new Response(request.method === "HEAD" ? null : form.body, {
    headers: { ...headers, ...form.headers },
  });
}

function acceptsGzip(headers: Headers): boolean {
  return (headers.get("Accept-Encoding") ?? "").split(",").some((coding) => {
    const [name = "", weight = ""] = coding.split(";").map((part) => part.trim().toLowerCase());
    return name === "gzip" && !/^q=0(\.0*)?$/.test(weight);
  });
}

/** RFC 9110, 13.1.2: weak comparison against a list, or `*`. */
function matches(condition: string | null, etag: string): boolean {
  if (condition === null) return false;
  return condition.split(",").some((tag) => {
    const bare = tag.trim().replace(/^W\//, "");
    return bare === "*" || bare === etag;
  });
}

export interface BlobOptions {
  readonly request: { readonly method: string; readonly headers: Headers };
  readonly contentType: string;
  /** Strong: the bytes behind it never change. */
  readonly etag: string;
  /** Opens the bytes, all or a range of them. Their size is known after the first call. */
  open(range?: { start: number; end: number }): Promise<StoredObject>;
}

/** A large immutable answer as a stream: Content-Length, single ranges (RFC 9110, 14), If-Range, 304 and HEAD. */
export async function blobResponse(
  { request, contentType, etag, open }: BlobOptions,
): Promise<Response> {
  const headers = new Headers({
    "Content-Type": contentType,
    "Cache-Control": IMMUTABLE,
    "ETag": etag,
    "Accept-Ranges": "bytes",
  });
  if (matches(request.headers.get("If-None-Match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  const whole = await open();
  const range = wantedRange(request.headers, etag, whole.sizeBytes);
  if (range === null && request.method === "GET") {
    headers.set("Content-Length", String(whole.sizeBytes));
    return new Response(whole.bytes ?? whole.body, { headers });
  }
  if (whole.bytes === undefined) await whole.body.cancel();
  if (range === "unsatisfiable") {
    headers.set("Content-Range", `bytes */${whole.sizeBytes}`);
    return new Response(null, { status: 416, headers });
  }
  const { start, end } = range ?? { start: 0, end: whole.sizeBytes };
  headers.set("Content-Length", String(end - start));
  if (range !== null) headers.set("Content-Range", `bytes ${start}-${end - 1}/${whole.sizeBytes}`);
  const part = request.method === "HEAD" ? null : await open({ start, end });
  const body = part === null ? null : part.bytes ?? part.body;
  return new Response(body, { status: range === null ? 200 : 206, headers });
}

type WantedRange = { readonly start: number; readonly end: number };

/**
 * The one range that is asked for; null for the whole. Several ranges, other units, bad syntax and an `If-Range` that does
 * not match are ignored, as RFC 9110 allows or demands.
 */
function wantedRange(
  headers: Headers,
  etag: string,
  sizeBytes: number,
): WantedRange | "unsatisfiable" | null {
  const condition = headers.get("If-Range");
  if (condition !== null && condition.trim() !== etag) return null;
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(headers.get("Range")?.trim() ?? "") ?? [];
  if (first === undefined || last === undefined || first + last === "") return null;
  if (first === "") {
    const start = Math.max(0, sizeBytes - Number(last));
    return Number(last) === 0 ? "unsatisfiable" : { start, end: sizeBytes };
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (last !== "" && Number(last) < start) return null;
  return start >= sizeBytes ? "unsatisfiable" : { start, end };
}
