import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { NotFoundError, UnauthenticatedError, UpstreamError } from "../errors.ts";
import { createLogger } from "../log/log.ts";
import { parseModulePath } from "../module/path.ts";
import { AccessList } from "./access_list.ts";
import { AccessTokens } from "./access_tokens.ts";
import type { Authenticator } from "./authenticator.ts";
import { ClientAuth, VERIFIED_FOR_MS } from "./client_auth.ts";
import { MAX_FAILURES } from "./failed_logins.ts";
import { type Access, ANY_CLIENT, ANYONE, type Client } from "./guard.ts";
import { Passwords } from "./passwords.ts";

const SECRET = "a secret of thirty-two bytes and more";
const PLACES = { directory: ".", env: () => undefined };
const OPEN = { kind: "module", path: parseModulePath("example.com/open") } as const;
const CLOSED = { kind: "module", path: parseModulePath("example.com/closed/x") } as const;

/** A guard with the identities dev and ops, of which ops may read everything. */
class World {
  nowMs = 1_700_000_000_000;
  /** How often credentials were really looked at. */
  looks = 0;
  readonly log: Record<string, unknown>[] = [];
  readonly auth: ClientAuth;
  readonly tokens: AccessTokens;

  constructor(extra: readonly Authenticator[] = []) {
    const now = () => this.nowMs;
    const identities = new Set(["dev", "ops"]);
    this.tokens = new AccessTokens({
      audience: "a",
      secrets: [SECRET],
      timeToLiveMs: 30_000,
      identities,
      places: PLACES,
      now,
    });
    const passwords = new Passwords([
      { name: "dev", password: "dev-pass" },
      { name: "ops", password: "ops-pass" },
    ], PLACES);
    this.auth = new ClientAuth({
      authenticators: [...extra, this.#counted(passwords), this.#counted(this.tokens)],
      identities,
      accessList: new AccessList([
        { identities: ["ops"], access: "allow" },
        { modules: ["example.com/closed"], access: "deny" },
        { access: "allow" },
      ]),
      accessTokens: this.tokens,
      now,
      log: createLogger("info", { write: (line) => void this.log.push(JSON.parse(line)) }),
    });
  }

  async admit(authorization: string | null, access: Access = ANY_CLIENT): Promise<Client> {
    return await this.auth.admit(this.knock(authorization), access);
  }

  knock(authorization: string | null, address = "192.0.2.1") {
    const headers = new Headers(authorization === null ? {} : { Authorization: authorization });
    return { headers, address, requestId: "request-1" };
  }

  #counted(authenticator: Authenticator): Authenticator {
    return {
      method: authenticator.method,
      authenticate: (credentials) => {
        this.looks++;
        return authenticator.authenticate(credentials);
      },
    };
  }
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

Deno.test("ClientAuth.admit() lets in who proves an identity, by password or token", async (t) => {
  const world = new World();
  const { token } = await world.tokens.issue("dev");
  const rows = [
    basic("dev", "dev-pass"),
    `Bearer ${token}`,
    basic("dev", token),
    basic("", token),
    basic("oauth2accesstoken", token),
  ];
  for (const authorization of rows) {
    await t.step(authorization, async () => {
      assert.equal((await world.admit(authorization)).identity, "dev");
      assert.equal((await world.admit(authorization, OPEN)).identity, "dev");
    });
  }
});

Deno.test("ClientAuth.admit() refuses who proves none", async (t) => {
  const world = new World();
  const { token } = await world.tokens.issue("dev");
  const rows = [
    { authorization: null, want: /without credentials/ },
    { authorization: "", want: /neither Basic nor Bearer/ },
    { authorization: basic("dev", "ops-pass"), want: /user name or the password is wrong/ },
    { authorization: basic("dev", ""), want: /user name or the password is wrong/ },
    { authorization: basic("nobody", "dev-pass"), want: /user name or the password is wrong/ },
    { authorization: basic("DEV", "dev-pass"), want: /user name or the password is wrong/ },
    { authorization: `Bearer ${token}x`, want: /signature is invalid|malformed/ },
    { authorization: basic("ops", token), want: /belongs to another identity than the user name/ },
    {
      authorization: `Bearer ${Buffer.from('{"alg":"HS256"}').toString("base64url")}.eyJhIjoxfQ.x`,
      want: /its issuer is not configured/,
    },
  ];
  for (const { authorization, want } of rows) {
    await t.step(String(authorization), async () => {
      await assert.rejects(world.admit(authorization), {
        name: "UnauthenticatedError",
        message: want,
      });
      await assert.rejects(world.admit(authorization, CLOSED), UnauthenticatedError);
      assert.equal((await world.admit(authorization, ANYONE)).identity, null);
    });
  }
});

Deno.test("ClientAuth.admit() gives nobody in particular nothing of anybody's", async () => {
  const stranger = await new World().admit(null, ANYONE);
  assert.equal(stranger.mayRead(OPEN.path), false);
});

Deno.test("ClientAuth.admit() decides by the access list, and says which rule it was", async () => {
  const world = new World();
  await assert.rejects(world.admit(basic("dev", "dev-pass"), CLOSED), {
    name: "ForbiddenError",
    message:
      'Cannot give "example.com/closed/x" to "dev": the access list does not allow it (clientAuth.acl[1] denies it)',
  });
  assert.equal((await world.admit(basic("ops", "ops-pass"), CLOSED)).identity, "ops");
  const dev = await world.admit(basic("dev", "dev-pass"));
  assert.deepEqual([OPEN, CLOSED].map(({ path }) => dev.mayRead(path)), [true, false]);
});

Deno.test("ClientAuth.admit() looks at the same credentials once a minute", async () => {
  const world = new World();
  const authorization = basic("dev", "dev-pass");
  await Promise.all([world.admit(authorization), world.admit(authorization)]);
  world.nowMs += VERIFIED_FOR_MS - 1;
  await world.admit(authorization, OPEN);
  assert.equal(world.looks, 1);
  world.nowMs += 1;
  await world.admit(authorization);
  assert.equal(world.looks, 2);
});

Deno.test("ClientAuth.recognize() knows whom admit() has verified a moment ago, and looks at nobody", async () => {
  const world = new World();
  const right = basic("dev", "dev-pass");
  const wrong = basic("dev", "wrong");
  assert.equal(world.auth.recognize(right), null);
  await world.admit(right);
  await assert.rejects(world.admit(wrong));
  const { looks } = world;
  const lines = world.log.length;
  assert.deepEqual(world.auth.recognize(right), {
    identity: "dev",
    endsMs: world.nowMs + VERIFIED_FOR_MS,
  });
  assert.equal(world.auth.recognize(wrong), null);
  world.nowMs += VERIFIED_FOR_MS;
  assert.equal(world.auth.recognize(right), null);
  assert.deepEqual([world.looks, world.log.length], [looks, lines]);
});

Deno.test("ClientAuth.admit() does not go on with a token that has expired", async () => {
  const world = new World();
  const { token } = await world.tokens.issue("dev");
  await world.admit(`Bearer ${token}`);
  world.nowMs += 29_999;
  await world.admit(`Bearer ${token}`);
  world.nowMs += 1;
  await assert.rejects(world.admit(`Bearer ${token}`), /it has expired/);
});

Deno.test("ClientAuth.admit() stops looking at passwords after too many wrong ones", async () => {
  const world = new World();
  await world.admit(basic("ops", "ops-pass"));
  for (let i = 0; i < MAX_FAILURES; i++) {
    await assert.rejects(world.admit(basic("dev", `guess ${i}`)), UnauthenticatedError);
  }
  const { looks } = world;
  await assert.rejects(world.admit(basic("dev", "dev-pass")), { name: "TooManyRequestsError" });
  assert.equal(world.looks, looks, "the right password is not looked at");
  assert.equal((await world.admit(basic("ops", "ops-pass"))).identity, "ops");
  const { token } = await world.tokens.issue("dev");
  assert.equal((await world.admit(`Bearer ${token}`)).identity, "dev", "a token is not guessed");
});

Deno.test("ClientAuth.admit() does not take a failing issuer for wrong credentials", async () => {
  const failing: Authenticator = {
    method: "oidc",
    authenticate: () => Promise.reject(new UpstreamError("Cannot reach the issuer")),
  };
  const world = new World([failing]);
  for (let i = 0; i <= MAX_FAILURES; i++) {
    await assert.rejects(world.admit(basic("dev", "dev-pass")), UpstreamError);
  }
  assert.deepEqual(world.log, [], "no audit line: nobody was denied anything");
});

Deno.test("ClientAuth.logIn() gives a token for the identity that was proved, and says so in the log", async () => {
  const world = new World();
  const credentials = { kind: "password", user: "dev", password: "dev-pass" } as const;
  const { token, expiresInSeconds } = await world.auth.logIn(
    "userpassword",
    credentials,
    world.knock(null),
  );
  assert.equal(expiresInSeconds, 30);
  assert.equal((await world.admit(`Bearer ${token}`)).identity, "dev");
  assert.equal(world.log.length, 1);
  const { audit, method, identity, address, id } = world.log[0] ?? {};
  assert.deepEqual({ audit, method, identity, address, id }, {
    audit: "log-in",
    method: "userpassword",
    identity: "dev",
    address: "192.0.2.1",
    id: "request-1",
  });
});

Deno.test("ClientAuth.logIn() does not give a token for an access token, nor where there is no such way", async () => {
  const world = new World();
  const { token } = await world.tokens.issue("dev");
  const credentials = { kind: "token", token, claimedIssuer: "go-mod-proxy", user: null } as const;
  await assert.rejects(
    world.auth.logIn("userpassword", credentials, world.knock(null)),
    UnauthenticatedError,
  );
  await assert.rejects(world.auth.logIn("gce", credentials, world.knock(null)), NotFoundError);
  assert.deepEqual(["userpassword", "gce", "oidc"].map((m) => world.auth.offers(m as "gce")), [
    true,
    false,
    false,
  ]);
});

Deno.test("ClientAuth has an audit line for each denial, and no secret in any", async () => {
  const world = new World();
  const { token } = await world.tokens.issue("dev");
  const denials = [
    () => world.admit(null, OPEN),
    () => world.admit(basic("dev", "hunter2"), OPEN),
    () => world.admit(basic("ops", token)),
    () => world.admit(basic("dev", "dev-pass"), CLOSED),
    () =>
      world.auth.logIn(
        "userpassword",
        { kind: "password", user: "dev", password: "hunter2" },
        world.knock(null),
      ),
  ];
  for (const denial of denials) await assert.rejects(denial);
  const lines = world.log.map(({ audit, user, identity, module, method, address, id }) => ({
    audit,
    who: identity ?? user,
    what: module ?? method,
    address,
    id,
  }));
  const common = { audit: "denied", address: "192.0.2.1", id: "request-1" };
  assert.deepEqual(lines, [
    { ...common, who: undefined, what: OPEN.path },
    { ...common, who: "dev", what: OPEN.path },
    { ...common, who: "ops", what: undefined },
    { ...common, who: "dev", what: CLOSED.path },
    { ...common, who: "dev", what: "userpassword" },
  ]);
  // In the place of the user name, as some tools want tokens.
  await assert.rejects(world.admit(basic(token, "x-oauth-basic"), OPEN));
  await assert.rejects(world.admit(basic("ghp_0123456789", ""), OPEN));
  const text = JSON.stringify(world.log);
  for (const secret of ["hunter2", "ghp_", "dev-pass", token, SECRET]) {
    assert.ok(!text.includes(secret));
  }
});
