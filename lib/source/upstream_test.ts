import assert from "node:assert/strict";
import { impatiently } from "../async/patience.ts";
import { DeadlineError, NotFoundError, UpstreamError } from "../errors.ts";
import type { Fetch } from "../http/client.ts";
import { Upstream } from "./upstream.ts";

const TIMES = { smallTimeoutMs: 50, idleTimeoutMs: 50, zipTimeoutMs: 5_000, retryPauseMs: 0 };
const GET = { limitBytes: 100, name: "test", signal: new AbortController().signal };

interface Asked {
  readonly upstream: Upstream;
  readonly requests: { url: string; authorization: string | undefined }[];
}

/** An upstream whose answers come from the list, the last one again and again. */
function upstreamOf(
  answers: readonly (() => Response | Promise<Response>)[],
  url = "https://proxy.example.com/base/",
): Asked {
  const requests: Asked["requests"] = [];
  const fetch: Fetch = (url, init) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push({ url: url.href, authorization: init?.headers?.["Authorization"] });
    if (answer === undefined) throw new Error("no answer");
    return Promise.resolve(answer());
  };
  return { upstream: new Upstream(new URL(url), fetch, TIMES), requests };
}

const ok = () => new Response("fine");
const status = (code: number) => () => new Response("so it is\n", { status: code });
const broken = () => Promise.reject(new UpstreamError("no way", { cause: new TypeError("reset") }));

Deno.test("Upstream.get() asks below the base URL", async () => {
  const { upstream, requests } = upstreamOf([ok]);
  const body = await upstream.get("example.com/%21m/@v/list", GET);
  assert.equal(new TextDecoder().decode(body), "fine");
  assert.equal(requests[0]?.url, "https://proxy.example.com/base/example.com/%21m/@v/list");
});

Deno.test("Upstream makes credentials of userinfo, and shows none", async () => {
  const { upstream, requests } = upstreamOf([ok], "https://us%40er:p%3Ass@proxy.example.com");
  await upstream.get("x", GET);
  assert.equal(requests[0]?.authorization, `Basic ${btoa("us@er:p:ss")}`);
  assert.equal(requests[0]?.url, "https://proxy.example.com/x");
  assert.equal(upstream.url, "https://proxy.example.com");
});

const ROWS: {
  name: string;
  answers: (() => Response | Promise<Response>)[];
  want: typeof UpstreamError | typeof NotFoundError | "fine";
  requests: number;
}[] = [
  { name: "200", answers: [ok], want: "fine", requests: 1 },
  { name: "404", answers: [status(404)], want: NotFoundError, requests: 1 },
  { name: "410", answers: [status(410)], want: NotFoundError, requests: 1 },
  { name: "400", answers: [status(400)], want: UpstreamError, requests: 1 },
  { name: "401", answers: [status(401)], want: UpstreamError, requests: 1 },
  { name: "403", answers: [status(403)], want: UpstreamError, requests: 1 },
  {
    name: "204",
    answers: [() => new Response(null, { status: 204 })],
    want: UpstreamError,
    requests: 1,
  },
  { name: "503 twice", answers: [status(503), status(503), ok], want: "fine", requests: 3 },
  { name: "503 for ever", answers: [status(503)], want: UpstreamError, requests: 3 },
  { name: "429 once", answers: [status(429), ok], want: "fine", requests: 2 },
  { name: "a reset once", answers: [broken, ok], want: "fine", requests: 2 },
  { name: "resets for ever", answers: [broken], want: UpstreamError, requests: 3 },
  { name: "503, then 404", answers: [status(503), status(404)], want: NotFoundError, requests: 2 },
];

Deno.test("Upstream.get() knows what an answer means and when to ask again", async (t) => {
  for (const { name, answers, want, requests } of ROWS) {
    await t.step(name, async () => {
      const asked = upstreamOf(answers);
      const got = asked.upstream.get("x", GET);
      if (want === "fine") assert.equal(new TextDecoder().decode(await got), "fine");
      else await assert.rejects(got, (error) => error instanceof want);
      assert.equal(asked.requests.length, requests);
    });
  }
});

Deno.test("Upstream asks one that has just failed only once", async () => {
  const { upstream, requests } = upstreamOf([broken]);
  await assert.rejects(upstream.get("a", GET));
  assert.equal(requests.length, 3);
  await assert.rejects(upstream.get("b", GET));
  assert.equal(requests.length, 4);
});

Deno.test("Upstream asks once for what nobody has asked for, and trusts the upstream as before", async () => {
  const { upstream, requests } = upstreamOf([broken, broken, broken, ok]);
  await assert.rejects(impatiently(() => upstream.get("a", GET)));
  assert.equal(requests.length, 1);
  await upstream.get("b", GET);
  assert.equal(requests.length, 4);
});

Deno.test("Upstream passes on how long it is to be left alone", async (t) => {
  const date = new Date(Date.now() + 60_000).toUTCString();
  const rows = [
    { code: 429, header: "120", want: (ms: number | null) => ms === 120_000 },
    { code: 503, header: date, want: (ms: number | null) => ms !== null && ms > 50_000 },
    { code: 503, header: "soon", want: (ms: number | null) => ms === null },
    { code: 503, header: null, want: (ms: number | null) => ms === null },
  ];
  for (const { code, header, want } of rows) {
    await t.step(`${code}, ${header}`, async () => {
      const headers: HeadersInit = header === null ? [] : [["Retry-After", header]];
      const { upstream } = upstreamOf([() => new Response("busy\n", { status: code, headers })]);
      await assert.rejects(impatiently(() => upstream.get("a", GET)), (error) => {
        assert.ok(error instanceof UpstreamError);
        assert.ok(want(error.retryAfterMs), `${error.retryAfterMs}`);
        return true;
      });
    });
  }
});

Deno.test("Upstream.get() gives up on silence at once", async () => {
  const { upstream, requests } = upstreamOf([() => new Promise<Response>(() => {})]);
  await assert.rejects(upstream.get("x", GET), DeadlineError);
  assert.equal(requests.length, 1);
});

Deno.test("Upstream.spool() gives up when nothing arrives any more", async () => {
  const directory = await Deno.makeTempDir({ prefix: "upstream-" });
  try {
    const fetch: Fetch = (_url, { signal } = {}) => {
      const body = new ReadableStream({
        start: (controller) => {
          controller.enqueue(new Uint8Array(10));
          signal?.addEventListener("abort", () => controller.error(signal.reason));
        },
      });
      return Promise.resolve(new Response(body));
    };
    const upstream = new Upstream(new URL("https://proxy.example.com"), fetch, TIMES);
    await assert.rejects(
      upstream.spool("x.zip", `${directory}/x`, GET),
      /nothing arrived for 0\.05 s/,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("Upstream passes on the first line of a refusal", async () => {
  const body = "not found: because\nof more\n";
  const { upstream } = upstreamOf([() => new Response(body, { status: 404 })]);
  await assert.rejects(upstream.get("x", GET), { message: "because" });
});
