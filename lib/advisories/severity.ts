/**
 * How severe an advisory is: the base score of CVSS, 0 to 10.
 *
 * - Vectors of CVSS 3.0 and 3.1 are computed (https://www.first.org/cvss/v3-1/specification-document,
 *   section 7.1; the two differ in rounding only, and the rules of 3.1 are used).
 * - Where there is no such vector, a rating in words counts as the least score that has it (section
 *   5 of the same document): GitHub's advisories have one.
 *
 * KNOWN LIMIT: vectors of CVSS 2.0 and 4.0 are not computed. The score of 4.0 is looked up in a
 * table of 270 rows; GitHub's rating is made from it.
 */

/** The values of each metric. Those of `PR` depend on the scope. */
const WEIGHTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  AV: { N: 0.85, A: 0.62, L: 0.55, P: 0.2 },
  AC: { L: 0.77, H: 0.44 },
  UI: { N: 0.85, R: 0.62 },
  C: { H: 0.56, L: 0.22, N: 0 },
  I: { H: 0.56, L: 0.22, N: 0 },
  A: { H: 0.56, L: 0.22, N: 0 },
};
const PRIVILEGES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  U: { N: 0.85, L: 0.62, H: 0.27 },
  C: { N: 0.85, L: 0.68, H: 0.5 },
};

/**
 * The base score of a vector of CVSS 3.0 or 3.1; null for anything else.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(cvssScore("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), 9.8);
 * assert.equal(cvssScore("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"), null);
 * ```
 */
export function cvssScore(vector: string): number | null {
  if (!/^CVSS:3\.[01]\//.test(vector)) return null;
  const metrics = new Map(
    vector.split("/").slice(1).map((part) => part.split(":")).map(([name = "", value = ""]) => [
      name,
      value,
    ]),
  );
  const scope = metrics.get("S") ?? "";
  const weigh = (name: string) => WEIGHTS[name]?.[metrics.get(name) ?? ""] ?? NaN;
  const privileges = PRIVILEGES[scope]?.[metrics.get("PR") ?? ""] ?? NaN;
  const lost = 1 - (1 - weigh("C")) * (1 - weigh("I")) * (1 - weigh("A"));
  const isChanged = scope === "C";
  const impact = isChanged ? 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15 : 6.42 * lost;
  const exploitability = 8.22 * weigh("AV") * weigh("AC") * privileges * weigh("UI");
  if (Number.isNaN(impact) || Number.isNaN(exploitability)) return null;
  if (impact <= 0) return 0;
  return roundUp(Math.min((isChanged ? 1.08 : 1) * (impact + exploitability), 10));
}

/** Appendix A of the specification: up to one decimal, without what floating point adds. */
function roundUp(score: number): number {
  const hundredThousandths = Math.round(score * 100_000);
  return hundredThousandths % 10_000 === 0
    ? hundredThousandths / 100_000
    : (Math.floor(hundredThousandths / 10_000) + 1) / 10;
}

const LEAST_SCORES: Readonly<Record<string, number>> = {
  NONE: 0,
  LOW: 0.1,
  MEDIUM: 4,
  MODERATE: 4,
  HIGH: 7,
  CRITICAL: 9,
};

/**
 * The least score with a rating; null for another word.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(leastScore("HIGH"), 7);
 * ```
 */
export function leastScore(rating: string): number | null {
  return LEAST_SCORES[rating.toUpperCase()] ?? null;
}

/** The ratings of CVSS in words, from the least. */
export type Rating = "low" | "medium" | "high" | "critical";

/**
 * The rating of a score. There is none for 0, which says that nothing is lost; it counts as low.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([0, 3.9, 4, 6.9, 7, 8.9, 9].map(ratingOf), [
 *   "low",
 *   "low",
 *   "medium",
 *   "medium",
 *   "high",
 *   "high",
 *   "critical",
 * ]);
 * ```
 */
export function ratingOf(score: number): Rating {
  if (score >= 9) return "critical";
  if (score >= 7) return "high";
  return score >= 4 ? "medium" : "low";
}
