import assert from "node:assert/strict";
import { DeadlineError, UpstreamError } from "../lib/errors.ts";
import { createAuthority } from "../tests/fakes/authority.ts";
import { checkHealth } from "./health_check.ts";

const ROWS = [
  { name: "200", handle: () => new Response("ok\n"), want: null },
  { name: "500", handle: () => new Response("bad\n", { status: 500 }), want: UpstreamError },
  { name: "a redirect", handle: () => Response.redirect("http://127.0.0.1/"), want: UpstreamError },
  { name: "silence", handle: () => new Promise<Response>(() => {}), want: DeadlineError },
];

for (const { name, handle, want } of ROWS) {
  Deno.test(`checkHealth() of a server that answers with ${name}`, async () => {
    const paths: string[] = [];
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      paths.push(new URL(request.url).pathname);
      return handle();
    });
    try {
      const asked = checkHealth(new URL(`http://127.0.0.1:${server.addr.port}`), 200);
      if (want === null) await asked;
      else await assert.rejects(asked, want);
      assert.deepEqual(paths, ["/healthz"]);
    } finally {
      // A request that never ends would keep an orderly shutdown waiting.
      void server.shutdown();
    }
  });
}

Deno.test("checkHealth() of nobody", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(checkHealth(new URL(`http://127.0.0.1:${port}`)), UpstreamError);
});

Deno.test("checkHealth() takes a certificate for another name", async () => {
  const { certificate, privateKey } = await (await createAuthority()).issue(["proxy.example.com"]);
  const options = { hostname: "127.0.0.1", port: 0, cert: certificate, key: privateKey };
  const server = Deno.serve({ ...options, onListen() {} }, () => new Response("ok\n"));
  try {
    await checkHealth(new URL(`https://127.0.0.1:${server.addr.port}`));
  } finally {
    await server.shutdown();
  }
});
