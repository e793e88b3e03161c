import assert from "node:assert/strict";
import { Semaphore } from "../async/semaphore.ts";
import { ForbiddenError, OverloadedError } from "../errors.ts";
import { forward } from "./forward.ts";

interface Sent {
  readonly url: string;
  readonly method: string | undefined;
  readonly headers: Record<string, string>;
}

interface WorldOptions {
  readonly answer?: (sent: Sent) => Response;
  readonly permits?: number;
}

function world({ answer = () => new Response("body"), permits = 10 }: WorldOptions = {}) {
  const sent: Sent[] = [];
  const refusals: boolean[] = [];
  const options = {
    server: new URL("https://proxy.example.com/go"),
    session: {
      authorization({ isRefused }: { isRefused: boolean }) {
        refusals.push(isRefused);
        return Promise.resolve(isRefused ? "Bearer second" : "Bearer first");
      },
    },
    requests: new Semaphore({
      what: "forward another request",
      permits,
      maxWaiting: 0,
      maxWaitMs: 1,
    }),
    fetch(url: URL, { method, headers, redirect }: RequestInit) {
      assert.equal(redirect, "manual");
      const request = { url: url.href, method, headers: Object.fromEntries(new Headers(headers)) };
      sent.push(request);
      return Promise.resolve(answer(request));
    },
    timeoutMs: 1000,
  };
  return {
    sent,
    refusals,
    forward: (request: Request) => forward(request, options),
  };
}

function request(
  path: string,
  { headers = {}, method = "GET" }: { headers?: Record<string, string>; method?: string } = {},
): Request {
  return new Request(`http://127.0.0.1:8081${path}`, {
    method,
    headers: { Host: "127.0.0.1:8081", ...headers },
  });
}

Deno.test("forward() passes on what the server needs to know, and who asks", async () => {
  const { sent, forward } = world();
  const response = await forward(request("/example.com/%21m/@v/list?x=%20", {
    headers: {
      "Range": "bytes=0-1",
      "Cookie": "c",
      "Via": "v",
      "Accept-Encoding": "gzip",
      "Disable-Module-Fetch": "true",
    },
  }));
  assert.equal(await response.text(), "body");
  assert.deepEqual(sent, [{
    url: "https://proxy.example.com/go/example.com/%21m/@v/list?x=%20",
    method: "GET",
    headers: {
      "accept-encoding": "identity",
      "authorization": "Bearer first",
      "disable-module-fetch": "true",
      "range": "bytes=0-1",
    },
  }]);
});

Deno.test("forward() passes the answer on, without what is between it and the server", async () => {
  const { forward } = world({
    answer: () =>
      new Response("no", {
        status: 403,
        headers: { "Content-Type": "text/plain", "ETag": '"e"', "Set-Cookie": "c", "X-Other": "o" },
      }),
  });
  const response = await forward(request("/m"));
  assert.equal(response.status, 403);
  assert.deepEqual(Object.fromEntries(response.headers), {
    "content-type": "text/plain",
    "etag": '"e"',
  });
});

Deno.test("forward() leaves a client's own Authorization", async () => {
  const { sent, refusals, forward } = world({ answer: () => new Response(null, { status: 401 }) });
  const response = await forward(request("/m", { headers: { Authorization: "Basic x" } }));
  assert.equal(response.status, 401);
  assert.deepEqual(sent.map(({ headers }) => headers["authorization"]), ["Basic x"]);
  assert.deepEqual(refusals, []);
});

Deno.test("forward() logs in again when it is refused, once", async () => {
  const { sent, refusals, forward } = world({
    answer: () => new Response("who?", { status: 401 }),
  });
  const response = await forward(request("/m"));
  assert.equal(response.status, 401);
  assert.equal(await response.text(), "who?");
  assert.deepEqual(refusals, [false, true]);
  assert.deepEqual(sent.map(({ headers }) => headers["authorization"]), [
    "Bearer first",
    "Bearer second",
  ]);
});

const REFUSED: { name: string; request: Request }[] = [
  { name: "POST", request: request("/m", { method: "POST" }) },
  { name: "DELETE", request: request("/m", { method: "DELETE" }) },
  {
    name: "another host's name",
    request: request("/m", { headers: { Host: "evil.example.com" } }),
  },
  {
    name: "a name that begins like ours",
    request: request("/m", { headers: { Host: "127.0.0.1.example.com:8081" } }),
  },
  {
    name: "a URL of another host",
    request: new Request("http://evil.example.com/m", { headers: { Host: "127.0.0.1" } }),
  },
  {
    name: "a bad Host",
    request: request("/m", { headers: { Host: "a b" } }),
  },
  {
    name: "no Host",
    request: request("/m", { headers: { Host: "" } }),
  },
  {
    name: "a script of a page",
    request: request("/m", { headers: { Origin: "https://evil.example.com" } }),
  },
  {
    name: "an image of a page",
    request: request("/m", { headers: { "Sec-Fetch-Site": "cross-site" } }),
  },
];

for (const { name, request } of REFUSED) {
  Deno.test(`forward() refuses ${name}`, async () => {
    const { sent, refusals, forward } = world();
    await assert.rejects(forward(request), ForbiddenError);
    assert.deepEqual({ sent, refusals }, { sent: [], refusals: [] });
  });
}

Deno.test("forward() goes nowhere outside the server's path", async () => {
  const { sent, forward } = world();
  const outside = new Request("http://127.0.0.1/m", { headers: { Host: "127.0.0.1" } });
  // As Deno.serve hands it on: as it was written.
  Object.defineProperty(outside, "url", { value: "http://127.0.0.1/../admin" });
  await forward(outside);
  assert.deepEqual(sent.map(({ url }) => url), ["https://proxy.example.com/go/admin"]);
});

for (const host of ["localhost:8081", "127.0.0.1", "[::1]:8081"]) {
  Deno.test(`forward() takes a request for ${host}`, async () => {
    const { sent, forward } = world();
    await forward(request("/m", { headers: { Host: host } }));
    assert.equal(sent.length, 1);
  });
}

Deno.test("forward() gives a place back when a body ends, is left or never was", async () => {
  const endless = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(new Uint8Array(1)),
    });
  const answers: Record<string, () => Response> = {
    "/none": () => new Response(null),
    "/text": () => new Response("text"),
    "/broken": () =>
      new Response(new ReadableStream({ pull: (controller) => controller.error("gone") })),
    "/endless": () => new Response(endless()),
  };
  const { forward } = world({
    permits: 1,
    answer: ({ url }) => answers[new URL(url).pathname.slice("/go".length)]?.() ?? new Response(),
  });
  await forward(request("/none"));
  await (await forward(request("/text"))).text();
  await assert.rejects(async () => await (await forward(request("/broken"))).text());
  await (await forward(request("/endless"))).body?.cancel();
  const held = await forward(request("/endless"));
  await assert.rejects(forward(request("/none")), OverloadedError);
  await held.body?.cancel();
  await forward(request("/none"));
});
