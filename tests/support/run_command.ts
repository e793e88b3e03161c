/** Runs programs that tests need, each to its end and within a deadline. */
import { within } from "./eventually.ts";

const DEFAULT_TIMEOUT_MS = 60_000;

export interface RunOptions extends Omit<Deno.CommandOptions, "signal" | "stdin"> {
  /** What the program reads from its standard input. Default: nothing. */
  readonly input?: string | Uint8Array<ArrayBuffer>;
  /** Default: 60 s. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end. One that fails is a result, not an exception.
 *
 * @throws {Error} when the program has not ended at the deadline; it is killed then
 */
export async function runCommand(
  program: string | URL,
  { input, timeoutMs = DEFAULT_TIMEOUT_MS, ...options }: RunOptions = {},
): Promise<RunResult> {
  const child = new Deno.Command(program, {
    ...options,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = Promise.all([
    child.output(),
    // A program that does not read to the end breaks the pipe; its status says what was wrong.
    input !== undefined && new Blob([input]).stream().pipeTo(child.stdin).catch(() => {}),
  ]);
  const command = [program, ...options.args ?? []].join(" ");
  try {
    const [{ code, stdout, stderr }] = await within(`the end of "${command}"`, ended, {
      timeoutMs,
    });
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    kill(child);
    throw error;
  }
}

/** Kills a process, unless it has ended already. */
export function kill(process: Deno.ChildProcess, signal: Deno.Signal = "SIGKILL"): void {
  try {
    process.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
