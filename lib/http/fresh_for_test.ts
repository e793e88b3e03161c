import assert from "node:assert/strict";
import { freshForMs } from "./fresh_for.ts";

const ROWS: { name: string; headers: Record<string, string>; want: number }[] = [
  { name: "nothing said", headers: {}, want: 0 },
  { name: "max-age", headers: { "Cache-Control": "public, max-age=60" }, want: 60_000 },
  {
    name: "max-age, some of it gone",
    headers: { "Cache-Control": "max-age=60", "Age": "45" },
    want: 15_000,
  },
  { name: "all of it gone", headers: { "Cache-Control": "max-age=60", "Age": "61" }, want: 0 },
  {
    name: "for shared caches",
    headers: { "Cache-Control": "max-age=60, s-maxage=5" },
    want: 5_000,
  },
  { name: "not for shared caches", headers: { "Cache-Control": "private, max-age=60" }, want: 0 },
  { name: "no-store", headers: { "Cache-Control": "no-store, max-age=60" }, want: 0 },
  { name: "no-cache", headers: { "Cache-Control": "no-cache, max-age=60" }, want: 0 },
  { name: "nonsense", headers: { "Cache-Control": "max-age=soon" }, want: 0 },
  // An old Last-Modified is a reason for caches to guess.
  {
    name: "nothing guessed",
    headers: { "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT" },
    want: 0,
  },
];

Deno.test("freshForMs() is what the answer says, and nothing else", async (t) => {
  for (const { name, headers, want } of ROWS) {
    await t.step(name, () => {
      const url = new URL("https://proxy.example.com/example.com/m/@v/list");
      assert.equal(freshForMs(url, new Response("x", { headers })), want);
    });
  }
});
