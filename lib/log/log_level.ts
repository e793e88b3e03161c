/**
 * How much is logged: what `--log-level` takes, least to most urgent. Loads nothing, unlike the
 * logger.
 */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export type LogLevel = typeof LOG_LEVELS[number];

/** Other names that are taken: those of the original program. */
const ALIASES: ReadonlyMap<string, LogLevel> = new Map([["warning", "warn"], ["panic", "fatal"]]);

/**
 * The level of a name in upper or lower case, or null.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseLogLevel("Warning"), "warn");
 * assert.equal(parseLogLevel("loud"), null);
 * ```
 */
export function parseLogLevel(text: string): LogLevel | null {
  const name = text.toLowerCase();
  return LOG_LEVELS.find((level) => level === name) ?? ALIASES.get(name) ?? null;
}
