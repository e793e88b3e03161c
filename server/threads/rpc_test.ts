import assert from "node:assert/strict";
import { type MessagePlace, type Method, Peer } from "./rpc.ts";
import { within } from "../../tests/support/eventually.ts";

/** Two threads' ends of one channel. */
function channel(): { here: MessagePlace; there: MessagePlace } & Disposable {
  const { port1, port2 } = new MessageChannel();
  for (const port of [port1, port2]) port.start();
  return {
    here: port1,
    there: port2,
    [Symbol.dispose]: () => {
      port1.close();
      port2.close();
    },
  };
}

interface Methods {
  readonly double: Method<number, number>;
  readonly fail: Method<null, never>;
  readonly upper: Method<ReadableStream<Uint8Array>, ReadableStream<Uint8Array>>;
  readonly wait: Method<null, never>;
}

Deno.test("Peer.call() gives the answer of each call, whatever their order", async () => {
  using pair = channel();
  const gate = Promise.withResolvers<void>();
  new Peer(pair.there, {
    double: async (n: number) => {
      if (n === 1) await gate.promise;
      else gate.resolve();
      return { value: 2 * n };
    },
  });
  const remote = new Peer<Methods>(pair.here, {});
  const answers = [1, 2, 3].map((value) => remote.call("double", { value }));
  assert.deepEqual(await Promise.all(answers), [2, 4, 6]);
});

Deno.test("Peer.call() throws what a method throws, and where there is none", async () => {
  using pair = channel();
  new Peer(pair.there, { fail: () => Promise.reject(new Error("no luck")) });
  const remote = new Peer<Methods>(pair.here, {});
  await assert.rejects(remote.call("fail", { value: null }), /no luck/);
  await assert.rejects(remote.call("double", { value: 1 }), /no method "double"/);
});

Deno.test("Peer.call() hands streams over, both ways", async () => {
  using pair = channel();
  new Peer(pair.there, {
    upper: async (stream: ReadableStream<Uint8Array>) => {
      const text = await new Response(stream).text();
      const body = new Blob([text.toUpperCase()]).stream();
      return { value: body, transfer: [body] };
    },
  });
  const remote = new Peer<Methods>(pair.here, {});
  const value = new Blob(["abc"]).stream();
  const answer = await remote.call("upper", { value, transfer: [value] });
  assert.equal(await new Response(answer).text(), "ABC");
});

Deno.test("Peer.call() ends with its signal, and tells the other side", async () => {
  using pair = channel();
  const [called, aborted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  new Peer(pair.there, {
    wait: (_: null, signal) => {
      called.resolve();
      signal.addEventListener("abort", () => aborted.resolve());
      return new Promise<never>(() => {});
    },
  });
  const remote = new Peer<Methods>(pair.here, {});
  const leaver = new AbortController();
  const left = assert.rejects(remote.call("wait", { value: null }, leaver.signal), /hung up/);
  await within("the call", called.promise);
  leaver.abort(new Error("hung up"));
  await left;
  await within("the abort", aborted.promise);
});

Deno.test("Peer.close() ends the waiting, and later calls at once", async () => {
  using pair = channel();
  const remote = new Peer<Methods>(pair.here, {});
  const waiting = assert.rejects(remote.call("wait", { value: null }), /crashed/);
  remote.close(new Error("crashed"));
  await waiting;
  await assert.rejects(remote.call("double", { value: 1 }), /crashed/);
});
