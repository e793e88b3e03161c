import assert from "node:assert/strict";
import { within } from "../../tests/support/eventually.ts";
import { Background } from "./background.ts";

/** Work that ends some turns after its signal. */
async function work(signal: AbortSignal, onEnd: () => void): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  await Promise.resolve();
  onEnd();
}

Deno.test("Background waits for the end of its work", async () => {
  let hasEnded = false;
  {
    await using _background = new Background((signal) => work(signal, () => hasEnded = true));
  }
  assert.ok(hasEnded);
});

Deno.test("Background ends its work with a signal, too", async () => {
  const [outer, ended] = [new AbortController(), Promise.withResolvers<void>()];
  await using _background = new Background(
    (signal) => work(signal, ended.resolve),
    outer.signal,
  );
  outer.abort();
  await within("the end", ended.promise);
});
