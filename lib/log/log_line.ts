/**
 * A line of the log for people at a terminal.
 *
 * ```text
 * 09:15:02 warn  cannot list example.com/m, answering from the store  error="…" id=4f1c…
 * ```
 */

export interface ReadableLineOptions {
  readonly colors: boolean;
}

/** SGR codes of ECMA-48. Levels without one are as the terminal has them. */
const COLORS: Readonly<Record<string, number>> = {
  warn: 33,
  error: 31,
  fatal: 31,
  debug: 2,
  trace: 2,
};
const DIM = 2;

/**
 * @param json a line of the log: an object with `level`, `time`, `msg` and more
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const json = '{"level":"info","time":"2024-05-06T07:08:09.123Z","port":80,"msg":"listening"}';
 * assert.equal(readableLine(json, { colors: false }), "07:08:09 info  listening  port=80");
 * ```
 */
export function readableLine(json: string, { colors }: ReadableLineOptions): string {
  const { level, time, msg, err, ...facts }: Record<string, unknown> = JSON.parse(json);
  const paint = (text: string, code: number | undefined) =>
    colors && code !== undefined && text !== "" ? `\x1b[${code}m${text}\x1b[0m` : text;
  const parts = [
    paint(String(time).slice(11, 19), DIM),
    ` ${paint(String(level).padEnd(5), COLORS[String(level)])}`,
    ` ${printable(String(msg))}`,
  ];
  const words = Object.entries(facts).map(([name, value]) => `${name}=${word(value)}`).join(" ");
  if (words !== "") parts.push(`  ${paint(words, DIM)}`);
  const stack = stackOf(err);
  return parts.join("") + (stack === null ? "" : `\n${stack}`);
}

/** A value without spaces stands for itself; any other is quoted. */
function word(value: unknown): string {
  const isPlain = typeof value === "string" && /^[^\s"=\\]+$/.test(value);
  return printable(isPlain ? value : JSON.stringify(value));
}

function stackOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null) return null;
  const text = "stack" in error ? error.stack : "message" in error ? error.message : undefined;
  return typeof text === "string"
    ? text.split("\n").map((line) => `  ${printable(line)}`).join("\n")
    : null;
}

/** What comes from outside must not drive the terminal. */
function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "\ufffd");
}
