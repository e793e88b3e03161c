/**
 * What is counted. {@linkcode METRICS} is the one list of all metrics; the page `/metrics`,
 * docs/operating.md and the dashboard follow it, which tests check. lib/ only says what happened;
 * how numbers are kept is behind {@linkcode Metrics}.
 *
 * Names follow prometheus.io/docs/practices/naming: a unit at the end, `_total` for what only
 * grows. Labels have few values, all of them known from the code, or names that the configuration
 * gives: no module path, version, host or identity is ever one.
 */
import { type Meaning, meaningOf } from "../errors.ts";
import { inSpan } from "./trace.ts";

interface Spec {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** How the values of several workers of one process become one. Default: their sum. */
  readonly across?: "max" | "first";
}

function counter<const L extends readonly string[]>(help: string, labels: L) {
  return { type: "counter", help, labels } as const;
}

/** Seconds, always. */
function histogram<const L extends readonly string[]>(help: string, labels: L) {
  return { type: "histogram", help, labels } as const;
}

function gauge(help: string) {
  return { type: "gauge", help, labels: [] } as const;
}

/** A fact of the whole process, whichever of its workers tells it. */
function fact<T extends "counter" | "gauge", const L extends readonly string[]>(
  type: T,
  help: string,
  labels: L,
) {
  return { type, help, labels, across: "first" } as const;
}

export const METRICS = {
  gomodproxy_http_requests_total: counter("Requests answered.", ["route", "status"]),
  gomodproxy_http_request_duration_seconds: histogram(
    "Time from the arrival of a request to the end of its response.",
    ["route"],
  ),
  gomodproxy_http_requests_in_flight: gauge("Requests in progress."),
  gomodproxy_http_response_bytes_total: counter(
    "Bytes of response bodies that were sent completely.",
    ["route"],
  ),
  gomodproxy_policy_decisions_total: counter(
    "Decisions about zips by rules of the policy.",
    ["rule", "action", "mode"],
  ),
  gomodproxy_http_aborted_requests_total: counter(
    "Requests whose client disconnected, or was disconnected, before the end of the response.",
    ["route"],
  ),
  gomodproxy_cache_requests_total: counter(
    "Requests for modules by what the store had: hit, miss, or stale (the source failed).",
    ["result"],
  ),
  gomodproxy_source_requests_total: counter(
    "Requests to sources: proxy (an upstream), direct (git, public modules), private (git, private modules).",
    ["source", "operation", "outcome"],
  ),
  gomodproxy_source_request_duration_seconds: histogram(
    "Duration of requests to sources, including retries.",
    ["source", "operation"],
  ),
  gomodproxy_source_zip_bytes_total: counter("Bytes of module zips received from sources.", [
    "source",
  ]),
  gomodproxy_publications_total: counter(
    "Published versions: created, exists (another replica was first), mismatch (another replica published another copy).",
    ["outcome"],
  ),
  gomodproxy_refused_files_total: counter(
    "Files rejected because their hash differs from the checksum database or the manifest.",
    ["file"],
  ),
  gomodproxy_sumdb_verifications_total: counter(
    "Versions looked up in the checksum database before publication; refused: its answer does not verify.",
    ["outcome"],
  ),
  gomodproxy_store_requests_total: counter("Calls to the store.", ["operation", "outcome"]),
  gomodproxy_store_request_duration_seconds: histogram(
    "Duration of calls to the store, including retries, excluding the reading of bodies.",
    ["operation"],
  ),
  gomodproxy_store_retries_total: counter("Requests to the store that were retried.", []),
  gomodproxy_store_damaged_objects_total: counter(
    "Damaged objects found in a disk store.",
    [],
  ),
  gomodproxy_scrub_objects_total: counter("Objects that the scrubber has read.", []),
  gomodproxy_scrub_bytes_total: counter("Bytes that the scrubber has read.", []),
  gomodproxy_scrub_findings_total: counter(
    "Findings of the scrubber: fault, note (an orphan), repaired.",
    ["kind"],
  ),
  gomodproxy_store_cache_requests_total: counter(
    "Lookups in storage.cache: hit, miss (the bucket has the object), damaged (and discarded).",
    ["result"],
  ),
  gomodproxy_git_processes_total: counter(
    "Finished git processes by exit code; killed: by the server.",
    ["command", "exit"],
  ),
  gomodproxy_git_process_duration_seconds: histogram("Duration of git processes.", ["command"]),
  gomodproxy_git_queue_wait_seconds: histogram("Time that git processes waited for a slot.", []),
  gomodproxy_git_processes_running: gauge("Running git processes."),
  gomodproxy_git_processes_waiting: gauge("git processes waiting for a slot."),
  gomodproxy_git_clients_waiting: gauge("Clients with git processes waiting for a slot."),
  gomodproxy_git_longest_queue: gauge(
    "git processes waiting for a slot, of the client with the most of them.",
  ),
  gomodproxy_fetches_under_way: gauge("Versions being fetched and published."),
  gomodproxy_abandoned_work_total: counter(
    "Fetches, lists and queries canceled because no request waited for them any more.",
    ["work"],
  ),
  gomodproxy_ahead_fetches_total: counter(
    "What was fetched before a client asked for it (version, zip), by outcome: ok, failed.",
    ["kind", "outcome"],
  ),
  gomodproxy_ahead_guesses_total: counter(
    "What was fetched ahead: useful (a client asked for it within 5 minutes), useless.",
    ["kind", "outcome"],
  ),
  gomodproxy_ahead_under_way: gauge("Fetches ahead of clients in progress."),
  gomodproxy_scratch_bytes: gauge("Size of fetches in progress in the scratch directory."),
  gomodproxy_connections: gauge("Open connections from clients."),
  gomodproxy_connections_closed_total: counter("Connections closed by the server.", ["reason"]),
  gomodproxy_limited_requests_total: counter(
    "Requests rejected because too many were in progress, in total or for one client.",
    ["limit"],
  ),
  gomodproxy_advisories_refreshes_total: counter(
    "Attempts to read a source of advisories: changed, unchanged, refused (damaged, or too many entries are gone), failed.",
    ["outcome"],
  ),
  gomodproxy_advisories_entries: gauge("Entries of the vulnerability database."),
  gomodproxy_advisories_stale: gauge(
    "1 if a source of advisories has not been read for advisories.maxStale.",
  ),
  gomodproxy_advisories_last_success_timestamp_seconds: gauge(
    "When the source of advisories that was read least recently was last read, in Unix time.",
  ),
  gomodproxy_event_loop_lag_seconds: {
    type: "gauge",
    help: "Longest delay of the event loop since the last scrape.",
    labels: [],
    across: "max",
  },
  gomodproxy_event_loop_delay_seconds: histogram(
    "Delay of the event loop, measured ten times a second.",
    [],
  ),
  gomodproxy_build_info: fact("gauge", "Always 1; the labels name the versions.", [
    "version",
    "deno",
  ]),
  process_resident_memory_bytes: fact("gauge", "Resident memory of the process.", []),
  process_cpu_seconds_total: fact("counter", "CPU time of the process, user and system.", []),
  process_start_time_seconds: fact("gauge", "When the process was started, in Unix time.", []),
} as const satisfies Record<string, Spec>;

export type MetricName = keyof typeof METRICS;

type Of<Type extends Spec["type"]> = {
  [N in MetricName]: typeof METRICS[N]["type"] extends Type ? N : never;
}[MetricName];

/** A value for each label of a metric. */
export type Labels<N extends MetricName> = Readonly<
  Record<typeof METRICS[N]["labels"][number], string>
>;

export interface Metrics {
  /** Adds to a counter. Default: 1. */
  add<N extends Of<"counter">>(name: N, labels: Labels<N>, by?: number): void;
  /** Takes note of a duration. */
  observe<N extends Of<"histogram">>(name: N, labels: Labels<N>, seconds: number): void;
  /** Sets the function that reads a gauge on demand. */
  gauge(name: Of<"gauge">, read: () => number | Promise<number>): void;
}

/** Counts nothing. */
export const NO_METRICS: Metrics = { add: () => {}, observe: () => {}, gauge: () => {} };

/** How work ended, and how long it took, for {@linkcode timed}. */
export interface Timed {
  /** `ok`, or what the failure means. */
  readonly outcome: "ok" | Meaning | "aborted";
  readonly seconds: number;
}

export interface TimedOptions {
  /** What the work is called in a trace: one of few names. */
  readonly span: string;
  /** What a trace says of it besides, which may be anything but a secret. */
  readonly attributes: Readonly<Record<string, string>>;
  record(timed: Timed): void;
  /** Aborted when the result is no longer wanted. */
  readonly signal?: AbortSignal | undefined;
}

/** Does the work, in a span of its own, and tells `record` about it. */
export async function timed<T>(
  work: () => Promise<T>,
  { span, attributes, record, signal }: TimedOptions,
): Promise<T> {
  const startMs = performance.now();
  const end = (outcome: Timed["outcome"]) =>
    record({ outcome, seconds: (performance.now() - startMs) / 1000 });
  try {
    const result = await inSpan(span, attributes, work);
    end("ok");
    return result;
  } catch (error) {
    end(signal?.aborted && error === signal.reason ? abortedOr(error) : meaningOf(error));
    throw error;
  }
}

/**
 * A deadline that ended the work by its signal is reported as such; any other abort means that the
 * caller left.
 */
function abortedOr(error: unknown): Timed["outcome"] {
  const meaning = meaningOf(error);
  return meaning === "internal" ? "aborted" : meaning;
}
