/** Times as RFC 3339 writes them: `2026-01-02T03:04:05.678Z`, `2026-01-02T04:04:05+01:00`. */

const RFC_3339 =
  /^(?<local>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?<fraction>\d+))?(?<zone>Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

export interface TimeParts {
  /** Date and time to the second, as the zone has them. */
  readonly local: string;
  /** The digits behind the point; empty where there is none. */
  readonly fraction: string;
  /** `Z` or `+hh:mm`. */
  readonly zone: string;
}

/**
 * The parts of a time, or null for a text of another form. Whether the date exists is not checked.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(timePartsOf("2026-01-02T03:04:05.6+01:00"), {
 *   local: "2026-01-02T03:04:05",
 *   fraction: "6",
 *   zone: "+01:00",
 * });
 * assert.equal(timePartsOf("2026-01-02"), null);
 * ```
 */
export function timePartsOf(text: string): TimeParts | null {
  const { local, fraction = "", zone } = RFC_3339.exec(text)?.groups ?? {};
  return local === undefined || zone === undefined ? null : { local, fraction, zone };
}
