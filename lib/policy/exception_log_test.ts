import assert from "node:assert/strict";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { ExceptionLog } from "./exception_log.ts";
import { exceptionSchema } from "./config.ts";

const exception = (reason: string) =>
  exceptionSchema.parse({
    modules: ["example.com/a"],
    reason,
    until: "2026-12-31",
    by: "alice",
  });

const replica = (store: MemoryStore) =>
  new ExceptionLog({ store, now: () => Date.UTC(2026, 10, 29) });

Deno.test("exceptions that replicas record at the same time are all there, on each", async () => {
  const store = new MemoryStore();
  const [one, two] = [replica(store), replica(store)];
  await Promise.all([
    ...["a", "b", "c"].map((reason) => one.record(exception(reason), "bob")),
    ...["d", "e", "f"].map((reason) => two.record(exception(reason), "carol")),
  ]);
  for (const log of [one, two, replica(store)]) {
    await log.refresh();
    const reasons = log.current.map(({ exception }) => exception.reason);
    assert.deepEqual(reasons.toSorted(), ["a", "b", "c", "d", "e", "f"]);
  }
});

Deno.test("a revoked exception is gone, and what is not there cannot be revoked", async () => {
  const store = new MemoryStore();
  const [one, two] = [replica(store), replica(store)];
  const { number } = await one.record(exception("a"), "bob");
  await two.revoke(number, "carol");
  assert.ok(await one.refresh());
  assert.deepEqual(one.current, []);
  assert.ok(!await one.refresh());
  await assert.rejects(one.revoke(number, "bob"), /there is none/);
});
