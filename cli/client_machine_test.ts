import assert from "node:assert/strict";
import { Loopback } from "../tests/fakes/loopback.ts";
import { UpstreamError } from "../lib/errors.ts";
import { openMachine, openPost } from "./client_machine.ts";

const TOO_LONG = "a".repeat(64 * 1024 + 1);

/** A metadata server, and other answers at further paths. */
function startServer(): Loopback {
  return new Loopback(async (request) => {
    const { pathname } = new URL(request.url);
    const flavor = { "Metadata-Flavor": "Google" };
    if (pathname === "/email") {
      return request.headers.get("Metadata-Flavor") === "Google"
        ? new Response("ci@example.com", { headers: flavor })
        : new Response(null, { status: 403 });
    }
    if (pathname === "/long") return new Response(TOO_LONG, { headers: flavor });
    if (pathname === "/other") return new Response("a web page");
    if (pathname === "/away") {
      return new Response(null, { status: 307, headers: { Location: "/echo" } });
    }
    if (pathname === "/echo") {
      const { method, headers } = request;
      return Response.json([method, headers.get("Authorization"), await request.text()]);
    }
    return new Response(null, { status: 404, headers: flavor });
  });
}

async function withMachine(
  test: (machine: ReturnType<typeof openMachine>, parts: {
    readonly url: (path: string) => URL;
    readonly post: ReturnType<typeof openPost>;
  }) => Promise<void>,
): Promise<void> {
  await using server = startServer();
  using client = Deno.createHttpClient({});
  await test(openMachine({ NAME: "value" }, client), {
    url: (path) => new URL(path, server.url),
    post: openPost(client),
  });
}

Deno.test("askMetadata() asks as Google's server demands, and believes no other", () =>
  withMachine(async ({ askMetadata }, { url }) => {
    assert.equal(await askMetadata(url("/email")), "ci@example.com");
    for (const path of ["/other", "/missing", "/away", "/long"]) {
      await assert.rejects(askMetadata(url(path)), UpstreamError, path);
    }
    await assert.rejects(askMetadata(new URL("http://127.0.0.1:1/email")), /no connection/);
  }));

Deno.test("fetchText() takes 200 alone", () =>
  withMachine(async ({ fetchText }, { url }) => {
    const headers = { Authorization: "Bearer t" };
    assert.equal(await fetchText(url("/echo"), headers), '["GET","Bearer t",""]');
    await assert.rejects(fetchText(url("/missing"), headers), /it answered 404/);
    await assert.rejects(fetchText(url("/long"), headers), /larger than/);
  }));

Deno.test("a password follows no redirect, and is not sent in the clear", () =>
  withMachine(async (_machine, { url, post }) => {
    const init = { headers: { Authorization: "Bearer t" }, body: "password" };
    assert.deepEqual(await post(url("/echo"), init), {
      status: 200,
      body: '["POST","Bearer t","password"]',
    });
    assert.deepEqual(await post(url("/away"), init), { status: 307, body: "" });
    await assert.rejects(post(new URL("http://proxy.example.com/"), init), (error: Error) => {
      assert.match(error.message, /only https is allowed/);
      assert.doesNotMatch(error.message, /password|Bearer/);
      return true;
    });
  }));

Deno.test("readFile() and env() have null and undefined for what is not there", () =>
  withMachine(async ({ readFile, env }) => {
    assert.equal(await readFile("/nowhere/token"), null);
    assert.equal(await readFile("/"), null);
    assert.equal(env("NAME"), "value");
    assert.equal(env("OTHER"), undefined);
  }));
