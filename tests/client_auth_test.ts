/**
 * Client authentication over the whole server: which route answers which client, and what
 * unauthenticated clients learn.
 *
 * Identities: `dev` may read example.com/open, `ops` everything; `nobody` may read nothing.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { ClientAuth } from "../lib/auth/client_auth.ts";
import { MAX_FAILURES } from "../lib/auth/failed_logins.ts";
import { openClientAuth } from "../lib/auth/open.ts";
import { parseConfig } from "../lib/config/config.ts";
import { createFetch } from "../lib/http/client.ts";
import { createLogger } from "../lib/log/log.ts";
import { h1Of } from "../lib/module/h1.ts";
import { moduleVersion } from "../lib/module/module_version.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseVersion } from "../lib/module/version.ts";
import type { ServedDatabase } from "../lib/sumdb/databases.ts";
import { formatRecordText, joinRecords } from "../lib/sumdb/record.ts";
import { createApp } from "../routes/app.ts";
import { MAX_BODY_BYTES } from "../routes/auth.ts";
import { sumdbRoute } from "../routes/sumdb.ts";
import { startTestApp, type TestApp } from "./worlds/app.ts";
import { advisoriesOf } from "./worlds/advisories.ts";
import { FakeIssuer } from "./fakes/issuer.ts";
import { fakeEntry } from "./fakes/vulndb.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";

const SECRET = "a secret of thirty-two bytes and more";

function openAuth(authenticators = "", identities = "- { name: ci }"): Promise<ClientAuth> {
  const { clientAuth } = parseConfig(`
clientAuth:
  enabled: true
  acl:
    - { identities: [ops, ci] }
    - { identities: [dev], modules: [example.com/open] }
  authenticators:
    accessToken: { audience: us, secret: "${SECRET}", timeToLive: 15m }
    ${authenticators}
  identities:
    - { name: dev, password: dev-pass }
    - { name: ops, password: ops-pass }
    - { name: nobody, password: nobody-pass }
    ${identities}
`);
  return openClientAuth(clientAuth, {
    places: { directory: ".", env: () => undefined },
    fetch: createFetch({ userAgent: "test", via: "1.1 test" }),
    now: Date.now,
    log: createLogger("error", { write: () => {} }),
    opened: new AsyncDisposableStack(),
  });
}

class World implements AsyncDisposable {
  readonly app: TestApp;
  readonly upstream: Upstream;
  readonly #stack: AsyncDisposableStack;

  private constructor(app: TestApp, upstream: Upstream, stack: AsyncDisposableStack) {
    this.app = app;
    this.upstream = upstream;
    this.#stack = stack;
  }

  static async start(auth?: ClientAuth): Promise<World> {
    await using stack = new AsyncDisposableStack();
    const modules = ["example.com/open", "example.com/secret"].map((path) => ({
      path,
      version: "v1.0.0",
      files: { "go.mod": `module ${path}\n` },
    }));
    const upstream = stack.use(await startUpstream({ modules }));
    const entries = modules.map(({ path, version }, i) => {
      const module = parseModulePath(path);
      return { path: module, version: parseVersion(module, version), timeMs: i * 1000 };
    });
    const app = stack.use(
      await startTestApp({
        upstreams: [upstream.url],
        auth: auth ?? await openAuth(),
        index: { read: () => Promise.resolve(entries) },
        advisories: await advisoriesOf([
          fakeEntry("GO-1"),
          fakeEntry("ORG-1", { name: "example.com/secret" }),
        ], { isPrivate: (path) => path === "example.com/secret" }),
        isProbed: true,
      }),
    );
    return new World(app, upstream, stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

function as(user: string | null): { headers: Record<string, string> } {
  return { headers: user === null ? {} : { Authorization: basic(user, `${user}-pass`) } };
}

/**
 * Who may read a path: everybody, every authenticated client, or those with access to
 * example.com/secret.
 */
type Rule = "anyone" | "client" | "secret";

/** Each route of the server with at least one path. */
const PATHS: Readonly<Record<string, readonly { path: string; rule: Rule; status?: number }[]>> = {
  healthz: [{ path: "healthz", rule: "anyone" }],
  readyz: [{ path: "readyz", rule: "anyone" }],
  home: [{ path: "", rule: "client" }],
  auth: [{ path: "auth/userpassword", rule: "anyone", status: 405 }],
  metrics: [{ path: "metrics", rule: "client" }],
  index: [{ path: "index", rule: "client" }, {
    path: "index?limit=x",
    rule: "client",
    status: 404,
  }],
  vulndb: [
    { path: "-/vulndb/index/db.json", rule: "client" },
    { path: "-/vulndb/index/modules.json.gz", rule: "client" },
    { path: "-/vulndb/ID/GO-1.json.gz", rule: "client" },
    { path: "-/vulndb/ID/GO-9.json.gz", rule: "client", status: 404 },
    { path: "-/vulndb/nonsense", rule: "client", status: 404 },
  ],
  explain: [
    { path: "explain/example.com/secret@v1.0.0", rule: "secret" },
    { path: "explain/nonsense", rule: "client", status: 404 },
  ],
  sumdb: [
    { path: "sumdb/sum.example.com/supported", rule: "client", status: 404 },
    { path: "sumdb/sum.example.com/latest", rule: "client", status: 404 },
    { path: "sumdb/sum.example.com/tile/8/0/000", rule: "client", status: 404 },
    {
      path: "sumdb/sum.example.com/lookup/example.com/secret@v1.0.0",
      rule: "secret",
      status: 404,
    },
    { path: "sumdb/nonsense", rule: "client", status: 404 },
  ],
  module: [
    { path: "example.com/secret/@v/list", rule: "secret" },
    { path: "example.com/secret/@latest", rule: "secret" },
    { path: "example.com/secret/@v/v1.0.0.info", rule: "secret" },
    { path: "example.com/secret/@v/v1.0.0.mod", rule: "secret" },
    { path: "example.com/secret/@v/v1.0.0.zip", rule: "secret" },
    { path: "example.com/secret/@v/v9.9.9.info", rule: "secret", status: 404 },
    { path: "example.com/nowhere/@v/list", rule: "secret", status: 404 },
    { path: "cached-only/example.com/secret/@v/v1.0.0.info", rule: "secret" },
    { path: "example.com%2Fsecret/@v/list", rule: "secret" },
    { path: "example.com/Upper/@v/list", rule: "client", status: 404 },
  ],
  none: [{ path: "nonsense", rule: "client", status: 404 }],
};

Deno.test("every route authenticates the client, and answers according to its access", async (t) => {
  await using world = await World.start();
  const { app, upstream } = world;
  const names = new Set([...app.routes.map(({ name }) => name), "none"]);
  assert.deepEqual(new Set(Object.keys(PATHS)), names, "a route needs a row in this table");
  for (const { path, rule, status = 200 } of Object.values(PATHS).flat()) {
    for (const method of ["GET", "HEAD"]) {
      const ask = async (init: RequestInit) => {
        const response = await app.get(path, { method, ...init });
        await response.body?.cancel();
        return response.status;
      };
      await t.step(`${method} /${path}`, async () => {
        const seen = upstream.requests.length;
        const unknown = rule === "anyone" ? status : 401;
        assert.equal(await ask(as(null)), unknown, "no credentials");
        const wrong = { headers: { Authorization: basic("ops", "wrong") } };
        // After some of them it is 429.
        assert.ok([unknown, 429].includes(await ask(wrong)), "wrong credentials");
        assert.equal(await ask(as("dev")), rule === "secret" ? 403 : status, "denied");
        if (rule === "secret") {
          assert.equal(upstream.requests.length, seen, "nothing was looked up for any of them");
        }
        assert.equal(await ask(as("ops")), status, "allowed");
      });
    }
  }
});

Deno.test("without client authentication everybody may read everything, and nobody can log in", async () => {
  await using upstream = await startUpstream();
  await using app = await startTestApp({ upstreams: [upstream.url] });
  assert.equal((await app.text("")).status, 200);
  assert.equal((await app.text("metrics")).status, 200);
  const { status } = await app.text("auth/userpassword", { method: "POST", body: "{}" });
  assert.equal(status, 405);
});

Deno.test("an answer for one client is not cacheable by proxies", async (t) => {
  await using world = await World.start();
  for (const path of Object.values(PATHS).flat().map(({ path }) => path)) {
    await t.step(path, async () => {
      const response = await world.app.get(path, as("ops"));
      await response.body?.cancel();
      const cacheControl = response.headers.get("Cache-Control") ?? "no-store";
      assert.match(cacheControl, /^(private\b|no-store$)/);
      if (cacheControl === "no-store") return;
      assert.match(response.headers.get("Vary") ?? "", /\bAuthorization\b/);
    });
  }
  const info = await world.app.get("example.com/open/@v/v1.0.0.info", as("dev"));
  await info.body?.cancel();
  assert.equal(info.headers.get("Cache-Control"), "private, max-age=31536000, immutable");
});

Deno.test("a denial says why in a form that the go command prints", async () => {
  await using world = await World.start();
  const denied = await world.app.get("example.com/secret/@v/list", as("dev"));
  assert.equal(denied.headers.get("Content-Type"), "text/plain; charset=utf-8");
  assert.equal(denied.headers.get("Cache-Control"), "no-store");
  assert.match(
    await denied.text(),
    /^Cannot give "example.com\/secret" to "dev": the access list does not allow it .*\nrequest id: \S+\n$/,
  );
  const unknown = await world.app.get("example.com/secret/@v/list");
  assert.match(unknown.headers.get("WWW-Authenticate") ?? "", /Basic realm=.*Bearer realm=/);
  assert.match(await unknown.text(), /^Cannot answer without credentials.*\nrequest id: /);
});

Deno.test("B14: the index, advisories and checksum databases hide modules that a client may not read", async () => {
  await using world = await World.start();
  const { body } = await world.app.text("index", as("dev"));
  assert.deepEqual(
    body.trim().split("\n").map((line) => JSON.parse(line).Path),
    ["example.com/open"],
  );
  const idsFor = async (user: string): Promise<string[]> => {
    const { body } = await world.app.text("-/vulndb/index/vulns.json", as(user));
    return JSON.parse(body).map(({ id }: { id: string }) => id);
  };
  assert.deepEqual(await idsFor("dev"), ["GO-1"]);
  assert.deepEqual(await idsFor("nobody"), ["GO-1"]);
  assert.deepEqual(await idsFor("ops"), ["GO-1", "ORG-1"]);
  const lookup = "sumdb/sum.example.com/lookup/example.com/secret@v1.0.0";
  assert.equal((await world.app.text(lookup, as("dev"))).status, 403);
  assert.equal((await world.app.text("index", as("nobody"))).body, "");
});

Deno.test("B14: a tile of records is only for clients that may read all its modules", async () => {
  const h1 = h1Of(new Uint8Array(32));
  const records = (...names: string[]) =>
    joinRecords(names.map((name) => {
      const module = moduleVersion(`example.com/${name}`, "v1.0.0");
      const text = formatRecordText(module, { zipH1: h1, goModH1: h1 });
      return new TextEncoder().encode(text);
    }));
  const nobody = () => Promise.reject(new Error("not asked for"));
  const tiles = [records("open", "secret"), records("open"), new TextEncoder().encode("nonsense")];
  const database: ServedDatabase = {
    isVerified: true,
    supported: nobody,
    latest: nobody,
    lookup: nobody,
    tile: ({ number }) => Promise.resolve(tiles[number] ?? new Uint8Array()),
  };
  const app = createApp({
    routes: [sumdbRoute({
      databases: { find: () => database },
      copyNames: { of: () => Promise.resolve([]) },
    })],
    guard: await openAuth(),
    log: createLogger("error", { write: () => {} }),
    via: "1.1 test",
  });
  const statusOf = async (tile: string, user: string) => {
    const url = `http://proxy.test/sumdb/sum.example.com/tile/8/${tile}`;
    return (await app(new Request(url, as(user)))).status;
  };
  assert.equal(await statusOf("data/000", "ops"), 200);
  assert.equal(await statusOf("data/000", "dev"), 403);
  assert.equal(await statusOf("data/001", "dev"), 200);
  assert.equal(await statusOf("data/002", "dev"), 403, "what cannot be read is not given");
  assert.equal(await statusOf("0/000", "dev"), 200, "hashes tell nothing");
});

function post(app: TestApp, path: string, init: RequestInit): Promise<Response> {
  return app.get(path, { method: "POST", ...init });
}

Deno.test("POST /auth/userpassword gives a token that works with Basic and Bearer (B13)", async () => {
  await using world = await World.start();
  const { app } = world;
  const response = await post(app, "auth/userpassword", {
    body: '{"user":"dev","password":"dev-pass"}',
  });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("Content-Type") ?? "", /^application\/json/);
  assert.equal(response.headers.get("Cache-Control"), "no-store");
  const { access_token: token, ...rest } = await response.json();
  assert.deepEqual(rest, { expires_in: 900, token_type: "Bearer" });
  for (const Authorization of [`Bearer ${token}`, basic("dev", token), basic("x", token)]) {
    const path = "example.com/open/@v/v1.0.0.info";
    assert.equal((await app.text(path, { headers: { Authorization } })).status, 200);
    const secret = await app.text("example.com/secret/@v/list", { headers: { Authorization } });
    assert.equal(secret.status, 403);
  }
  // What the original's client-forward-proxy sends, and its server refused.
  assert.equal((await app.text("example.com/open/@v/list", as("dev"))).status, 200);
});

Deno.test("POST /auth/userpassword refuses other bodies", async (t) => {
  await using world = await World.start();
  const rows = [
    { body: "", want: 400 },
    { body: "{", want: 400 },
    { body: "null", want: 400 },
    { body: '["dev","dev-pass"]', want: 400 },
    { body: '{"user":"dev"}', want: 400 },
    { body: '{"user":"dev","password":1}', want: 400 },
    { body: '{"user":"dev","password":"dev-pass","admin":true}', want: 400 },
    { body: `{"user":"dev","password":"${"x".repeat(MAX_BODY_BYTES)}"}`, want: 400 },
    { body: '{"user":"dev","password":"hunter2"}', want: 401 },
    { body: '{"user":"hunter2","password":"dev-pass"}', want: 401 },
    { body: '{"user":"","password":""}', want: 401 },
    { body: '{"user":"ci","password":""}', want: 401 },
  ];
  for (const { body, want } of rows) {
    await t.step(body.slice(0, 60), async () => {
      const response = await post(world.app, "auth/userpassword", { body });
      assert.equal(response.status, want);
      assert.doesNotMatch(await response.text(), /hunter2|dev-pass/);
    });
  }
});

Deno.test("POST /auth/… that is not configured is 404, other methods are 405", async () => {
  await using world = await World.start();
  const { token } = await (await openAuth()).logIn(
    "userpassword",
    { kind: "password", user: "dev", password: "dev-pass" },
    { headers: new Headers(), address: null, requestId: "id" },
  );
  const headers = { Authorization: `Bearer ${token}` };
  for (const path of ["auth/gce", "auth/oidc"]) {
    assert.equal((await post(world.app, path, { headers })).status, 404, path);
    assert.equal((await world.app.text(path, { headers })).status, 405, path);
  }
  assert.equal((await post(world.app, "auth/other", { headers })).status, 405);
});

Deno.test("too many wrong passwords are 429 with Retry-After, for the right one too", async () => {
  await using world = await World.start();
  for (let i = 0; i < MAX_FAILURES; i++) {
    const body = `{"user":"dev","password":"guess ${i}"}`;
    assert.equal((await post(world.app, "auth/userpassword", { body })).status, 401);
  }
  const response = await world.app.get("", as("dev"));
  assert.equal(response.status, 429);
  assert.ok(Number(response.headers.get("Retry-After")) > 0);
  assert.match(await response.text(), /too many wrong passwords/);
});

Deno.test("POST /auth/oidc and /auth/gce exchange an identity token, which also works directly", async () => {
  await using issuer = await FakeIssuer.start();
  const auth = await openAuth(
    `gceInstanceIdentity: { audience: us, jwksUri: "${issuer.jwksUri}" }
    oidc: [{ issuer: "${issuer.url}", audience: us }]`,
    `- { name: vm, gceInstanceIdentityBinding: { email: vm@example.com } }
    - { name: ci, oidcBinding: { issuer: "${issuer.url}", claims: { repository: "my-org/*" } } }`,
  );
  await using world = await World.start(auth);
  const { app } = world;
  const exp = Math.floor(Date.now() / 1000) + 60;
  const claims = { iss: issuer.url, aud: "us", exp, repository: "my-org/lib" };
  const good = await issuer.token(claims);
  const stranger = await issuer.token({ ...claims, repository: "their-org/lib" });
  const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

  assert.equal((await post(app, "auth/oidc", bearer(stranger))).status, 401);
  assert.equal((await post(app, "auth/gce", bearer(good))).status, 401, "of another kind");
  assert.equal((await post(app, "auth/oidc", as("ops"))).status, 401, "a password is no token");
  assert.equal((await post(app, "auth/oidc", {})).status, 401);
  const response = await post(app, "auth/oidc", bearer(good));
  assert.equal(response.status, 200);
  const { access_token: token } = await response.json();
  assert.equal((await post(app, "auth/oidc", bearer(token))).status, 401, "no token for a token");
  for (
    const headers of [bearer(good), bearer(token), { headers: { Authorization: basic("x", good) } }]
  ) {
    assert.equal((await app.text("example.com/secret/@v/list", headers)).status, 200);
  }

  const vm = await issuer.token({
    iss: "https://accounts.google.com",
    aud: "us",
    exp,
    email: "vm@example.com",
    email_verified: true,
    google: { compute_engine: { instance_id: "1" } },
  });
  assert.equal((await post(app, "auth/gce", bearer(vm))).status, 200);
  assert.equal((await app.text("example.com/secret/@v/list", bearer(vm))).status, 403);

  await issuer.down();
  await using other = await World.start(
    await openAuth(
      `oidc: [{ issuer: "${issuer.url}", audience: us }]`,
      `- { name: ci, oidcBinding: { issuer: "${issuer.url}", claims: { repository: "my-org/*" } } }`,
    ),
  );
  const failed = await other.app.get("example.com/secret/@v/list", bearer(good));
  assert.equal(failed.status, 502, "neither 401 nor 403: the token may be good");
  assert.match(await failed.text(), /cannot fetch the keys of issuer ".*"/);
});
