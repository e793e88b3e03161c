import assert from "node:assert/strict";
import { StorageError } from "../errors.ts";
import { FAST } from "../../tests/suites/network_store_suite.ts";
import { StoreClient, type StoreClientOptions, type StoreRequest } from "./store_client.ts";

const REQUEST: StoreRequest = { method: "GET", url: new URL("https://store.example.com/a") };

function client(options: Partial<StoreClientOptions>): StoreClient {
  return new StoreClient({
    description: "bucket b",
    fetch: () => Promise.resolve(new Response("")),
    authorize: () => Promise.resolve({}),
    times: FAST,
    ...options,
  });
}

Deno.test("StoreClient.ask() asks again while trouble may pass, and no longer", async (t) => {
  const rows = [
    { statuses: [200], want: 200 },
    { statuses: [500, 502, 503, 504, 200], want: 200 },
    { statuses: [408, 429, 404], want: 404 },
    { statuses: [409, 200], want: 409 },
    { statuses: [403, 200], want: 403 },
    { statuses: [301, 200], want: 301 },
    { statuses: [503, 503, 503, 503, 503, 200], want: null },
  ];
  for (const { statuses, want } of rows) {
    await t.step(statuses.join(", "), async () => {
      const left = [...statuses];
      const asked = client({
        fetch: () => Promise.resolve(new Response(null, { status: left.shift() ?? 0 })),
      }).ask(REQUEST, { what: "read" });
      if (want === null) await assert.rejects(asked, StorageError);
      else assert.equal((await asked).status, want);
      assert.equal(
        statuses.length - left.length,
        Math.min(5, statuses.indexOf(want ?? 0) + 1 || 5),
      );
    });
  }
});

Deno.test("StoreClient gives the reason that the server has, and nothing that it should not", async (t) => {
  const refusal = `<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>It does
    not match</Message><AWSAccessKeyId>AKID</AWSAccessKeyId><StringToSign>SECRET</StringToSign></Error>`;
  const rows = [
    { text: "", want: "the server answers 403" },
    { text: "Forbidden\nfor you", want: "the server answers 403, Forbidden" },
    {
      text: `{"error": {"code": 403, "message": "caller \\"x\\" lacks access", "errors": []}}`,
      want: `the server answers 403, caller \\"x\\" lacks access`,
    },
    { text: refusal, want: "the server answers 403, SignatureDoesNotMatch: It does" },
    {
      text: refusal.replaceAll("\n", ""),
      want: "the server answers 403, SignatureDoesNotMatch: It does    not match",
    },
    { text: refusal.slice(0, -8), want: "the server answers 403" },
    { text: "<html><body>SECRET</body></html>", want: "the server answers 403" },
    {
      text: "<Error><Message>&#x110000;&lt;</Message></Error>",
      want: "the server answers 403, &#x110000;<",
    },
    { text: "x".repeat(1000), want: `the server answers 403, ${"x".repeat(300)}` },
  ];
  for (const { text, want } of rows) {
    await t.step(text.slice(0, 40), () => {
      const error = client({}).refusal({ status: 403, text }, `read "k" from`);
      assert.equal(error.message, `Cannot read "k" from bucket b: ${want}`);
    });
  }
});

Deno.test("StoreClient.ask() ends with its signal, also between two attempts", async () => {
  const reason = new Error("gone");
  const controller = new AbortController();
  const asked = client({
    times: { ...FAST, retryPauseMs: 60_000 },
    fetch: () => {
      setTimeout(() => controller.abort(reason));
      return Promise.resolve(new Response("", { status: 503 }));
    },
  }).ask(REQUEST, { what: "read", signal: controller.signal });
  await assert.rejects(asked, reason);
});

Deno.test("StoreClient.ask() refuses an answer that is far too large", async () => {
  const asked = client({
    fetch: () => Promise.resolve(new Response(new Uint8Array(5 * 1024 * 1024))),
  }).ask(REQUEST, { what: "list" });
  await assert.rejects(asked, /larger than/);
});

Deno.test("StoreClient says once that there are no credentials, and sends nothing", async () => {
  let attempts = 0;
  const asked = client({
    authorize: () => (attempts++, Promise.reject(new Error("no metadata server"))),
    fetch: () => assert.fail("a request without credentials"),
  }).ask(REQUEST, { what: "read" });
  await assert.rejects(asked, {
    message: "Cannot use bucket b: no credentials",
    cause: new Error("no metadata server"),
  });
  assert.equal(attempts, 1);
});
