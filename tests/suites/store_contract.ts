/**
 * The store's contract as a test, one step for each thing that lib/store/object_store.ts promises.
 * A back end's test is one call of {@linkcode storeContract}.
 *
 * C5, a create that throws although it has taken effect, cannot be provoked from outside.
 * publish_test.ts tests its consequences, and remote back ends provoke it by cutting a connection.
 */
import assert from "node:assert/strict";
import { StorageError, UpstreamError } from "../../lib/errors.ts";
import {
  type ByteRange,
  bytesContent,
  type Content,
  MAX_KEY_BYTES,
  MAX_SEGMENT_BYTES,
  type ObjectStore,
  readAll,
} from "../../lib/store/object_store.ts";
import { within } from "../support/eventually.ts";

/** What a back end brings to its test. */
export interface StoreUnderTest extends AsyncDisposable {
  /** Two handles of one empty store, as two processes have them. */
  readonly replicas: readonly [ObjectStore, ObjectStore];
  /** A handle of an unreachable store, where the back end can be unreachable. */
  readonly broken?: ObjectStore;
  /**
   * The names of temporary things that are in the store now, where the back end has such things.
   */
  readonly leftovers?: () => Promise<string[]>;
  /**
   * Makes a folder look as if nothing had come into it for long, where a store cannot observe
   * others.
   */
  readonly age?: (folder: string) => Promise<void>;
}

/** Past two pages of 1000, which is what GCS and S3 send. */
const MANY = 2500;

/** Declares a test of the store that `open` opens, called `name` in the report. */
export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  Deno.test(`${name} keeps the store's contract`, async (t) => {
    await using subject = await open();
    const [here, there] = subject.replicas;
    const { age, broken, leftovers } = subject;

    await t.step("C1 the first create of a key creates, no later one does", async () => {
      assert.equal(await here.create("c1/key", text("first")), "created");
      assert.equal(await here.create("c1/key", text("second")), "exists");
      assert.equal(await there.create("c1/key", text("third")), "exists");
      assert.equal(await there.create("c1/key", text("first")), "exists");
      assert.equal(await read(here, "c1/key"), "first");
    });

    await t.step(
      "C1 one of 50 that create at once is the first, and what is there is its",
      async () => {
        const outcomes = await Promise.all(
          Array.from(
            { length: 50 },
            (_, i) => (i % 2 ? here : there).create("c1/raced", text(`writer ${i}`)),
          ),
        );
        assert.equal(
          outcomes.filter((outcome) => outcome === "created").length,
          1,
        );
        assert.equal(outcomes.filter((outcome) => outcome === "exists").length, 49);
        const winner = `writer ${outcomes.indexOf("created")}`;
        assert.equal(await read(here, "c1/raced"), winner);
        assert.equal(await read(there, "c1/raced"), winner);
      },
    );

    await t.step("C1 keys of which one begins with the other are two", async () => {
      assert.equal(await here.create("c1/v1.0.0-rc.1", text("candidate")), "created");
      assert.equal(await here.create("c1/v1.0.0", text("release")), "created");
      assert.equal(await read(here, "c1/v1.0.0"), "release");
      assert.equal(await read(here, "c1/v1.0.0-rc.1"), "candidate");
    });

    for (const sizeBytes of [0, 1, 65_536, 3_000_001]) {
      await t.step(`C2 ${sizeBytes} bytes come back as they were`, async () => {
        const bytes = noise(sizeBytes);
        assert.equal(await here.create(`c2/size/${sizeBytes}`, bytesContent(bytes)), "created");
        const object = await there.get(`c2/size/${sizeBytes}`);
        assert.ok(object !== null);
        assert.equal(object.sizeBytes, sizeBytes);
        assert.ok(equal(await readAll(object), bytes));
      });
    }

    await t.step("C2 C4 nothing is there until all of it is", async () => {
      const gate = Promise.withResolvers<void>();
      const slow = stalling(noise(100_000), gate.promise);
      const created = here.create("c2/slow/key", slow.content);
      await within("the content to be read", slow.stalled);
      for (const store of [here, there]) {
        assert.equal(await store.get("c2/slow/key"), null);
        assert.deepEqual(await store.list("c2/slow"), []);
      }
      gate.resolve();
      assert.equal(await created, "created");
      const object = await there.get("c2/slow/key");
      assert.ok(object !== null && equal(await readAll(object), noise(100_000)));
    });

    const faulty: { name: string; content: Content }[] = [
      { name: "less than it says", content: { ...bytesContent(noise(999)), sizeBytes: 1000 } },
      { name: "more than it says", content: { ...bytesContent(noise(1001)), sizeBytes: 1000 } },
      { name: "nothing of what it says", content: { ...bytesContent(noise(0)), sizeBytes: 1000 } },
      { name: "an error half-way", content: failing(noise(1000)) },
    ];
    for (const { name, content } of faulty) {
      await t.step(`C2 content that has ${name} is not created`, async () => {
        const key = `c2/${name.replaceAll(" ", "-")}`;
        await assert.rejects(here.create(key, content));
        assert.equal(await there.get(key), null);
        assert.equal(await there.create(key, text("good")), "created");
      });
    }

    await t.step("C2 a failure of the content that has a meaning keeps it", async () => {
      const content = failing(noise(1000), new UpstreamError("the content's own failure"));
      await assert.rejects(here.create("c2/upstream", content), UpstreamError);
    });

    const ranges: (ByteRange & { name: string })[] = [
      { name: "the first byte", start: 0, end: 1 },
      { name: "the last byte", start: 199_999, end: 200_000 },
      { name: "bytes in the middle", start: 70_000, end: 170_001 },
      { name: "all but the first byte", start: 1, end: 200_000 },
      { name: "everything", start: 0, end: 200_000 },
      { name: "nothing at the start", start: 0, end: 0 },
      { name: "nothing at the end", start: 200_000, end: 200_000 },
    ];
    for (const { name, ...range } of ranges) {
      await t.step(`C2 a range of ${name} is exactly that`, async () => {
        await here.create("c2/ranges", bytesContent(noise(200_000)));
        const object = await there.get("c2/ranges", { range });
        assert.ok(object !== null);
        assert.equal(object.sizeBytes, 200_000);
        assert.ok(equal(await readAll(object), noise(200_000).slice(range.start, range.end)));
      });
    }

    const noRanges = [[0, 11], [10, 11], [11, 12], [6, 5], [-1, 5]] as const;
    for (const [start, end] of noRanges) {
      const range = { start, end };
      await t.step(`C2 10 bytes have no range from ${start} to ${end}`, async () => {
        await here.create("c2/short", bytesContent(noise(10)));
        await assert.rejects(there.get("c2/short", { range }), StorageError);
      });
    }

    await t.step("C2 who stops reading does not disturb who reads", async () => {
      await here.create("c2/left", bytesContent(noise(500_000)));
      for (const range of [undefined, { start: 1, end: 400_000 }]) {
        const [left, stayed] = await Promise.all([
          here.get("c2/left", { range }),
          here.get("c2/left"),
        ]);
        assert.ok(left !== null && stayed !== null);
        const reader = left.body.getReader();
        await reader.read();
        await reader.cancel();
        assert.ok(equal(await readAll(stayed), noise(500_000)));
      }
    });

    await t.step("C3 C4 what one replica created, or found, the other sees at once", async () => {
      for (let i = 0; i < 10; i++) {
        await here.create(`c3/key${i}`, text(`${i}`));
        assert.equal(await read(there, `c3/key${i}`), `${i}`);
        assert.ok((await there.list("c3")).includes(`key${i}`));
        assert.equal(await there.create(`c3/key${i}`, text("other")), "exists");
        assert.equal(await read(here, `c3/key${i}`), `${i}`);
      }
    });

    await t.step("C4 a list names the objects of its folder and nothing else", async () => {
      for (const key of ["c4/f/b", "c4/f/a", "c4/f/sub/c", "c4/f-x/d", "c4/e"]) {
        await here.create(key, text(key));
      }
      assert.deepEqual(await there.list("c4/f"), ["a", "b"]);
      assert.deepEqual(await there.list("c4/f/sub"), ["c"]);
      assert.deepEqual(await there.list("c4"), ["e"]);
      assert.deepEqual(await there.list("c4/f", { limit: 1 }), ["a"]);
    });

    await t.step(
      `C4 a list of ${MANY} names is whole, in order, and can be had in parts`,
      async () => {
        const names = manyNames();
        const waiting = [...names].reverse();
        await Promise.all(Array.from({ length: 50 }, async () => {
          for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
            await here.create(`c4/many/${name}`, text(""));
          }
        }));
        const rows = [
          { options: {}, want: names },
          { options: { limit: MANY + 1 }, want: names },
          { options: { limit: 0 }, want: [] },
          { options: { limit: 1 }, want: names.slice(0, 1) },
          { options: { limit: 1001 }, want: names.slice(0, 1001) },
          { options: { after: names[0] }, want: names.slice(1) },
          { options: { after: names[999], limit: 1000 }, want: names.slice(1000, 2000) },
          { options: { after: names[1234], limit: 2 }, want: names.slice(1235, 1237) },
          // Not the name of an object.
          { options: { after: "v1.100.0-", limit: 1 }, want: ["v1.100.0-rc.1"] },
          // In the order of bytes, "+" comes before "-" and both before ".".
          {
            options: { after: "v1.100.0", limit: 2 },
            want: ["v1.100.0+incompatible", "v1.100.0-rc.1"],
          },
          { options: { after: names.at(-1) }, want: [] },
          { options: { after: "~~" }, want: [] },
        ];
        for (const { options, want } of rows) {
          assert.deepEqual(await there.list("c4/many", options), want, JSON.stringify(options));
        }
      },
    );

    await t.step("C6 what is not there is null, and its folder is empty", async () => {
      await here.create("c6/folder/key", text("x"));
      const absent = [
        "c6/key",
        "c6/folder/ke",
        "c6/folder/key2",
        "c6/folder",
        "c6/folder/key/below",
      ];
      for (const key of absent) {
        assert.equal(await here.get(key), null, key);
        assert.equal(await here.get(key, { range: { start: 0, end: 1 } }), null, key);
      }
      for (const folder of ["c6/none", "c6/folder/key", "c6/folder/key/below", "c6/fold"]) {
        assert.deepEqual(await here.list(folder), [], folder);
      }
    });

    await t.step({
      name: "C6 a store that is out of reach never says that something is not there",
      ignore: broken === undefined,
      fn: async () => {
        assert.ok(broken !== undefined);
        const isStorageError = (error: unknown) =>
          error instanceof StorageError && error.message.includes(broken.description);
        await assert.rejects(broken.get("c6/key"), isStorageError);
        await assert.rejects(broken.create("c6/key", text("x")), isStorageError);
        await assert.rejects(broken.list("c6"), isStorageError);
        await assert.rejects(Array.fromAsync(broken.walk()), isStorageError);
      },
    });

    const goodKeys = [
      "c7/ABCXYZabcxyz0189!+._~@-",
      "c7/-/+/~/!/@/_",
      "c7/a..b/c.",
      "c7/@v/v1.0.0+incompatible",
      `c7/${"s".repeat(MAX_SEGMENT_BYTES)}`,
      `c7/${"s/".repeat((MAX_KEY_BYTES - 4) / 2)}k`.padEnd(MAX_KEY_BYTES, "k"),
    ];
    for (const key of goodKeys) {
      await t.step(`C7 ${short(key)} is a key`, async () => {
        assert.equal(await here.create(key, text(key)), "created");
        assert.equal(await read(there, key), key);
        const slash = key.lastIndexOf("/");
        assert.ok((await there.list(key.slice(0, slash))).includes(key.slice(slash + 1)));
      });
    }

    const badKeys = [
      "",
      "/",
      "/c7",
      "c7/",
      "c7//a",
      ".",
      "..",
      "../c7",
      "c7/../a",
      "c7/./a",
      ".tmp/a",
    ]
      .concat([
        "c7/.a",
        "c7/a b",
        "c7/a\nb",
        "c7/a\\b",
        "c7/a%2fb",
        "c7/a:b",
        "c7/ä",
        "c7/\0",
        "c7/a?b",
      ])
      .concat([`c7/${"s".repeat(MAX_SEGMENT_BYTES + 1)}`, "k/".repeat(MAX_KEY_BYTES / 2) + "k"]);
    for (const key of badKeys) {
      await t.step(`C7 ${short(JSON.stringify(key))} is no key`, async () => {
        // A programming error, not a failure of the store.
        const isPlain = (error: unknown) =>
          error instanceof Error && !(error instanceof StorageError);
        await assert.rejects(here.get(key), isPlain);
        await assert.rejects(here.create(key, text("x")), isPlain);
        await assert.rejects(here.list(key), isPlain);
      });
    }

    await t.step("C8 with an aborted signal nothing begins", async () => {
      await here.create("c8/there", text("x"));
      const reason = new Error("too late");
      const signal = AbortSignal.abort(reason);
      await assert.rejects(here.get("c8/there", { signal }), reason);
      await assert.rejects(here.list("c8", { signal }), reason);
      await assert.rejects(here.create("c8/early", text("x"), { signal }), reason);
      assert.equal(await there.get("c8/early"), null);
    });

    await t.step("C8 a create that is aborted under way leaves nothing behind", async () => {
      const reason = new Error("deadline");
      const controller = new AbortController();
      const slow = stalling(noise(100_000), new Promise(() => {}));
      const created = here.create("c8/aborted", slow.content, { signal: controller.signal });
      await within("the content to be read", slow.stalled);
      controller.abort(reason);
      await assert.rejects(created, reason);
      await within("the content to be cancelled", slow.cancelled);
      assert.equal(await there.get("c8/aborted"), null);
      assert.equal(await there.create("c8/aborted", text("again")), "created");
      assert.equal(await read(here, "c8/aborted"), "again");
    });

    await t.step("C8 a get's signal ends with its answer", async () => {
      await here.create("c8/body", bytesContent(noise(500_000)));
      for (const range of [undefined, { start: 0, end: 500_000 }]) {
        const controller = new AbortController();
        const object = await there.get("c8/body", { range, signal: controller.signal });
        controller.abort(new Error("deadline"));
        assert.ok(object !== null && equal(await readAll(object), noise(500_000)));
      }
    });

    await t.step("C8 readAll() ends a body with its own signal", async () => {
      const object = await there.get("c8/body");
      const reason = new Error("deadline");
      assert.ok(object !== null);
      await assert.rejects(readAll(object, AbortSignal.abort(reason)), reason);
    });

    await t.step("C9 a walk names everything once, in order, and no folder", async () => {
      const keys = await Array.fromAsync(there.walk());
      assert.deepEqual(keys, [...new Set(keys)].sort());
      // Of each kind: by itself, deep, beside a folder of the same name and more, among very many.
      const some = ["c1/key", "c2/slow/key", "c1/v1.0.0", "c1/v1.0.0-rc.1", "c9/a-b", "c9/a/b"];
      await here.create("c9/a-b", text("x"));
      await here.create("c9/a/b", text("x"));
      const all = new Set(await Array.fromAsync(there.walk()));
      for (const key of [...keys, ...some, ...goodKeys]) assert.ok(all.has(key), short(key));
      assert.equal(all.size, keys.length + 2);
      assert.ok(!all.has("c2/aborted") && !all.has("c8/early"));
    });

    await t.step("C8 C9 a walk ends with its signal", async () => {
      const reason = new Error("deadline");
      await assert.rejects(
        Array.fromAsync(here.walk({ signal: AbortSignal.abort(reason) })),
        reason,
      );
      const controller = new AbortController();
      const keys = here.walk({ signal: controller.signal })[Symbol.asyncIterator]();
      assert.equal((await keys.next()).done, false);
      controller.abort(reason);
      const rest = { [Symbol.asyncIterator]: () => keys };
      await assert.rejects(Array.fromAsync(rest), reason);
    });

    await t.step({
      name: "C10 a folder is unchanged until something comes into it, by whomever",
      ignore: here.observe === undefined,
      fn: async () => {
        const writes = [[here, "c10/a"], [there, "c10/b"], [there, "c10/c"]] as const;
        for (const [writer, key] of writes) {
          const observed = [here, there].map((store) => store.observe?.("c10") ?? null);
          const isUnchanged = () => observed.map((one) => one?.());
          assert.deepEqual(isUnchanged(), [true, true], `before ${key}`);
          await here.list("c10");
          assert.equal(await writer.create(key, text("x")), "created");
          assert.deepEqual(isUnchanged(), [false, false], `after ${key}`);
          await age?.("c10");
          const later = here.observe?.("c10") ?? null;
          assert.equal(await writer.create(key, text("y")), "exists");
          assert.equal(later?.(), true, "nothing has come");
        }
      },
    });

    await t.step({
      name: "C2 C8 after all this nothing temporary is left",
      ignore: leftovers === undefined,
      fn: async () => assert.deepEqual(await leftovers?.(), []),
    });
  });
}

function text(content: string): Content {
  return bytesContent(new TextEncoder().encode(content));
}

async function read(store: ObjectStore, key: string): Promise<string | null> {
  const object = await store.get(key);
  return object === null ? null : new TextDecoder().decode(await readAll(object));
}

/** Bytes of which no part looks like another; the same at each call. */
function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  let state = 1;
  for (let i = 0; i < sizeBytes; i++) {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** As assert.deepEqual, which takes seconds for megabytes. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * Content whose second half waits for `gate`. `stalled` resolves when it does; `cancelled` when it
 * is given up.
 */
function stalling(bytes: Uint8Array<ArrayBuffer>, gate: Promise<void>) {
  const stalled = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const middle = bytes.length >> 1;
  const open = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => controller.enqueue(bytes.slice(0, middle)),
      async pull(controller) {
        stalled.resolve();
        await gate;
        controller.enqueue(bytes.slice(middle));
        controller.close();
      },
      cancel: () => cancelled.resolve(),
    });
  const content: Content = { sizeBytes: bytes.length, open };
  return { content, stalled: stalled.promise, cancelled: cancelled.promise };
}

function failing(bytes: Uint8Array<ArrayBuffer>, error = new Error("the content fails")): Content {
  return {
    sizeBytes: bytes.length * 2,
    open: () =>
      new ReadableStream<Uint8Array<ArrayBuffer>>({
        start: (controller) => controller.enqueue(bytes),
        pull: (controller) => controller.error(error),
      }),
  };
}

/**
 * Names of all kinds of letters that a key may have, in the order of their bytes, which is none of
 * any language.
 */
function manyNames(): string[] {
  const forms = [
    "v1.%.0",
    "v1.%.0-rc.1",
    "v1.%.0+incompatible",
    "v!a%",
    "%",
    "A%",
    "a~%",
    "_%",
    "-%",
    "@%",
  ];
  return Array.from(
    { length: MANY },
    (_, i) => (forms[i % forms.length] ?? "").replace("%", `${Math.floor(i / forms.length)}`),
  ).sort();
}

function short(key: string): string {
  return key.length > 60 ? `${key.slice(0, 20)}… of ${key.length} bytes` : key;
}
