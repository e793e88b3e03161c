/**
 * What is wrong with a configuration, or likely wrong, and where. A section's own file makes faults
 * (`lib/store/config.ts` and the like); lib/config/config.ts finds their lines in the file.
 */

/** Keys and places in lists, from the top of the file: `["clientAuth", "acl", 0]`. */
export type Path = readonly PropertyKey[];

export interface Fault {
  readonly path: Path;
  /** Without the path, a capital letter at its start and a period at its end. */
  readonly message: string;
  /** Where the fault is, when a more exact place than {@linkcode path} is known: an unknown key. */
  readonly at?: Path;
  /** The other place that it is about: of two equal names, the first. */
  readonly see?: Path;
}

/**
 * A path as messages have it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(pathText(["clientAuth", "acl", 0, "access"]), "clientAuth.acl[0].access");
 * ```
 */
export function pathText(path: Path): string {
  const steps = path.map((step) => typeof step === "number" ? `[${step}]` : `.${String(step)}`);
  return steps.join("").replace(/^\./, "");
}

/** A value and its place. */
export interface Placed<T> {
  readonly path: Path;
  readonly value: T;
}

/** A fault for each value that an earlier place has too. */
export function duplicateFaults(values: readonly Placed<string | number>[]): Fault[] {
  const first = new Map<string | number, Path>();
  return values.flatMap(({ path, value }) => {
    const see = first.get(value);
    if (see !== undefined) return [{ path, message: `"${value}" is already used`, see }];
    first.set(value, path);
    return [];
  });
}
