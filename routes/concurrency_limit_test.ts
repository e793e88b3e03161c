import assert from "node:assert/strict";
import { OverloadedError, TooManyRequestsError } from "../lib/errors.ts";
import { ConcurrencyLimit } from "./concurrency_limit.ts";

Deno.test("ConcurrencyLimit.enter() refuses above the limit, and takes more when some have left", () => {
  const limit = new ConcurrencyLimit({
    maxConcurrentRequests: 2,
    maxConcurrentRequestsPerClient: 9,
  });
  const first = limit.enter();
  using _second = limit.enter();
  assert.throws(() => limit.enter(), OverloadedError);
  first[Symbol.dispose]();
  using _third = limit.enter();
  assert.throws(() => limit.enter(), OverloadedError);
});

Deno.test("ConcurrencyLimit.enterAs() counts each client by itself", () => {
  const limit = new ConcurrencyLimit({
    maxConcurrentRequests: 9,
    maxConcurrentRequestsPerClient: 2,
  });
  const mine = [limit.enterAs("me"), limit.enterAs("me")];
  using _other = limit.enterAs("you");
  assert.throws(() => limit.enterAs("me"), TooManyRequestsError);
  for (const slot of mine) slot[Symbol.dispose]();
  using _again = limit.enterAs("me");
  using _more = limit.enterAs("me");
  assert.throws(() => limit.enterAs("me"), TooManyRequestsError);
});
