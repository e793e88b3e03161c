/**
 * What a process and all its descendants use, from /proc of Linux (proc(5)): a server is measured
 * with the workers and the `go` and `git` commands that it starts. Null on systems without it.
 *
 * A process that ends and is waited for leaves its CPU time with its parent; its memory is gone.
 * CPU time counts in steps of 10 ms.
 */

/** Of USER_HZ, which is 100 on every platform that Deno runs on. */
const TICK_MS = 10;
/**
 * How often memory is looked at. Adding up the pages of a large process takes the system
 * milliseconds.
 */
const SAMPLE_INTERVAL_MS = 100;

/** CPU time in ms, of all processes of the tree and of their children that have ended. */
export async function treeCpuMs(pid: number): Promise<number | null> {
  const tree = await treeOf(pid);
  return tree.length === 0 ? null : tree.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

/**
 * The memory of the tree in bytes: each process's proportional set size, so that pages which
 * several share count once.
 */
export async function treeMemoryBytes(pid: number): Promise<number | null> {
  return await sumOf(pid, { file: "smaps_rollup", line: "Pss" });
}

/**
 * The most memory that each process of the tree has had, together, in bytes. It costs nothing while
 * the tree works, but what processes share counts for each of them, and those that have ended do
 * not count.
 */
export async function treeHighWaterBytes(pid: number): Promise<number | null> {
  return await sumOf(pid, { file: "status", line: "VmHWM" });
}

/** Looks at a tree's memory again and again. */
export class MemoryPeak implements AsyncDisposable {
  readonly #stopped = new AbortController();
  readonly #sampled: Promise<void>;
  #peakBytes = 0;

  constructor(pid: number) {
    this.#sampled = this.#sample(pid);
  }

  /** The most that was seen so far, and now. NaN where the system does not say. */
  async stop(): Promise<number> {
    await this[Symbol.asyncDispose]();
    return this.#peakBytes === 0 ? NaN : this.#peakBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#sampled;
  }

  async #sample(pid: number): Promise<void> {
    while (true) {
      this.#peakBytes = Math.max(this.#peakBytes, await treeMemoryBytes(pid) ?? 0);
      if (this.#stopped.signal.aborted) return;
      await Promise.race([wait(SAMPLE_INTERVAL_MS), untilAborted(this.#stopped.signal)]);
    }
  }
}

/** Of the KiB in a line of each process's file. */
async function sumOf(root: number, { file, line }: { file: string; line: string }) {
  const text = await read((await treeOf(root)).map(({ pid }) => `/proc/${pid}/${file}`));
  const sizes = [...text.matchAll(/^(\w+):\s+(\d+) kB$/gm)].filter(([, name]) => name === line);
  return sizes.length === 0 ? null : sizes.reduce((sum, [, , kib]) => sum + Number(kib) * 1024, 0);
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly cpuMs: number;
}

async function treeOf(root: number): Promise<Process[]> {
  const all = (await read(["/proc/[0-9]*/stat"])).trim().split("\n").map(parseStat);
  const tree = all.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...all.filter(({ parent }) => parent === pid));
  return tree;
}

/**
 * Fields 1, 4 and 14 to 17. The program's name, field 2, is in parentheses and may hold anything.
 */
export function parseStat(line: string): Process {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ").map(Number);
  const ticks = fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0);
  return { pid: parseInt(line), parent: fields[1] ?? NaN, cpuMs: ticks * TICK_MS };
}

/**
 * By cat, because Deno itself reads there only with --allow-all. Files of processes that have ended
 * are left out.
 */
async function read(patterns: readonly string[]): Promise<string> {
  const command = new Deno.Command("sh", {
    args: ["-c", `cat ${patterns.join(" ")}`],
    stderr: "null",
  });
  const { stdout } = await command.output();
  return new TextDecoder().decode(stdout);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
