/**
 * A hook that is asked about zips: what it allows and denies, and that nothing is decided, and
 * nothing is denied, while it is down. upstream/opa_test.ts does the same with the program of
 * others.
 */
import assert from "node:assert/strict";
import { Loopback } from "./fakes/loopback.ts";
import { startUpstream } from "./fakes/upstream.ts";
import { startTestApp } from "./worlds/app.ts";

const modules = ["good", "bad", "slow", "unasked"].map((name) => ({
  path: `example.com/${name}`,
  version: "v1.0.0",
  files: { "go.mod": `module example.com/${name}\n`, "m.go": "package m\n" },
}));

Deno.test("a hook decides about zips, and while it is down they are 503", async (t) => {
  await using upstream = await startUpstream({ modules });
  const asked: unknown[] = [];
  await using hook = new Loopback(async (request) => {
    const body = await request.json();
    asked.push(body);
    if (body.Module === "example.com/bad") return new Response("not vetted\n", { status: 403 });
    if (body.Module === "example.com/slow") {
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    }
    return new Response("fine\n");
  });
  const start = (onError: "deny" | "allow") =>
    startTestApp({
      upstreams: [upstream.url],
      policy: { hook: { kind: "athens", url: hook.url, timeout: "200ms", onError } },
    });
  await using app = await start("deny");
  await using lenient = await start("allow");

  await t.step("it allows and denies, and is asked once", async () => {
    for (let i = 0; i < 2; i++) {
      assert.equal((await app.text("example.com/good/@v/v1.0.0.zip")).status, 200);
      const { status, body } = await app.text("example.com/bad/@v/v1.0.0.zip");
      assert.equal(status, 403);
      // What it says of other versions is not known.
      assert.match(body, /policy rule "hook"\nnot vetted\nrequest id: \S+\n$/);
    }
    assert.deepEqual(asked, [
      { Module: "example.com/good", Version: "v1.0.0" },
      { Module: "example.com/bad", Version: "v1.0.0" },
    ]);
  });

  await t.step("one that does not answer in time has decided nothing", async () => {
    assert.equal((await app.text("example.com/slow/@v/v1.0.0.zip")).status, 503);
    assert.equal((await lenient.text("example.com/slow/@v/v1.0.0.zip")).status, 200);
  });

  await t.step("while it is down, zips are 503, and all else is as ever", async () => {
    await hook.down();
    const response = await app.get("example.com/unasked/@v/v1.0.0.zip");
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("Retry-After"), "30");
    assert.match(await response.text(), /^Cannot determine the decision that the policy asks for/);
    for (const file of ["@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/list", "@latest"]) {
      assert.equal((await app.text(`example.com/unasked/${file}`)).status, 200, file);
    }
    assert.equal((await app.text("example.com/bad/@v/v1.0.0.zip")).status, 403);
    assert.equal((await lenient.text("example.com/unasked/@v/v1.0.0.zip")).status, 200);
    assert.ok(lenient.log.some(({ msg }) => msg === "policy hook failed: allowed"));
  });

  await t.step("when it is up again, it decides", async () => {
    hook.up();
    assert.equal((await app.text("example.com/unasked/@v/v1.0.0.zip")).status, 200);
  });
});
