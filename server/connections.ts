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
 * The addresses of clients have fair shares:
 *
 * - When all places are taken, connections that are slow or not busy are closed to make room: those
 *   of the address with the most connections first, of these the new ones before the idle ones, and
 *   the oldest first. A new connection displaces only those of its own address and of addresses
 *   that have more. A client that fills the places with silent connections therefore loses its own.
 * - The last quarter of the places is for addresses with no more than the average number of
 *   connections. Others displace, too. A client that fills the places with requests therefore
 *   leaves some to others. Where all clients have one address, it has all of the places.
 * - A trusted proxy (`listen.trustedProxies`) stands for many clients and counts as one without
 *   connections.
 *
 * If there is nothing to displace, there is no room.
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
/** The fraction of the places that is for addresses with few connections. */
const RESERVED_PART = 1 / 4;
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
  /** Whether an address is a trusted proxy's. Default: none is. */
  readonly isProxy?: (address: string) => boolean;
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
  /** How many are open, by the client's address. */
  readonly #counts = new Map<string, number>();
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
   * Admits a connection, if need be by closing others. Null if there is no room for it.
   *
   * @param close ends the connection and everything on it, at once
   */
  admit(address: string, close: () => void): Connection | null {
    if (this.isFull || this.isOverShare(address)) {
      const count = this.#count(address);
      if (!this.#displace((other) => other === address || this.#count(other) > count)) return null;
    }
    const connection = new Connection(this, { address, close });
    this.#open.add(connection);
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1);
    return connection;
  }

  /** Whether what is left of the places is for others. */
  isOverShare(address: string): boolean {
    const { max } = this.#options;
    return this.size >= max - Math.floor(max * RESERVED_PART) &&
      this.#count(address) > this.size / this.#counts.size;
  }

  /** Counts a connection that was closed because it could not be admitted. */
  refused(): void {
    this.#note("refused");
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
    return this.#displace(() => true);
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
    this.#forget(connection);
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

  /** Closes some that are not in use, of the addresses given. False if there are none. */
  #displace(isOf: (address: string) => boolean): boolean {
    // By address, in order not to look at each of thousands of connections more than once.
    const counts = new Map(
      [...this.#counts.keys()].filter(isOf).map((address) => [address, this.#count(address)]),
    );
    const idle = [...this.#open].filter(({ address, isBusy, isSlow }) =>
      (!isBusy || isSlow) && counts.has(address)
    );
    const count = ({ address }: Connection) => counts.get(address) ?? 0;
    const rank = ({ isNew, isSlow }: Connection) => isSlow ? 2 : isNew ? 0 : 1;
    idle.sort((a, b) => count(b) - count(a) || rank(a) - rank(b) || a.sinceMs - b.sinceMs);
    const closed = idle.slice(0, Math.ceil(this.#open.size * ROOM_PART));
    for (const connection of closed) this.#close(connection, "room");
    if (closed.length > 0) this.#warn("closed connections to make room for others");
    return closed.length > 0;
  }

  /** Of an address, as far as shares are concerned. */
  #count(address: string): number {
    return this.#options.isProxy?.(address) ? 0 : this.#counts.get(address) ?? 0;
  }

  #close(connection: Connection, reason: Reason): void {
    this.#forget(connection);
    this.#note(reason);
    connection.close();
  }

  #forget(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    const { address } = connection;
    const left = (this.#counts.get(address) ?? 0) - 1;
    if (left > 0) this.#counts.set(address, left);
    else this.#counts.delete(address);
  }

  #note(reason: Reason): void {
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
