/** Spans and moments, as the configuration of a policy writes them and its messages show them. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const UNITS: Readonly<Record<string, number>> = { h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS };
const SPAN = /^(\d{1,5})([hdw])$/;

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?Z$/;

/**
 * The milliseconds of a span: `12h`, `7d`, `2w`.
 *
 * @throws {Error}
 */
export function parseSpanMs(text: string): number {
  const [, count, unit = ""] = SPAN.exec(text) ?? [];
  const unitMs = UNITS[unit];
  if (unitMs === undefined) throw new Error(`"${text}" is not a span as in "12h", "7d" or "2w"`);
  return Number(count) * unitMs;
}

/**
 * Milliseconds since 1970 of `2026-12-31`, which is the end of that day in UTC, or of
 * `2026-12-31T12:00Z`.
 *
 * @throws {Error}
 */
export function parseEndMs(text: string): number {
  const isDate = DATE.test(text);
  const ms = isDate || MOMENT.test(text) ? Date.parse(text) : NaN;
  // A day that does not exist becomes another one.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text.slice(0, 10))) {
    throw new Error(`"${text}" is not a date as in "2026-12-31" or "2026-12-31T12:00Z"`);
  }
  return isDate ? ms + DAY_MS : ms;
}

/** `7 d`, `36 h`, `20 min`: rounded down to what a person needs. */
export function spanText(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} days`;
  if (ms >= 2 * HOUR_MS) return `${Math.floor(ms / HOUR_MS)} hours`;
  return `${Math.max(0, Math.floor(ms / 60_000))} minutes`;
}

/** `2026-12-31 12:00 UTC`, rounded up to the minute. */
export function momentText(ms: number): string {
  const text = new Date(Math.ceil(ms / 60_000) * 60_000).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`;
}
