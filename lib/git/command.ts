/**
 * The fence around git: every git that serves a request is started here, by process.ts.
 *
 * - **Environment**: nothing of ours but what is passed in: PATH, proxies, certificates. HOME is an
 *   empty folder.
 * - **Configuration**: neither the system's nor the user's; only {@linkcode CONFIG} below, passed
 *   in the environment (`GIT_CONFIG_COUNT`, git 2.31). So there are no hooks, no filters (they
 *   exist only by configuration), no helpers and no background maintenance.
 * - **Network**: none, unless the run is given {@linkcode NetworkAccess}; then https, and http
 *   where the remote is http. A partial repository that asks for more on its own is refused the
 *   same way.
 * - **Input**: arguments are passed as they are; callers put `--end-of-options` before what came
 *   from outside. A remote is a {@linkcode RemoteUrl} and never an argument. No prompts: there is
 *   no terminal, and asking for a password fails.
 * - **Time and size**: the limits of process.ts. The number of processes is limited too, and their
 *   memory; waiting for a turn has a deadline of its own.
 *
 * Works with git 2.39 and later. The variables are in git(1), the keys in git-config(1).
 */
import type { Turns } from "../async/semaphore.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import { startSpan } from "../log/trace.ts";
import { type GitCommand, type GitOutput, GitProcess, type OutputOptions } from "./process.ts";
import type { RemoteUrl } from "./remote_url.ts";
import { type NetworkRoute, proxiesFor, routeConfig } from "./route.ts";

/** The part of our own environment that git may see. */
export interface GitEnvironment {
  /** The directories of git and of the shell's programs. */
  readonly path: string;
  readonly httpsProxy?: string | undefined;
  readonly httpProxy?: string | undefined;
  readonly noProxy?: string | undefined;
  /** A file of root certificates, used instead of git's own (`SSL_CERT_FILE`). */
  readonly caFile?: string | undefined;
}

export interface GitOptions {
  readonly environment: GitEnvironment;
  /** An empty folder, for HOME and as the working directory. */
  readonly emptyDirectory: string;
  /** One permit for each git process. */
  readonly processes: Turns;
  /**
   * One more for each git that may take more memory: so the memory of all is limited. Default: as
   * many as there are processes.
   */
  readonly memory?: Readonly<Record<Exclude<GitMemory, "light">, Turns>>;
  readonly metrics?: Metrics;
}

/** The right of one run to use the network. */
export interface NetworkAccess {
  /** What the run's arguments call {@linkcode ORIGIN}. */
  readonly remote: RemoteUrl;
  readonly credential?: CredentialAccess | null;
  /**
   * For a stranger's remote: looked for before git is started. Default: git finds its way alone.
   */
  readonly findRoute?: (() => Promise<NetworkRoute>) | undefined;
}

/** How git gets at a credential: see credential_server.ts. */
export interface CredentialAccess {
  /** The value of `credential.helper`. */
  readonly helper: string;
  /** Variables for the helper. No secrets. */
  readonly environment: Readonly<Record<string, string>>;
  /** What may not appear in a message. */
  readonly secrets: readonly string[];
}

export interface GitRunOptions {
  /** What the run is for, to complete the sentence "Cannot …". */
  readonly what: string;
  /** The bare repository. Absolute. */
  readonly gitDir?: string;
  readonly network?: NetworkAccess;
  /** For standard input. If it fails, git sees its end. */
  readonly input?: GitCommand["input"];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * That git starts no programs of its own for this run, and so needs no process group
   * ({@linkcode Guard.hasHelpers}). Default: false.
   */
  readonly isAlone?: boolean | undefined;
  /** Default: {@linkcode GitMemory}'s `light` for a git that is alone, else `heavy`. */
  readonly memory?: GitMemory | undefined;
}

/**
 * How much memory a git may take. What a light one does takes little, whatever is in the
 * repository: it reads single objects. A heavy one takes what a pack, a tree or a history makes it
 * take. A huge one holds a large file.
 */
export type GitMemory = "light" | "heavy" | "huge";

const MIB = 2 ** 20;
export const MAX_MEMORY_BYTES: Readonly<Record<GitMemory, number>> = {
  light: 64 * MIB,
  heavy: 384 * MIB,
  huge: 1280 * MIB,
};
/** How many gits of each kind may run at once, besides the limit for all of them. */
export const MAX_HEAVY = 8;
export const MAX_HUGE = 1;

export interface GitBufferOptions extends GitRunOptions, OutputOptions {}

/**
 * The name of a run's remote, set by configuration: in arguments a URL could be taken for something
 * else, and git would derive a name from it for the settings of a partial repository.
 */
export const ORIGIN = "origin";

/** git itself gives up a server that sends nothing for this long, even when we have ended. */
const SILENCE_MAX_SECONDS = 60;

/** The whole configuration of a git that we start. */
const CONFIG: readonly (readonly [key: string, value: string])[] = [
  // Larger files are streamed; they are the same bytes unless an attribute converts them, for which
  // content.ts has another value.
  ["core.bigFileThreshold", "4m"],
  ["core.deltaBaseCacheLimit", "16m"],
  ["core.hooksPath", "/dev/null"],
  // Damage by a power loss is repaired like any other: the mirror is fetched again.
  ["core.fsync", "none"],
  ["core.fsmonitor", "false"],
  ["core.attributesFile", "/dev/null"],
  ["credential.helper", ""],
  ["credential.useHttpPath", "true"],
  ["fetch.recurseSubmodules", "false"],
  ["fetch.unpackLimit", "1"],
  ["fetch.writeCommitGraph", "false"],
  ["gc.auto", "0"],
  ["http.followRedirects", "initial"],
  ["http.lowSpeedLimit", "1"],
  ["http.lowSpeedTime", String(SILENCE_MAX_SECONDS)],
  ["init.defaultBranch", "none"],
  ["log.mailmap", "false"],
  ["maintenance.auto", "false"],
  ["pack.deltaCacheSize", "16m"],
  ["pack.threads", "2"],
  ["pack.windowMemory", "32m"],
  ["protocol.version", "2"],
  ["transfer.bundleURI", "false"],
];

/** Starts git. Disposing of it ends every git that still runs. */
export class Git implements AsyncDisposable {
  readonly #options: GitOptions;
  readonly #closed = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #metrics: Metrics;

  constructor(options: GitOptions) {
    this.#options = options;
    this.#metrics = options.metrics ?? NO_METRICS;
  }

  /**
   * Runs git to its end and returns what it wrote.
   *
   * @throws {GitError} when it ended with another exit code than expected
   * @throws {LimitExceededError} when it wrote more than `maxOutputBytes`
   * @throws {DeadlineError} after `timeoutMs`
   * @throws {OverloadedError} when there was no turn for it in time
   */
  async run(args: readonly string[], options: GitBufferOptions): Promise<GitOutput> {
    await using process = await this.#start(args, options);
    return await process.output(options);
  }

  /**
   * Runs git as the stream is read. It errors as {@linkcode run} throws; cancelling it ends git.
   */
  stream(
    args: readonly string[],
    options: GitRunOptions,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const cancelled = new AbortController();
    const chunks = this.#chunks(args, options, cancelled.signal);
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel(reason) {
        cancelled.abort(reason);
        await chunks.return();
      },
    }, { highWaterMark: 0 });
  }

  async *#chunks(
    args: readonly string[],
    options: GitRunOptions,
    cancelled: AbortSignal,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    await using process = await this.#start(args, options, cancelled);
    yield* process.stdout;
    await process.exit([0]);
  }

  /** Waits for a turn and starts git. */
  async #start(
    args: readonly string[],
    options: GitRunOptions,
    cancelled?: AbortSignal,
  ): Promise<GitProcess> {
    const route = await options.network?.findRoute?.();
    const waitsSinceMs = performance.now();
    const permit = await this.#acquire(options);
    const startMs = performance.now();
    const command = args[0] ?? "";
    const span = startSpan(`git ${command}`, { "gomodproxy.git.what": options.what });
    this.#metrics.observe("gomodproxy_git_queue_wait_seconds", {}, (startMs - waitsSinceMs) / 1000);
    try {
      const process = new GitProcess(this.#command(args, options, route), {
        what: options.what,
        timeoutMs: options.timeoutMs,
        secrets: options.network?.credential?.secrets ?? [],
        signals: [this.#closed.signal, options.signal, cancelled].filter((s) => s !== undefined),
      });
      const ended = process.ended.then((exit) => {
        permit[Symbol.dispose]();
        this.#running.delete(ended);
        span.end();
        const seconds = (performance.now() - startMs) / 1000;
        this.#metrics.add("gomodproxy_git_processes_total", { command, exit });
        this.#metrics.observe("gomodproxy_git_process_duration_seconds", { command }, seconds);
      });
      this.#running.add(ended);
      return process;
    } catch (error) {
      span.end();
      permit[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * First what there is least of, always in the same order: who waits for memory holds no turn that
   * a light git needs.
   */
  async #acquire(options: GitRunOptions): Promise<Disposable> {
    const { processes, memory } = this.#options;
    const kind = memoryOf(options);
    using permits = new DisposableStack();
    if (memory !== undefined) {
      if (kind === "huge") permits.use(await memory.huge.acquire(options.signal));
      if (kind !== "light") permits.use(await memory.heavy.acquire(options.signal));
    }
    permits.use(await processes.acquire(options.signal));
    return permits.move();
  }

  #command(
    args: readonly string[],
    options: GitRunOptions,
    route: NetworkRoute | undefined,
  ): GitCommand {
    const cwd = this.#options.emptyDirectory;
    const kind = memoryOf(options);
    return {
      args,
      env: this.#environment(options, route),
      cwd,
      input: options.input,
      guard: kind === "light"
        ? null
        : { maxMemoryBytes: MAX_MEMORY_BYTES[kind], hasHelpers: !options.isAlone },
    };
  }

  #environment(
    options: GitRunOptions,
    route?: NetworkRoute,
  ): Record<string, string> {
    const { gitDir, network } = options;
    const { path, caFile } = this.#options.environment;
    const { httpsProxy, httpProxy, noProxy } = proxiesFor(this.#options.environment, route);
    const credential = network?.credential;
    const remote = route?.remote ?? network?.remote;
    const config = [...CONFIG, ...routeConfig(route)];
    if (gitDir !== undefined) config.push(["safe.directory", gitDir]);
    if (remote !== undefined) {
      config.push([`remote.${ORIGIN}.url`, remote]);
      config.push([`remote.${ORIGIN}.followRemoteHEAD`, "never"]);
    }
    if (credential) {
      config.push(["credential.helper", credential.helper]);
      // It would find no credentials there: remote.ts follows redirects with those of the target.
      config.push(["http.followRedirects", "false"]);
    }
    const numbered = config.flatMap(([key, value], i) => [
      [`GIT_CONFIG_KEY_${i}`, key],
      [`GIT_CONFIG_VALUE_${i}`, value],
    ]);
    return {
      ...withoutUndefined({
        http_proxy: httpProxy,
        https_proxy: httpsProxy,
        no_proxy: noProxy,
        GIT_SSL_CAINFO: caFile,
        GIT_DIR: gitDir,
      }),
      ...credential?.environment,
      PATH: path,
      HOME: this.#options.emptyDirectory,
      LC_ALL: "C",
      // For one piece of memory, as that of a file. The guard's limit is for all of them.
      GIT_ALLOC_LIMIT: String(MAX_MEMORY_BYTES[memoryOf(options)] / 2),
      GIT_ALLOW_PROTOCOL: remote === undefined ? "" : allowedProtocols(remote),
      GIT_ASKPASS: "",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_CONFIG_COUNT: String(config.length),
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_LITERAL_PATHSPECS: "1",
      GIT_NO_LAZY_FETCH: "1",
      GIT_NO_REPLACE_OBJECTS: "1",
      GIT_OPTIONAL_LOCKS: "0",
      GIT_TERMINAL_PROMPT: "0",
      ...Object.fromEntries(numbered),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("Cannot run git: the server is shutting down"));
    await Promise.allSettled(this.#running);
  }
}

function memoryOf({ memory, isAlone }: GitRunOptions): GitMemory {
  return memory ?? (isAlone ? "light" : "heavy");
}

function allowedProtocols(remote: RemoteUrl): string {
  return remote.startsWith("http:") ? "http:https" : "https";
}

function withoutUndefined(
  variables: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const entries = Object.entries(variables).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]]
  );
  return Object.fromEntries(entries);
}
