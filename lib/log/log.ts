/**
 * The log, by pino, on standard error: one JSON object a line, or on a terminal a line for people.
 * The only file that prints.
 *
 * - Lines are written together, some milliseconds late (buffered_lines.ts).
 * - A line that is written while a request is answered has the request's id, as `id`.
 * - Nothing secret reaches it: callers log names, sizes and error messages, which have no secrets
 *   by the conventions. Of errors it takes kind, message, stack and causes alone; libraries attach
 *   whole requests to theirs.
 */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import { GatheredLines } from "./buffered_lines.ts";
import { readableLine } from "./log_line.ts";
import type { LogLevel } from "./log_level.ts";
import { atProgramEnd } from "./at_exit.ts";
import { currentRequestId } from "./request_id.ts";

export type { Logger };

/**
 * A logger that writes to `destination`, by default standard error. No line is lost when the
 * program ends or fails.
 */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream = standardError(),
): Logger {
  const options = {
    level,
    base: null,
    timestamp: isoTimes(),
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: (error: unknown) => plainError(error) },
    mixin: () => {
      const id = currentRequestId();
      return id === undefined ? {} : { id };
    },
  };
  return pino(options, destination);
}

/** pino's own, which makes the text once for all lines of a millisecond. */
function isoTimes(): () => string {
  let text = "";
  let textMs = NaN;
  return () => {
    const nowMs = Date.now();
    if (nowMs !== textMs) [text, textMs] = [stdTimeFunctions.isoTime(), nowMs];
    return text;
  };
}

interface PlainError {
  readonly type: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: PlainError;
}

/** Causes are followed so far. */
const MAX_CAUSES = 8;

function plainError(error: unknown, depth = 0): PlainError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { name: type, message, stack, cause } = error;
  return {
    type,
    message,
    stack,
    ...cause === undefined || depth === MAX_CAUSES ? {} : { cause: plainError(cause, depth + 1) },
  };
}

function standardError(): DestinationStream {
  if (Deno.stderr.isTerminal()) {
    const encoder = new TextEncoder();
    const readable = (line: string) => `${readableLine(line, { colors: !Deno.noColor })}\n`;
    return { write: (line) => void Deno.stderr.writeSync(encoder.encode(readable(line))) };
  }
  const lines = new GatheredLines(writeAll);
  atProgramEnd(() => lines.end());
  return lines;
}

function writeAll(bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += Deno.stderr.writeSync(bytes.subarray(done));
}
