/**
 * Ranges of versions in the rules of a policy.
 *
 * ```text
 * >=1.2.0 <1.4.0           both must hold
 * <1.2.0 || >=2.0.0-0      one of them must hold
 * 1.4.2                    exactly this version
 * ```
 *
 * The order is that of Go (module/semver.ts): a pre-release sorts before its release, a
 * pseudo-version where its base puts it, and `+incompatible` counts for nothing. A leading `v` may
 * be left out, and so may minor and patch, which are then 0. At most {@linkcode MAX_COMPARISONS}.
 */
import { compareParsed, parseSemver, type Semver } from "../module/semver.ts";

export const MAX_COMPARISONS = 100;

const COMPARISON = /^(>=|<=|>|<|=)?v?([0-9].*)$/;

interface Comparison {
  readonly operator: string;
  readonly version: Semver;
}

export class VersionRange {
  readonly text: string;
  readonly #alternatives: readonly (readonly Comparison[])[];

  /** @throws {Error} with the reason */
  constructor(text: string) {
    this.text = text;
    const alternatives = text.split("||")
      .map((part) => part.trim().split(/\s+/).filter((word) => word !== ""));
    if (alternatives.some((words) => words.length === 0)) {
      throw new Error(`"${text}" is not a range of versions as in ">=1.2.0 <2.0.0"`);
    }
    if (alternatives.flat().length > MAX_COMPARISONS) {
      throw new Error(`a range has at most ${MAX_COMPARISONS} comparisons`);
    }
    this.#alternatives = alternatives.map((words) => words.map(parseComparison));
  }

  /** Whether no version is in it, because its bounds contradict each other. */
  get isEmpty(): boolean {
    return this.#alternatives.every(contradict);
  }

  has(version: string): boolean {
    const parsed = parseSemver(version);
    return parsed !== null &&
      this.#alternatives.some((comparisons) => comparisons.every((one) => holds(one, parsed)));
  }
}

function parseComparison(word: string): Comparison {
  const [, operator = "=", digits = ""] = COMPARISON.exec(word) ?? [];
  const version = parseSemver(`v${digits}`);
  if (version === null) throw new Error(`"${word}" is not a comparison as in ">=1.2.0"`);
  return { operator, version };
}

function holds({ operator, version }: Comparison, asked: Semver): boolean {
  const order = compareParsed(asked, version);
  if (operator === ">=") return order >= 0;
  if (operator === "<=") return order <= 0;
  if (operator === ">") return order > 0;
  return operator === "<" ? order < 0 : order === 0;
}

function contradict(comparisons: readonly Comparison[]): boolean {
  const lower = comparisons.filter(({ operator }) => !operator.startsWith("<"));
  const upper = comparisons.filter(({ operator }) => !operator.startsWith(">"));
  return lower.some((low) =>
    upper.some((high) => {
      const order = compareParsed(low.version, high.version);
      return order > 0 || order === 0 && (low.operator === ">" || high.operator === "<");
    })
  );
}
