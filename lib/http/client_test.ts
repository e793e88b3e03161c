import assert from "node:assert/strict";
import { UpstreamError } from "../errors.ts";
import { createFetch, display, isLoopback, limitedBody, readBody } from "./client.ts";

type Handler = (request: Request) => Response;

async function withServer(handler: Handler, test: (url: string) => Promise<void>): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  try {
    await test(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

const fetchTested = createFetch({ userAgent: "go-mod-proxy/test", via: "1.1 test" });

Deno.test("createFetch() says who asks", () =>
  withServer(
    ({ headers }) => new Response(`${headers.get("User-Agent")}, ${headers.get("Via")}`),
    async (url) => {
      const response = await fetchTested(new URL(url), { headers: { "user-agent": "a liar" } });
      assert.equal(await response.text(), "go-mod-proxy/test, 1.1 test");
    },
  ));

Deno.test("createFetch() follows redirects, ten of them", () =>
  withServer((request) => {
    const left = Number(new URL(request.url).pathname.slice(1));
    return left === 0
      ? new Response("there")
      : Response.redirect(new URL(`/${left - 1}`, request.url));
  }, async (url) => {
    assert.equal(await (await fetchTested(new URL(`${url}/10`))).text(), "there");
    await assert.rejects(fetchTested(new URL(`${url}/11`)), /more than 10 redirects/);
  }));

Deno.test("createFetch() keeps Authorization with the origin it is for", () =>
  withServer(
    ({ headers }) => new Response(headers.get("Authorization") ?? "nothing"),
    (elsewhere) =>
      withServer((request) => {
        const { pathname } = new URL(request.url);
        if (pathname === "/out") return Response.redirect(elsewhere);
        if (pathname === "/in") return Response.redirect(new URL("/", request.url));
        return new Response(request.headers.get("Authorization") ?? "nothing");
      }, async (url) => {
        const headers = { authorization: "Bearer secret" };
        const ask = async (path: string) =>
          await (await fetchTested(new URL(path, url), { headers })).text();
        assert.equal(await ask("/in"), "Bearer secret");
        assert.equal(await ask("/out"), "nothing");
      }),
  ));

const REFUSED_REDIRECTS: { name: string; headers: Record<string, string>; message: RegExp }[] = [
  { name: "without a place", headers: {}, message: /without a usable Location/ },
  { name: "to no URL", headers: { Location: "http://" }, message: /without a usable Location/ },
  {
    name: "to a file",
    headers: { Location: "file:///etc/passwd" },
    message: /only https is allowed/,
  },
  {
    name: "to plain http elsewhere",
    headers: { Location: "http://proxy.example.com/" },
    message: /Cannot fetch http:\/\/proxy\.example\.com\/: only https is allowed/,
  },
];

Deno.test("createFetch() refuses a redirect", async (t) => {
  for (const { name, headers, message } of REFUSED_REDIRECTS) {
    await t.step(
      name,
      () =>
        withServer(() => new Response(null, { status: 302, headers }), async (url) => {
          await assert.rejects(fetchTested(new URL(url)), (error) => {
            assert.ok(error instanceof UpstreamError);
            assert.match(error.message, message);
            return true;
          });
        }),
    );
  }
});

Deno.test("createFetch() says why it cannot connect, and no secrets", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(
    fetchTested(new URL(`http://127.0.0.1:${port}/x?token=hunter2`)),
    (error) => {
      assert.ok(error instanceof UpstreamError);
      assert.match(error.message, /^Cannot reach http:\/\/127\.0\.0\.1:\d+: .*refused/i);
      assert.ok(!error.message.includes("hunter2"));
      return true;
    },
  );
});

Deno.test("createFetch() ends with its signal's reason", () =>
  withServer(() => new Response("late"), async (url) => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await assert.rejects(fetchTested(new URL(url), { signal }), reason);
  }));

const limitsOf = (maxBytes: number) => ({ name: "test", maxBytes, timeoutMs: null });

Deno.test("readBody() takes no more than its limit, declared or not", () =>
  withServer((request) => {
    const body = new Uint8Array(1000);
    if (request.url.endsWith("/declared")) return new Response(body);
    return new Response(new Blob([body]).stream());
  }, async (url) => {
    for (const path of ["/declared", "/undeclared"]) {
      const body = async (limitBytes: number) =>
        await readBody(await fetchTested(new URL(path, url)), {
          limits: limitsOf(limitBytes),
          what: "it",
        });
      assert.equal((await body(1000)).length, 1000);
      await assert.rejects(body(999), /Cannot read it: larger than 999 bytes/);
    }
  }));

Deno.test("limitedBody() of no body is nothing", async () => {
  const options = { limits: limitsOf(0), what: "it" };
  assert.deepEqual(await Array.fromAsync(limitedBody(new Response(null), options)), []);
});

Deno.test("isLoopback() knows this machine's names", () => {
  const yes = ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"];
  const no = ["example.com", "127.0.0.1.example.com", "10.0.0.1", "[::]", "localhost.example.com"];
  assert.deepEqual(yes.filter(isLoopback), yes);
  assert.deepEqual(no.filter(isLoopback), []);
});

Deno.test("display() hides what may be secret", () => {
  assert.equal(
    display(new URL("https://u:p@h.example.com/a?token=x#y")),
    "https://h.example.com/a",
  );
});
