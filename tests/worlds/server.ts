/**
 * The product as users start it: a process of its own, with the permissions that deno.json's
 * `start` task gives it, on a port that the system chooses. It sees nothing of the machine's
 * environment but PATH and Deno's cache of packages.
 *
 * It is ready when it has logged `{"msg":"listening","url":"http://127.0.0.1:<port>"}` and
 * `/readyz` answers 200.
 */

import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { withDeadline } from "../../lib/async/deadline.ts";
import { runCommand, type RunResult } from "../support/run_command.ts";

/** Starting means loading all of the code, on a machine that may be busy. */
const START_TIMEOUT_MS = 60_000;
/** How long to wait for a line of the log, and for the process to end after a signal. */
const WAIT_TIMEOUT_MS = 30_000;
/**
 * No test needs a server for longer. One that hangs, say on an answer, goes on when its server is
 * killed, and fails.
 */
const MAX_LIFETIME_MS = 15 * 60_000;
/** More than any test makes the product log. */
const MAX_LOG_LINES = 100_000;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface ServerOptions {
  /** What follows `main.ts --port 0`. */
  readonly args?: readonly string[];
  /**
   * Variables besides the `start` task's and PATH, HOME, TMPDIR, DENO_DIR, DENO_NO_UPDATE_CHECK and
   * NO_COLOR.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** The folder to run in, which stays. Default: a new one, removed in the end. */
  readonly dir?: string;
  /** The program; a relative path is one from the project's root. */
  readonly entry?: string;
  /** The subcommand. Default: the program's own default. */
  readonly command?: string;
  /** Whether to wait until `/readyz` answers 200 besides the line of the log. Default: true. */
  readonly isReady?: boolean;
  /** The certificate to trust, PEM, where it serves https. */
  readonly caCertificate?: string;
  /** How many files it may have open. Default: as many as this process. */
  readonly fileLimit?: number;
}

/** A line of the log. One that is not a JSON object is kept as `raw`. */
export type LogLine = Readonly<Record<string, unknown>>;

/**
 * Starts the product and waits until it is ready; what it logged is in the error if it never is.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const server = await Server.spawn(options);
  try {
    await server.listening();
    if (options.isReady ?? true) await server.ready(options.caCertificate);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    const log = server.logs.map((line) => JSON.stringify(line)).join("\n");
    throw new Error(`Cannot start the server: it is not ready, and logged:\n${log}`, {
      cause: error,
    });
  }
}

/**
 * Runs another subcommand of the product to its end, with the same permissions and in as small an
 * environment.
 */
export async function runProgram(
  args: readonly string[],
  { env = {} }: { env?: Readonly<Record<string, string>> } = {},
): Promise<RunResult> {
  const home = await Deno.makeTempDir({ prefix: "program-" });
  try {
    return await runCommand(Deno.execPath(), {
      args: ["run", ...await startFlags(), join(ROOT, "main.ts"), ...args],
      cwd: home,
      clearEnv: true,
      env: { ...await environment(home), ...env },
      timeoutMs: START_TIMEOUT_MS,
    });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

export class Server implements AsyncDisposable {
  /** All that was logged so far. */
  readonly logs: LogLine[] = [];
  /** Where it runs: its `./data` is here. */
  readonly dir: string;
  readonly #home: string;
  readonly #process: Deno.ChildProcess;
  /** Settles when the process has closed its log. */
  readonly #logged: Promise<void>;
  readonly #waiting = new Set<(line: LogLine) => void>();
  readonly #killer: ReturnType<typeof setTimeout>;
  #url = "";

  private constructor(home: string, dir: string, process: Deno.ChildProcess) {
    this.#home = home;
    this.dir = dir;
    this.#process = process;
    this.#logged = this.#readLog();
    this.#killer = setTimeout(() => {
      this.#hear({ raw: `killed: still there after ${MAX_LIFETIME_MS / 60_000} min` });
      this.signal("SIGKILL");
    }, MAX_LIFETIME_MS);
    Deno.unrefTimer(Number(this.#killer));
  }

  static async spawn(options: ServerOptions) {
    const { args = [], env = {}, dir, entry = "main.ts", command, fileLimit } = options;
    const home = await Deno.makeTempDir({ prefix: "server-" });
    const cwd = dir ?? home;
    const [program, ...programArgs] = [
      ...fileLimit === undefined ? [] : withFileLimit(fileLimit),
      Deno.execPath(),
      "run",
      ...await startFlags(),
      resolve(ROOT, entry),
      ...command === undefined ? ["--workers", "1"] : [command],
      ...["--port", "0", ...args],
    ];
    const process = new Deno.Command(program, {
      args: programArgs,
      cwd,
      clearEnv: true,
      env: { ...await environment(home), ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    return new Server(home, cwd, process);
  }

  /** `http://127.0.0.1:<port>`, or https. */
  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async listening(): Promise<void> {
    const { url } = await this.log(({ msg }) => msg === "listening", START_TIMEOUT_MS);
    this.#url = String(url);
  }

  async ready(caCertificate?: string): Promise<void> {
    using client = Deno.createHttpClient({
      caCerts: caCertificate === undefined ? [] : [caCertificate],
    });
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    const response = await fetch(`${this.#url}/readyz`, { client, signal });
    await response.body?.cancel();
    if (response.status !== 200) throw new Error(`/readyz answers ${response.status}`);
  }

  /** The first line that fits, of those that are there and those to come. */
  async log(
    fits: (line: LogLine) => boolean,
    timeoutMs: number = WAIT_TIMEOUT_MS,
  ): Promise<LogLine> {
    const known = this.logs.find(fits);
    if (known !== undefined) return known;
    const found = Promise.withResolvers<LogLine>();
    const hear = (line: LogLine) => {
      if (fits(line)) found.resolve(line);
    };
    this.#waiting.add(hear);
    const ended = this.#logged.then(() => {
      throw new Error("Cannot wait for a line of the log: the process has ended");
    });
    // It takes part in a race and must not count as unhandled where it comes second.
    ended.catch(() => {});
    try {
      return await withDeadline(
        () => Promise.race([found.promise, ended]),
        { timeoutMs, what: `find a line of the log with ${fits}` },
      );
    } finally {
      this.#waiting.delete(hear);
    }
  }

  /**
   * Sends the signal and waits for the end. A process that has ended keeps the status it ended
   * with.
   */
  async kill(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    this.signal(signal);
    const ended = async () => {
      await this.#logged;
      return await this.#process.status;
    };
    const what = `end the server by ${signal}`;
    return await withDeadline(ended, { timeoutMs: WAIT_TIMEOUT_MS, what });
  }

  /** Sends the signal and waits for nothing. */
  signal(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch (error) {
      // It has already ended; its status says how.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#killer);
    await this.kill("SIGKILL");
    await Deno.remove(this.#home, { recursive: true });
  }

  async #readLog(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#hear(parseLine(line));
    }
    if (rest !== "") this.#hear(parseLine(rest));
  }

  #hear(line: LogLine): void {
    if (this.logs.length === MAX_LOG_LINES) throw new Error("the server logs far too much");
    this.logs.push(line);
    for (const hear of this.#waiting) hear(line);
  }
}

/** What stands before a command that may have so many files open. */
export function withFileLimit(fileLimit: number): [string, ...string[]] {
  return ["sh", "-c", `ulimit -n ${fileLimit}; exec "$@"`, "sh"];
}

async function environment(home: string): Promise<Record<string, string>> {
  return {
    ...(await startTask()).env,
    PATH: Deno.env.get("PATH") ?? "",
    HOME: home,
    TMPDIR: home,
    DENO_DIR: await denoDir(),
    DENO_NO_UPDATE_CHECK: "1",
    NO_COLOR: "1",
  };
}

/** How the `start` task starts the program. */
export interface StartTask {
  /** Variables, in addition to those of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** What it gives to `deno run`. */
  readonly flags: readonly string[];
}

export async function startTask(): Promise<StartTask> {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const [, variables, flags] = /^((?:\w+=\S+ )*)deno run (.+ )main\.ts$/.exec(tasks.start) ?? [];
  if (variables === undefined || flags === undefined) {
    throw new Error(`Cannot read the start task of deno.json: ${JSON.stringify(tasks.start)}`);
  }
  return {
    env: Object.fromEntries(words(variables).map((word) => word.split("=", 2))),
    flags: words(flags),
  };
}

export async function startFlags(): Promise<readonly string[]> {
  return (await startTask()).flags;
}

function words(text: string): string[] {
  return text.split(" ").filter((word) => word !== "");
}

/** Where this Deno keeps its packages, so that the process need not fetch them anew. */
export async function denoDir(): Promise<string> {
  const { stdout } = await runCommand(Deno.execPath(), { args: ["info", "--json"] });
  return String(JSON.parse(stdout).denoDir);
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return { ...value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { raw: text };
}
