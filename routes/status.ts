/**
 * The statuses of failures, by meaning (lib/errors.ts). Nothing else in the project decides the
 * status of a failure.
 *
 * The table follows the `go` command's reaction: 404 and 410 send it to the next entry of
 * `GOPROXY`, in the worst case with a private module path to a public place. So 404 means "known
 * not to exist" and nothing else; a cause that may pass is 5xx and is never cached. An invalid
 * request stays invalid (an hour); what does not exist may exist in seconds.
 *
 * 422 means that a version exists and cannot be a module. It stops the `go` command and is not
 * worth a retry, which clients and proxies in between make after a 5xx.
 */
import type { Meaning } from "../lib/errors.ts";

export interface FailureStatus {
  readonly status: number;
  readonly cacheControl: string;
  /** When the client should try again. */
  readonly retryAfterSeconds?: number;
}

export const FAILURE_STATUSES: Readonly<Record<Meaning, FailureStatus>> = {
  "invalid": { status: 404, cacheControl: "public, max-age=3600" },
  "malformed": { status: 400, cacheControl: "no-store" },
  "not-found": { status: 404, cacheControl: "public, max-age=10" },
  "unusable": { status: 422, cacheControl: "public, max-age=10" },
  "unauthenticated": { status: 401, cacheControl: "no-store" },
  "forbidden": { status: 403, cacheControl: "no-store" },
  "too-many-requests": { status: 429, cacheControl: "no-store", retryAfterSeconds: 30 },
  "bad-upstream": { status: 502, cacheControl: "no-store" },
  "timeout": { status: 504, cacheControl: "no-store" },
  "overloaded": { status: 503, cacheControl: "no-store", retryAfterSeconds: 5 },
  // A fact that the policy asks for: neither allowed nor denied.
  "undetermined": { status: 503, cacheControl: "no-store", retryAfterSeconds: 30 },
  "store": { status: 503, cacheControl: "no-store", retryAfterSeconds: 5 },
  // Nobody hears it. It is nginx's number for a client that did not wait, for logs and metrics.
  "hung-up": { status: 499, cacheControl: "no-store" },
  "internal": { status: 500, cacheControl: "no-store" },
};
