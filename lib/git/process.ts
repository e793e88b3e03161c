/**
 * A git process: how it is started, what limits it has and how it is killed. This is the only file
 * that starts processes. What a git may see and do is decided above it: by the fence (command.ts)
 * and for the user's own git (user_git.ts).
 *
 * - **Environment**: exactly what is passed in; nothing is inherited.
 * - **Time and size**: each process has a deadline, buffered output a limit, streamed output
 *   backpressure. Of standard error only the start is kept.
 * - **Memory**: a guarded git may have so much ({@linkcode Guard}).
 * - **The end**: git starts helpers (git-remote-https, index-pack), and a helper that waits for a
 *   silent server survives its parent. So a git that may start any leads a process group, and the
 *   whole group is killed.
 * - **Our end**: a guarded git ends with us, however we end. Its standard input is a leash: a shell
 *   beside it reads from the pipe, which the system closes when we are gone, and kills it. (Design:
 *   docs/design/private_modules.md.)
 */
import { DeadlineError, isOutOfFiles, LimitExceededError, OverloadedError } from "../errors.ts";
import { GitError } from "./errors.ts";
import { readableStderr } from "./stderr.ts";

export interface GitCommand {
  readonly args: readonly string[];
  /** All variables of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** The working directory. Default: ours. */
  readonly cwd?: string | undefined;
  /** For standard input. If it fails, git sees its end. */
  readonly input?: string | ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  /**
   * Null for a git that starts no programs, takes little memory and ends soon: a guard takes 4 ms.
   */
  readonly guard: Guard | null;
}

/**
 * We have permission to start git and nothing else. But git runs an alias that begins with `!` in
 * the shell, and the shell can limit memory, and kill others than its children.
 */
export interface Guard {
  /** Of each process: what it writes to, which does not count files that are mapped. */
  readonly maxMemoryBytes: number;
  /**
   * Whether git starts programs: it then leads a process group. To make a leader, Deno forks, which
   * copies our page tables while everything else waits, instead of using vfork.
   */
  readonly hasHelpers: boolean;
}

export interface ProcessOptions {
  /** What the process is for, to complete the sentence "Cannot …". */
  readonly what: string;
  readonly timeoutMs: number;
  /** What may not appear in a message. */
  readonly secrets: readonly string[];
  /** Each of them ends the process, with its reason. */
  readonly signals: readonly AbortSignal[];
}

export interface OutputOptions {
  readonly maxOutputBytes: number;
  /** Exit codes that are an answer. Default: only 0. */
  readonly exitCodes?: readonly number[];
}

export interface GitOutput {
  readonly exitCode: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
}

/** What is kept of standard error: enough for the reason, which comes first or soon after. */
const STDERR_MAX_BYTES = 16 * 1024;

/**
 * A git that was started. When it is disposed of, it and its group are ended; the deadline ends
 * them at the latest.
 */
export class GitProcess implements AsyncDisposable {
  /** Fulfilled, never rejected, when git and its helpers have ended: the exit code, or "killed". */
  readonly ended: Promise<string>;
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What git sees the end of when it is to end, by a close or by our own end. */
  readonly #leash: WritableStream<Uint8Array> | null;
  /** SIGTERM is handed on by git to the shell of a guard, which is git itself by then. */
  readonly #signal: Deno.Signal;
  readonly #options: ProcessOptions;
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  /**
   * Fulfilled when git has ended and its helpers, which share its standard error, have closed it.
   */
  readonly #status: Promise<Deno.CommandStatus>;
  readonly #stop = new AbortController();

  /**
   * @throws the reason of a signal that is aborted already
   * @throws {OverloadedError} when there are no files or processes left for it
   */
  constructor({ args, env, cwd, input, guard }: GitCommand, options: ProcessOptions) {
    for (const signal of options.signals) signal.throwIfAborted();
    const isLeashed = guard !== null && input === undefined;
    this.#options = options;
    this.#child = spawn(
      new Deno.Command("git", {
        args: [...guard === null ? [] : guardArgs(guard, { isLeashed }), ...args],
        ...cwd !== undefined && { cwd },
        clearEnv: true,
        env: { ...env },
        stdin: input === undefined && !isLeashed ? "null" : "piped",
        stdout: "piped",
        stderr: "piped",
        detached: guard?.hasHelpers ?? false,
      }),
      options.what,
    );
    this.#leash = isLeashed ? this.#child.stdin : null;
    this.#signal = guard === null ? "SIGKILL" : "SIGTERM";
    this.stdout = this.#child.stdout;
    this.#stderr = readStart(this.#child.stderr, STDERR_MAX_BYTES);
    if (input !== undefined) void feed(this.#child.stdin, input);
    this.#status = this.#stderr.then(() => this.#child.status);
    this.ended = this.#waitForEnd();
  }

  /**
   * Reads standard output to its end and waits for the end of git.
   *
   * @throws {GitError} when it ended with another exit code than expected
   * @throws {LimitExceededError} when it wrote more than `maxOutputBytes`
   * @throws the reason why the process was ended
   */
  async output({ maxOutputBytes, exitCodes = [0] }: OutputOptions): Promise<GitOutput> {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.stdout) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxOutputBytes) {
        throw new LimitExceededError(
          `Cannot ${this.#options.what}: git wrote over ${maxOutputBytes} bytes`,
        );
      }
      chunks.push(chunk);
    }
    const exitCode = await this.exit(exitCodes);
    return { exitCode, stdout: await new Blob(chunks).bytes() };
  }

  /**
   * The exit code, once git has ended. To be called when standard output has been read to its end.
   *
   * @throws {GitError} when it is not one of `expected`
   * @throws the reason why the process was ended
   */
  async exit(expected: readonly number[]): Promise<number> {
    const { code } = await this.#status;
    this.#stop.signal.throwIfAborted();
    if (expected.includes(code)) return code;
    const stderr = readableStderr(await this.#stderr, this.#options.secrets);
    throw new GitError(this.#options.what, { exitCode: code, stderr });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("git is no longer needed"));
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
      else await this.#closeLeash();
      return isStopped ? "killed" : String((await this.#status).code);
    } finally {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", onAbort);
    }
  }

  async #kill(): Promise<void> {
    await this.#closeLeash();
    try {
      if (this.#leash === null) this.#child.kill(this.#signal);
    } catch {
      // It has ended already.
    }
    await this.#status;
  }

  async #closeLeash(): Promise<void> {
    try {
      await this.#leash?.close();
    } catch {
      // Git has ended, and nobody reads any more.
    }
  }
}

/** Runs what follows under a guard. */
function guardArgs(
  { maxMemoryBytes, hasHelpers }: Guard,
  { isLeashed }: { readonly isLeashed: boolean },
): string[] {
  const limit = `ulimit -S -d ${Math.floor(maxMemoryBytes / 1024)} 2>/dev/null`;
  const run = isLeashed ? leashed(hasHelpers ? "0" : "$git") : 'exec git "$@"';
  return ["-c", `alias.guarded=!run() { ${limit}; ${run}; }; run`, "guarded"];
}

/**
 * Runs git, and kills a process when the leash, standard input, is closed; 0 is the process group
 * of all of them. The reader of the leash must not keep the other streams open.
 */
function leashed(target: string): string {
  return [
    "exec 3<&0 </dev/null",
    'git "$@" 3<&- & git=$!',
    `{ read -r line <&3; kill -s KILL ${target}; } >/dev/null 2>&1 & leash=$!`,
    "exec 3<&-",
    "wait $git; code=$?",
    "kill -s KILL $leash 2>/dev/null",
    "exit $code",
  ].join("; ");
}

function spawn(command: Deno.Command, what: string): Deno.ChildProcess {
  try {
    return command.spawn();
  } catch (cause) {
    if (!isOutOfResources(cause)) throw cause;
    throw new OverloadedError(`Cannot ${what}: the system cannot start another process now`, {
      cause,
    });
  }
}

/** EAGAIN and ENOMEM: there are too many processes, or there is no memory for one. */
function isOutOfResources(error: unknown): boolean {
  return isOutOfFiles(error) ||
    error instanceof Error && "code" in error &&
      (error.code === "EAGAIN" || error.code === "ENOMEM");
}

/**
 * The first bytes of a stream as text. Reads the stream to its end, so that the writer is not held
 * up. Never rejects.
 */
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
    // What was read so far is all there is.
  }
  return new TextDecoder().decode(await new Blob(chunks).bytes());
}

async function feed(
  stdin: WritableStream<Uint8Array>,
  input: NonNullable<GitCommand["input"]>,
): Promise<void> {
  try {
    await (typeof input === "string" ? new Blob([input]).stream() : input).pipeTo(stdin);
  } catch {
    // git ended before it had read everything, or got too little; its exit code says why.
  }
}
