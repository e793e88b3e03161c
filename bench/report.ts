/**
 * What a suite has measured, as a table for people and as JSON for programs. The ratio comes first: times depend on the
 * machine and on what else it does, ratios much less, because the contestants take turns.
 */

/** One quantity of which less is better, measured once a round for each contestant. */
export interface Row {
  readonly name: string;
  readonly unit: "ms" | "CPU ms";
  /** What the ratio ours/theirs is meant to be at most; null: nothing is promised. */
  readonly atMost: number | null;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

export interface Report {
  readonly suite: string;
  /** Who is measured against: a heading. */
  readonly peer: string;
  /** What the figures mean, in whole sentences. */
  readonly notes: readonly string[];
  readonly rows: readonly Row[];
}

/** Where and when it was measured. */
export type Facts = Readonly<Record<string, string>>;

/** Of the medians, ours/theirs. */
export function ratioOf({ ours, theirs }: Pick<Row, "ours" | "theirs">): number {
  return median(ours) / median(theirs);
}

/** The middle one, or the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = sorted.slice(middle - 1 + sorted.length % 2);
  return sorted.length % 2 === 1 ? low : (low + high) / 2;
}

export function toMarkdown(report: Report, facts: Facts): string {
  const { suite, peer, notes, rows } = report;
  const lines = [
    `## ${suite}`,
    "",
    ...Object.entries(facts).map(([name, value]) => `* ${name}: ${value}`),
    ...notes.map((note) => `* ${note}`),
    "",
    `| ours/theirs | wanted | | ours | ${peer} |`,
    "| ---: | :--- | :--- | ---: | ---: |",
    ...rows.map(toLine),
  ];
  return `${lines.join("\n")}\n`;
}

function toLine(row: Row): string {
  const { name, unit, atMost, ours, theirs } = row;
  const ratio = ratioOf(row);
  const wanted = atMost === null ? "" : `≤ ${atMost} ${ratio <= atMost ? "yes" : "**NO**"}`;
  const figures = [ours, theirs].map((values) => `${median(values).toFixed(0)} ${unit}`);
  return `| **${ratio.toFixed(2)}** | ${wanted} | ${name} | ${figures.join(" | ")} |`;
}

/** The same with all that was measured, a row on a line. */
export function toJson({ rows, ...report }: Report, facts: Facts): string {
  const lines = rows.map((row) => `    ${JSON.stringify({ ratio: ratioOf(row), ...row })}`);
  const start = JSON.stringify({ ...report, facts }, null, 2).replace(/\n\}$/, "");
  return `${start},\n  "rows": [\n${lines.join(",\n")}\n  ]\n}\n`;
}
