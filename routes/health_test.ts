import assert from "node:assert/strict";
import { ANY_CLIENT, OPEN_GUARD } from "../lib/auth/guard.ts";
import { StorageError } from "../lib/errors.ts";
import type { RouteRequest } from "./app.ts";
import { healthRoutes } from "./health.ts";

const REQUEST: RouteRequest = {
  method: "GET",
  origin: "http://proxy.test",
  path: "readyz",
  query: new URLSearchParams(),
  body: null,
  signal: new AbortController().signal,
  facts: {},
  headers: new Headers(),
  address: null,
  requestId: "id",
};

Deno.test("/readyz reads the store once a second, however many ask", async () => {
  let nowMs = 0;
  let checks = 0;
  let gate = Promise.withResolvers<void>();
  const [, readyz] = healthRoutes({
    checkStore: () => {
      checks++;
      return gate.promise;
    },
    isStopping: () => false,
    now: () => nowMs,
  });
  const ask = async () => {
    const operation = readyz?.read(REQUEST);
    assert.notDeepEqual(operation?.access, ANY_CLIENT);
    const client = await OPEN_GUARD.admit(REQUEST, ANY_CLIENT);
    assert.ok(client !== null);
    return (await operation?.answer(client))?.status;
  };
  const first = [ask(), ask(), ask()];
  gate.resolve();
  assert.deepEqual(await Promise.all(first), [200, 200, 200]);
  nowMs = 999;
  assert.equal(await ask(), 200);
  assert.equal(checks, 1);

  nowMs = 1000;
  gate = Promise.withResolvers();
  const failing = [ask(), ask()];
  gate.reject(new StorageError("gone"));
  for (const asked of failing) await assert.rejects(asked, StorageError);
  nowMs = 1999;
  await assert.rejects(ask(), StorageError, "a failure is remembered, too");
  assert.equal(checks, 2);

  nowMs = 2000;
  gate = Promise.withResolvers();
  gate.resolve();
  assert.equal(await ask(), 200);
  assert.equal(checks, 3);
});
