import assert from "node:assert/strict";
import { nearestTo } from "./suggestion.ts";

Deno.test("nearestTo() finds slips, and nothing where the words differ", async (t) => {
  const known = ["ci", "alice", "bucket", "prefix", "privateKey", "maxConcurrentRequests"];
  const rows = [
    { input: "cii", want: "ci" },
    { input: "CI", want: "ci" },
    { input: "cj", want: null },
    { input: "alcie", want: "alice" },
    { input: "alicia", want: "alice" },
    { input: "bob", want: null },
    { input: "private_key", want: "privateKey" },
    { input: "maxConcurentRequest", want: "maxConcurrentRequests" },
    { input: "suffix", want: null },
    { input: "", want: null },
    { input: "x".repeat(10_000), want: null },
  ];
  for (const { input, want } of rows) {
    await t.step(input.slice(0, 30), () => assert.equal(nearestTo(input, known), want));
  }
});
