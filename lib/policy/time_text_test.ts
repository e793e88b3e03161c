import assert from "node:assert/strict";
import { momentText, parseEndMs, parseSpanMs, spanText } from "./time_text.ts";

Deno.test("parseSpanMs() reads hours, days and weeks", () => {
  assert.equal(parseSpanMs("12h"), 12 * 3_600_000);
  assert.equal(parseSpanMs("7d"), 7 * 86_400_000);
  assert.equal(parseSpanMs("2w"), 14 * 86_400_000);
  for (const text of ["", "7", "7 d", "1.5d", "-1d", "7m", "999999d"]) {
    assert.throws(() => parseSpanMs(text), /is not a span/, text);
  }
});

Deno.test("parseEndMs() reads the end of a day, or a moment", () => {
  assert.equal(parseEndMs("2026-12-31"), Date.UTC(2027, 0, 1));
  assert.equal(parseEndMs("2026-12-31T12:00Z"), Date.UTC(2026, 11, 31, 12));
  for (const text of ["", "tomorrow", "2026-02-30", "2026-13-01", "2026-12-31T12:00", "2026"]) {
    assert.throws(() => parseEndMs(text), /is not a date/, text);
  }
});

Deno.test("spanText() and momentText() show what a person needs", () => {
  assert.equal(spanText(0), "0 minutes");
  assert.equal(spanText(90 * 60_000), "90 minutes");
  assert.equal(spanText(36 * 3_600_000), "36 hours");
  assert.equal(spanText(7.5 * 86_400_000), "7 days");
  assert.equal(momentText(Date.UTC(2026, 11, 4, 10, 0, 30)), "2026-12-04 10:01 UTC");
});
