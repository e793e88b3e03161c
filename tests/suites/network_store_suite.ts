/**
 * What every remote store must withstand, besides the contract: a row for each thing that can
 * happen to a request on its way, and writers in several processes.
 */
import assert from "node:assert/strict";
import { probeStore } from "../../lib/store/probe.ts";
import { bytesContent, type ObjectStore, readAll } from "../../lib/store/object_store.ts";
import { StorageError } from "../../lib/errors.ts";
import type { StoreTimes } from "../../lib/store/store_client.ts";
import type { Emulator } from "../worlds/emulator.ts";
import { FaultProxy, type NetworkFault, type ProxiedRequest } from "../fakes/fault_proxy.ts";
import { within } from "../support/eventually.ts";

/** Much shorter than in production, so that timeouts do not slow the tests down. */
export const FAST: StoreTimes = {
  requestTimeoutMs: 1000,
  uploadTimeoutMs: 2000,
  idleTimeoutMs: 300,
  maxAttempts: 5,
  retryPauseMs: 1,
};

export interface NetworkStoreSubject {
  readonly name: string;
  /** Starts the server, with an empty bucket. */
  readonly start: () => Promise<Emulator>;
  /**
   * A handle of the store at a server, with {@linkcode FAST} times and parts of {@linkcode
   * partSizeBytes}.
   */
  readonly open: (url: string) => ObjectStore;
  /** The largest content that is created at once; the size of a part. */
  readonly partSizeBytes: number;
  /** Whether a request makes an object with all of its bytes. */
  readonly isCreate: (request: ProxiedRequest) => boolean;
  /**
   * Whether a request sends a part that is not the last; whether it is the one that ends an upload
   * in parts.
   */
  readonly isPart: (request: ProxiedRequest) => boolean;
  readonly isCompletion: (request: ProxiedRequest) => boolean;
}

interface Row {
  readonly name: string;
  /** How many requests meet the fault. */
  readonly times: number;
  readonly fault: NetworkFault;
}

const ANSWER_FAULTS: readonly Row[] = [
  { name: "the connection breaks before the request", times: 1, fault: { kind: "refuse" } },
  { name: "the answer is lost", times: 1, fault: { kind: "lose" } },
  { name: "two answers are lost", times: 2, fault: { kind: "lose" } },
  { name: "503 three times", times: 3, fault: { kind: "answer", status: 503 } },
  { name: "500", times: 1, fault: { kind: "answer", status: 500 } },
  { name: "429", times: 1, fault: { kind: "answer", status: 429 } },
  { name: "408", times: 1, fault: { kind: "answer", status: 408 } },
  { name: "the answer does not come", times: 1, fault: { kind: "stall", afterBytes: 0 } },
];

const SMALL = bytes(1000, 1);

/** Declares the tests of one back end. */
export function networkStoreSuite(subject: NetworkStoreSubject): void {
  const { name, partSizeBytes } = subject;
  const large = bytes(partSizeBytes + 1000, 2);

  Deno.test(`${name} creates in spite of what happens on the way`, async (t) => {
    await using place = await openPlace(subject);
    const { proxy, near, far } = place;
    const contents = [
      { size: "small", content: SMALL, on: { create: subject.isCreate } },
      {
        size: "large",
        content: large,
        on: { part: subject.isPart, completion: subject.isCompletion },
      },
    ];
    for (const { size, content, on } of contents) {
      for (const [request, isDisturbed] of Object.entries(on)) {
        for (const row of ANSWER_FAULTS) {
          await t.step(`${size}, ${request}: ${row.name}`, async () => {
            const key = `faults/${size}-${request}-${row.name.replaceAll(" ", "-")}`;
            const disturbed = disturb(proxy, isDisturbed, row);
            assert.equal(await far.create(key, bytesContent(content)), "created");
            assert.ok(disturbed() > 0);
            proxy.plan = () => null;
            assert.ok(equal(await read(near, key), content));
            // Nobody else did, so this is C1: our own success must not be taken for another's.
            assert.equal(await near.create(key, bytesContent(content)), "exists");
          });
        }
      }
    }
  });

  Deno.test(`${name} knows another's object from its own after a lost answer`, async (t) => {
    await using place = await openPlace(subject);
    const { proxy, near, far } = place;
    for (const [size, content] of [["small", SMALL], ["large", large]] as const) {
      for (const kind of ["refuse", "lose"] as const) {
        await t.step(`${size}, ${kind}`, async () => {
          const key = `others/${size}-${kind}`;
          let isFirst = true;
          proxy.plan = async (request) => {
            const isDeciding = subject.isCreate(request) || subject.isCompletion(request);
            if (!isFirst || !isDeciding) return null;
            isFirst = false;
            // Another writer is slightly faster, with the same bytes.
            assert.equal(await near.create(key, bytesContent(content)), "created");
            return { kind };
          };
          assert.equal(await far.create(key, bytesContent(content)), "exists");
          assert.ok(!isFirst);
        });
      }
    }
  });

  Deno.test(`${name} gives up at last, and says what it wanted of whom`, async (t) => {
    await using place = await openPlace(subject);
    const { proxy, near, far } = place;
    await near.create("down/key", bytesContent(SMALL));
    const calls: Record<string, () => Promise<unknown>> = {
      get: () => far.get("down/key"),
      "create at once": () => far.create("down/new", bytesContent(SMALL)),
      "create in parts": () => far.create("down/large", bytesContent(large)),
      list: () => far.list("down"),
    };
    const faults: NetworkFault[] = [
      { kind: "refuse" },
      { kind: "lose" },
      { kind: "answer", status: 503 },
      { kind: "answer", status: 403 },
    ];
    for (const [call, run] of Object.entries(calls)) {
      for (const fault of faults) {
        const what = fault.kind === "answer" ? `${fault.status}` : fault.kind;
        await t.step(`${call}: ${what}, for ever`, async () => {
          proxy.plan = () => fault;
          const before = proxy.requests.length;
          await assert.rejects(run(), (error) => {
            assert.ok(error instanceof StorageError);
            assert.ok(error.message.includes(far.description), error.message);
            return true;
          });
          const count = proxy.requests.length - before;
          const isFinal = what === "403";
          assert.ok(isFinal ? count <= 2 : count >= FAST.maxAttempts, `${count} requests`);
          assert.ok(count <= 12, `${count} requests`);
        });
      }
    }
    proxy.plan = () => null;
    assert.equal((await far.get("down/key"))?.sizeBytes, SMALL.length);
  });

  Deno.test(`${name} reads on where a body broke off`, async (t) => {
    await using place = await openPlace(subject);
    const { proxy, near, far } = place;
    await near.create("bodies/large", bytesContent(large));
    const half = large.length >> 1;
    const rows: (Row & { want: "whole" | "error" })[] = [
      { name: "truncated", times: 1, fault: { kind: "truncate", afterBytes: half }, want: "whole" },
      {
        name: "truncated at once",
        times: 3,
        fault: { kind: "truncate", afterBytes: 0 },
        want: "whole",
      },
      {
        name: "truncated for ever",
        times: 99,
        fault: { kind: "truncate", afterBytes: 1 },
        want: "error",
      },
      { name: "stalled", times: 1, fault: { kind: "stall", afterBytes: half }, want: "whole" },
      { name: "damaged", times: 1, fault: { kind: "damage", atByte: half }, want: "error" },
    ];
    for (const { want, ...row } of rows) {
      for (const range of [undefined, { start: 10, end: large.length - 10 }]) {
        if (row.name === "damaged" && range !== undefined) continue;
        await t.step(`${row.name}, ${range === undefined ? "the whole" : "a range"}`, async () => {
          disturb(proxy, ({ method }) => method === "GET", row);
          const object = await far.get("bodies/large", { range });
          assert.ok(object !== null);
          if (want === "error") return await assert.rejects(readAll(object), StorageError);
          assert.ok(equal(await readAll(object), large.slice(range?.start, range?.end)));
        });
      }
    }
    await t.step("a reader that leaves while the rest is asked for", async () => {
      const asked = Promise.withResolvers<void>();
      let requests = 0;
      proxy.plan = ({ method }) => {
        if (method !== "GET") return null;
        if (requests++ === 0) return { kind: "truncate", afterBytes: 100 };
        asked.resolve();
        return { kind: "stall", afterBytes: 0 };
      };
      const object = await far.get("bodies/large");
      assert.ok(object !== null);
      const reader = object.body.getReader();
      await reader.read();
      const next = reader.read();
      await within("the rest to be asked for", asked.promise);
      await reader.cancel();
      assert.equal((await next).done, true);
    });
  });

  Deno.test(`${name} lists and probes in spite of what happens on the way`, async (t) => {
    await using place = await openPlace(subject);
    const { proxy, near, far } = place;
    for (const key of ["lists/a", "lists/b"]) await near.create(key, bytesContent(SMALL));
    for (const row of ANSWER_FAULTS) {
      await t.step(row.name, async () => {
        disturb(proxy, () => true, row);
        assert.deepEqual(await far.list("lists"), ["a", "b"]);
        await probeStore(far);
      });
    }
  });
}

interface Place extends AsyncDisposable {
  readonly proxy: FaultProxy;
  /** A handle that speaks to the server itself. */
  readonly near: ObjectStore;
  /** A handle that speaks to it through the proxy. */
  readonly far: ObjectStore;
}

async function openPlace({ start, open }: NetworkStoreSubject): Promise<Place> {
  const emulator = await start();
  const proxy = new FaultProxy(emulator.url);
  return {
    proxy,
    near: open(emulator.url),
    far: open(proxy.url),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await emulator[Symbol.asyncDispose]();
    },
  };
}

/** Disturbs the first requests of a kind. Returns how many it has disturbed. */
function disturb(
  proxy: FaultProxy,
  isDisturbed: (request: ProxiedRequest) => boolean,
  { times, fault }: Row,
): () => number {
  let count = 0;
  proxy.plan = (request) => count < times && isDisturbed(request) ? (count++, fault) : null;
  return () => count;
}

async function read(store: ObjectStore, key: string): Promise<Uint8Array> {
  const object = await store.get(key);
  assert.ok(object !== null);
  return await readAll(object);
}

function bytes(sizeBytes: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length: sizeBytes }, () => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return state >>> 24;
  });
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
