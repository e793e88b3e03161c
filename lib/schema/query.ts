/**
 * Reads a configuration in which anything may be wrong. Checks that compare one part of it with
 * another look at what is there, so that a fault in one place does not hide those in others.
 */
import type { Path, Placed } from "./fault.ts";

/**
 * The values at a pattern of keys, each with its path; `*` is every item of a list. What has
 * another shape is left out.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const config = { acl: [{ identities: ["a", 7] }, "no rule", { identities: ["b"] }] };
 * assert.deepEqual(valuesAt(config, "acl.*.identities.1"), [
 *   { path: ["acl", 0, "identities", 1], value: 7 },
 * ]);
 * assert.deepEqual(textsAt(config, "acl.*.identities.*").map(({ value }) => value), ["a", "b"]);
 * ```
 */
export function valuesAt(root: unknown, pattern: string): Placed<unknown>[] {
  let found: Placed<unknown>[] = [{ path: [], value: root }];
  for (const step of pattern.split(".")) {
    found = found.flatMap(({ path, value }) => stepInto(value, step, path));
  }
  return found;
}

function stepInto(value: unknown, step: string, path: Path): Placed<unknown>[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) {
    const items = value.map((item: unknown, i) => ({ path: [...path, i], value: item }));
    return step === "*" ? items : /^\d+$/.test(step) ? items.slice(+step, +step + 1) : [];
  }
  const entry = Object.entries(value).find(([key]) => key === step);
  return entry === undefined ? [] : [{ path: [...path, step], value: entry[1] }];
}

/** Those of {@linkcode valuesAt} that are texts. */
export function textsAt(root: unknown, pattern: string): Placed<string>[] {
  return valuesAt(root, pattern).flatMap(({ path, value }) =>
    typeof value === "string" ? [{ path, value }] : []
  );
}

/** Those of {@linkcode valuesAt} that are numbers. */
export function numbersAt(root: unknown, pattern: string): Placed<number>[] {
  return valuesAt(root, pattern).flatMap(({ path, value }) =>
    typeof value === "number" ? [{ path, value }] : []
  );
}
