import assert from "node:assert/strict";
import { LimitExceededError } from "../errors.ts";
import { Budget, RATE_WINDOW_MS, type ReadLimits } from "./budget.ts";

const LIMITS: ReadLimits = {
  name: "test",
  maxBytes: 100_000,
  maxItems: 2,
  items: "things",
  timeoutMs: null,
  minBytesPerSecond: 10,
};

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof LimitExceededError);
  assert.match(error.message, message);
  return true;
};

Deno.test("Budget ends with its bytes and its items, and says which limit it was", () => {
  const budget = new Budget(LIMITS, { what: "it" });
  budget.spendBytes(100_000);
  budget.spendItems(2);
  assert.throws(
    () => budget.spendBytes(1),
    refused(/^Cannot read it: larger than 100000 bytes \(limit: test\)$/),
  );
  assert.throws(() => budget.spendItems(1), refused(/more than 2 things \(limit: test\)/));
});

Deno.test("Budget.take() refuses one byte a second, when the window is over", async () => {
  let nowMs = 0;
  const budget = new Budget(LIMITS, { what: "it", now: () => nowMs });
  const drip = () => {
    nowMs += 1000;
    return Promise.resolve(new Uint8Array(1));
  };
  for (let waitedMs = 1000; waitedMs < RATE_WINDOW_MS; waitedMs += 1000) await budget.take(drip);
  await assert.rejects(budget.take(drip), refused(/less than 10 bytes\/s \(limit: test\)/));
});

Deno.test("Budget.take() does not count our own time for the sender's", async () => {
  let nowMs = 0;
  const budget = new Budget(LIMITS, { what: "it", now: () => nowMs });
  for (let i = 0; i < 100; i++) {
    await budget.take(() => Promise.resolve(new Uint8Array(1)));
    nowMs += 60_000;
  }
});

Deno.test("Budget.take() takes a sender that pauses, when it makes up for that", async () => {
  let nowMs = 0;
  const budget = new Budget(LIMITS, { what: "it", now: () => nowMs });
  for (let i = 0; i < 10; i++) {
    await budget.take(() => {
      nowMs += RATE_WINDOW_MS;
      return Promise.resolve(new Uint8Array(RATE_WINDOW_MS / 100));
    });
  }
  assert.equal(await budget.take(() => Promise.resolve(null)), null);
});
