/** What a process and all those that it started use, looked at once in a while. */
import { runCommand } from "../support/run_command.ts";

export interface Usage {
  /** Of the whole tree; memory that processes share counts for each. */
  readonly residentBytes: number;
  /** Open files of the process itself. */
  readonly files: number;
  /** Processes below it. */
  readonly children: number;
}

/** Linux only: it reads /proc, through a shell because Deno itself may not. */
export async function usageOf(pid: number): Promise<Usage> {
  const script = `ls /proc/${pid}/fd | wc -l; ps -e -o pid= -o ppid= -o rss=`;
  const { code, stdout, stderr } = await runCommand("sh", { args: ["-c", script] });
  if (code !== 0) throw new Error(`Cannot look at process ${pid}: ${stderr}`);
  const [files = "", ...lines] = stdout.trim().split("\n");
  const processes = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const tree = new Set([pid]);
  let residentKiB = 0;
  // Parents come before their children, unless the numbers have started again.
  for (const [own = 0, parent = 0, rss = 0] of processes.sort(([a = 0], [b = 0]) => a - b)) {
    if (own !== pid && !tree.has(parent)) continue;
    tree.add(own);
    residentKiB += rss;
  }
  return { residentBytes: residentKiB * 1024, files: Number(files), children: tree.size - 1 };
}
