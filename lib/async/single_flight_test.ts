import assert from "node:assert/strict";
import { OverloadedError } from "../errors.ts";
import { SingleFlight } from "./single_flight.ts";

Deno.test("SingleFlight.run() shares the work of callers that come while it is under way", async () => {
  const flights = new SingleFlight<number>(8);
  const gate = Promise.withResolvers<number>();
  let runs = 0;
  const work = () => (runs++, gate.promise);
  const callers = [1, 2, 3].map(() => flights.run("key", work));
  gate.resolve(7);
  assert.deepEqual(await Promise.all(callers), [7, 7, 7]);
  assert.equal(runs, 1);
  assert.equal(flights.size, 0);
});

Deno.test("SingleFlight.run() starts anew after a failure", async () => {
  const flights = new SingleFlight<number>(8);
  await assert.rejects(flights.run("key", () => Promise.reject(new Error("first"))), /first/);
  assert.equal(await flights.run("key", () => Promise.resolve(2)), 2);
});

Deno.test("SingleFlight.run() lets one caller leave and finishes for the others", async () => {
  const flights = new SingleFlight<number>(8);
  const gate = Promise.withResolvers<number>();
  const leaver = new AbortController();
  const left = flights.run("key", () => gate.promise, leaver.signal);
  const stayed = flights.run("key", () => gate.promise);
  leaver.abort(new Error("hung up"));
  await assert.rejects(left, /hung up/);
  gate.resolve(1);
  assert.equal(await stayed, 1);
});

Deno.test("SingleFlight.run() refuses work past its limit", async () => {
  const flights = new SingleFlight<number>(1);
  const gate = Promise.withResolvers<number>();
  const first = flights.run("a", () => gate.promise);
  await assert.rejects(flights.run("b", () => gate.promise), OverloadedError);
  gate.resolve(0);
  await first;
});
