/**
 * The log: one JSON object a line on standard error, by pino. The only file that prints.
 *
 * Nothing secret reaches it: callers log names, sizes and error messages, and conventions keep secrets out of those.
 */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import type { LogLevel } from "./log_level.ts";

export type { Logger };

/** A logger that writes to `destination`, by default standard error, at once: no line is lost when the process ends. */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream = { write: writeToStderr },
): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination);
}

function writeToStderr(line: string): void {
  Deno.stderr.writeSync(encoder.encode(line));
}

const encoder = new TextEncoder();
