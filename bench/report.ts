/**
 * The results of a suite, as a table for people and as JSON for programs. Ratios come first: times
 * depend on the machine and on what else it does, ratios much less, because the contestants take
 * turns.
 */

export type Unit =
  | "ms"
  | "CPU ms"
  | "MB"
  | "MB/s"
  | "requests/s"
  | "CPU µs/request"
  | "CPU ms/GB"
  | "requests"
  | "fetches"
  | "%";

/** Of these more is better; of all others, less. */
const MORE_IS_BETTER: readonly Unit[] = ["MB/s", "requests/s"];

/** One quantity, measured in several rounds for each contestant. */
export interface Row {
  readonly name: string;
  readonly unit: Unit;
  readonly goals: readonly Goal[];
  /** By contestant; our own is "ours". One that does not take part in this row is not there. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

/**
 * What is expected of the ratio ours/theirs of the medians, or, without `of`, of our median itself.
 */
export interface Goal {
  /** The contestants that it is about: the best of them counts. */
  readonly of?: readonly string[];
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Report {
  readonly suite: string;
  /** What the figures mean, in whole sentences. */
  readonly notes: readonly string[];
  readonly rows: readonly Row[];
}

/** Where and when it was measured. */
export type Facts = Readonly<Record<string, string>>;

/** How our own fared by a goal. */
export interface Verdict {
  /** The one that it was measured against: null for our own figure. */
  readonly than: string | null;
  /** The ratio, or our own figure. */
  readonly value: number;
  readonly isMet: boolean;
}

/** Rows as they grow, in the order in which they were first added to. */
export class Samples {
  readonly #rows = new Map<string, Row & { samples: Record<string, number[]> }>();

  /** A null, of a figure that the system does not tell, is left out. */
  add(row: Omit<Row, "samples">, contestant: string, value: number | null): void {
    if (value === null) return;
    const known = this.#rows.get(row.name) ?? { ...row, samples: {} };
    this.#rows.set(row.name, known);
    (known.samples[contestant] ??= []).push(value);
  }

  rows(): Row[] {
    return [...this.#rows.values()];
  }
}

/** Null where the row has not what the goal is about. */
export function verdictOf(
  { unit, samples }: Omit<Row, "name" | "goals">,
  goal: Goal,
): Verdict | null {
  const ours = median(samples["ours"] ?? []);
  const { of, atMost = Infinity, atLeast = -Infinity } = goal;
  const judge = (than: string | null, value: number) =>
    Number.isNaN(value) ? null : { than, value, isMet: value <= atMost && value >= atLeast };
  if (of === undefined) return judge(null, ours);
  const direction = MORE_IS_BETTER.includes(unit) ? -1 : 1;
  const [best] = of.map((name) => ({ name, value: median(samples[name] ?? []) }))
    .filter(({ value }) => !Number.isNaN(value))
    .sort((a, b) => direction * (a.value - b.value));
  return best === undefined ? null : judge(best.name, ours / best.value);
}

/** The middle one, or the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = sorted.slice(middle - 1 + sorted.length % 2);
  return sorted.length % 2 === 1 ? low : (low + high) / 2;
}

export function toMarkdown({ suite, notes, rows }: Report, facts: Facts): string {
  const names = [...new Set(["ours", ...rows.flatMap(({ samples }) => Object.keys(samples))])];
  const lines = [
    `## ${suite}`,
    "",
    ...Object.entries(facts).map(([name, value]) => `* ${name}: ${value}`),
    ...notes.map((note) => `* ${note}`),
    "",
    `| ratio, and what is wanted | | ${names.join(" | ")} | unit |`,
    `| :--- | :--- | ${names.map(() => "---:").join(" | ")} | :--- |`,
    ...rows.map((row) => toLine(row, names)),
  ];
  return `${lines.join("\n")}\n`;
}

function toLine(row: Row, names: readonly string[]): string {
  const { name, unit, goals, samples } = row;
  const figures = names.map((name) =>
    samples[name] === undefined ? "" : figure(median(samples[name]))
  );
  const verdicts = goals.map((goal) => describe(verdictOf(row, goal), goal));
  return `| ${[verdicts.join("; "), name, ...figures, unit].join(" | ")} |`;
}

function describe(verdict: Verdict | null, { atMost, atLeast }: Goal): string {
  const wanted = atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`;
  if (verdict === null) return `not measured, ${wanted}`;
  const { than, value, isMet } = verdict;
  const what = than === null ? `**${figure(value)}**` : `**${value.toFixed(2)}** of ${than}`;
  return `${what}, ${wanted} ${isMet ? "yes" : "**NO**"}`;
}

function figure(value: number): string {
  return value.toFixed(Math.abs(value) < 100 ? 1 : 0);
}

/** The same with all that was measured, a row on a line. */
export function toJson({ rows, ...report }: Report, facts: Facts): string {
  const lines = rows.map((row) => {
    const verdicts = row.goals.map((goal) => verdictOf(row, goal));
    return `    ${JSON.stringify({ verdicts, ...row })}`;
  });
  const start = JSON.stringify({ ...report, facts }, null, 2).replace(/\n\}$/, "");
  return `${start},\n  "rows": [\n${lines.join(",\n")}\n  ]\n}\n`;
}
