/**
 * Watches how long a thread's event loop is held up: by a step of ours that computes for long, and
 * meanwhile nobody is answered. A timer that should fire each {@linkcode INTERVAL_MS} says by how
 * much it is late.
 *
 * What is late by {@linkcode WARNING_MS} or more is a line in the log, with the requests that were
 * under way and those that have just ended, by their templates: one of them it was, or the start of
 * a git process, or a collection of garbage. On a machine that is out of CPU every thread is late;
 * then all of them warn.
 */
import type { Logger } from "../lib/log/log.ts";
import type { Metrics } from "../lib/log/metrics.ts";
import type { RequestsReport, RequestsUnderWay } from "../routes/requests_under_way.ts";

export const INTERVAL_MS = 100;
export const WARNING_MS = 200;
/** A loop that is late is late again soon. */
const WARNING_INTERVAL_MS = 10_000;

export interface EventLoopWatchOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly requests: RequestsUnderWay;
  /** Which of several threads this is, for the log. */
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

  /** The timer has fired, so much too late. */
  tick(nowMs: number, delayMs: number): void {
    const { log, metrics, requests, thread } = this.#options;
    metrics.observe("gomodproxy_event_loop_delay_seconds", {}, delayMs / 1000);
    this.#worstMs = Math.max(this.#worstMs, delayMs);
    if (delayMs < WARNING_MS || nowMs < this.#nextWarningMs) return requests.forgetEnded();
    const report = requests.report();
    // Nobody has waited: the program is starting, or nobody is there.
    if (!hasAny(report)) return;
    this.#nextWarningMs = nowMs + WARNING_INTERVAL_MS;
    const ms = Math.round(delayMs);
    log.warn({ ms, thread, ...report }, "the event loop was held up");
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
