import assert from "node:assert/strict";
import { FaultyStore } from "../../tests/fakes/faulty_store.ts";
import { StorageError } from "../errors.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { bytesContent, type Content, type ObjectStore } from "./object_store.ts";
import { checkStore, PROBE_KEY, probeStore } from "./probe.ts";

/** A store that keeps the contract but for what `broken` does instead. */
function storeWith(broken: (good: MemoryStore) => Partial<ObjectStore>): ObjectStore {
  const good = new MemoryStore();
  return {
    description: "bucket b",
    get: (key, options) => good.get(key, options),
    create: (key, content, options) => good.create(key, content, options),
    list: (folder, options) => good.list(folder, options),
    walk: (options) => good.walk(options),
    ...broken(good),
  };
}

/** An object storage without conditions: the last one to write stays. */
class Overwriting extends Map<string, Content> {
  create(key: string, content: Content): Promise<"created"> {
    this.set(key, content);
    return Promise.resolve("created");
  }
}

Deno.test("probeStore() takes a good store, new or used, and leaves two objects", async () => {
  const store = new MemoryStore();
  for (const nonce of ["1", "2", "3"]) await probeStore(store, nonce);
  assert.deepEqual(await store.list("p1"), ["probe", "probe-in-parts"]);
});

Deno.test("probeStore() takes a store that another process probes at the same time", async () => {
  const store = new MemoryStore();
  await Promise.all(["1", "2", "3", "4"].map((nonce) => probeStore(store, nonce)));
});

Deno.test("probeStore() refuses a store that breaks the contract, and says how", async (t) => {
  const rows = [
    {
      name: "no condition at all",
      store: storeWith(() => {
        const objects = new Overwriting();
        return { create: (key, content) => objects.create(key, content) };
      }),
      want: /at once are both told/,
    },
    {
      name: "looks, then writes",
      store: storeWith((good) => ({
        async create(key, content) {
          if (await good.get(key) !== null) return "exists";
          await good.create(key, content);
          return "created";
        },
      })),
      want: /at once are both told/,
    },
    {
      name: "no condition in parts",
      store: storeWith((good) => ({
        async create(key, content, options) {
          const outcome = await good.create(key, content);
          return options?.inParts ? "created" : outcome;
        },
      })),
      want: /at once are both told/,
    },
    {
      name: "forgets what it has",
      store: storeWith((good) => {
        const outcomes: ("created" | "exists")[] = ["created", "exists", "created"];
        return {
          async create(key, content) {
            await good.create(key, content);
            return outcomes.shift() ?? "exists";
          },
        };
      }),
      want: /told that it is new/,
    },
    {
      name: "says exists and overwrites",
      store: storeWith(() => {
        const objects = new Overwriting();
        return {
          async create(key, content) {
            const isThere = objects.has(key);
            await objects.create(key, content);
            return isThere ? "exists" : "created";
          },
          get(key) {
            const content = objects.get(key);
            if (content === undefined) return Promise.resolve(null);
            return Promise.resolve({ sizeBytes: content.sizeBytes, body: content.open() });
          },
        };
      }),
      want: /replaces it/,
    },
    {
      name: "reads nothing",
      store: storeWith(() => ({ get: () => Promise.resolve(null) })),
      want: /is not there/,
    },
    {
      name: "lists nothing",
      store: storeWith(() => ({ list: () => Promise.resolve([]) })),
      want: /is not listed/,
    },
  ];
  for (const { name, store, want } of rows) {
    await t.step(name, async () => {
      await assert.rejects(
        probeStore(store, "1"),
        (error) =>
          error instanceof Error && !(error instanceof StorageError) &&
          error.message.startsWith("Cannot use bucket b as a store: ") && want.test(error.message),
      );
    });
  }
});

Deno.test("probeStore() passes the store's own trouble on, whichever call has it", async (t) => {
  for (let index = 0; index < 10; index++) {
    await t.step(`call ${index}`, async () => {
      const store = new FaultyStore(
        new MemoryStore(),
        (call) => call.index === index ? "fail" : null,
      );
      await assert.rejects(probeStore(store, "1"), StorageError);
    });
  }
});

Deno.test("checkStore() reads what the probe left", async () => {
  const store = new MemoryStore();
  const { signal } = new AbortController();
  await assert.rejects(checkStore(store, signal), StorageError);
  await store.create(PROBE_KEY, bytesContent(new Uint8Array(1)));
  await checkStore(store, signal);
  await assert.rejects(checkStore(new FaultyStore(store, () => "fail"), signal), StorageError);
});
