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
  const byParent = Map.groupBy(processes, ([, parent]) => parent);
  const pids = [pid];
  let residentKiB = processes.find(([own]) => own === pid)?.[2] ?? 0;
  // It grows while it is gone through.
  for (const parent of pids) {
    for (const [own = 0, , rss = 0] of byParent.get(parent) ?? []) {
      pids.push(own);
      residentKiB += rss;
    }
  }
  return { residentBytes: residentKiB * 1024, files: Number(files), children: pids.length - 1 };
}
