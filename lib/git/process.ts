/**
 * A git process: how it is started, what limits it has and how it is killed. This is the only file
 * that starts processes. What a git may see and do is decided above it: by the fence (command.ts)
 * and for the user's own git (user_git.ts).
 *
 * - **Environment**: exactly what is passed in; nothing is inherited.
 * - **Time and size**: each process has a deadline, buffered output a limit, streamed output
 *   backpressure. Of standard error only the start is kept.
 * - **The end**: git starts helpers (git-remote-https, index-pack), and a helper that waits for a
 *   silent server survives its parent. So a git that may start any leads a process group, and the
 *   whole group is killed.
 */
import { DeadlineError, LimitExceededError } from "../errors.ts";
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
   * Makes git the leader of a process group, and says how the git that kills the group is run. Null
   * for a git that starts no programs: to make a leader, Deno forks, which copies our page tables
   * while everything else waits, instead of using vfork.
   */
  readonly group: Pick<GitCommand, "env" | "cwd"> | null;
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
  readonly #group: GitCommand["group"];
  readonly #options: ProcessOptions;
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  /**
   * Fulfilled when git has ended and its helpers, which share its standard error, have closed it.
   */
  readonly #status: Promise<Deno.CommandStatus>;
  readonly #stop = new AbortController();

  /** @throws the reason of a signal that is aborted already */
  constructor({ args, env, cwd, input, group }: GitCommand, options: ProcessOptions) {
    for (const signal of options.signals) signal.throwIfAborted();
    this.#group = group;
    this.#options = options;
    this.#child = new Deno.Command("git", {
      args: [...args],
      ...cwd !== undefined && { cwd },
      clearEnv: true,
      env: { ...env },
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      detached: group !== null,
    }).spawn();
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
      return isStopped ? "killed" : String((await this.#status).code);
    } finally {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", onAbort);
    }
  }

  async #kill(): Promise<void> {
    try {
      if (this.#group !== null) await killGroup(this.#child.pid, this.#group);
    } catch {
      // No process could be started to do it. git itself is killed below; its helpers end when
      // git's limit for a silent server (command.ts) is reached.
    }
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#status;
  }
}

/**
 * Kills a process group. We have permission to start git and nothing else, and a process may signal
 * only its own children, not their group. But git runs an alias that begins with `!` in the shell,
 * and the shell's built-in `kill` may.
 */
async function killGroup(
  leader: number,
  { env, cwd }: Pick<GitCommand, "env" | "cwd">,
): Promise<void> {
  const kill = new Deno.Command("git", {
    args: ["-c", `alias.kill-group=!kill -s KILL -- -${leader}`, "kill-group"],
    ...cwd !== undefined && { cwd },
    clearEnv: true,
    env: { ...env },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  await kill.output();
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
