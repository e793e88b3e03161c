/**
 * Records requests that have ended: a line of the access log, and the metrics.
 *
 * Under load, several requests are recorded together, up to {@linkcode MAX_DELAY_MS} late. The cost
 * of a small answer is mostly that of loading its code into the processor's caches, and the code of
 * log and metrics is as large as all the rest: alternating for each request, they evict each other.
 * 64 requests in one go take half of the time (docs/design/performance.md).
 */
import type { Logger } from "../lib/log/log.ts";
import type { Metrics } from "../lib/log/metrics.ts";
import type { Verdict } from "../lib/policy/verdict.ts";
import type { UsageKey } from "../lib/usage/usage_row.ts";

export const MAX_DELAY_MS = 10;
/** A larger number is not faster. */
export const MAX_GATHERED = 64;

/** A request that has been answered. */
export interface EndedRequest {
  readonly id: string;
  readonly method: string;
  /** As it arrived, without the query. */
  readonly path: string;
  /** The name of requests like this one in metrics. */
  readonly template: string;
  readonly status: number;
  /** Of the body that was sent. */
  readonly sizeBytes: number;
  readonly durationMs: number;
  /** The client hung up before it had received everything. */
  readonly isAborted: boolean;
  /** Further fields of the access log. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface RequestLogOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Whether requests are recorded together; otherwise each at once. */
  readonly gathers: boolean;
  /** Takes note of usage. Default: nobody does. */
  readonly onUsage?: ((usage: UsageKey) => void) | undefined;
}

export class RequestLog {
  readonly #options: RequestLogOptions;
  readonly #gathered: EndedRequest[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: RequestLogOptions) {
    this.#options = options;
  }

  add(request: EndedRequest): void {
    this.#gathered.push(request);
    if (!this.#options.gathers || this.#gathered.length >= MAX_GATHERED) return this.flush();
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => this.flush(), MAX_DELAY_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Records what has been gathered. Called before metrics are read, and on shutdown. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { log, metrics } = this.#options;
    const requests = this.#gathered.splice(0);
    for (const request of requests) count(request, metrics);
    for (const request of requests) write(request, log);
    const { onUsage } = this.#options;
    if (onUsage === undefined) return;
    for (const request of requests) {
      const usage = usageOf(request);
      if (usage !== null) onUsage(usage);
    }
  }
}

const KINDS: Readonly<Record<string, UsageKey["kind"]>> = {
  "/{module}/@v/{version}.mod": "mod",
  "/{module}/@v/{version}.zip": "zip",
  "/sumdb/{database}/lookup/{module}@{version}": "lookup",
};

/** The usage that a request is; null for requests that got nothing, and for others. */
function usageOf({ template, status, facts }: EndedRequest): UsageKey | null {
  const kind = KINDS[template];
  if (kind === undefined) return null;
  const { module, version, identity, policy } = facts as Partial<UsageFacts>;
  if (module === undefined || version === undefined) return null;
  // Ranges, redirects and what the client has already are usage, and so is what the policy denies.
  if (status >= 400 && policy === undefined) return null;
  const key = { module, version, kind, identity: identity ?? null };
  if (policy === undefined) return key;
  const { rule, action, isEnforced } = policy;
  return { ...key, rule, action, mode: isEnforced ? "enforce" : "audit" };
}

interface UsageFacts {
  readonly module: string;
  readonly version: string;
  readonly identity: string;
  readonly policy: Pick<Verdict, "action" | "isEnforced"> & { readonly rule: string };
}

function count(request: EndedRequest, metrics: Metrics): void {
  const { template: route, status, durationMs, isAborted, sizeBytes, facts: { cache } } = request;
  metrics.add("gomodproxy_http_requests_total", { route, status: String(status) });
  metrics.observe("gomodproxy_http_request_duration_seconds", { route }, durationMs / 1000);
  if (isAborted) metrics.add("gomodproxy_http_aborted_requests_total", { route });
  else metrics.add("gomodproxy_http_response_bytes_total", { route }, sizeBytes);
  if (typeof cache === "string") metrics.add("gomodproxy_cache_requests_total", { result: cache });
}

function write(request: EndedRequest, log: Logger): void {
  const { id, method, path, status, facts, isAborted, sizeBytes, durationMs } = request;
  log.info({
    id,
    method,
    path: `/${path}`,
    status,
    ...facts,
    ...isAborted ? { aborted: true } : { bytes: sizeBytes },
    ms: Math.round(durationMs),
  }, "request");
}
