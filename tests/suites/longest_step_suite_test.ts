import assert from "node:assert/strict";
import { longestStepMs } from "./longest_step_suite.ts";

function computeMs(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

Deno.test("longestStepMs() sees a step that holds the thread", async () => {
  const longestMs = await longestStepMs(() => computeMs(1000));
  // The clock goes on while the machine does something else.
  assert.ok(longestMs > 100, `${longestMs} ms`);
});

Deno.test("longestStepMs() sees one between turns of others", async () => {
  const longestMs = await longestStepMs(async () => {
    for (const ms of [0, 1000, 0]) {
      computeMs(ms);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  });
  assert.ok(longestMs > 100, `${longestMs} ms`);
});

Deno.test("longestStepMs() does not count waiting", async () => {
  const longestMs = await longestStepMs(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
  });
  assert.ok(longestMs < 100, `${longestMs} ms`);
});
