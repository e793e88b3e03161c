/**
 * Which versions their author has taken back: https://go.dev/ref/mod#go-mod-file-retract
 *
 * An interval includes both ends. As with the `go` command, build metadata plays no part, and an
 * end that is not a version sorts before all that are. Tags and go.mod files are untrusted, so the
 * work for v versions and r retractions is (v + r) · log r.
 */
import type { Retraction } from "./go_mod.ts";
import { compareParsed, parseSemver, type Semver } from "./semver.ts";

/**
 * A test of whether a version is within one of `retractions`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const isRetracted = retractedBy([{ low: "v1.0.0", high: "v1.1.0" }]);
 * assert.ok(isRetracted("v1.1.0"));
 * assert.ok(!isRetracted("v1.1.1-rc.1"));
 * ```
 */
export function retractedBy(retractions: readonly Retraction[]): (version: string) => boolean {
  const intervals = mergeOverlapping(retractions);
  return (text) => {
    const version = parseSemver(text);
    const next = countWhile(intervals, ({ low }) => compareParsed(low, version) <= 0);
    const last = intervals[next - 1];
    return last !== undefined && compareParsed(version, last.high) <= 0;
  };
}

/** A {@linkcode Retraction}, parsed once for all comparisons. */
interface Interval {
  readonly low: Semver | null;
  readonly high: Semver | null;
}

/** The same versions in intervals that are in order and have none in common; one may be empty. */
function mergeOverlapping(retractions: readonly Retraction[]): Interval[] {
  const merged: Interval[] = [];
  const inOrder = retractions
    .map(({ low, high }): Interval => ({ low: parseSemver(low), high: parseSemver(high) }))
    .sort((a, b) => compareParsed(a.low, b.low));
  for (const { low, high } of inOrder) {
    const last = merged.at(-1);
    if (last === undefined || compareParsed(last.high, low) < 0) {
      merged.push({ low, high });
    } else if (compareParsed(last.high, high) < 0) {
      merged[merged.length - 1] = { low: last.low, high };
    }
  }
  return merged;
}

/** How many items at the start of a sorted list `holds` is true for, by bisection. */
function countWhile<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = items[middle];
    if (item !== undefined && holds(item)) low = middle + 1;
    else high = middle;
  }
  return low;
}
