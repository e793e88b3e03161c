import assert from "node:assert/strict";
import { parseDurationMs } from "./duration.ts";

Deno.test("parseDurationMs() reads durations as Go writes them", async (t) => {
  const rows = [
    { input: "0", want: 0 },
    { input: "15m", want: 900_000 },
    { input: "1h30m", want: 5_400_000 },
    { input: "1h0m0s", want: 3_600_000 },
    { input: "1.5h", want: 5_400_000 },
    { input: ".5s", want: 500 },
    { input: "2.s", want: 2000 },
    { input: "250ms", want: 250 },
    { input: "1500us", want: 1.5 },
    { input: "1500µs", want: 1.5 },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(parseDurationMs(input), want));
  }
});

Deno.test("parseDurationMs() refuses everything else", async (t) => {
  for (const input of ["", "15", "m", "1h 30m", "-1h", "+1h", "1d", "1H", "1h30", ".s", "1..5s"]) {
    await t.step(`"${input}"`, () => {
      assert.throws(() => parseDurationMs(input), /is not a duration/);
    });
  }
});
