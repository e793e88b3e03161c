import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { SignJWT } from "jose";
import { type Secret, SecretError } from "../credentials/secret.ts";
import { AccessTokens } from "./access_tokens.ts";
import { tokenCredentials } from "./credentials.ts";

const NOW = 1_700_000_000;
const FIRST = "first-secret-of-at-least-32-bytes!";
const SECOND = "second-secret-of-at-least-32-bytes";
const AUDIENCE = "https://proxy.example.com";

function accessTokens(
  { secrets = [FIRST], now = NOW, audience = AUDIENCE, timeToLiveMs = 60_000 }: {
    secrets?: Secret[];
    now?: number;
    audience?: string;
    timeToLiveMs?: number;
  } = {},
): AccessTokens {
  return new AccessTokens({
    audience,
    secrets,
    timeToLiveMs,
    identities: new Set(["ci", "dev"]),
    places: { directory: ".", env: () => undefined },
    now: () => now * 1000,
  });
}

Deno.test("AccessTokens: what is issued is accepted until it ends", async () => {
  const { token, expiresInSeconds, id } = await accessTokens().issue("ci");
  assert.equal(expiresInSeconds, 60);
  const proof = {
    identity: "ci",
    expiresMs: (NOW + 60) * 1000,
    token: { id, issuedMs: NOW * 1000 },
  };
  const credentials = tokenCredentials(token);
  assert.deepEqual(await accessTokens().authenticate(credentials), proof);
  assert.deepEqual(await accessTokens({ now: NOW + 59 }).authenticate(credentials), proof);
  await assert.rejects(accessTokens({ now: NOW + 60 }).authenticate(credentials), {
    name: "UnauthenticatedError",
    message: "Cannot accept the access token: it has expired",
  });
});

Deno.test("AccessTokens: the first secret signs, all verify", async () => {
  const { token: old } = await accessTokens({ secrets: [FIRST] }).issue("ci");
  const both = accessTokens({ secrets: [SECOND, FIRST] });
  assert.equal((await both.authenticate(tokenCredentials(old)))?.identity, "ci");
  const { token: recent } = await both.issue("ci");
  const onlyNew = accessTokens({ secrets: [SECOND] });
  assert.equal((await onlyNew.authenticate(tokenCredentials(recent)))?.identity, "ci");
  await assert.rejects(onlyNew.authenticate(tokenCredentials(old)), /its signature is invalid/);
});

/** Right in everything but what a row changes. */
function forge(
  change: Record<string, unknown>,
  { alg = "HS256", typ = "at+jwt", secret = FIRST }: {
    alg?: string;
    typ?: string;
    secret?: string;
  } = {},
): Promise<string> {
  const claims = { iss: "go-mod-proxy", aud: AUDIENCE, sub: "ci", iat: NOW, exp: NOW + 60 };
  return new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg, typ })
    .sign(new TextEncoder().encode(secret));
}

Deno.test("AccessTokens.authenticate() refuses what it did not issue, or not for this", async (t) => {
  assert.ok(await accessTokens().authenticate(tokenCredentials(await forge({}))), "as it is");
  const [, claims, signature] = (await forge({})).split(".");
  const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
  const rows = [
    { name: "another secret", token: forge({}, { secret: SECOND }), want: /signature is invalid/ },
    {
      name: "an identity of its choice",
      token: forge({ sub: "root" }),
      want: /no longer exists/,
    },
    { name: "no identity", token: forge({ sub: undefined }), want: /"sub"/ },
    { name: "another audience", token: forge({ aud: "https://x" }), want: /another audience/ },
    { name: "no audience", token: forge({ aud: undefined }), want: /another audience/ },
    { name: "no end", token: forge({ exp: undefined }), want: /"exp"/ },
    { name: "no beginning", token: forge({ iat: undefined }), want: /"iat"/ },
    { name: "not valid yet", token: forge({ nbf: NOW + 60 }), want: /not valid yet/ },
    { name: "another type", token: forge({}, { typ: "JWT" }), want: /"typ"/ },
    {
      name: "another algorithm",
      token: forge({}, { alg: "HS512", secret: FIRST.repeat(2) }),
      want: /algorithm is not allowed/,
    },
    { name: "alg none", token: `${none}.${claims}.`, want: /algorithm is not allowed/ },
    { name: "alg none, signed", token: `${none}.${claims}.${signature}`, want: /not allowed/ },
  ];
  for (const { name, token, want } of rows) {
    await t.step(name, async () => {
      await assert.rejects(accessTokens().authenticate(tokenCredentials(await token)), {
        name: "UnauthenticatedError",
        message: want,
      });
    });
  }
});

Deno.test("B1: AccessTokens signs and verifies with no secret that could be guessed", async (t) => {
  // The original signed with an empty key.
  const forged = await forge({}).then((token) => token.split(".").slice(0, 2).join("."));
  const key = await crypto.subtle.importKey(
    "raw",
    new Uint8Array(1),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const signature = new Uint8Array(
    await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(forged)),
  ).toBase64({ alphabet: "base64url", omitPadding: true });
  const zeros = tokenCredentials(`${forged}.${signature}`);
  await assert.rejects(accessTokens().authenticate(zeros), /signature is invalid/);
  for (const secret of ["", "asdfasdf", "x".repeat(31), { envVar: "UNSET" }, { file: "missing" }]) {
    await t.step(JSON.stringify(secret), async () => {
      const weak = accessTokens({ secrets: [secret] });
      await assert.rejects(weak.issue("ci"), SecretError);
      await assert.rejects(weak.authenticate(tokenCredentials(await forge({}))), SecretError);
    });
  }
});
