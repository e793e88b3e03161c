import assert from "node:assert/strict";
import { type Answer, responseOf } from "./answer.ts";

const ANSWER: Answer = {
  status: 200,
  headers: { "Cache-Control": "public, max-age=60", "Vary": "Accept-Encoding" },
  body: new TextEncoder().encode("hello\n"),
  sizeBytes: 6,
};

Deno.test("responseOf() says how large the body is, and by which id the log has the request", async () => {
  const response = responseOf(ANSWER, { requestId: "42" });
  assert.equal(response.status, 200);
  assert.deepEqual([...response.headers], [
    ["cache-control", "public, max-age=60"],
    ["content-length", "6"],
    ["referrer-policy", "no-referrer"],
    ["vary", "Accept-Encoding"],
    ["x-content-type-options", "nosniff"],
    ["x-request-id", "42"],
  ]);
  assert.equal(await response.text(), "hello\n");
});

Deno.test("responseOf() lets nobody between keep what clients have different answers to", async (t) => {
  const rows = [
    {
      name: "public",
      headers: ANSWER.headers,
      want: { cacheControl: "private, max-age=60", vary: "Accept-Encoding, Authorization" },
    },
    {
      name: "public, the same for all requests",
      headers: { "Cache-Control": "public, max-age=60" },
      want: { cacheControl: "private, max-age=60", vary: "Authorization" },
    },
    {
      name: "kept by nobody anyway",
      headers: { "Cache-Control": "no-store" },
      want: { cacheControl: "no-store", vary: null },
    },
    { name: "nothing said", headers: {}, want: { cacheControl: null, vary: null } },
  ];
  for (const { name, headers, want } of rows) {
    await t.step(name, () => {
      const response = responseOf({ ...ANSWER, headers }, { requestId: "1", answersDiffer: true });
      assert.deepEqual({
        cacheControl: response.headers.get("Cache-Control"),
        vary: response.headers.get("Vary"),
      }, want);
    });
  }
});

Deno.test("responseOf() gives each challenge a header of its own", () => {
  const challenges = ['Basic realm="x"', 'Bearer realm="x"'];
  const answer = { status: 401, headers: {}, challenges, body: null };
  const { headers } = responseOf(answer, { requestId: "1" });
  // It is only shown as one.
  assert.equal(headers.get("WWW-Authenticate"), challenges.join(", "));
});
