/**
 * Semantic versions as Go writes them: https://semver.org with a leading `v`, and the short forms
 * `v1` and `v1.2`.
 *
 * ```
 * v1.2.3-rc.1+meta
 *  │ │ │└────┤└───┴ build, no part in the order
 *  │ │ │     └ prerelease, sorts before the version without
 *  major, minor, patch: decimal, no leading zero, any length
 * ```
 *
 * Follows golang.org/x/mod/semver. Numbers may have more digits than a JavaScript number can hold,
 * so they stay text and are compared by length, then digit by digit.
 */

/** A semantic version in parts. */
export interface Semver {
  readonly major: string;
  /** `"0"` where the short form leaves it out; so is `patch`. */
  readonly minor: string;
  readonly patch: string;
  /** With its `-`, or empty. */
  readonly prerelease: string;
  /** With its `+`, or empty. */
  readonly build: string;
}

/**
 * The identifiers of prerelease and build are checked afterwards: a repeated group would need a
 * stack as deep as the text is long, and a go.mod file may hold a version of 16 MiB.
 */
const SEMVER =
  /^v(?<major>0|[1-9][0-9]*)(?:\.(?<minor>0|[1-9][0-9]*)(?:\.(?<patch>0|[1-9][0-9]*)(?<prerelease>-[-.0-9A-Za-z]+)?(?<build>\+[-.0-9A-Za-z]+)?)?)?$/;
const EMPTY_IDENTIFIER = /^[-+]\.|\.\.|\.$/;
const LEADING_ZERO = /(?:^-|\.)0[0-9]+(?:\.|$)/;

/** The parts of a semantic version, or null for other text. */
export function parseSemver(text: string): Semver | null {
  const groups = SEMVER.exec(text)?.groups;
  const major = groups?.["major"];
  if (groups === undefined || major === undefined) return null;
  const { minor = "0", patch = "0", prerelease = "", build = "" } = groups;
  if (EMPTY_IDENTIFIER.test(prerelease) || EMPTY_IDENTIFIER.test(build)) return null;
  if (LEADING_ZERO.test(prerelease)) return null;
  return { major, minor, patch, prerelease, build };
}

/**
 * The full form without build metadata, or null for what is not a semantic version.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(canonicalSemver("v1.2"), "v1.2.0");
 * assert.equal(canonicalSemver("v1.2.3-rc.1+meta"), "v1.2.3-rc.1");
 * assert.equal(canonicalSemver("1.2.3"), null);
 * ```
 */
export function canonicalSemver(text: string): string | null {
  const version = parseSemver(text);
  return version === null ? null : formatCanonical(version);
}

/** The full form without build metadata. */
export function formatCanonical({ major, minor, patch, prerelease }: Semver): string {
  return `v${major}.${minor}.${patch}${prerelease}`;
}

/**
 * Negative, zero or positive, as `a` sorts before, with or after `b`. What is not a semantic
 * version sorts before all that are, and equal to its like. Two versions are equal exactly when
 * their canonical forms are the same.
 */
export function compareSemver(a: string, b: string): number {
  return compareParsed(parseSemver(a), parseSemver(b));
}

/**
 * {@linkcode compareSemver} of what was parsed before: for a sort, which compares each text many
 * times.
 */
export function compareParsed(left: Semver | null, right: Semver | null): number {
  if (left === null || right === null) return Number(left !== null) - Number(right !== null);
  return compareNumbers(left.major, right.major) ||
    compareNumbers(left.minor, right.minor) ||
    compareNumbers(left.patch, right.patch) ||
    comparePrereleases(left.prerelease, right.prerelease);
}

/** `"v1"` of `"v1.2.3"`; null for what is not a semantic version. */
export function majorOf(text: string): string | null {
  const version = parseSemver(text);
  return version === null ? null : `v${version.major}`;
}

function compareNumbers(a: string, b: string): number {
  return Math.sign(a.length - b.length) || compareText(a, b);
}

/** Semantic Versioning 2.0.0, section 11. */
function comparePrereleases(a: string, b: string): number {
  if (a === b) return 0;
  if (a === "") return 1;
  if (b === "") return -1;
  const left = a.slice(1).split(".");
  const right = b.slice(1).split(".");
  for (const [index, identifier] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    const order = compareIdentifiers(identifier, other);
    if (order !== 0) return order;
  }
  return -1; // Unequal, and `a` is the beginning of `b`.
}

function compareIdentifiers(a: string, b: string): number {
  const aIsNumber = /^[0-9]+$/.test(a);
  const bIsNumber = /^[0-9]+$/.test(b);
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return aIsNumber ? compareNumbers(a, b) : compareText(a, b);
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
