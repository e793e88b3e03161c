import assert from "node:assert/strict";
import { median, ratioOf, type Report, toJson, toMarkdown } from "./report.ts";

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

const REPORT: Report = {
  suite: "git",
  peer: "go",
  notes: ["A note."],
  rows: [
    { name: "fast", unit: "ms", atMost: 0.5, ours: [1, 2, 900], theirs: [4] },
    { name: "slow", unit: "ms", atMost: 1, ours: [30], theirs: [20] },
    { name: "work", unit: "CPU ms", atMost: null, ours: [10], theirs: [40] },
  ],
};

Deno.test("toMarkdown() says the ratio first, and whether it is what was wanted", () => {
  const lines = toMarkdown(REPORT, { machine: "2 cores" }).split("\n");
  assert.deepEqual(lines.filter((line) => line !== ""), [
    "## git",
    "* machine: 2 cores",
    "* A note.",
    "| ours/theirs | wanted | | ours | go |",
    "| ---: | :--- | :--- | ---: | ---: |",
    "| **0.50** | ≤ 0.5 yes | fast | 2 ms | 4 ms |",
    "| **1.50** | ≤ 1 **NO** | slow | 30 ms | 20 ms |",
    "| **0.25** |  | work | 10 CPU ms | 40 CPU ms |",
  ]);
});

Deno.test("toJson() has every sample", () => {
  const { facts, rows } = JSON.parse(toJson(REPORT, { machine: "2 cores" }));
  assert.deepEqual(facts, { machine: "2 cores" });
  const want = REPORT.rows.map((row) => ({ ratio: ratioOf(row), ...row }));
  assert.deepEqual(rows, want);
});
