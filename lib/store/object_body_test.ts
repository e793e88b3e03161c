import assert from "node:assert/strict";
import { StorageError } from "../errors.ts";
import { FAST } from "../../tests/suites/network_store_suite.ts";
import { getObject } from "./object_body.ts";
import { type ByteRange, readAll } from "./object_store.ts";
import { StoreClient } from "./store_client.ts";

const TEN = new TextEncoder().encode("0123456789");

/** An object that is read with these answers, one after the other. */
async function read(answers: readonly Response[], range?: ByteRange): Promise<string> {
  const left = [...answers];
  const client = new StoreClient({
    description: "bucket b",
    fetch: () => Promise.resolve(left.shift() ?? new Response("", { status: 400 })),
    authorize: () => Promise.resolve({}),
    times: FAST,
  });
  const object = await getObject(client, {
    request: { method: "GET", url: new URL("https://store.example.com/a") },
    what: "read",
    crc32cIn: (headers) => headers.get("crc32c"),
    isAbsent: () => true,
    sizeOf: () => Promise.resolve(null),
  }, { range });
  assert.ok(object !== null);
  return new TextDecoder().decode(await readAll(object));
}

/** An answer with a part of the ten bytes, which breaks off after `sent` of them. */
function part(start: number, end: number, { sent = end - start, etag = "1", size = 10 } = {}) {
  const isWhole = start === 0 && end === 10;
  const chunks = sent === 0 ? [] : [TEN.slice(start, start + sent)];
  const headers: Record<string, string> = { ETag: etag, "Content-Length": `${end - start}` };
  if (!isWhole) headers["Content-Range"] = `bytes ${start}-${end - 1}/${size}`;
  return new Response(ReadableStream.from(chunks), { status: isWhole ? 200 : 206, headers });
}

Deno.test("getObject() puts the pieces of a broken body together", async (t) => {
  const rows: { name: string; answers: Response[]; range?: ByteRange; want: string }[] = [
    { name: "whole", answers: [part(0, 10)], want: "0123456789" },
    {
      name: "broken in three",
      answers: [part(0, 10, { sent: 3 }), part(3, 10, { sent: 1 }), part(4, 10)],
      want: "0123456789",
    },
    {
      name: "broken at once",
      answers: [part(0, 10, { sent: 0 }), part(0, 10)],
      want: "0123456789",
    },
    {
      name: "a broken range",
      answers: [part(2, 8, { sent: 3 }), part(5, 8)],
      range: { start: 2, end: 8 },
      want: "234567",
    },
  ];
  for (const { name, answers, range, want } of rows) {
    await t.step(name, async () => assert.equal(await read(answers, range), want));
  }
});

Deno.test("getObject() never takes what is not the object's for its rest", async (t) => {
  const broken = () => part(0, 10, { sent: 4 });
  const rows: { name: string; answers: Response[]; range?: ByteRange }[] = [
    { name: "another object", answers: [broken(), part(4, 10, { etag: "2" })] },
    { name: "another range", answers: [broken(), part(5, 10)] },
    { name: "the whole", answers: [broken(), part(0, 10)] },
    { name: "a refusal", answers: [broken(), new Response("", { status: 403 })] },
    { name: "nothing any more", answers: [broken(), new Response("", { status: 404 })] },
    { name: "too much", answers: [part(0, 10), part(0, 10)].map((answer) => withTail(answer)) },
    { name: "a wrong sum", answers: [withSum(part(0, 10), "AAAAAA==")] },
    { name: "the whole for a range", answers: [part(0, 10)], range: { start: 1, end: 3 } },
    { name: "less than the range", answers: [part(1, 10)], range: { start: 1, end: 11 } },
    { name: "no size", answers: [new Response("0123456789")] },
    {
      name: "no place",
      answers: [new Response("1", { status: 206 })],
      range: { start: 1, end: 2 },
    },
  ];
  for (const { name, answers, range } of rows) {
    await t.step(name, async () => {
      await assert.rejects(read(answers, range), StorageError);
    });
  }
});

function withSum(response: Response, sum: string): Response {
  response.headers.set("crc32c", sum);
  return response;
}

function withTail({ status, headers }: Response): Response {
  return new Response("0123456789 and more", { status, headers });
}
