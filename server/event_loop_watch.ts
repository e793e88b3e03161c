/**
 * Watches how long a thread's event loop is blocked by a long computation, during which the thread
 * answers no request. A timer that should fire each {@linkcode INTERVAL_MS} measures its delay.
 *
 * A delay of {@linkcode WARNING_MS} or more is logged, with the requests in progress and those that
 * have just ended, by their templates: the cause is one of them, the start of a git process, or a
 * garbage collection. On a machine that is out of CPU time every thread is late, and all of them
 * warn.
 */
import type { Logger } from "../lib/log/log.ts";
import type { Metrics } from "../lib/log/metrics.ts";
import type { RequestsReport, RequestsUnderWay } from "../routes/requests_under_way.ts";

export const INTERVAL_MS = 100;
export const WARNING_MS = 200;
/** Delays come in series. */
const WARNING_INTERVAL_MS = 10_000;

export interface EventLoopWatchOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly requests: RequestsUnderWay;
  /** The name of this thread in the log. */
  readonly thread: string;
}

export class EventLoopWatch implements Disposable {
  readonly #options: EventLoopWatchOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #dueMs = performance.now() + INTERVAL_MS;
  #worstMs = 0;
  #nextWarningMs = -Infinity;

  constructor(options: EventLoopWatchOptions) {
    this.#options = options;
    options.metrics.gauge("gomodproxy_event_loop_lag_seconds", () => this.#takeWorstSeconds());
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      this.tick(nowMs, Math.max(0, nowMs - this.#dueMs));
      this.#dueMs = nowMs + INTERVAL_MS;
    }, INTERVAL_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** The timer has fired with this delay. */
  tick(nowMs: number, delayMs: number): void {
    const { log, metrics, requests, thread } = this.#options;
    metrics.observe("gomodproxy_event_loop_delay_seconds", {}, delayMs / 1000);
    this.#worstMs = Math.max(this.#worstMs, delayMs);
    if (delayMs < WARNING_MS || nowMs < this.#nextWarningMs) return requests.forgetEnded();
    const report = requests.report();
    // No request had to wait: the program is starting, or there are no clients.
    if (!hasAny(report)) return;
    this.#nextWarningMs = nowMs + WARNING_INTERVAL_MS;
    const ms = Math.round(delayMs);
    log.warn({ ms, thread, ...report }, "the event loop was blocked");
  }

  #takeWorstSeconds(): number {
    const worstMs = this.#worstMs;
    this.#worstMs = 0;
    return worstMs / 1000;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function hasAny({ underWay, ended }: RequestsReport): boolean {
  return Object.keys(underWay).length > 0 || Object.keys(ended).length > 0;
}
