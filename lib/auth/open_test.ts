import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { parseConfig } from "../config/config.ts";
import { SecretError } from "../credentials/secret.ts";
import { createFetch } from "../http/client.ts";
import { createLogger } from "../log/log.ts";
import { parseModulePath } from "../module/path.ts";
import { FakeIssuer } from "../../tests/fakes/issuer.ts";
import type { ClientAuth } from "./client_auth.ts";
import { ANY_CLIENT } from "./guard.ts";
import { openClientAuth } from "./open.ts";

const fetch = createFetch({ userAgent: "test", via: "1.1 test" });
const log = createLogger("error", { write: () => {} });
/** Of "correct horse", as in password_hash_test.ts. */
const GOLDEN =
  "$scrypt$ln=10,r=8,p=1$c2l4dGVlbiBieXRlIHNsdA$pm8pKHMuzBMnzWjY+J2K8bOo4zfV05STJL8ONhhN0II";
const SECRET = "a secret of thirty-two bytes and more";

function open(yaml: string, { directory = ".", env = {} as Record<string, string> } = {}) {
  const { clientAuth } = parseConfig(yaml);
  const places = { directory, env: (name: string) => env[name] };
  return openClientAuth(clientAuth, {
    places,
    fetch,
    now: Date.now,
    log,
    opened: new AsyncDisposableStack(),
  });
}

async function identityOf(auth: ClientAuth, authorization: string): Promise<string | null> {
  const headers = new Headers({ Authorization: authorization });
  return (await auth.admit({ headers, address: null, requestId: "id" }, ANY_CLIENT)).identity;
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

Deno.test("B1: openClientAuth() refuses a signing secret that is missing or short, with its place", async (t) => {
  const key = "clientAuth.authenticators.accessToken";
  const rows = [
    { secret: "secret: asdfasdf", want: new RegExp(`^${key}.secret: .*has 8 bytes and needs 32`) },
    { secret: "secret: { envVar: UNSET }", want: new RegExp(`^${key}.secret: .*not set`) },
    { secret: "secret: { file: missing }", want: new RegExp(`^${key}.secret: Cannot read`) },
    {
      secret: `secrets: [{ envVar: GOOD }, { envVar: EMPTY }, short]`,
      want: new RegExp(`^${key}.secrets\\[1\\]: .*empty\n${key}.secrets\\[2\\]: .*5 bytes`),
    },
  ];
  for (const { secret, want } of rows) {
    await t.step(secret, async () => {
      const yaml = `clientAuth: { authenticators: { accessToken: { audience: a, ${secret} } } }`;
      await assert.rejects(open(yaml, { env: { GOOD: SECRET, EMPTY: "" } }), (error) => {
        assert.ok(error instanceof SecretError);
        assert.match(error.message, want);
        return true;
      });
    });
  }
});

Deno.test("openClientAuth() names every secret that cannot be used, and shows none", async () => {
  const yaml = `
clientAuth:
  identities:
    - { name: a, password: { envVar: UNSET } }
    - { name: b, password: { envVar: LINES } }
    - { name: c, passwordHash: { envVar: LINES2 } }
`;
  const env = { LINES: "hunter2\nhunter2", LINES2: "hunter2" };
  await assert.rejects(open(yaml, { env }), (error) => {
    assert.ok(error instanceof SecretError);
    for (const [i, key] of ["password", "password", "passwordHash"].entries()) {
      assert.match(error.message, new RegExp(`^clientAuth.identities\\[${i}\\].${key}: `, "m"));
    }
    assert.doesNotMatch(error.message, /hunter2/);
    return true;
  });
});

Deno.test("openClientAuth() opens every kind of authenticator", async () => {
  await using issuer = await FakeIssuer.start();
  const now = Math.floor(Date.now() / 1000);
  const auth = await open(
    `
clientAuth:
  acl: [{ identities: [ci], modules: [example.com/ci] }]
  authenticators:
    accessToken: { audience: us, secret: { envVar: SECRET } }
    gceInstanceIdentity: { audience: us, jwksUri: "${issuer.jwksUri}" }
    oidc: [{ issuer: "${issuer.url}", audience: us }]
  identities:
    - { name: plain, password: { envVar: PASSWORD } }
    - { name: hashed, passwordHash: "${GOLDEN}" }
    - { name: vm, gceInstanceIdentityBinding: { email: vm@example.com } }
    - { name: ci, oidcBinding: { issuer: "${issuer.url}", claims: { sub: "job:*" } } }
`,
    {
      env: { SECRET, PASSWORD: "plain-pass" },
    },
  );
  const claims = { aud: "us", exp: now + 60 };
  const job = await issuer.token({ ...claims, iss: issuer.url, sub: "job:1" });
  const vm = await issuer.token({
    ...claims,
    iss: "https://accounts.google.com",
    email: "vm@example.com",
    email_verified: true,
    google: { compute_engine: { instance_id: "1" } },
  });
  assert.equal(await identityOf(auth, basic("plain", "plain-pass")), "plain");
  assert.equal(await identityOf(auth, basic("hashed", "correct horse")), "hashed");
  assert.equal(await identityOf(auth, `Bearer ${vm}`), "vm");
  assert.equal(await identityOf(auth, `Bearer ${job}`), "ci");
  const knock = { headers: new Headers(), address: null, requestId: "id" };
  const { token } = await auth.logIn(
    "oidc",
    { kind: "token", token: job, claimedIssuer: issuer.url, user: null },
    knock,
  );
  const headers = new Headers({ Authorization: `Bearer ${token}` });
  const path = parseModulePath("example.com/ci/lib");
  assert.equal((await auth.admit({ ...knock, headers }, { kind: "module", path })).identity, "ci");
});

Deno.test("openClientAuth(): a new password in a file counts at once", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/pass`, "old\n");
    const yaml = "clientAuth: { identities: [{ name: dev, password: { file: pass } }] }";
    const auth = await open(yaml, { directory });
    await Deno.writeTextFile(`${directory}/pass`, "new\n");
    assert.equal(await identityOf(auth, basic("dev", "new")), "dev");
    await assert.rejects(identityOf(auth, basic("dev", "old")), /is wrong/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
