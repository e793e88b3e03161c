import assert from "node:assert/strict";
import {
  type Goal,
  median,
  type Report,
  Samples,
  toJson,
  toMarkdown,
  verdictOf,
} from "./report.ts";

Deno.test("median()", async (t) => {
  const rows: { input: number[]; want: number }[] = [
    { input: [], want: NaN },
    { input: [7], want: 7 },
    { input: [7, 1], want: 4 },
    { input: [100, 3, 20], want: 20 },
    { input: [4, 1, 3, 2], want: 2.5 },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), () => assert.equal(median(input), want));
  }
});

Deno.test("verdictOf()", async (t) => {
  const less = { unit: "ms", samples: { ours: [6], quick: [5], slow: [12] } } as const;
  const more = { unit: "MB/s", samples: { ours: [6], quick: [12], slow: [5] } } as const;
  const both = ["slow", "quick"];
  const rows: { row: typeof less | typeof more; goal: Goal; want: unknown }[] = [
    { row: less, goal: { of: both, atMost: 1 }, want: ["quick", 1.2, false] },
    { row: less, goal: { of: both, atMost: 1.2 }, want: ["quick", 1.2, true] },
    { row: less, goal: { of: ["slow"], atMost: 1 }, want: ["slow", 0.5, true] },
    { row: more, goal: { of: both, atLeast: 1 }, want: ["quick", 0.5, false] },
    { row: more, goal: { of: both, atLeast: 0.5 }, want: ["quick", 0.5, true] },
    { row: less, goal: { atMost: 6 }, want: [null, 6, true] },
    { row: less, goal: { atMost: 5 }, want: [null, 6, false] },
    { row: less, goal: { of: ["missing"], atMost: 1 }, want: null },
    { row: less, goal: { of: ["missing", "slow"], atMost: 1 }, want: ["slow", 0.5, true] },
  ];
  for (const { row, goal, want } of rows) {
    await t.step(`${row.unit} ${JSON.stringify(goal)}`, () => {
      const verdict = verdictOf(row, goal);
      const got = verdict && [verdict.than, verdict.value, verdict.isMet];
      assert.deepEqual(got, want);
    });
  }
});

Deno.test("verdictOf() of a row without our server is null", () => {
  assert.equal(
    verdictOf({ unit: "ms", samples: { peer: [1] } }, { of: ["peer"], atMost: 1 }),
    null,
  );
  assert.equal(verdictOf({ unit: "ms", samples: { peer: [1] } }, { atMost: 1 }), null);
});

Deno.test("Samples keep rows in order, and leave out values that the system does not provide", () => {
  const samples = new Samples();
  const [first, second] = [
    { name: "first", unit: "ms", goals: [] },
    { name: "second", unit: "MB", goals: [] },
  ] as const;
  samples.add(first, "ours", 1);
  samples.add(second, "peer", 2);
  samples.add(first, "ours", 3);
  samples.add(first, "peer", null);
  assert.deepEqual(samples.rows(), [
    { ...first, samples: { ours: [1, 3] } },
    { ...second, samples: { peer: [2] } },
  ]);
});

const REPORT: Report = {
  suite: "warm",
  notes: ["A note."],
  rows: [
    {
      name: "fast",
      unit: "ms",
      goals: [{ of: ["a", "b"], atMost: 0.5 }, { of: ["c"], atMost: 2 }],
      samples: { a: [4], ours: [1, 2, 900], b: [8] },
    },
    {
      name: "slow",
      unit: "requests/s",
      goals: [{ of: ["a"], atLeast: 1 }],
      samples: { ours: [200], a: [300] },
    },
    { name: "large", unit: "MB", goals: [{ atMost: 200 }], samples: { ours: [201] } },
    { name: "work", unit: "CPU ms", goals: [], samples: { ours: [10] } },
  ],
};

Deno.test("toMarkdown() gives the ratio first, and whether it meets the goal", () => {
  const lines = toMarkdown(REPORT, { machine: "2 cores" }).split("\n");
  assert.deepEqual(lines.filter((line) => line !== ""), [
    "## warm",
    "* machine: 2 cores",
    "* A note.",
    "| ratio, and what is wanted | | ours | a | b | unit |",
    "| :--- | :--- | ---: | ---: | ---: | :--- |",
    "| **0.50** of a, ≤ 0.5 yes; not measured, ≤ 2 | fast | 2.0 | 4.0 | 8.0 | ms |",
    "| **0.67** of a, ≥ 1 **NO** | slow | 200 | 300 |  | requests/s |",
    "| **201**, ≤ 200 **NO** | large | 201 |  |  | MB |",
    "|  | work | 10.0 |  |  | CPU ms |",
  ]);
});

Deno.test("toJson() has every sample", () => {
  const { facts, rows } = JSON.parse(toJson(REPORT, { machine: "2 cores" }));
  assert.deepEqual(facts, { machine: "2 cores" });
  const want = REPORT.rows.map((row) => ({
    verdicts: row.goals.map((goal) => verdictOf(row, goal)),
    ...row,
  }));
  assert.deepEqual(rows, want);
});
