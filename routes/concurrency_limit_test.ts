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

Deno.test("ConcurrencyLimit.enterAsStranger() takes no place from clients that are known", () => {
  const limit = new ConcurrencyLimit({
    maxConcurrentRequests: 2,
    maxConcurrentRequestsPerClient: 9,
    maxConcurrentUnauthenticatedRequests: 4,
  });
  const strangers = [1, 2, 3].map(() => limit.enterAsStranger("192.0.2.1"));
  assert.throws(() => limit.enterAsStranger("192.0.2.1"), TooManyRequestsError);
  const other = limit.enterAsStranger("192.0.2.2");
  assert.throws(() => limit.enterAsStranger("192.0.2.3"), OverloadedError);
  const known = limit.enter();
  other.admit();
  assert.throws(() => limit.enter(), OverloadedError);
  assert.throws(() => strangers[0]?.admit(), OverloadedError);
  strangers[0]?.leave();
  known.leave();
  other.leave();
  strangers[1]?.leave();
  strangers[2]?.leave();
  assert.throws(() => {
    for (let i = 0; i < 9; i++) limit.enterAsStranger("192.0.2.1");
  }, TooManyRequestsError);
  limit.enter();
  limit.enter();
});
