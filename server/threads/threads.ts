/**
 * The further threads of a server (serving.ts), as the main one sees them. They listen on its port
 * (SO_REUSEPORT: the system gives each connection to one of them), answer what the store has, and
 * pass other requests to the main thread's app.
 *
 * When a thread crashes, its requests in progress are lost, and another takes its place. If threads
 * keep crashing right after their start, the main thread continues alone.
 */
import { AggregatorRegistry } from "prom-client";
import { type MessagePlace, Peer } from "./rpc.ts";
import { pause } from "../../lib/async/pause.ts";
import type { Session } from "../../lib/auth/sessions.ts";
import { describeError, ProxyError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log/log.ts";
import type { ModuleVersion } from "../../lib/module/module_version.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import type { Decider } from "../../lib/policy/judge.ts";
import type { AnsweredByThread } from "../../lib/service/stored_modules.ts";
import type { KnownVersions } from "../../lib/source/source.ts";
import type { UsageRow } from "../../lib/usage/usage_row.ts";
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

/** Larger bodies are transferred as streams. */
const MAX_COPIED_BODY_BYTES = 64 * 1024;
/**
 * How long a thread may take until it listens: it has to compile all modules, possibly on a busy
 * machine.
 */
const START_TIMEOUT_MS = 120_000;
/** How long it may take to return its metrics. */
const CALL_TIMEOUT_MS = 30_000;
/**
 * The pause before a crashed thread is replaced, so that a crash loop does not take the whole
 * machine.
 */
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

/** What the main thread offers to the others. */
export interface MainParts {
  /** Answers what they do not. */
  readonly app: App;
  /** The session of a header `Authorization`; null if the header would have to be verified. */
  readonly recognize: (header: string) => Session | null;
  /**
   * The recent answer of a module's source about its versions; null if the source would have to be
   * asked.
   */
  readonly knownVersions: (path: ModulePath) => KnownVersions | null;
  readonly onSeen: (module: ModuleVersion) => void;
  readonly onAnswered: (answered: AnsweredByThread) => void;
  /** What decides by the policy; null if there is none. */
  readonly decider: Decider | null;
}

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #running = new Set<Thread>();
  readonly #stopping = new AbortController();
  #failedStarts = 0;

  constructor(options: ThreadsOptions) {
    this.#options = options;
  }

  /** Resolves when all threads listen, or have failed to. */
  async start(start: ThreadStart, main: MainParts): Promise<void> {
    const { count } = this.#options;
    await Promise.all(Array.from({ length: count }, () => this.#startOne({ start, main })));
    this.#options.log.info({ threads: count + 1 }, "all threads listen");
  }

  /** Resolves when the requests of all threads have ended, with the usage that is left. */
  async stop(): Promise<UsageRow[]> {
    this.#stopping.abort();
    return (await Promise.all([...this.#running].map((thread) => thread.stop()))).flat();
  }

  /** The usage that was counted since the last call. */
  async takeUsage(): Promise<UsageRow[]> {
    return (await Promise.all([...this.#running].map((thread) => thread.takeUsage()))).flat();
  }

  /** Rules, exceptions or facts of the policy have changed. */
  policyChanged(): void {
    for (const thread of this.#running) thread.policyChanged();
  }

  /** The combined page of metrics of all threads. */
  async renderMetrics(own: Prometheus): Promise<string> {
    const others = await Promise.all([...this.#running].map((thread) => thread.metrics()));
    const all = [await own.registry.getMetricsAsJSON(), ...others.filter((one) => one !== null)];
    return await AggregatorRegistry.aggregate(all).metrics();
  }

  /**
   * {@linkcode inspectZip}, on the thread with the fewest zips in progress. On this one if no other
   * has started, and if the other failed to finish: it is gone, or cannot read the file, and the
   * attempt here shows why.
   */
  async inspectZip(file: string, options: InspectOptions): Promise<ZipSummary> {
    const [thread] = [...this.#running].filter(({ hasStarted }) => hasStarted)
      .sort((a, b) => a.zips - b.zips);
    return await thread?.inspectZip(file, options) ?? await inspectZip(file, options);
  }

  #methods({ app, recognize, knownVersions, onSeen, onAnswered, decider }: MainParts): MainMethods {
    return {
      answer: (request, signal) => answer(app, { request, signal }),
      recognize: (header) => ({ value: recognize(header) }),
      knownVersions: (path) => ({ value: knownVersions(path) }),
      judge: async ({ module, identity }, signal) => ({
        value: await determined(decider?.decide(module, { identity, signal })),
      }),
      filterList: async ({ path, ...list }, signal) => ({
        value: await determined(decider?.filter(path, { ...list, signal })),
      }),
      seen: (module) => {
        onSeen(module);
        return { value: null };
      },
      answered: (answered) => {
        onAnswered(answered);
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
      log.error("cannot start threads; continuing with fewer");
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
  /** Resolves when it is gone without having been stopped. */
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
      // Otherwise it would be an error of this thread, too.
      event.preventDefault();
      this.terminate(new Error(event.message));
    });
  }

  /** Whether it has ever listened. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  async start(start: ThreadStart): Promise<void> {
    await this.#peer.call("start", { value: start }, AbortSignal.timeout(START_TIMEOUT_MS));
    this.#hasStarted = true;
  }

  /** The number of zips in progress. */
  get zips(): number {
    return this.#zips;
  }

  /**
   * Null if it did not finish.
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

  /** None if it cannot answer. */
  async takeUsage(): Promise<UsageRow[]> {
    try {
      const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
      return await this.#peer.call("usage", { value: null }, timeout);
    } catch {
      // It has crashed or is crashing: its numbers are lost.
      return [];
    }
  }

  policyChanged(): void {
    // One that is crashing forgets everything.
    void this.#peer.call("policyChanged", { value: null }).catch(() => {});
  }

  /** Stops it gracefully. One that no longer answers has ended. */
  async stop(): Promise<UsageRow[]> {
    let usage: UsageRow[] = [];
    try {
      usage = await this.#peer.call("stop", { value: null });
    } catch {
      // It has crashed meanwhile; there is nothing left to stop.
    }
    this.terminate(new Error("it was stopped"));
    return usage;
  }

  /** Null if it cannot answer. */
  async metrics() {
    try {
      const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
      return await this.#peer.call("metrics", { value: null }, timeout);
    } catch {
      // It has crashed or is crashing: its numbers are lost.
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

/** Null where it cannot be determined: the other thread then asks for the whole answer. */
async function determined<T>(decision: Promise<T> | undefined): Promise<T | null> {
  try {
    return await decision ?? null;
  } catch (error) {
    if (error instanceof ProxyError) return null;
    throw error;
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
