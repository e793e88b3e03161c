import assert from "node:assert/strict";
import { DeadlineError } from "../errors.ts";
import { withDeadline } from "./deadline.ts";

Deno.test("withDeadline() returns what the work returns", async () => {
  assert.equal(await withDeadline(() => Promise.resolve(1), { timeoutMs: 1000, what: "wait" }), 1);
});

Deno.test("withDeadline() ends work that ignores its signal", async () => {
  await assert.rejects(
    withDeadline(() => new Promise(() => {}), { timeoutMs: 1, what: "fetch x" }),
    (error) =>
      error instanceof DeadlineError && /Cannot fetch x: no answer within/.test(error.message),
  );
});

Deno.test("withDeadline() passes on the reason of the caller's signal", async () => {
  const reason = new Error("client went away");
  await assert.rejects(
    withDeadline(() => new Promise(() => {}), {
      timeoutMs: 60_000,
      what: "wait",
      signal: AbortSignal.abort(reason),
    }),
    reason,
  );
});

Deno.test("withDeadline() keeps a failure that is not about time", async () => {
  const failure = new Error("broken");
  await assert.rejects(
    withDeadline(() => Promise.reject(failure), { timeoutMs: 60_000, what: "wait" }),
    failure,
  );
});
