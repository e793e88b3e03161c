import assert from "node:assert/strict";
import { OverloadedError, TooManyRequestsError } from "../lib/errors.ts";
import { ConcurrencyLimit } from "./concurrency_limit.ts";

Deno.test("ConcurrencyLimit.enter() refuses above the limit, and takes more when some have left", () => {
  const limit = new ConcurrencyLimit({
    maxConcurrentRequests: 2,
    maxConcurrentRequestsPerClient: 9,
  });
  const first = limit.enter();
  limit.enter();
  assert.throws(() => limit.enter(), OverloadedError);
  first.leave();
  first.leave();
  limit.enter();
  assert.throws(() => limit.enter(), OverloadedError);
});

Deno.test("Permit.assignTo() counts each client by itself", () => {
  const limit = new ConcurrencyLimit({
    maxConcurrentRequests: 9,
    maxConcurrentRequestsPerClient: 2,
  });
  const enterAs = (client: string) => {
    const permit = limit.enter();
    permit.assignTo(client);
    return permit;
  };
  const mine = [enterAs("me"), enterAs("me")];
  enterAs("you");
  const refused = limit.enter();
  assert.throws(() => refused.assignTo("me"), TooManyRequestsError);
  refused.leave();
  for (const permit of mine) permit.leave();
  enterAs("me");
  enterAs("me");
  assert.throws(() => limit.enter().assignTo("me"), TooManyRequestsError);
});
