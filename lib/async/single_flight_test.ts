import assert from "node:assert/strict";
import { OverloadedError } from "../errors.ts";
import { workFor } from "./owner.ts";
import { AbandonedError, type Flight, SingleFlight } from "./single_flight.ts";

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

/** Work that ends when it is told to, and whether it was. */
function endless() {
  const started = Promise.withResolvers<Flight>();
  const ended = Promise.withResolvers<unknown>();
  const work = (flight: Flight) => {
    started.resolve(flight);
    return new Promise<number>((_, reject) => {
      flight.signal.addEventListener("abort", () => {
        ended.resolve(flight.signal.reason);
        reject(flight.signal.reason);
      });
    });
  };
  return { work, started: started.promise, ended: ended.promise };
}

/** Joins a flight and leaves it. */
async function comeAndGo<T>(
  flights: SingleFlight<T>,
  key: string,
  work: Parameters<SingleFlight<T>["run"]>[1],
) {
  const leaver = new AbortController();
  const left = flights.run(key, work, leaver.signal);
  leaver.abort(new Error("hung up"));
  await assert.rejects(left, /hung up/);
}

Deno.test("SingleFlight.run() ends work when its last caller has been gone for a while", async () => {
  let abandoned = 0;
  const flights = new SingleFlight<number>(8, { graceMs: 1, onAbandoned: () => abandoned++ });
  const { work, ended } = endless();
  await comeAndGo(flights, "key", work);
  assert.ok(await ended instanceof AbandonedError);
  assert.equal(abandoned, 1);
  assert.equal(await flights.run("key", () => Promise.resolve(2)), 2, "the next one starts anew");
  assert.equal(flights.size, 0);
});

Deno.test("SingleFlight.run() goes on with work that somebody comes back for", async () => {
  const flights = new SingleFlight<number>(8, { graceMs: 5 });
  const first = endless();
  await comeAndGo(flights, "first", first.work);
  const back = new AbortController();
  const waits = flights.run("first", first.work, back.signal);
  // Its timer was started later, and runs out later.
  const second = endless();
  await comeAndGo(flights, "second", second.work);
  await second.ended;
  const { signal } = await first.started;
  assert.equal(signal.aborted, false);
  back.abort(new Error("hung up"));
  await assert.rejects(waits, /hung up/);
  await first.ended;
});

Deno.test("SingleFlight.run() goes on with work that is nearly done", async () => {
  const flights = new SingleFlight<number>(8, { graceMs: 0 });
  const gate = Promise.withResolvers<number>();
  let signal: AbortSignal | null = null;
  await comeAndGo(flights, "key", (flight) => {
    flight.keep();
    signal = flight.signal;
    return gate.promise;
  });
  const result = flights.run("key", () => Promise.reject(new Error("not started anew")));
  gate.resolve(3);
  assert.equal(await result, 3);
  assert.equal((signal as AbortSignal | null)?.aborted, false);
});

Deno.test("SingleFlight.run() leaves a flight for each further client", async () => {
  const flights = new SingleFlight<number>(8);
  const gate = Promise.withResolvers<number>();
  const start = (client: string, count: number) =>
    Array.from(
      { length: count },
      (_, i) => workFor(client, () => flights.run(`${client} ${i}`, () => gate.promise)),
    );
  const greedy = start("greedy", 8);
  await assert.rejects(Promise.all(greedy.slice(6)), OverloadedError);
  assert.equal(flights.size, 6);
  const others = [...start("other", 1), ...start("third", 1)];
  assert.equal(flights.size, 8);
  gate.resolve(0);
  await Promise.all([...greedy.slice(0, 6), ...others]);
});
