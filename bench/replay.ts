/** Many light clients at once: bench/replay_main.ts in a process of its own. */
import { join } from "node:path";

export interface Replay {
  readonly url: string;
  /** With a leading slash, in the order in which each client asks. */
  readonly paths: readonly string[];
  readonly clients: number;
  /** Of each client. */
  readonly connections: number;
  /** What a connection waits between the end of an answer and its next request. */
  readonly thinkMs: number;
}

/**
 * @returns how many milliseconds each client took, or null when they have not all ended in time
 * @throws {Error} when an answer is no success
 */
export async function replay(
  work: Replay,
  { timeoutMs }: { timeoutMs: number },
): Promise<number[] | null> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-lock",
      "--allow-net=127.0.0.1",
      join(import.meta.dirname ?? "", "replay_main.ts"),
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    process.kill("SIGKILL");
  }, timeoutMs);
  try {
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(work)));
    await writer.close();
    const { success, stdout } = await process.output();
    if (isLate) return null;
    if (!success) throw new Error(`Cannot replay ${work.paths.length} requests to ${work.url}`);
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    clearTimeout(timer);
  }
}
