/**
 * Rules from a filter file of Athens (https://docs.gomods.io/configuration/filter):
 *
 * ```text
 * -                                 the default: + include, - exclude, D direct
 * + github.com/my-org
 * - github.com/my-org/old v1,~v2.3.4
 * D github.com/other
 * ```
 *
 * Athens takes the rule of the longest path that matches, of those whose versions match. So the
 * rules here are in the order of their paths' lengths, and the first that applies decides.
 *
 * | qualifier | Athens matches | range |
 * | --- | --- | --- |
 * | `v1`, `v1.2` | versions that begin with it | `>=1.2.0-0 <1.3.0-0` |
 * | `v1.2.3` | versions that begin with it | `>=1.2.3-0 <=1.2.3` |
 * | `~v1.2.3` | from it, of its minor version | `>=1.2.3 <1.3.0-0` |
 * | `^v1.2.3` | from it, of its major version | `>=1.2.3 <2.0.0-0` |
 * | `<v1.2.3` | up to it, which it includes | `<=1.2.3` |
 */
import { InvalidRequestError } from "../errors.ts";
import { MAX_COMPARISONS } from "./version_range.ts";

const MAX_BYTES = 1024 * 1024;

const ACTIONS: Readonly<Record<string, "allow" | "deny">> = {
  "+": "allow",
  "-": "deny",
  D: "allow",
};
const QUALIFIER = /^([~^<]?)v(\d+)(?:\.(\d+))?(?:\.(\d+))?\.?$/;

export interface FilterRule {
  readonly name: string;
  readonly action: "allow" | "deny";
  readonly modules?: readonly string[];
  readonly versions?: string;
}

export interface ImportedFilter {
  readonly rules: readonly FilterRule[];
  /** What has no equal here, a line each. */
  readonly notes: readonly string[];
}

interface Line {
  readonly number: number;
  readonly sign: string;
  readonly path: string;
  readonly versions: string | null;
}

/** @throws {InvalidRequestError} with the number of the line that cannot be read */
export function importAthensFilter(text: string): ImportedFilter {
  if (text.length > MAX_BYTES) throw new InvalidRequestError("Cannot read the filter: too long");
  const lines = new Map<string, Line>();
  for (const [i, line] of text.split("\n").entries()) {
    const parsed = parseLine(line, i + 1);
    // Of two lines about a path, Athens takes the last.
    if (parsed !== null) lines.set(parsed.path, parsed);
  }
  const depth = ({ path }: Line) => path === "" ? 0 : path.split("/").length;
  const inOrder = [...lines.values()].sort((a, b) => depth(b) - depth(a) || a.number - b.number);
  const directs = inOrder.filter(({ sign }) => sign === "D");
  return {
    rules: inOrder.filter((line) => line.path !== "" || line.sign === "-").map(ruleOf),
    notes: directs.map(({ number, path }) =>
      `line ${number}: ${path === "" ? "everything" : path} is served by this server: ` +
      "it has no redirects to other proxies"
    ),
  };
}

function parseLine(text: string, number: number): Line | null {
  const words = text.replace(/#.*$/, "").trim().split(/\s+/);
  const [sign = "", path = "", qualifiers, ...more] = words;
  if (sign === "") return null;
  const refuse = (fault: string) =>
    new InvalidRequestError(`Cannot read line ${number} of the filter: ${fault}`);
  if (ACTIONS[sign] === undefined) throw refuse(`"${sign}" is not +, - or D`);
  if (more.length > 0) throw refuse("it has more than a sign, a path and versions");
  const bare = path.replace(/^\/+|\/+$/g, "");
  if (qualifiers === undefined) return { number, sign, path: bare, versions: null };
  const ranges = qualifiers.split(",").map((qualifier) => {
    const range = rangeOf(qualifier.replace(/\*+$/, ""));
    if (range === null) throw refuse(`"${qualifier}" is not a version, as in v1.2 or ~v1.2.3`);
    return range;
  });
  if (2 * ranges.length > MAX_COMPARISONS) throw refuse("it has too many versions");
  return { number, sign, path: bare, versions: ranges.join(" || ") };
}

function rangeOf(qualifier: string): string | null {
  const [, operator, major, minor, patch] = QUALIFIER.exec(qualifier) ?? [];
  if (major === undefined) return null;
  const nextMajor = `${BigInt(major) + 1n}.0.0-0`;
  const nextMinor = `${major}.${BigInt(minor ?? 0) + 1n}.0-0`;
  const full = `${major}.${minor ?? 0}.${patch ?? 0}`;
  if (operator === "") {
    if (minor === undefined) return `>=${major}.0.0-0 <${nextMajor}`;
    return patch === undefined ? `>=${full}-0 <${nextMinor}` : `>=${full}-0 <=${full}`;
  }
  // Athens compares versions with three parts only.
  if (patch === undefined) return null;
  if (operator === "<") return `<=${full}`;
  return `>=${full} <${operator === "~" ? nextMinor : nextMajor}`;
}

function ruleOf({ sign, path, versions, number }: Line): FilterRule {
  return {
    name: path === "" ? "filter-default" : `filter-line-${number}`,
    action: ACTIONS[sign] ?? "deny",
    ...path === "" ? {} : { modules: [path] },
    ...versions === null ? {} : { versions },
  };
}
