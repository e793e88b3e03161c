/**
 * Limits a thread's connections from clients: in number, and in the time that one may be unused. A
 * client that opens connections and sends no requests must not exhaust the process's file
 * descriptors, which the store, git and other clients need as well.
 *
 * A connection is
 *
 * - _new_ until its first request has arrived. It is closed after {@linkcode REQUEST_TIMEOUT_MS},
 *   whether the client has sent nothing, a part of a TLS handshake, or a part of a request's head.
 *   It is new again when a request was answered before its body has arrived.
 * - _busy_ while requests on it are being answered. Answers have deadlines of their own.
 * - _slow_ when a client has not read a large answer within that answer's time: see
 *   routes/slow_client.ts.
 * - _idle_ between requests. It is closed after {@linkcode IDLE_TIMEOUT_MS}.
 *
 * When all places are taken, connections that are slow or not busy are closed to make room: those
 * of the address with the most of them first, of these the new ones before the idle ones, and the
 * oldest first. A client that fills the places with silent connections therefore loses its own. If
 * all are busy, there is no room.
 */
import { describeError } from "../lib/errors.ts";
import type { Logger } from "../lib/log/log.ts";
import type { Metrics } from "../lib/log/metrics.ts";

/**
 * From the connection until the head of the first request has arrived, including a TLS handshake.
 */
export const REQUEST_TIMEOUT_MS = 10_000;
/**
 * Between requests. Longer than the 90 s of Go's `net/http` client, so that connections are closed
 * by the side that knows whether it is about to send something.
 */
export const IDLE_TIMEOUT_MS = 120_000;
/** How late a deadline may be noticed. */
const SWEEP_INTERVAL_MS = 1_000;
/**
 * The fraction of all connections that is closed at once: each search for candidates visits all of
 * them.
 */
const ROOM_PART = 1 / 16;
const WARNING_INTERVAL_MS = 60_000;

/**
 * Above this, connections cost more memory (about 15 kB each) than a module proxy can make use of.
 */
const MAX_DEFAULT_CONNECTIONS = 10_000;
/** A limit on files that leaves fewer than these is too low for serving. */
const MIN_DEFAULT_CONNECTIONS = 16;
/** Of a git process: standard input, output and error. */
const FILES_PER_CHILD = 3;
/** The program itself, 26 when it is idle, and its connections to the store. */
const OWN_FILES = 64;
/**
 * A request in progress has files besides its connection: one to an upstream, what it spools. That
 * is a quarter of the limit, and not more than what all fetches that may run at once need. With
 * 512 files and 255 connections, 100 slow requests used up all files; with 160 they did not.
 */
const REQUESTS_PART = 1 / 4;
const MAX_REQUEST_FILES = 3_000;
/** If the system does not report a limit: the default of Linux. */
const UNKNOWN_FILE_LIMIT = 1024;

export interface FileUse {
  /** How many files the process may have open. Null if unknown. */
  readonly fileLimit: number | null;
  readonly maxChildProcesses: number;
}

/**
 * How many connections a process may have: 80 % of the files that it may open, minus those that it
 * needs for other purposes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(defaultMaxConnections({ fileLimit: 1024, maxChildProcesses: 30 }), 409);
 * ```
 */
export function defaultMaxConnections({ fileLimit, maxChildProcesses }: FileUse): number {
  const limit = fileLimit ?? UNKNOWN_FILE_LIMIT;
  const ofRequests = Math.min(Math.floor(limit * REQUESTS_PART), MAX_REQUEST_FILES);
  const free = Math.floor(limit * 0.8) - OWN_FILES - ofRequests -
    maxChildProcesses * FILES_PER_CHILD;
  return Math.min(Math.max(free, MIN_DEFAULT_CONNECTIONS), MAX_DEFAULT_CONNECTIONS);
}

/** Why this server closed a connection. */
type Reason = "no-request" | "idle" | "room" | "refused";

export interface ConnectionsOptions {
  /** Of this thread. */
  readonly max: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** A monotonic clock in milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
  /** Default: {@linkcode REQUEST_TIMEOUT_MS}. */
  readonly requestTimeoutMs?: number;
  /** Default: {@linkcode IDLE_TIMEOUT_MS}. */
  readonly idleTimeoutMs?: number;
}

export class Connections implements Disposable {
  readonly #options: ConnectionsOptions;
  readonly #now: () => number;
  readonly #open = new Set<Connection>();
  readonly #timer: ReturnType<typeof setInterval>;
  #nowMs: number;
  #waiting: PromiseWithResolvers<void> | null = null;
  #nextWarningMs = -Infinity;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#nowMs = this.#now();
    this.#timer = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS);
    Deno.unrefTimer(this.#timer);
    options.metrics.gauge("gomodproxy_connections", () => this.#open.size);
  }

  /** The time of the last look at the clock: cheap, and up to {@linkcode SWEEP_INTERVAL_MS} old. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The number of open connections. */
  get size(): number {
    return this.#open.size;
  }

  /** Whether another connection takes the place of one. */
  get isFull(): boolean {
    return this.#open.size >= this.#options.max;
  }

  /**
   * Admits a connection, if need be by closing others. Null if all are busy.
   *
   * @param close ends the connection and everything on it, at once
   */
  admit(address: string, close: () => void): Connection | null {
    if (this.isFull && !this.makeRoom()) return null;
    const connection = new Connection(this, { address, close });
    this.#open.add(connection);
    return connection;
  }

  /** Counts a connection that was closed because it could not be admitted. */
  refused(): void {
    this.#count("refused");
    this.#warn("closed new connections: the limit is reached and all are busy");
  }

  /** Resolves as soon as {@linkcode admit} may give another answer, and from time to time. */
  change(): Promise<void> {
    this.#warn("new connections wait: the limit is reached and all are busy");
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** The system has no file descriptor, or no memory, for another connection. */
  cannotAccept(error: unknown): void {
    this.makeRoom();
    this.#warn("cannot accept connections", { error: describeError(error) });
  }

  /** Closes connections that are not in use. False if there are none. */
  makeRoom(): boolean {
    const idle = [...this.#open].filter(({ isBusy, isSlow }) => !isBusy || isSlow);
    const ofAddress = Map.groupBy(this.#open, ({ address }) => address);
    const count = ({ address }: Connection) => ofAddress.get(address)?.length ?? 0;
    const rank = ({ isNew, isSlow }: Connection) => isSlow ? 2 : isNew ? 0 : 1;
    idle.sort((a, b) => count(b) - count(a) || rank(a) - rank(b) || a.sinceMs - b.sinceMs);
    const closed = idle.slice(0, Math.ceil(this.#open.size * ROOM_PART));
    for (const connection of closed) this.#close(connection, "room");
    if (closed.length > 0) this.#warn("closed connections to make room for others");
    return closed.length > 0;
  }

  /** Closes connections that have timed out. */
  sweep(): void {
    const { requestTimeoutMs = REQUEST_TIMEOUT_MS, idleTimeoutMs = IDLE_TIMEOUT_MS } =
      this.#options;
    this.#nowMs = this.#now();
    for (const connection of this.#open) {
      const { isBusy, isNew, sinceMs } = connection;
      const timeoutMs = isNew ? requestTimeoutMs : idleTimeoutMs;
      if (isBusy || this.#nowMs - sinceMs < timeoutMs) continue;
      this.#close(connection, isNew ? "no-request" : "idle");
    }
    this.changed();
  }

  /** For {@linkcode Connection}: it is gone. */
  remove(connection: Connection): void {
    this.#open.delete(connection);
    this.changed();
  }

  /** For {@linkcode Connection}: there may be room now. */
  changed(): void {
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #close(connection: Connection, reason: Reason): void {
    this.#open.delete(connection);
    this.#count(reason);
    connection.close();
  }

  #count(reason: Reason): void {
    this.#options.metrics.add("gomodproxy_connections_closed_total", { reason });
  }

  /** An attack must not fill the log. */
  #warn(message: string, facts: Readonly<Record<string, unknown>> = {}): void {
    const nowMs = this.#now();
    if (nowMs < this.#nextWarningMs) return;
    this.#nextWarningMs = nowMs + WARNING_INTERVAL_MS;
    const { log, max } = this.#options;
    log.warn({ connections: this.#open.size, max, ...facts }, message);
  }
}

/** One of {@linkcode Connections}. */
export class Connection {
  readonly address: string;
  readonly #all: Connections;
  readonly #close: () => void;
  #isNew = true;
  #isSlow = false;
  #busy = 0;
  #sinceMs: number;

  constructor(all: Connections, { address, close }: { address: string; close: () => void }) {
    this.#all = all;
    this.address = address;
    this.#close = close;
    this.#sinceMs = all.nowMs;
  }

  /** Whether no request has arrived yet. */
  get isNew(): boolean {
    return this.#isNew;
  }

  get isBusy(): boolean {
    return this.#busy > 0;
  }

  /** Whether {@linkcode becameSlow} was called and the answer has not ended. */
  get isSlow(): boolean {
    return this.#isSlow && this.isBusy;
  }

  /** Since when it is new or idle. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** A request has arrived, and its answer takes a while. */
  begin(): void {
    this.#busy++;
  }

  /** An answer has ended: one that took a while, after {@linkcode begin}. */
  end(): void {
    this.#busy--;
    this.#isSlow = false;
    this.answered();
    this.#all.changed();
  }

  /** A request has arrived, and has its answer. */
  answered(): void {
    this.#isNew = false;
    this.#sinceMs = this.#all.nowMs;
  }

  /** What is left of an answered request is waited for, as for a first request. */
  expectRest(): void {
    this.#isNew = true;
    this.#sinceMs = this.#all.nowMs;
  }

  /** The client reads an answer too slowly. */
  becameSlow(): void {
    this.#isSlow = true;
  }

  /** Ends it and everything on it. */
  close(): void {
    this.#all.remove(this);
    this.#close();
  }

  /** It has ended. */
  ended(): void {
    this.#all.remove(this);
  }
}
