import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { Pace } from "./pace.ts";

const MIB = 1024 * 1024;

Deno.test("Pace gives others a turn when a megabyte is spent", async () => {
  const pace = new Pace(undefined);
  let isTaken = false;
  setImmediate(() => isTaken = true);
  await pace.spend(MIB - 1);
  assert.equal(isTaken, false);
  await pace.spend(1);
  assert.equal(isTaken, true);
});

Deno.test("Pace starts to count again after a turn", async () => {
  const pace = new Pace(undefined);
  await pace.spend(MIB);
  let isTaken = false;
  setImmediate(() => isTaken = true);
  await pace.spend(MIB - 1);
  assert.equal(isTaken, false);
  await pace.spend(1);
  assert.equal(isTaken, true);
});

Deno.test("Pace throws the reason of its signal at the next turn", async () => {
  const controller = new AbortController();
  const reason = new Error("nobody waits any more");
  const pace = new Pace(controller.signal);
  controller.abort(reason);
  await pace.spend(1);
  await assert.rejects(pace.spend(MIB), reason);
});
