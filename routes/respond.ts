/**
 * The forms of answers that all routes share.
 *
 * Errors are plain text in the form that the `go` command prints (cmd/go/internal/web): valid
 * UTF-8, every character graphic or white space, at most 8 lines and 648 bytes, no blank line. The
 * cause comes first, the request id last.
 */
import { meaningOf, ProxyError, StorageError, TooManyRequestsError } from "../lib/errors.ts";
import { PolicyDeniedError } from "../lib/policy/denial.ts";
import type { GrowingZip } from "../lib/source/zip_spool.ts";
import type { StoredObject } from "../lib/store/object_store.ts";
import type { Answer } from "./answer.ts";
import { ReadyText } from "./ready_text.ts";
import { FAILURE_STATUSES } from "./status.ts";

/** For what never changes: any cache may store it, for a year (the most that caches honour). */
export const IMMUTABLE = "public, max-age=31536000, immutable";
const FRESH_SECONDS = 60;
/** For what a source has just answered. */
export const FRESH = `public, max-age=${FRESH_SECONDS}`;
/** For what is answered from the store because the source is unavailable. */
export const STALE = "public, max-age=5";

/** For what a source has just answered, and what is different in so many milliseconds. */
export function freshFor(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return seconds >= FRESH_SECONDS ? FRESH : `public, max-age=${seconds}`;
}

export const PLAIN_TEXT = "text/plain; charset=utf-8";

/** The `go` command cuts a body off at 648 bytes; the id line needs about 60 of them. */
const MAX_REASON_LENGTH = 560;

export function errorAnswer(
  error: unknown,
  { requestId, head }: { requestId: string; head: boolean },
): Answer {
  const { status, cacheControl, retryAfterSeconds } = FAILURE_STATUSES[meaningOf(error)];
  const retryAfter = error instanceof TooManyRequestsError
    ? error.retryAfterSeconds
    : retryAfterSeconds;
  const answer = noteAnswer(`${reason(error, status)}\nrequest id: ${requestId}\n`, {
    status,
    headers: {
      "Cache-Control": cacheControl,
      "Vary": VARY,
      ...retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) },
      ...error instanceof PolicyDeniedError ? { [POLICY_HEADER]: error.rule } : {},
    },
  });
  return {
    ...answer,
    ...status === 401 ? { challenges: CHALLENGES } : {},
    ...head ? { body: null } : {},
  };
}

/** The rule of the policy that decided. */
export const POLICY_HEADER = "X-Go-Mod-Proxy-Policy";

const CHALLENGES = ['Basic realm="go-mod-proxy"', 'Bearer realm="go-mod-proxy"'];

/** Requests with different values of these headers may get different answers. */
const VARY = "Accept-Encoding, Disable-Module-Fetch";

function reason(error: unknown, status: number): string {
  const text = shownText(error);
  // The lines of a denial are made to be lines; others would be text of somebody else.
  const lines = error instanceof PolicyDeniedError ? text.split("\n") : [text];
  const shown = lines.map((line) => line.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " "))
    .join("\n")
    .slice(0, MAX_REASON_LENGTH);
  // The words by which people and tools distinguish a missing module from a failing proxy.
  return status === 404 ? `not found: ${shown}` : shown;
}

/**
 * The location of the store and internal errors belong in the log; the client gets the id to find
 * them.
 */
function shownText(error: unknown): string {
  if (error instanceof StorageError) return "the module store failed";
  if (error instanceof ProxyError) return error.message;
  return meaningOf(error) === "overloaded" ? "this server is overloaded" : "internal error";
}

/** A few words, by default about the present moment. */
export function noteAnswer(
  text: string,
  { status, headers = {} }: { status: number; headers?: Answer["headers"] },
): Answer {
  const body = new TextEncoder().encode(text);
  return {
    status,
    headers: { "Content-Type": PLAIN_TEXT, "Cache-Control": "no-store", ...headers },
    body,
    sizeBytes: body.length,
  };
}

export interface TextOptions {
  readonly request: { readonly method: string; readonly headers: Headers };
  readonly contentType: string;
  readonly cacheControl: string;
}

/** A small answer: ETag by its bytes, gzip if the client accepts it, 304 and HEAD. */
export function textAnswer(
  text: ReadyText | Uint8Array<ArrayBuffer>,
  { request, contentType, cacheControl }: TextOptions,
): Answer {
  const ready = text instanceof ReadyText ? text : new ReadyText(text);
  const { body, etag, encoding } = ready.form(() => acceptsGzip(request.headers));
  const headers = {
    "Content-Type": contentType,
    "Cache-Control": cacheControl,
    "Vary": VARY,
    "ETag": etag,
  };
  if (isNotModified(request.headers, etag)) {
    return { status: 304, headers, body: null };
  }
  return {
    status: 200,
    headers: encoding === null ? headers : { ...headers, "Content-Encoding": encoding },
    body: request.method === "HEAD" ? null : body,
    sizeBytes: body.length,
  };
}

function acceptsGzip(headers: Headers): boolean {
  return (headers.get("Accept-Encoding") ?? "").split(",").some((coding) => {
    const [name = "", weight = ""] = coding.split(";").map((part) => part.trim().toLowerCase());
    return name === "gzip" && !/^q=0(\.0*)?$/.test(weight);
  });
}

/**
 * Whether the client has what the ETag is of, so that the answer is 304. RFC 9110, 13.1.2: weak
 * comparison against a list, or `*`.
 */
export function isNotModified(headers: Headers, etag: string): boolean {
  const condition = headers.get("If-None-Match");
  if (condition === null) return false;
  return condition.split(",").some((tag) => {
    const bare = tag.trim().replace(/^W\//, "");
    return bare === "*" || bare === etag;
  });
}

export interface BlobHeaders {
  readonly contentType: string;
  /** Strong: the bytes behind it never change. */
  readonly etag: string;
}

export interface WholeBlobOptions extends BlobHeaders {
  readonly request: { readonly method: string; readonly headers: Headers };
}

export interface BlobOptions extends WholeBlobOptions {
  /** Opens the bytes, all or a range of them. Their size is known after the first call. */
  open(range?: { start: number; end: number }): Promise<StoredObject | null>;
  /** Opens all of them for a client that wants no range; perhaps before they are complete. */
  follow(): Promise<StoredObject | GrowingZip | null>;
}

/**
 * A large immutable answer as a stream: Content-Length, single ranges (RFC 9110, 14), If-Range, 304
 * and HEAD. Null if it cannot be opened here.
 */
export async function blobAnswer(
  { request, contentType, etag, open, follow }: BlobOptions,
): Promise<Answer | null> {
  const headers = blobHeaders({ contentType, etag });
  if (isNotModified(request.headers, etag)) {
    return { status: 304, headers, body: null };
  }
  const isPlain = request.method === "GET" && request.headers.get("Range") === null;
  const whole = await (isPlain ? follow() : open());
  if (whole === null) return null;
  if ("isGrowing" in whole) return growingAnswer(whole, headers);
  const { sizeBytes } = whole;
  const range = wantedRange(request.headers, etag, sizeBytes);
  if (range === null && request.method === "GET") {
    return { status: 200, headers, body: whole.bytes ?? whole.body, sizeBytes };
  }
  if (whole.bytes === undefined) await whole.body.cancel();
  if (range === "unsatisfiable") {
    return {
      status: 416,
      headers: { ...headers, "Content-Range": `bytes */${sizeBytes}` },
      body: null,
    };
  }
  const { start, end } = range ?? { start: 0, end: sizeBytes };
  const isHead = request.method === "HEAD";
  const part = isHead ? null : await open({ start, end });
  if (part === null && !isHead) return null;
  return {
    status: range === null ? 200 : 206,
    headers: range === null
      ? headers
      : { ...headers, "Content-Range": `bytes ${start}-${end - 1}/${sizeBytes}` },
    body: part === null ? null : part.bytes ?? part.body,
    sizeBytes: end - start,
  };
}

/**
 * An answer that breaks off unless its bytes prove right. They have no ETag until then: nobody may
 * resume with bytes of another zip.
 */
function growingAnswer(
  { sizeBytes, body }: GrowingZip,
  { "ETag": _etag, "Accept-Ranges": _ranges, ...headers }: ReturnType<typeof blobHeaders>,
): Answer {
  return { status: 200, headers, body, sizeBytes };
}

/** {@linkcode blobAnswer} if all bytes are available and all are requested; otherwise null. */
export function wholeBlobAnswer(
  bytes: Uint8Array<ArrayBuffer>,
  { request: { method, headers }, contentType, etag }: WholeBlobOptions,
): Answer | null {
  const isPlain = method === "GET" && headers.get("If-None-Match") === null &&
    headers.get("Range") === null;
  if (!isPlain) return null;
  return {
    status: 200,
    headers: blobHeaders({ contentType, etag }),
    body: bytes,
    sizeBytes: bytes.length,
  };
}

export function blobHeaders({ contentType, etag }: BlobHeaders) {
  return {
    "Content-Type": contentType,
    "Cache-Control": IMMUTABLE,
    "ETag": etag,
    "Accept-Ranges": "bytes",
  };
}

type WantedRange = { readonly start: number; readonly end: number };

/**
 * The one range that is requested; null for the whole. Several ranges, other units, bad syntax and
 * an `If-Range` that does not match are ignored, as RFC 9110 allows or demands.
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
