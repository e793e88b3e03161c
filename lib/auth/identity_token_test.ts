/** What is refused of an identity token, whoever its issuer is. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPair, type JWTPayload } from "jose";
import { UnauthenticatedError } from "../errors.ts";
import { createFetch } from "../http/client.ts";
import { FakeIssuer } from "../../tests/fakes/issuer.ts";
import type { Authenticator } from "./authenticator.ts";
import { tokenCredentials } from "./credentials.ts";
import { Gce, GOOGLE_ISSUER } from "./gce.ts";
import { KeySet } from "./key_set.ts";
import { Oidc } from "./oidc.ts";

const NOW_MS = 1_700_000_000_000;
const NOW = NOW_MS / 1000;
const AUDIENCE = "https://proxy.example.com";
const fetch = createFetch({ userAgent: "test", via: "1.1 test" });
const now = () => NOW_MS;

interface Contestant {
  readonly authenticator: Authenticator;
  /** Claims that are right in everything. */
  readonly claims: JWTPayload;
}

function oidc(issuer: FakeIssuer): Contestant {
  return {
    authenticator: new Oidc({
      name: "ci",
      issuer: issuer.url,
      audience: [AUDIENCE],
      keys: new KeySet({ issuer: issuer.url, fetch, now }),
      now,
      identities: [
        { name: "release", claims: { repository: ["my-org/*"], ref: ["refs/tags/*"] } },
        { name: "ci", claims: { repository: ["my-org/*"] } },
      ],
    }),
    claims: {
      iss: issuer.url,
      aud: AUDIENCE,
      iat: NOW - 10,
      nbf: NOW - 10,
      exp: NOW + 300,
      sub: "repo:my-org/lib:ref:refs/heads/main",
      repository: "my-org/lib",
      ref: "refs/heads/main",
    },
  };
}

const INSTANCE = {
  project_id: "my-project",
  project_number: 123,
  zone: "us-central1-a",
  instance_id: "456",
  instance_name: "ci-1",
  instance_creation_timestamp: NOW - 1000,
};

function gce(issuer: FakeIssuer): Contestant {
  return {
    authenticator: new Gce({
      audience: [AUDIENCE],
      keys: new KeySet({ issuer: GOOGLE_ISSUER, jwksUri: issuer.jwksUri, fetch, now }),
      now,
      identities: [
        { name: "ci", email: "CI@my-project.example.com" },
        {
          name: "bound",
          email: "bound@my-project.example.com",
          project: ["my-project"],
          zone: ["us-*", "eu-*"],
          instance: ["ci-?"],
        },
      ],
    }),
    claims: {
      iss: GOOGLE_ISSUER,
      aud: AUDIENCE,
      azp: "789",
      sub: "789",
      email: "ci@my-project.example.com",
      email_verified: true,
      iat: NOW - 10,
      exp: NOW + 300,
      google: { compute_engine: INSTANCE },
    },
  };
}

/** Without a signature, or with another header than the one that was signed. */
function withHeader(token: string, header: object): string {
  const [, claims, signature] = token.split(".");
  return `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${claims}.${signature}`;
}

interface Row {
  readonly name: string;
  readonly want: RegExp;
  token(issuer: FakeIssuer, claims: JWTPayload): Promise<string> | string;
}

const REFUSED: readonly Row[] = [
  {
    name: "signed by somebody else",
    want: /its signature is invalid/,
    token: async (issuer, claims) =>
      issuer.token(claims, { key: (await generateKeyPair("ES256")).privateKey }),
  },
  {
    name: "claims changed after signing",
    want: /its signature is invalid/,
    token: async (issuer, claims) => {
      const [header, , signature] = (await issuer.token({ ...claims, sub: "other" })).split(".");
      return `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${signature}`;
    },
  },
  {
    name: "expired",
    want: /it has expired/,
    token: (issuer, claims) => issuer.token({ ...claims, exp: NOW - 11 }),
  },
  {
    name: "not valid yet",
    want: /it is not valid yet/,
    token: (issuer, claims) => issuer.token({ ...claims, nbf: NOW + 11 }),
  },
  {
    name: "without an end",
    want: /claim "exp"/,
    token: (issuer, { exp: _, ...claims }) => issuer.token(claims),
  },
  {
    name: "for another audience",
    want: /for another audience/,
    token: (issuer, claims) => issuer.token({ ...claims, aud: `${AUDIENCE}/` }),
  },
  {
    name: "without an audience",
    want: /for another audience/,
    token: (issuer, { aud: _, ...claims }) => issuer.token(claims),
  },
  {
    name: "alg none",
    want: /its algorithm is not allowed/,
    token: async (issuer, claims) => {
      const [, payload] = (await issuer.token(claims)).split(".");
      return `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`;
    },
  },
  {
    name: "alg none over a good signature",
    want: /its algorithm is not allowed/,
    token: async (issuer, claims) => withHeader(await issuer.token(claims), { alg: "none" }),
  },
  {
    name: "HS256 with the public key as the secret",
    want: /its algorithm is not allowed/,
    token: async (issuer, claims) =>
      issuer.token(claims, { alg: "HS256", key: await issuer.publicKeyPem() }),
  },
  {
    name: "an unknown key",
    want: /its issuer has no such key/,
    token: (issuer, claims) => issuer.token(claims, { kid: "key-99" }),
  },
  {
    name: "a key of its own in the header",
    want: /its issuer has no such key/,
    token: async (issuer, claims) => {
      const { privateKey } = await generateKeyPair("ES256");
      return withHeader(await issuer.token(claims, { key: privateKey }), {
        alg: "ES256",
        kid: "mine",
        jku: "https://evil.example.com/keys",
      });
    },
  },
  {
    name: "with a demand that we do not understand",
    want: /it is malformed/,
    token: async (issuer, claims) =>
      withHeader(await issuer.token(claims), {
        alg: "ES256",
        kid: "key-1",
        crit: ["x"],
        x: 1,
      }),
  },
];

for (const [name, contestant] of [["Oidc", oidc], ["Gce", gce]] as const) {
  Deno.test(`${name}.authenticate() refuses what its issuer did not sign for us, now`, async (t) => {
    await using issuer = await FakeIssuer.start();
    const { authenticator, claims } = contestant(issuer);
    for (const { name, want, token } of REFUSED) {
      await t.step(name, async () => {
        const credentials = tokenCredentials(await token(issuer, claims));
        await assert.rejects(authenticator.authenticate(credentials), (error) => {
          assert.ok(error instanceof UnauthenticatedError, String(error));
          assert.match(error.message, want);
          assert.ok(!error.message.includes(credentials.token), "shows no token");
          return true;
        });
      });
    }
  });

  Deno.test(`${name}.authenticate() says whose a good token is, and until when`, async () => {
    await using issuer = await FakeIssuer.start();
    const { authenticator, claims } = contestant(issuer);
    const rows = [
      claims,
      { ...claims, aud: ["other", AUDIENCE] },
      // Clocks differ.
      { ...claims, iat: NOW + 5, nbf: NOW + 5 },
      { ...claims, exp: NOW - 5 },
    ];
    for (const row of rows) {
      assert.deepEqual(
        await authenticator.authenticate(tokenCredentials(await issuer.token(row))),
        {
          identity: "ci",
          expiresMs: (row.exp ?? 0) * 1000,
          token: { id: row.jti ?? null, issuedMs: row.iat === undefined ? null : row.iat * 1000 },
        },
      );
    }
    assert.deepEqual(
      await authenticator.authenticate(
        tokenCredentials(await issuer.token(claims, { kid: null })),
      ),
      {
        identity: "ci",
        expiresMs: (NOW + 300) * 1000,
        token: { id: null, issuedMs: claims.iat === undefined ? null : claims.iat * 1000 },
      },
      "an issuer with one key need not name it",
    );
  });

  Deno.test(`${name}.authenticate() leaves other credentials to others`, async () => {
    await using issuer = await FakeIssuer.start();
    const { authenticator, claims } = contestant(issuer);
    const foreign = await issuer.token({ ...claims, iss: "https://other.example.com" });
    assert.equal(await authenticator.authenticate(tokenCredentials(foreign)), null);
    assert.equal(
      await authenticator.authenticate({ kind: "password", user: "ci", password: "p" }),
      null,
    );
    assert.deepEqual(issuer.requests, []);
  });
}

Deno.test("Oidc.authenticate() takes the first identity whose claims all match", async (t) => {
  await using issuer = await FakeIssuer.start();
  const { authenticator, claims } = oidc(issuer);
  const rows = [
    { change: { ref: "refs/tags/v1" }, want: "release" },
    { change: { ref: "refs/tags/a/b" }, want: "ci" },
    { change: { repository: "my-org/lib/x" }, want: null },
    { change: { repository: "not-my-org/lib" }, want: null },
    { change: { repository: "My-Org/lib" }, want: null },
    { change: { repository: "my-org/lib\nx" }, want: "ci" },
    { change: { repository: undefined }, want: null },
    { change: { repository: { name: "my-org/lib" } }, want: null },
  ];
  for (const { change, want } of rows) {
    await t.step(JSON.stringify(change), async () => {
      const token = await issuer.token({ ...claims, ...change });
      const proof = authenticator.authenticate(tokenCredentials(token));
      if (want === null) await assert.rejects(proof, UnauthenticatedError);
      else assert.equal((await proof)?.identity, want);
    });
  }
});

Deno.test("Gce.authenticate() wants the instance that the identity is bound to", async (t) => {
  await using issuer = await FakeIssuer.start();
  const { authenticator, claims } = gce(issuer);
  const email = "bound@my-project.example.com";
  const instance = (change: object) => ({ google: { compute_engine: { ...INSTANCE, ...change } } });
  const rows = [
    { change: { email }, want: "bound" },
    { change: { email, ...instance({ zone: "eu-west1-b" }) }, want: "bound" },
    { change: { email, ...instance({ zone: "asia-east1-a" }) }, want: /project, zone or instance/ },
    { change: { email, ...instance({ project_id: "evil" }) }, want: /project, zone or instance/ },
    { change: { email, ...instance({ instance_name: "ci-10" }) }, want: /project, zone/ },
    { change: { email, ...instance({ instance_name: undefined }) }, want: /project, zone/ },
    { change: { email: "other@my-project.example.com" }, want: /no identity is bound/ },
    { change: { email_verified: false }, want: /no verified email/ },
    { change: { email_verified: "true" }, want: /no verified email/ },
    { change: { email_verified: undefined }, want: /no verified email/ },
    { change: { email: undefined }, want: /no verified email/ },
    { change: { email: ["ci@my-project.example.com"] }, want: /no verified email/ },
    { change: { google: undefined }, want: /names no instance.*format=full/ },
    { change: { google: {} }, want: /names no instance/ },
    { change: { google: { compute_engine: [] } }, want: /names no instance/ },
  ];
  for (const { change, want } of rows) {
    await t.step(JSON.stringify(change), async () => {
      const token = await issuer.token({ ...claims, ...change });
      const proof = authenticator.authenticate(tokenCredentials(token));
      if (typeof want === "string") assert.equal((await proof)?.identity, want);
      else await assert.rejects(proof, { name: "UnauthenticatedError", message: want });
    });
  }
});
