/**
 * The further threads of a server (serving.ts), seen from the main one. They listen on its port (SO_REUSEPORT: the system
 * gives each connection to one of them), answer what the store has, and hand the rest over to the main thread's app.
 *
 * A thread that crashes loses what it was answering, and another takes its place; if threads keep crashing as soon as they
 * are started, the main thread goes on alone.
 */
import { AggregatorRegistry } from "prom-client";
import { type MessagePlace, Peer } from "./rpc.ts";
import { pause } from "../../lib/async/pause.ts";
import type { Session } from "../../lib/auth/sessions.ts";
import { describeError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log/log.ts";
import type { ModuleVersion } from "../../lib/module/module_version.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import type { KnownVersions } from "../../lib/source/source.ts";
import { type InspectOptions, inspectZip, ZipError, type ZipSummary } from "../../lib/zip/read.ts";
import type { App } from "../../routes/app.ts";
import type { Prometheus } from "../prometheus.ts";
import type {
  MainMethods,
  SentRequest,
  SentResponse,
  ThreadMethods,
  ThreadStart,
} from "./protocol.ts";

/** Larger bodies go over as streams. */
const MAX_COPIED_BODY_BYTES = 64 * 1024;
/** How long a thread may take until it listens: it has all modules to compile, perhaps on a machine with no time for it. */
const START_TIMEOUT_MS = 120_000;
/** How long it may take to say what it has counted. */
const CALL_TIMEOUT_MS = 30_000;
/** Before a crashed thread is started anew, so that one that cannot live does not take all of the machine. */
const RESTART_PAUSE_MS = 1_000;
/** In a row, of threads that never listened. */
const MAX_FAILED_STARTS = 5;

export interface ThreadsOptions {
  readonly count: number;
  /** The module that a thread runs. */
  readonly module: URL;
  readonly log: Logger;
  readonly restartPauseMs?: number;
}

/** What the main thread has for the others. */
export interface MainParts {
  /** Answers what they do not. */
  readonly app: App;
  /** Whose a header `Authorization` is; null where that would have to be verified. */
  readonly recognize: (header: string) => Session | null;
  /** What the source of a module has just said of its versions; null where it would have to be asked. */
  readonly knownVersions: (path: ModulePath) => KnownVersions | null;
  readonly onSeen: (module: ModuleVersion) => void;
}

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #running = new Set<Thread>();
  readonly #stopping = new AbortController();
  #failedStarts = 0;

  constructor(options: ThreadsOptions) {
    this.#options = options;
  }

  /** Ends when all threads listen, or cannot. */
  async start(start: ThreadStart, main: MainParts): Promise<void> {
    const { count } = this.#options;
    await Promise.all(Array.from({ length: count }, () => this.#startOne({ start, main })));
    this.#options.log.info({ threads: count + 1 }, "all threads listen");
  }

  /** Ends when the requests of all threads have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#running].map((thread) => thread.stop()));
  }

  /** The page of metrics of this thread's and all others' together. */
  async renderMetrics(own: Prometheus): Promise<string> {
    const others = await Promise.all([...this.#running].map((thread) => thread.metrics()));
    const all = [await own.registry.getMetricsAsJSON(), ...others.filter((one) => one !== null)];
    return await AggregatorRegistry.aggregate(all).metrics();
  }

  /**
   * {@linkcode inspectZip}, by the thread that has the fewest zips to look through. By this one as long as no other has
   * started, and where the other did not come to an end: it is gone, or cannot read the file, and here is seen why.
   */
  async inspectZip(file: string, options: InspectOptions): Promise<ZipSummary> {
    const [thread] = [...this.#running].filter(({ hasStarted }) => hasStarted)
      .sort((a, b) => a.zips - b.zips);
    return await thread?.inspectZip(file, options) ?? await inspectZip(file, options);
  }

  #methods({ app, recognize, knownVersions, onSeen }: MainParts): MainMethods {
    return {
      answer: (request, signal) => answer(app, { request, signal }),
      recognize: (header) => ({ value: recognize(header) }),
      knownVersions: (path) => ({ value: knownVersions(path) }),
      seen: (module) => {
        onSeen(module);
        return { value: null };
      },
    };
  }

  async #startOne(starting: Starting): Promise<void> {
    const thread = new Thread(this.#options.module, this.#methods(starting.main));
    this.#running.add(thread);
    void thread.crashed.then((error) => this.#replace(thread, { ...starting, error }));
    try {
      await thread.start(starting.start);
    } catch (cause) {
      thread.terminate(new Error("it did not start", { cause }));
    }
  }

  async #replace(
    thread: Thread,
    { error, ...starting }: Starting & { error: Error },
  ): Promise<void> {
    const { log } = this.#options;
    this.#running.delete(thread);
    if (this.#stopping.signal.aborted) return;
    log.error({ error: describeError(error) }, "a thread has crashed");
    this.#failedStarts = thread.hasStarted ? 0 : this.#failedStarts + 1;
    if (this.#failedStarts === MAX_FAILED_STARTS) {
      log.error("threads cannot be started, going on with fewer");
      return;
    }
    await pause(this.#options.restartPauseMs ?? RESTART_PAUSE_MS, this.#stopping.signal);
    if (!this.#stopping.signal.aborted) await this.#startOne(starting);
  }
}

interface Starting {
  readonly start: ThreadStart;
  readonly main: MainParts;
}

/** One further thread. */
class Thread {
  /** Resolves when it is gone without being told to. */
  readonly crashed: Promise<Error>;
  readonly #worker: Worker;
  readonly #peer: Peer<ThreadMethods>;
  readonly #crash = Promise.withResolvers<Error>();
  #isGone = false;
  #hasStarted = false;
  #zips = 0;

  constructor(module: URL, methods: MainMethods) {
    this.crashed = this.#crash.promise;
    this.#worker = new Worker(module.href, { type: "module" });
    this.#peer = new Peer(this.#worker as MessagePlace, { ...methods });
    this.#worker.addEventListener("error", (event) => {
      // Else it would be this thread's error, too.
      event.preventDefault();
      this.terminate(new Error(event.message));
    });
  }

  /** Whether it has listened, some time. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  async start(start: ThreadStart): Promise<void> {
    await this.#peer.call("start", { value: start }, AbortSignal.timeout(START_TIMEOUT_MS));
    this.#hasStarted = true;
  }

  /** How many it is looking through. */
  get zips(): number {
    return this.#zips;
  }

  /**
   * Null where it did not come to an end.
   *
   * @throws {ZipError} as {@linkcode inspectZip} does
   */
  async inspectZip(
    file: string,
    { module: { path, version }, signal }: InspectOptions,
  ): Promise<ZipSummary | null> {
    this.#zips++;
    // A manifest, which a module version may be, has more than the other thread needs.
    const value = { file, module: { path, version } };
    const inspected = await this.#peer.call("inspectZip", { value }, signal).catch(() => null);
    this.#zips--;
    signal?.throwIfAborted();
    if (inspected !== null && "fault" in inspected) throw new ZipError(inspected.fault);
    return inspected?.summary ?? null;
  }

  /** Ends it in order. One that cannot be asked any more has ended. */
  async stop(): Promise<void> {
    try {
      await this.#peer.call("stop", { value: null });
    } catch {
      // It has crashed meanwhile; there is nothing left to be ended.
    }
    this.terminate(new Error("it was told to end"));
  }

  /** Null where it cannot say. */
  async metrics() {
    try {
      const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
      return await this.#peer.call("metrics", { value: null }, timeout);
    } catch {
      // It has crashed or is crashing: its numbers are gone with it.
      return null;
    }
  }

  terminate(reason: Error): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#worker.terminate();
    this.#peer.close(reason);
    this.#crash.resolve(reason);
  }
}

/** Answers a request that came to another thread. */
async function answer(
  app: App,
  { request, signal }: { request: SentRequest; signal: AbortSignal },
) {
  const { method, url, headers, body, address } = request;
  const init = headers.map(([name, value]): [string, string] => [name, value]);
  const remoteAddr = address === null
    ? {}
    : { remoteAddr: { transport: "tcp", hostname: address, port: 0 } as const };
  const response = await app(
    { method, url, headers: new Headers(init), body, signal },
    remoteAddr,
  );
  return await send(response);
}

async function send(response: Response) {
  const head = { status: response.status, headers: [...response.headers] };
  const length = response.headers.get("Content-Length");
  if (response.body === null || length === null || Number(length) > MAX_COPIED_BODY_BYTES) {
    const value: SentResponse = { ...head, body: response.body };
    return { value, transfer: response.body === null ? [] : [response.body] };
  }
  const body = await response.bytes();
  const value: SentResponse = { ...head, body };
  return { value, transfer: [body.buffer] };
}
