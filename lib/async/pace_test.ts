import assert from "node:assert/strict";
import { clearImmediate, setImmediate } from "node:timers";
import { Pace } from "./pace.ts";

const MIB = 1024 * 1024;

/** Whether others have their turn while so much is spent. */
async function isTurn(pace: Pace, costBytes: number): Promise<boolean> {
  let isTaken = false;
  const turn = setImmediate(() => isTaken = true);
  await pace.spend(costBytes);
  clearImmediate(turn);
  return isTaken;
}

Deno.test("Pace gives others a turn when a megabyte and some time are spent", async () => {
  let nowMs = 0;
  const pace = new Pace(undefined, () => nowMs);
  assert.equal(await isTurn(pace, MIB), false);
  nowMs = 8;
  assert.equal(await isTurn(pace, MIB - 1), false);
  assert.equal(await isTurn(pace, 1), true);
});

Deno.test("Pace starts to count again after a turn", async () => {
  let nowMs = 0;
  const pace = new Pace(undefined, () => nowMs);
  nowMs = 8;
  assert.equal(await isTurn(pace, MIB), true);
  nowMs = 15;
  assert.equal(await isTurn(pace, MIB), false);
  nowMs = 16;
  assert.equal(await isTurn(pace, MIB - 1), false);
  assert.equal(await isTurn(pace, 1), true);
});

Deno.test("Pace throws the reason of its signal at the next look", async () => {
  const controller = new AbortController();
  const reason = new Error("nobody waits any more");
  const pace = new Pace(controller.signal);
  controller.abort(reason);
  await pace.spend(1);
  await assert.rejects(pace.spend(MIB), reason);
});
