import assert from "node:assert/strict";
import { UnauthenticatedError, UpstreamError } from "../errors.ts";
import { authorizationFor } from "./authorization.ts";
import type { Identity } from "./identity.ts";
import type { AccessToken, HttpAnswer, Login } from "./log_in.ts";

const SERVER = new URL("https://proxy.example.com/go/");
const HOUR_MS = 3_600_000;

function identity(login: Login, key = "k"): Identity {
  return { description: "test", key, prove: () => Promise.resolve(login) };
}

const ME: Login = { kind: "password", user: "me", password: "p:ä" };

/** A server and a cache, and what was posted. */
function world(answer: HttpAnswer | ((count: number) => HttpAnswer)) {
  const posts: { url: string; headers: Readonly<Record<string, string>>; body: string }[] = [];
  const kept = new Map<string, AccessToken>();
  const clock = { nowMs: 1_000_000 };
  const ask = (identity: Identity, isRefused = false) =>
    authorizationFor({
      identity,
      isRefused,
      server: SERVER,
      tokens: {
        get: (key) => Promise.resolve(kept.get(key) ?? null),
        put: (key, token) => Promise.resolve(kept.set(key, token)),
      },
      post(url, { headers, body }) {
        posts.push({ url: url.href, headers, body });
        return Promise.resolve(typeof answer === "function" ? answer(posts.length) : answer);
      },
      now: () => clock.nowMs,
    });
  return { posts, kept, clock, ask };
}

function issued(count: number, expires_in = 3600): HttpAnswer {
  const body = JSON.stringify({ access_token: `t${count}`, expires_in, token_type: "Bearer" });
  return { status: 200, body };
}

Deno.test("authorizationFor() exchanges a proof at the endpoint of its kind", async () => {
  const { posts, ask } = world(issued);
  assert.equal(await ask(identity(ME, "1")), "Bearer t1");
  assert.equal(await ask(identity({ kind: "gce", token: "g" }, "2")), "Bearer t2");
  assert.equal(await ask(identity({ kind: "oidc", token: "o" }, "3")), "Bearer t3");
  assert.deepEqual(posts, [
    {
      url: "https://proxy.example.com/go/auth/userpassword",
      headers: { "Content-Type": "application/json" },
      body: '{"user":"me","password":"p:ä"}',
    },
    {
      url: "https://proxy.example.com/go/auth/gce",
      headers: { Authorization: "Bearer g" },
      body: "",
    },
    {
      url: "https://proxy.example.com/go/auth/oidc",
      headers: { Authorization: "Bearer o" },
      body: "",
    },
  ]);
});

Deno.test("authorizationFor() keeps a token until shortly before its end", async () => {
  const { clock, ask } = world(issued);
  assert.equal(await ask(identity(ME)), "Bearer t1");
  clock.nowMs += HOUR_MS - 60_001;
  assert.equal(await ask(identity(ME)), "Bearer t1");
  clock.nowMs += 1;
  assert.equal(await ask(identity(ME)), "Bearer t2");
});

Deno.test("authorizationFor() keeps a short-lived token for three quarters of its life", async () => {
  const { clock, ask } = world((count) => issued(count, 20));
  assert.equal(await ask(identity(ME)), "Bearer t1");
  clock.nowMs += 14_999;
  assert.equal(await ask(identity(ME)), "Bearer t1");
  clock.nowMs += 1;
  assert.equal(await ask(identity(ME)), "Bearer t2");
});

Deno.test("authorizationFor() gives no identity the token of another", async () => {
  const { ask } = world(issued);
  assert.equal(await ask(identity(ME, "a")), "Bearer t1");
  assert.equal(await ask(identity(ME, "b")), "Bearer t2");
  assert.equal(await ask(identity(ME, "a")), "Bearer t1");
});

Deno.test("authorizationFor() renews a refused token, but not again at once", async () => {
  const { clock, ask } = world(issued);
  assert.equal(await ask(identity(ME)), "Bearer t1");
  clock.nowMs += 10_000;
  assert.equal(await ask(identity(ME), true), "Bearer t2");
  assert.equal(await ask(identity(ME), true), "Bearer t2");
});

Deno.test("authorizationFor() does not trust a token of the future", async () => {
  const { clock, ask } = world(issued);
  assert.equal(await ask(identity(ME)), "Bearer t1");
  clock.nowMs -= 1;
  assert.equal(await ask(identity(ME)), "Bearer t2");
});

Deno.test("authorizationFor() sends the proof itself where no tokens are issued", async () => {
  const { kept, ask } = world({ status: 404, body: "not found\n" });
  assert.equal(await ask(identity(ME)), "Basic bWU6cDrDpA==");
  assert.equal(await ask(identity({ kind: "oidc", token: "o" })), "Bearer o");
  assert.equal(kept.size, 0);
});

const REFUSED: {
  answer: HttpAnswer;
  error: typeof UpstreamError | typeof UnauthenticatedError;
  message: RegExp;
}[] = [
  {
    answer: { status: 401, body: "wrong\x1buser or password\nrequest id: 1\n" },
    error: UnauthenticatedError,
    message: /^Cannot log in at https:\/\/proxy\.example\.com: wrong user or password$/,
  },
  { answer: { status: 429, body: "" }, error: UpstreamError, message: /status 429/ },
  { answer: { status: 302, body: "" }, error: UpstreamError, message: /status 302/ },
  { answer: { status: 200, body: "<html>" }, error: UpstreamError, message: /not an access token/ },
  { answer: { status: 200, body: "{}" }, error: UpstreamError, message: /not an access token/ },
  { answer: issued(1, 0), error: UpstreamError, message: /not an access token/ },
  {
    answer: { status: 200, body: '{"access_token":"a\\nX: b","expires_in":1}' },
    error: UpstreamError,
    message: /not an access token/,
  },
];

for (const { answer, error: kind, message } of REFUSED) {
  Deno.test(`authorizationFor() refuses ${JSON.stringify(answer)}`, async () => {
    const { kept, ask } = world(answer);
    await assert.rejects(ask(identity(ME)), (error: Error) => {
      assert.ok(error instanceof kind);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /p:ä/);
      return true;
    });
    assert.equal(kept.size, 0);
  });
}
