/** How much is logged: what `--log-level` takes, least to most urgent. Loads nothing, unlike the logger. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export type LogLevel = typeof LOG_LEVELS[number];
