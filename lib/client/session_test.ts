import assert from "node:assert/strict";
import { Session } from "./session.ts";

/** A session, what was posted, and a clock. */
function world(status = 200) {
  const world = { posts: 0, found: 0, nowMs: 1_000_000 };
  const session = new Session({
    server: new URL("https://proxy.example.com"),
    now: () => world.nowMs,
    post: () => {
      world.posts += 1;
      const body = JSON.stringify({ access_token: `t${world.posts}`, expires_in: 3600 });
      return Promise.resolve({ status, body });
    },
    findIdentity: () => {
      const token = `identity-${++world.found}`;
      return Promise.resolve({
        description: "test",
        key: token,
        prove: () => Promise.resolve({ kind: "oidc" as const, token }),
      });
    },
  });
  return { world, session };
}

const GOOD = { isRefused: false };

Deno.test("Session logs in once for requests that come together", async () => {
  const { world: w, session } = world();
  const headers = await Promise.all([1, 2, 3].map(() => session.authorization(GOOD)));
  assert.deepEqual(headers, ["Bearer t1", "Bearer t1", "Bearer t1"]);
  assert.equal(w.posts, 1);
});

Deno.test("Session finds the identity anew when the token ends, or is refused", async () => {
  const { world: w, session } = world();
  assert.equal(await session.authorization(GOOD), "Bearer t1");
  w.nowMs += 3_600_000;
  assert.equal(await session.authorization(GOOD), "Bearer t2");
  assert.equal(await session.authorization({ isRefused: true }), "Bearer t2");
  w.nowMs += 10_000;
  assert.equal(await session.authorization({ isRefused: true }), "Bearer t3");
  assert.equal(w.found, 3);
});

Deno.test("Session asks a server without tokens again after a while", async () => {
  const { world: w, session } = world(404);
  assert.equal(await session.authorization(GOOD), "Bearer identity-1");
  assert.equal(await session.authorization(GOOD), "Bearer identity-1");
  w.nowMs += 60_000;
  assert.equal(await session.authorization(GOOD), "Bearer identity-2");
  assert.equal(w.posts, 2);
});

Deno.test("Session tries again after a log-in that failed", async () => {
  const { session } = world(500);
  await assert.rejects(session.authorization(GOOD), /status 500/);
  await assert.rejects(session.authorization(GOOD), /status 500/);
});
