import assert from "node:assert/strict";
import { within } from "../../tests/support/eventually.ts";
import { collectGarbage } from "../../tests/support/garbage.ts";
import { abortableFetch } from "./abortable_fetch.ts";
import { createFetch } from "./client.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const createdFetch = createFetch({ userAgent: "go-mod-proxy/test", via: "1.1 test" });

/** Sends a part of a body and then nothing. */
async function withStalledServer(test: (url: URL) => Promise<void>): Promise<void> {
  const ending = new AbortController();
  const { signal } = ending;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal, onListen: () => {} }, () => {
    const start = new ReadableStream<Bytes>({
      start: (controller) => controller.enqueue(new Uint8Array(100)),
    });
    return new Response(start);
  });
  try {
    await test(new URL(`http://127.0.0.1:${server.addr.port}`));
  } finally {
    ending.abort();
    await server.finished;
  }
}

/** In a function of its own: nothing of the response is left but what it returns. */
async function bodyOf(fetched: Promise<Response>): Promise<ReadableStream<Bytes>> {
  const { body } = await fetched;
  assert.ok(body !== null);
  return body;
}

async function readInPieces(body: ReadableStream<Bytes>): Promise<void> {
  for await (const _ of body);
}

async function readIntoMemory(body: ReadableStream<Bytes>): Promise<void> {
  const reader = body.getReader({ mode: "byob" });
  while (!(await reader.read(new Uint8Array(1000))).done);
}

for (
  const { name, ask } of [
    { name: "abortableFetch()", ask: abortableFetch },
    { name: "createFetch()", ask: createdFetch },
  ]
) {
  Deno.test(`${name}: the signal ends a body whose response nobody keeps`, async (t) => {
    for (const read of [readInPieces, readIntoMemory]) {
      await t.step(read.name, () =>
        withStalledServer(async (url) => {
          const hangUp = new AbortController();
          const reading = read(await bodyOf(ask(url, { signal: hangUp.signal })));
          reading.catch(() => {});
          await collectGarbage();
          const reason = new Error("seen enough");
          hangUp.abort(reason);
          await assert.rejects(within("the body to end", reading, { timeoutMs: 5000 }), reason);
        }));
    }
  });
}
