/**
 * Progress of a long command: a bar on standard error, by cli-progress. If standard error is not a
 * terminal, nothing is written and nothing is counted. Lines go to standard output either way.
 */
// @ts-types="npm:@types/cli-progress@3.11.6"
import { MultiBar } from "cli-progress";
import { printLine } from "./print.ts";

export interface Progress extends Disposable {
  /** Counts one more as done. */
  advance(name: string): void;
  /** Prints a line, above the bar if there is one. */
  print(line: string): void;
}

/** @param count number of items; called only if the bar is shown */
export async function openProgress(count: () => Promise<number>): Promise<Progress> {
  if (!Deno.stderr.isTerminal()) {
    return { advance() {}, print: printLine, [Symbol.dispose]() {} };
  }
  const total = await count();
  // On stop, a SingleBar moves the cursor back to where it began, which is among the lines printed
  // since.
  const bars = new MultiBar({
    format: "{bar} {value}/{total} {name}",
    clearOnComplete: true,
    // A printed line has taken the bar's place.
    forceRedraw: true,
    gracefulExit: false,
  });
  const bar = bars.create(total, 0, { name: "" });
  return {
    advance: (name) => bar.increment({ name }),
    print(line) {
      Deno.stderr.writeSync(CLEAR_LINE);
      printLine(line);
    },
    [Symbol.dispose]: () => bars.stop(),
  };
}

const CLEAR_LINE = new TextEncoder().encode("\r\x1b[K");
