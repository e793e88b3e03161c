/**
 * The one place that starts git, and the fence around it.
 *
 * - **Environment**: nothing of ours but what is handed in: PATH, proxies, certificates. HOME is an empty folder.
 * - **Configuration**: no system's, no user's; {@linkcode CONFIG} below, passed by environment (`GIT_CONFIG_COUNT`, git
 *   2.31). So no hooks, no filters (they exist only by configuration), no helpers, no background maintenance.
 * - **Network**: none, unless the run is given {@linkcode NetworkAccess}; then by https, and by http where the remote is.
 *   A partial repository asking for more by itself is refused the same way.
 * - **Input**: arguments are passed as they are; callers put `--end-of-options` before what came from outside. A remote
 *   is a {@linkcode RemoteUrl} and no argument. No prompts: there is no terminal, and asking for a password fails.
 * - **Time and size**: each run has a deadline, buffered output a limit, streamed output backpressure. The number of
 *   processes is limited; waiting for a turn has a deadline of its own.
 * - **The end**: git starts helpers (git-remote-https, index-pack), and a helper that waits for a silent server survives
 *   its parent. So a git that may start any leads a process group, and an aborted run kills the whole group.
 *
 * Works with git 2.39 and later. The variables are in git(1), the keys in git-config(1).
 */
import type { Semaphore } from "../async/semaphore.ts";
import { DeadlineError } from "../errors.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import { GitError, LimitExceededError } from "./errors.ts";
import { startSpan } from "../log/trace.ts";
import type { RemoteUrl } from "./remote_url.ts";
import { readableStderr } from "./stderr.ts";

/** What git may see of our own environment. */
export interface GitEnvironment {
  /** Where git and the shell's programs are. */
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
  /** A permit for each git process. */
  readonly processes: Semaphore;
  readonly metrics?: Metrics;
}

/** The right of one run to use the network. */
export interface NetworkAccess {
  /** What the run's arguments call {@linkcode ORIGIN}. */
  readonly remote: RemoteUrl;
  readonly credential?: CredentialAccess | null;
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
  readonly input?: string | ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * That git starts no programs of its own for this. It is then not made the leader of a group: for that, Deno forks,
   * which copies our page tables while all else waits, where it would use vfork. Default: false.
   */
  readonly isAlone?: boolean | undefined;
}

export interface GitBufferOptions extends GitRunOptions {
  readonly maxOutputBytes: number;
  /** Exit codes that are an answer. Default: only 0. */
  readonly exitCodes?: readonly number[];
}

export interface GitOutput {
  readonly exitCode: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
}

/**
 * The name of a run's remote, which it has by configuration: in arguments a URL could be taken for something else, and
 * git would make up a name from it for the settings of a partial repository.
 */
export const ORIGIN = "origin";

/** What of standard error is kept: enough for the reason, which comes first or soon. */
const STDERR_MAX_BYTES = 16 * 1024;
/** A server that sends nothing for so long is given up by git itself, also when we are no longer there to do it. */
const SILENCE_MAX_SECONDS = 60;

/** The whole configuration of a git that we start. */
const CONFIG: readonly (readonly [key: string, value: string])[] = [
  ["core.hooksPath", "/dev/null"],
  // What a loss of power spoils in a mirror is fetched again, as any other damage.
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
    return await readOutput(process, options);
  }

  /** Runs git as the stream is read. It errors as {@linkcode run} throws; cancelling it ends git. */
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
    const waitsSinceMs = performance.now();
    const permit = await this.#options.processes.acquire(options.signal);
    const startMs = performance.now();
    const command = args[0] ?? "";
    const span = startSpan(`git ${command}`, { "gomodproxy.git.what": options.what });
    this.#metrics.observe("gomodproxy_git_queue_wait_seconds", {}, (startMs - waitsSinceMs) / 1000);
    try {
      const process = new GitProcess(this.#command(args, options), {
        what: options.what,
        input: options.input,
        timeoutMs: options.timeoutMs,
        secrets: options.network?.credential?.secrets ?? [],
        signals: [this.#closed.signal, options.signal, cancelled].filter((s) => s !== undefined),
        killGroup: options.isAlone ? null : (leader) => this.#killGroup(leader),
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

  #command(args: readonly string[], options: GitRunOptions): Deno.Command {
    return new Deno.Command("git", {
      args: [...args],
      cwd: this.#options.emptyDirectory,
      clearEnv: true,
      env: this.#environment(options),
      stdin: options.input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      detached: options.isAlone !== true,
    });
  }

  #environment(
    { gitDir, network }: Pick<GitRunOptions, "gitDir" | "network">,
  ): Record<string, string> {
    const { path, httpsProxy, httpProxy, noProxy, caFile } = this.#options.environment;
    const credential = network?.credential;
    const config = [...CONFIG];
    if (gitDir !== undefined) config.push(["safe.directory", gitDir]);
    if (network !== undefined) {
      config.push([`remote.${ORIGIN}.url`, network.remote]);
      config.push([`remote.${ORIGIN}.followRemoteHEAD`, "never"]);
    }
    if (credential) config.push(["credential.helper", credential.helper]);
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
      GIT_ALLOW_PROTOCOL: network === undefined ? "" : allowedProtocols(network.remote),
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

  /**
   * Kills a process group. We may start git and nothing else, and a process may only signal its own children, not their
   * group; but git runs an alias that begins with `!` by the shell, whose built-in `kill` may.
   */
  async #killGroup(leader: number): Promise<void> {
    const kill = new Deno.Command("git", {
      args: ["-c", `alias.kill-group=!kill -s KILL -- -${leader}`, "kill-group"],
      cwd: this.#options.emptyDirectory,
      clearEnv: true,
      env: this.#environment({}),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
    await kill.output();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("Cannot run git: the server is shutting down"));
    await Promise.allSettled(this.#running);
  }
}

export interface UserGitOptions
  extends Pick<GitBufferOptions, "what" | "input" | "timeoutMs" | "maxOutputBytes" | "exitCodes"> {
  /** The user's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs git outside the fence, as the user who started us would: with their environment, configuration and helpers, in
 * the current directory. Only nobody is prompted for anything.
 *
 * @throws as {@linkcode Git.run}
 */
export async function runGitOfUser(
  args: readonly string[],
  options: UserGitOptions,
): Promise<GitOutput> {
  // Deno starts nothing with these unless everything may be started.
  const env = Object.entries(options.env).filter(([name]) => !/^(LD|DYLD)_/.test(name));
  const command = new Deno.Command("git", {
    args: [...args],
    clearEnv: true,
    env: {
      ...Object.fromEntries(env),
      GCM_INTERACTIVE: "never",
      GIT_ASKPASS: "",
      GIT_TERMINAL_PROMPT: "0",
      SSH_ASKPASS: "",
    },
    stdin: options.input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const { what, input, timeoutMs } = options;
  await using process = new GitProcess(command, {
    what,
    input,
    timeoutMs,
    secrets: [],
    signals: [],
    killGroup: null,
  });
  return await readOutput(process, options);
}

/** Waits for the end of a git and of what it writes. */
async function readOutput(
  process: GitProcess,
  { what, maxOutputBytes, exitCodes = [0] }: Pick<
    GitBufferOptions,
    "what" | "maxOutputBytes" | "exitCodes"
  >,
): Promise<GitOutput> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let sizeBytes = 0;
  for await (const chunk of process.stdout) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxOutputBytes) {
      throw new LimitExceededError(`Cannot ${what}: git wrote over ${maxOutputBytes} bytes`);
    }
    chunks.push(chunk);
  }
  const exitCode = await process.exit(exitCodes);
  return { exitCode, stdout: await new Blob(chunks).bytes() };
}

interface ProcessOptions {
  readonly what: string;
  readonly input: GitRunOptions["input"];
  readonly timeoutMs: number;
  readonly secrets: readonly string[];
  /** Each of them ends the run, with its reason. */
  readonly signals: readonly AbortSignal[];
  /** Null for a git that is no leader. */
  readonly killGroup: ((leader: number) => Promise<void>) | null;
}

/** A git that was started. However it is left, it and its group come to their end, by the deadline at the latest. */
class GitProcess implements AsyncDisposable {
  /** Fulfilled, never rejected, when git and its helpers have ended: by which exit code, or "killed". */
  readonly ended: Promise<string>;
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #options: ProcessOptions;
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  /** When git has ended and its helpers, which have the same standard error, have closed it. */
  readonly #status: Promise<Deno.CommandStatus>;
  readonly #stop = new AbortController();

  /** @throws the reason of a signal that is aborted already */
  constructor(command: Deno.Command, options: ProcessOptions) {
    for (const signal of options.signals) signal.throwIfAborted();
    this.#options = options;
    this.#child = command.spawn();
    this.stdout = this.#child.stdout;
    this.#stderr = readStart(this.#child.stderr, STDERR_MAX_BYTES);
    if (options.input !== undefined) void feed(this.#child.stdin, options.input);
    this.#status = this.#stderr.then(() => this.#child.status);
    this.ended = this.#waitForEnd();
  }

  /**
   * The exit code, once git has ended. To be called when standard output has been read to its end.
   *
   * @throws {GitError} when it is not one of `expected`
   * @throws the reason why the run was ended
   */
  async exit(expected: readonly number[]): Promise<number> {
    const { code } = await this.#status;
    this.#stop.signal.throwIfAborted();
    if (expected.includes(code)) return code;
    const stderr = readableStderr(await this.#stderr, this.#options.secrets);
    throw new GitError(this.#options.what, { exitCode: code, stderr });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("git is not needed any more"));
    if (!this.stdout.locked) await this.stdout.cancel();
    await this.ended;
  }

  async #waitForEnd(): Promise<string> {
    const { what, timeoutMs, signals } = this.#options;
    const stop = new Promise<void>((resolve) => {
      this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const late = new DeadlineError(`Cannot ${what}: git did not end within ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => this.#stop.abort(late), timeoutMs);
    const onAbort = (event: Event) => {
      if (event.target instanceof AbortSignal) this.#stop.abort(event.target.reason);
    };
    for (const signal of signals) signal.addEventListener("abort", onAbort, { once: true });
    try {
      const isStopped = await Promise.race([this.#status.then(() => false), stop.then(() => true)]);
      if (isStopped) await this.#kill();
      return isStopped ? "killed" : String((await this.#status).code);
    } finally {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", onAbort);
    }
  }

  async #kill(): Promise<void> {
    try {
      await this.#options.killGroup?.(this.#child.pid);
    } catch {
      // No process could be started to do it. git itself dies below, its helpers by SILENCE_MAX_SECONDS.
    }
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#status;
  }
}

/** The first bytes of a stream as text. Reads it to its end, so that who writes is not held up. Never rejects. */
async function readStart(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  maxBytes: number,
): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let roomBytes = maxBytes;
  try {
    for await (const chunk of stream) {
      if (roomBytes > 0) chunks.push(chunk.subarray(0, roomBytes));
      roomBytes -= chunk.length;
    }
  } catch {
    // What was read until then is all there is to know.
  }
  return new TextDecoder().decode(await new Blob(chunks).bytes());
}

async function feed(
  stdin: WritableStream<Uint8Array>,
  input: NonNullable<GitRunOptions["input"]>,
): Promise<void> {
  try {
    await (typeof input === "string" ? new Blob([input]).stream() : input).pipeTo(stdin);
  } catch {
    // git ended before it had read everything, or had not enough to read, and its exit code says why.
  }
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
