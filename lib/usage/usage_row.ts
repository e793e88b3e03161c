/**
 * Rows of usage: how often a file of a version, or its record in a checksum database, was requested
 * by a client within an hour, and what the policy decided. One JSON line each, sorted.
 *
 * ```text
 * {"module":"example.com/a","version":"v1.0.0","kind":"zip","identity":"ci","count":3}
 * {"module":"example.com/a","version":"v1.1.0","kind":"zip","identity":"ci","count":1,
 *  "rule":"cool-down","action":"hold","mode":"audit"}
 * ```
 */
import { z } from "zod";
import { sortSteps, type Steps } from "../async/pace.ts";
import { parseJsonText } from "../module/json.ts";

const row = z.object({
  module: z.string(),
  version: z.string(),
  /** `lookup`: of its record in a checksum database. */
  kind: z.enum(["mod", "zip", "lookup"]),
  /** Null: not recorded, or no client authentication. */
  identity: z.string().nullable(),
  count: z.number().int().min(1),
  /** The rule of the policy that decided, if one did. */
  rule: z.string().exactOptional(),
  action: z.enum(["allow", "warn", "hold", "deny"]).exactOptional(),
  mode: z.enum(["enforce", "audit"]).exactOptional(),
});

export type UsageRow = Readonly<z.output<typeof row>>;

/** What a row costs in the unit of {@linkcode Pace.spend}, and how many are one part of a text. */
export const ROW_COST_BYTES = 1024;
const PART_ROWS = 1000;

/** What rows are counted by. */
export type UsageKey = Omit<UsageRow, "count">;

export function keyText({ module, version, kind, identity, rule, action, mode }: UsageKey): string {
  return JSON.stringify([module, version, kind, identity, rule, action, mode]);
}

/** The lines of rows, in parts. There may be 100,000, so it is done in steps (async/pace.ts). */
export function* formatRows(rows: readonly UsageRow[]): Steps<Uint8Array<ArrayBuffer>[]> {
  const lines: string[] = [];
  for (const row of rows) {
    lines.push(`${JSON.stringify(row)}\n`);
    yield ROW_COST_BYTES;
  }
  const sorted = yield* sortSteps(lines, (a, b) => a < b ? -1 : a > b ? 1 : 0);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let i = 0; i < sorted.length; i += PART_ROWS) {
    parts.push(new TextEncoder().encode(sorted.slice(i, i + PART_ROWS).join("")));
    yield PART_ROWS * ROW_COST_BYTES;
  }
  return parts;
}

/** The rows of a text. Lines that are no rows are of a later version of this program. */
export function parseRows(text: string): UsageRow[] {
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    const parsed = row.safeParse(parseJsonText(line));
    return parsed.success ? [parsed.data] : [];
  });
}
