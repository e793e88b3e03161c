import assert from "node:assert/strict";
import { errors } from "jose";
import { UpstreamError } from "../errors.ts";
import { createFetch } from "../http/client.ts";
import { FakeIssuer } from "../../tests/fakes/issuer.ts";
import { FAILURE_PAUSE_MS, KeySet, MAX_AGE_MS, MAX_STALE_MS, REFETCH_PAUSE_MS } from "./key_set.ts";

const fetch = createFetch({ userAgent: "test", via: "1.1 test" });
const NOTHING = { payload: "", signature: "" };

class World implements AsyncDisposable {
  nowMs = 0;
  readonly issuer: FakeIssuer;
  readonly keys: KeySet;

  private constructor(issuer: FakeIssuer, jwksUri: string | undefined) {
    this.issuer = issuer;
    this.keys = new KeySet({ issuer: issuer.url, jwksUri, fetch, now: () => this.nowMs });
  }

  static async start({ direct = false } = {}): Promise<World> {
    const issuer = await FakeIssuer.start();
    return new World(issuer, direct ? issuer.jwksUri : undefined);
  }

  async find(kid: string): Promise<unknown> {
    return await this.keys.find({ alg: "ES256", kid }, NOTHING);
  }

  /** How often keys were asked for. */
  get fetches(): number {
    return this.issuer.requests.filter((path) => path === "/keys").length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.issuer[Symbol.asyncDispose]();
  }
}

Deno.test("KeySet.find() fetches the set once for many, and again when it is old", async () => {
  await using world = await World.start();
  await Promise.all([world.find("key-1"), world.find("key-1"), world.find("key-1")]);
  assert.deepEqual(world.issuer.requests, ["/.well-known/openid-configuration", "/keys"]);
  world.nowMs = MAX_AGE_MS - 1;
  await world.find("key-1");
  assert.equal(world.fetches, 1);
  world.nowMs = MAX_AGE_MS;
  await world.find("key-1");
  assert.equal(world.fetches, 2);
});

Deno.test("KeySet.find() needs no discovery where the place is given", async () => {
  await using world = await World.start({ direct: true });
  await world.find("key-1");
  assert.deepEqual(world.issuer.requests, ["/keys"]);
});

Deno.test("KeySet.find() finds a new key at once, and drops one that is gone", async () => {
  await using world = await World.start();
  await world.find("key-1");
  await world.issuer.rotate();
  world.nowMs = REFETCH_PAUSE_MS;
  await world.find("key-2");
  assert.equal(world.fetches, 2);
  await assert.rejects(world.find("key-1"), errors.JWKSNoMatchingKey);
});

Deno.test("KeySet.find() does not ask for every key that somebody makes up", async () => {
  await using world = await World.start();
  for (let i = 0; i < 50; i++) {
    await assert.rejects(world.find(`made-up-${i}`), errors.JWKSNoMatchingKey);
  }
  assert.equal(world.fetches, 1);
  world.nowMs = REFETCH_PAUSE_MS;
  await assert.rejects(world.find("made-up"), errors.JWKSNoMatchingKey);
  assert.equal(world.fetches, 2);
});

Deno.test("KeySet.find() of an issuer that is down is a failure of the issuer, and passes", async () => {
  await using world = await World.start();
  await world.issuer.down();
  const isClear = (error: unknown) =>
    error instanceof UpstreamError &&
    error.message.includes(`cannot fetch the keys of issuer "${world.issuer.url}"`);
  await assert.rejects(world.find("key-1"), isClear);
  world.issuer.up();
  await assert.rejects(world.find("key-1"), isClear, "not asked again at once");
  world.nowMs = FAILURE_PAUSE_MS;
  await world.find("key-1");
});

Deno.test("KeySet.find() goes on with known keys while the issuer is down, but not for ever", async () => {
  await using world = await World.start();
  await world.find("key-1");
  await world.issuer.down();
  world.nowMs = MAX_AGE_MS;
  await world.find("key-1");
  await assert.rejects(
    world.find("key-2"),
    UpstreamError,
    "whether there is such a key is not known",
  );
  world.nowMs = MAX_STALE_MS;
  await assert.rejects(world.find("key-1"), UpstreamError);
});

Deno.test("KeySet.find() refuses documents that are not the issuer's", async (t) => {
  const rows = [
    { name: "of another issuer", discovery: { issuer: "https://other.example.com" } },
    { name: "with a slash more", slash: true },
    { name: "without jwks_uri", discovery: { jwks_uri: undefined } },
    { name: "jwks_uri is no URL", discovery: { jwks_uri: "keys" } },
    { name: "keys by plain http elsewhere", discovery: { jwks_uri: "http://keys.example.com/" } },
    { name: "status 500", instead: () => new Response("{}", { status: 500 }) },
    { name: "a page", instead: () => new Response("<html>") },
    { name: "null", instead: () => Response.json(null) },
    {
      name: "no key set",
      instead: (path: string) => path === "/keys" ? Response.json({ keys: 1 }) : null,
    },
    {
      name: "too large",
      instead: (path: string) => path === "/keys" ? new Response(" ".repeat(300_000)) : null,
    },
  ];
  for (const { name, discovery, slash, instead } of rows) {
    await t.step(name, async () => {
      await using world = await World.start();
      world.issuer.discovery = slash ? { issuer: `${world.issuer.url}/` } : discovery ?? {};
      world.issuer.instead = instead ?? null;
      await assert.rejects(world.find("key-1"), UpstreamError);
    });
  }
});
