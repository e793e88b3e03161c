import assert from "node:assert/strict";
import { eventually, within } from "./eventually.ts";

Deno.test("eventually() returns the first truthy value", async () => {
  let calls = 0;
  const check = () => Promise.resolve(++calls === 3 ? "ready" : null);
  assert.equal(await eventually("the third call", check), "ready");
  assert.equal(calls, 3);
});

Deno.test("eventually() ends with an error that the check throws", async () => {
  const error = new Error("crashed");
  await assert.rejects(eventually("a crash", () => Promise.reject(error)), error);
});

Deno.test("a wait fails at its deadline with what it waited for", async (t) => {
  const want = /^Error: Waited 0.02 s in vain for the impossible$/;
  const waits = {
    "a check that stays false": () => eventually("the impossible", () => false, { timeoutMs: 20 }),
    "a check that hangs": () =>
      eventually("the impossible", () => new Promise(() => {}), { timeoutMs: 20 }),
    "a promise": () => within("the impossible", new Promise(() => {}), { timeoutMs: 20 }),
  };
  for (const [name, wait] of Object.entries(waits)) {
    await t.step(name, () => assert.rejects(wait, want));
  }
});

Deno.test("within() gives what the promise gives", async () => {
  assert.equal(await within("a value", Promise.resolve(1)), 1);
  const error = new Error("refused");
  await assert.rejects(within("an error", Promise.reject(error)), error);
});
