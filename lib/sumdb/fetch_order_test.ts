import assert from "node:assert/strict";
import { NotFoundError, UpstreamError } from "../errors.ts";
import { directly, type SumdbUpstream, SumdbWays } from "./fetch_order.ts";

const NAME = "sum.example.com/go";
const OPTIONS = { limitBytes: 1000, signal: new AbortController().signal };

type Answer = "yes" | "no" | "fails";

/** An upstream that gives this answer for every database, and the requests it has received. */
function upstream(name: string, answer: Answer): SumdbUpstream & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    get: (path) => {
      asked.push(path);
      if (answer === "no") return Promise.reject(new NotFoundError("not supported"));
      if (answer === "fails") return Promise.reject(new UpstreamError("broken"));
      return Promise.resolve(new TextEncoder().encode(name));
    },
  };
}

Deno.test("SumdbWays.through() takes the first upstream that supports a database", async (t) => {
  const rows: { answers: Answer[]; want: number | null | "fails" }[] = [
    { answers: [], want: null },
    { answers: ["yes"], want: 0 },
    { answers: ["no"], want: null },
    { answers: ["no", "no"], want: null },
    { answers: ["no", "yes", "yes"], want: 1 },
    { answers: ["fails", "yes"], want: 1 },
    // It may support the database, which must therefore not be contacted directly.
    { answers: ["fails"], want: "fails" },
    { answers: ["fails", "no"], want: "fails" },
    { answers: ["no", "fails"], want: "fails" },
  ];
  for (const { answers, want } of rows) {
    await t.step(`[${answers}]`, async () => {
      const upstreams = answers.map((answer, i) => upstream(String(i), answer));
      const way = new SumdbWays(upstreams).through(NAME, OPTIONS.signal);
      if (want === "fails") return await assert.rejects(way, UpstreamError);
      const fetch = await way;
      const bytes = await fetch?.("lookup/example.com/!a@v1.0.0+incompatible", OPTIONS);
      assert.equal(bytes === undefined ? null : Number(new TextDecoder().decode(bytes)), want);
      assert.deepEqual(
        want === null ? undefined : upstreams[want]?.asked,
        want === null ? undefined : [
          "sumdb/sum.example.com/go/supported",
          "sumdb/sum.example.com/go/lookup/example.com/!a@v1.0.0+incompatible",
        ],
      );
    });
  }
});

Deno.test("SumdbWays.through() asks once for all who want to know, and remembers", async () => {
  for (const answer of ["yes", "no"] as const) {
    const one = upstream("one", answer);
    const ways = new SumdbWays([one]);
    await Promise.all([1, 2, 3].map(() => ways.through(NAME, OPTIONS.signal)));
    await ways.through(NAME, OPTIONS.signal);
    assert.equal(one.asked.length, 1);
    await ways.through("sum.example.org", OPTIONS.signal);
    assert.equal(one.asked.length, 2);
  }
});

Deno.test("SumdbWays.through() asks again after a failure", async () => {
  const one = upstream("one", "fails");
  const ways = new SumdbWays([one]);
  await assert.rejects(ways.through(NAME, OPTIONS.signal), UpstreamError);
  await assert.rejects(ways.through(NAME, OPTIONS.signal), UpstreamError);
  assert.equal(one.asked.length, 2);
});

Deno.test("directly() escapes what a URL would take for something else", async () => {
  const server = upstream("itself", "yes");
  await directly(server)("lookup/example.com/a?b#c%d@v1.0.0", OPTIONS);
  assert.deepEqual(server.asked, ["lookup/example.com/a%3Fb%23c%25d@v1.0.0"]);
});
