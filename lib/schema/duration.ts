/**
 * Durations as Go writes them (https://pkg.go.dev/time#ParseDuration): numbers with units, `1h30m`,
 * `90s`, `1.5h`. Signs are refused: no duration in the configuration may be negative.
 */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3, // U+00B5
  "μs": 1e-3, // U+03BC
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const TERM = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/**
 * Milliseconds.
 *
 * @throws {Error} when the text is not a duration
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseDurationMs("1h30m"), 5_400_000);
 * assert.throws(() => parseDurationMs("15"), /not a duration/);
 * ```
 */
export function parseDurationMs(text: string): number {
  if (text === "0") return 0;
  const terms = [...text.matchAll(TERM)];
  if (text === "" || terms.map(([term]) => term).join("") !== text) {
    throw new Error(`"${text}" is not a duration as in "15m" or "1h30m"`);
  }
  return terms.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? NaN),
    0,
  );
}
