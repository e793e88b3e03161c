/**
 * How far a long command is, for the person who waits for it: a bar on standard error, by cli-progress. Where standard
 * error is no terminal nothing is written, and nothing is counted. Lines go to standard output either way.
 */
// @ts-types="npm:@types/cli-progress@3.11.6"
import { MultiBar } from "cli-progress";
import { printLine } from "./print.ts";

export interface Progress extends Disposable {
  /** One more is done. */
  advance(name: string): void;
  /** Prints a line, above the bar where there is one. */
  print(line: string): void;
}

/** @param count how many things are to be done; called only where somebody sees it */
export async function openProgress(count: () => Promise<number>): Promise<Progress> {
  if (!Deno.stderr.isTerminal()) {
    return { advance() {}, print: printLine, [Symbol.dispose]() {} };
  }
  const total = await count();
  // A SingleBar ends by putting the cursor back to where it began, which is in the midst of the lines printed since.
  const bars = new MultiBar({
    format: "{bar} {value}/{total} {name}",
    clearOnComplete: true,
    // A line that was printed has taken the bar's place.
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
