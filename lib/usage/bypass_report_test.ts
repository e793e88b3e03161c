import assert from "node:assert/strict";
import { BypassReport, bypassText } from "./bypass_report.ts";
import type { UsageRow } from "./usage_row.ts";

const row = (identity: string | null, kind: UsageRow["kind"], version: string): UsageRow => ({
  module: "example.com/a",
  version,
  kind,
  identity,
  count: 1,
});

Deno.test("a lookup without a download by the same client is suspected", () => {
  const report = new BypassReport();
  const rows = [
    row("ci", "lookup", "v1.0.0"),
    row("ci", "zip", "v1.0.0"),
    row("ci", "lookup", "v1.1.0"),
    row("ci", "mod", "v1.1.0"),
    row("dev", "lookup", "v1.0.0"),
    row("dev", "lookup", "v1.2.0"),
    row("ci", "zip", "v1.2.0"),
    row(null, "lookup", "v1.3.0"),
  ];
  for (const one of rows) report.add(one);
  assert.deepEqual(report.suspected(), [
    { identity: "dev", versions: ["example.com/a@v1.0.0", "example.com/a@v1.2.0"] },
  ]);
  assert.match(bypassText(report.suspected())[0] ?? "", /^suspected bypass: dev looked up 2/);
});
