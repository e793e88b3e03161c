import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { inspect } from "node:util";
import { type Behaviour, stall, status } from "../../tests/fakes/behaviours.ts";
import { FakeGitHubApi, type Installation, newKeyPem } from "../../tests/fakes/github_api.ts";
import {
  DeadlineError,
  describeError,
  LimitExceededError,
  NotFoundError,
  OverloadedError,
  UpstreamError,
} from "../errors.ts";
import { createLogger } from "../log/log.ts";
import {
  defaultApiBaseUrl,
  FAILURE_TTL_MS,
  type Fetch,
  GitHubApp,
  MIN_AGE_TO_FORGET_MS,
} from "./github_app.ts";
import { type CredentialContext, type Credentials, MIN_REMAINING_MS } from "./provider.ts";
import { SecretError } from "./secret.ts";

const KEY = newKeyPem();
const OTHER_KEY = newKeyPem();

interface SetupOptions {
  /** Default: on all repositories of My-Org. */
  readonly installation?: Installation | null;
  readonly basePath?: string;
  readonly fetch?: Fetch;
  readonly key?: () => string;
  readonly requestTimeoutMs?: number;
}

/** A fake API, a client of it, and one clock for both. */
class Setup implements AsyncDisposable {
  nowMs = Date.now();
  readonly api: FakeGitHubApi;
  readonly app: GitHubApp;
  readonly steps: string[] = [];
  readonly logLines: string[] = [];

  constructor(options: SetupOptions = {}) {
    const {
      installation = { owner: "My-Org", repositories: ["lib", "other"] },
      basePath = "",
      fetch: fetchApi = fetch,
      key = () => KEY,
      requestTimeoutMs,
    } = options;
    const now = () => this.nowMs;
    this.api = new FakeGitHubApi({ now, basePath, privateKeyPem: KEY });
    if (installation !== null) this.api.install(installation);
    this.app = new GitHubApp({
      id: this.api.appId,
      apiBaseUrl: this.api.apiBaseUrl,
      privateKey: () => Promise.resolve(createPrivateKey(key())),
      fetch: fetchApi,
      now,
      log: createLogger("trace", { write: (line) => this.logLines.push(line) }),
      ...requestTimeoutMs === undefined ? {} : { requestTimeoutMs },
    });
  }

  ask(path = "my-org/lib", signal = new AbortController().signal): Promise<Credentials | null> {
    const onStep = (text: string) => this.steps.push(text);
    return this.app.credentials(remoteAt(path), { signal, onStep });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api[Symbol.asyncDispose]();
  }
}

function remoteAt(path: string): CredentialContext {
  return { protocol: "https", host: "github.com", path };
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(() => null, (error: unknown) => error);
  assert.ok(error instanceof Error, "it should have failed");
  return error;
}

Deno.test("GitHubApp gets a token that reads one repository and nothing else", async () => {
  await using setup = new Setup({
    installation: {
      owner: "My-Org",
      repositories: ["lib", "other"],
      permissions: { contents: "write", metadata: "read", issues: "write" },
    },
  });
  const credentials = await setup.ask("my-org/lib.git");
  const [minted, ...more] = setup.api.tokens;
  assert.deepEqual(more, []);
  assert.deepEqual(minted?.repositories, ["My-Org/lib"]);
  assert.deepEqual(minted?.permissions, { contents: "read", metadata: "read" });
  assert.equal(credentials?.username, "x-access-token");
  assert.equal(credentials?.password, minted?.token);
  assert.equal(setup.api.isValidFor(credentials?.password ?? "", "my-org/lib"), true);
  assert.equal(setup.api.isValidFor(credentials?.password ?? "", "my-org/other"), false);
  assert.deepEqual(setup.api.requests, [
    "GET /orgs/my-org/installation",
    "POST /app/installations/42/access_tokens",
  ]);
});

Deno.test("GitHubApp finds the installation of a user", async () => {
  await using setup = new Setup({
    installation: { owner: "Ann", ownerType: "User", repositories: ["lib"] },
  });
  await setup.ask("ann/lib");
  assert.deepEqual(setup.api.tokens[0]?.repositories, ["Ann/lib"]);
});

Deno.test("GitHubApp uses the API below a path, as GitHub Enterprise Server has it", async () => {
  await using setup = new Setup({ basePath: "/api/v3" });
  await setup.ask();
  assert.equal(setup.api.tokens.length, 1);
});

Deno.test("defaultApiBaseUrl() goes by the kind of host", async (t) => {
  for (
    const { input, want } of [
      { input: "github.com", want: "https://api.github.com" },
      { input: "octocorp.ghe.com", want: "https://api.octocorp.ghe.com" },
      { input: "git.example.com", want: "https://git.example.com/api/v3" },
      { input: "git.example.com:8443", want: "https://git.example.com:8443/api/v3" },
    ]
  ) await t.step(input, () => assert.equal(defaultApiBaseUrl(input), want));
});

Deno.test("GitHubApp has nothing for what is no repository, and asks nobody", async (t) => {
  await using setup = new Setup();
  for (const path of ["", "my-org", "my-org/", "a/b/c", "my-org/..", "../lib", "my-org/li b"]) {
    await t.step(path, async () => assert.equal(await setup.ask(path), null));
  }
  assert.deepEqual(setup.api.requests, []);
});

Deno.test("GitHubApp takes different spellings of a repository for one", async () => {
  await using setup = new Setup();
  const first = await setup.ask("my-org/lib");
  for (const path of ["My-Org/lib", "MY-ORG/Lib.git", "my-org/lib/"]) {
    assert.equal((await setup.ask(path))?.password, first?.password, path);
  }
  assert.equal(setup.api.tokens.length, 1);
});

Deno.test("GitHubApp mints once for 100 requests at once, and looks an owner up once", async () => {
  await using setup = new Setup();
  const held = stall();
  setup.api.misbehave = held.behaviour;
  const paths = Array.from({ length: 100 }, (_, i) => i % 2 === 0 ? "my-org/lib" : "my-org/other");
  const all = Promise.all(paths.map((path) => setup.ask(path)));
  await held.arrived;
  held.release();
  assert.equal(new Set((await all).map((credentials) => credentials?.password)).size, 2);
  assert.equal(setup.api.tokens.length, 2);
  assert.equal(setup.api.requests.filter((request) => request.startsWith("GET")).length, 1);
});

Deno.test("GitHubApp keeps a token until 5 minutes before its end", async (t) => {
  await using setup = new Setup();
  const first = await setup.ask();
  const startMs = setup.nowMs;
  const rows = [
    { minutes: 54, isSame: true },
    { minutes: 56, isSame: false },
  ];
  for (const { minutes, isSame } of rows) {
    await t.step(`after ${minutes} minutes`, async () => {
      setup.nowMs = startMs + minutes * 60_000;
      const next = await setup.ask();
      assert.equal(next?.password === first?.password, isSame);
      const remainingMs = (next?.expiresAt?.getTime() ?? 0) - setup.nowMs;
      assert.ok(remainingMs >= MIN_REMAINING_MS, `${remainingMs} ms`);
    });
  }
});

Deno.test("GitHubApp says what a refusal means", async (t) => {
  const rows: {
    name: string;
    installation?: Installation | null;
    misbehave?: Behaviour;
    key?: string;
    want: { class: new (message: string) => Error; message: RegExp };
  }[] = [
    {
      name: "not installed: the repository may exist, so never NotFoundError",
      installation: null,
      want: {
        class: UpstreamError,
        message: /GitHub App 12345 on "my-org": it is not installed there; install it/,
      },
    },
    {
      name: "no such repository, installed on all",
      installation: { owner: "my-org", repositories: ["other"] },
      want: {
        class: NotFoundError,
        message: /token for my-org\/lib: its owner has no such repository$/,
      },
    },
    {
      name: "not selected: the repository may exist",
      installation: { owner: "my-org", repositories: ["lib"], selected: [] },
      want: { class: UpstreamError, message: /not among those selected for GitHub App 12345; add/ },
    },
    {
      name: "suspended",
      installation: { owner: "my-org", repositories: ["lib"], suspended: true },
      want: { class: UpstreamError, message: /is suspended on "my-org"/ },
    },
    {
      name: "no permission",
      installation: {
        owner: "my-org",
        repositories: ["lib"],
        permissions: { metadata: "read", issues: "write" },
      },
      want: { class: UpstreamError, message: /may not read contents on "my-org"; give it/ },
    },
    {
      name: "another App's key",
      key: OTHER_KEY,
      want: { class: UpstreamError, message: /could not be decoded\); check both, and .* clock/ },
    },
    {
      name: "403 without a limit",
      misbehave: status(403, {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ message: "IP address is not on the allow list" }),
      }),
      want: {
        class: UpstreamError,
        message: /answered 403 \(IP address is not on the allow list\)/,
      },
    },
    {
      name: "429",
      misbehave: status(429),
      want: { class: OverloadedError, message: /GitHub limits the rate of GitHub App 12345/ },
    },
    {
      name: "403, nothing remaining",
      misbehave: status(403, { headers: { "x-ratelimit-remaining": "0" } }),
      want: { class: OverloadedError, message: /limits the rate/ },
    },
    {
      name: "403, retry-after",
      misbehave: status(403, { headers: { "retry-after": "30" } }),
      want: { class: OverloadedError, message: /limits the rate/ },
    },
    {
      name: "500",
      misbehave: status(500),
      want: { class: UpstreamError, message: /answered 500 \(no reason given\)/ },
    },
    {
      name: "redirect",
      misbehave: status(301),
      want: { class: UpstreamError, message: /answered 301/ },
    },
    {
      name: "an HTML page with status 200",
      misbehave: status(200, {
        headers: { "content-type": "text/html" },
        body: "<!DOCTYPE html><title>Sign in</title>",
      }),
      want: { class: UpstreamError, message: /did not answer like the GitHub API/ },
    },
    {
      name: "JSON of another kind",
      misbehave: status(200, { headers: { "content-type": "application/json" }, body: "[]" }),
      want: { class: UpstreamError, message: /did not answer like the GitHub API/ },
    },
    {
      name: "broken JSON",
      misbehave: status(200, { headers: { "content-type": "application/json" }, body: '{"id":' }),
      want: { class: UpstreamError, message: /did not answer like the GitHub API/ },
    },
    {
      name: "a right answer of over 1 MiB",
      misbehave: status(200, {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          id: 42,
          repository_selection: "all",
          permissions: { contents: "read" },
          account: "x".repeat(1 << 20),
        }),
      }),
      want: {
        class: LimitExceededError,
        message: /^Cannot read an answer of GitHub: larger than 1048576 bytes/,
      },
    },
    {
      name: "an answer that takes too long to parse",
      misbehave: status(200, {
        headers: { "content-type": "application/json" },
        body: "[".repeat(100_000),
      }),
      want: {
        class: LimitExceededError,
        message: /^Cannot read an answer of GitHub: more than 20000 values$/,
      },
    },
    {
      name: "a token that is about to expire",
      misbehave: (request, honest) =>
        request.method === "GET" ? honest() : Response.json({
          token: "ghs_short",
          expires_at: new Date(Date.now() + MIN_REMAINING_MS - 60_000).toISOString(),
        }, { status: 201 }),
      want: { class: UpstreamError, message: /the token would expire in [0-9.]+ s$/ },
    },
    {
      name: "a token with a newline",
      misbehave: (request, honest) =>
        request.method === "GET" ? honest() : Response.json({
          token: "ghs_a\nhost=evil.example.com",
          expires_at: new Date(Date.now() + 3_600_000).toISOString(),
        }, { status: 201 }),
      want: { class: UpstreamError, message: /did not answer like the GitHub API/ },
    },
    {
      name: "uninstalled between the two requests",
      misbehave: (request, honest) =>
        request.method === "GET" ? honest() : status(404)(request, honest),
      want: { class: UpstreamError, message: /answered 404/ },
    },
  ];
  for (const { name, installation, misbehave, key, want } of rows) {
    await t.step(name, async () => {
      await using setup = new Setup({
        ...installation === undefined ? {} : { installation },
        ...key === undefined ? {} : { key: () => key },
      });
      setup.api.misbehave = misbehave ?? null;
      const error = await failureOf(setup.ask());
      assert.equal(error.constructor, want.class, describeError(error));
      assert.match(error.message, want.message);
    });
  }
});

Deno.test("GitHubApp finds what is installed later without a restart", async () => {
  await using setup = new Setup({ installation: null });
  await assert.rejects(setup.ask(), UpstreamError);
  setup.api.install({ owner: "my-org", repositories: ["lib"], selected: [] });
  await assert.rejects(setup.ask(), /not installed/, "the failure is remembered");

  setup.nowMs += FAILURE_TTL_MS;
  await assert.rejects(setup.ask(), /not among those selected/);
  for (const installation of setup.api.installations.values()) installation.selected = ["lib"];
  setup.nowMs += FAILURE_TTL_MS;
  assert.equal((await setup.ask())?.password, setup.api.tokens[0]?.token);
});

Deno.test("GitHubApp remembers a failure for seconds, however many ask", async () => {
  await using setup = new Setup({ installation: null });
  for (let i = 0; i < 10; i++) await assert.rejects(setup.ask(), UpstreamError);
  assert.equal(setup.api.requests.length, 2);
});

Deno.test("GitHubApp asks nothing, for no repository, until a rate limit's pause is over", async (t) => {
  const rows = [
    { headers: { "retry-after": "20" }, wantMs: 20_000 },
    { headers: { "retry-after": "86400" }, wantMs: 60_000 },
    { headers: { "retry-after": "soon" }, wantMs: 60_000 },
    { headers: {}, wantMs: 60_000 },
  ];
  for (const { headers, wantMs } of rows) {
    await t.step(JSON.stringify(headers), async () => {
      await using setup = new Setup();
      setup.api.misbehave = status(429, { headers });
      await assert.rejects(setup.ask("my-org/lib"), OverloadedError);
      setup.api.misbehave = null;
      setup.nowMs += wantMs - 1;
      await assert.rejects(setup.ask("my-org/other"), OverloadedError);
      assert.deepEqual(setup.api.requests, []);
      setup.nowMs += FAILURE_TTL_MS;
      assert.equal((await setup.ask("my-org/other"))?.username, "x-access-token");
    });
  }
});

Deno.test("GitHubApp still hands out a token it has while GitHub fails", async () => {
  await using setup = new Setup();
  const credentials = await setup.ask();
  setup.api.misbehave = status(500);
  setup.nowMs += 30 * 60_000;
  assert.deepEqual(await setup.ask(), credentials);
});

Deno.test("GitHubApp.forget() leads to a new token, but not for each refusal", async () => {
  await using setup = new Setup();
  const first = await setup.ask();
  assert.ok(first !== null);
  assert.equal(setup.app.forget(remoteAt("my-org/lib"), first), false, "too young to forget");
  assert.deepEqual(await setup.ask(), first);

  setup.nowMs += MIN_AGE_TO_FORGET_MS;
  assert.equal(setup.app.forget(remoteAt("my-org/other"), first), true);
  assert.deepEqual(await setup.ask(), first, "another repository");
  assert.equal(setup.app.forget(remoteAt("MY-ORG/lib.git"), first), true);
  const second = await setup.ask();
  assert.ok(second !== null);
  assert.notEqual(second.password, first.password);
  assert.equal(setup.app.forget(remoteAt("my-org/lib"), first), true, "there is a newer one");
  assert.deepEqual(await setup.ask(), second);
  assert.equal(setup.api.tokens.length, 2);
});

Deno.test("GitHubApp.forget() drops a young token that a git server has accepted", async () => {
  await using setup = new Setup();
  const first = await setup.ask();
  assert.ok(first !== null);
  setup.app.accept(remoteAt("my-org/lib"), { ...first, password: "another" });
  assert.equal(setup.app.forget(remoteAt("my-org/lib"), first), false);
  setup.app.accept(remoteAt("My-Org/lib.git"), first);
  assert.equal(setup.app.forget(remoteAt("my-org/lib"), first), true);
  const second = await setup.ask();
  assert.ok(second !== null && second.password !== first.password);
  assert.equal(setup.app.forget(remoteAt("my-org/lib"), second), false, "nobody has accepted it");
});

Deno.test("GitHubApp uses a new private key at once", async () => {
  let key = OTHER_KEY;
  await using setup = new Setup({ key: () => key });
  await assert.rejects(setup.ask(), UpstreamError);
  key = KEY;
  setup.nowMs += FAILURE_TTL_MS;
  assert.equal((await setup.ask())?.username, "x-access-token");
});

Deno.test("GitHubApp passes on that its key cannot be read", async () => {
  await using setup = new Setup({
    key: () => {
      throw new SecretError("Cannot read the key");
    },
  });
  await assert.rejects(setup.ask(), SecretError);
});

Deno.test("GitHubApp gets along with a clock that is off", async (t) => {
  for (const minutes of [-60, 60]) {
    await t.step(`by ${minutes} minutes`, async () => {
      await using setup = new Setup();
      // The fake follows setup.nowMs, the client stays behind it.
      const app = new GitHubApp({
        id: setup.api.appId,
        apiBaseUrl: setup.api.apiBaseUrl,
        privateKey: () => Promise.resolve(createPrivateKey(KEY)),
        fetch,
        now: () => setup.nowMs - minutes * 60_000,
        log: createLogger("silent"),
      });
      setup.nowMs += minutes * 60_000;
      const { signal } = new AbortController();
      const credentials = await app.credentials(remoteAt("my-org/lib"), { signal });
      assert.equal(setup.api.isValidFor(credentials?.password ?? "", "my-org/lib"), true);
      const byOurClockMs = (credentials?.expiresAt?.getTime() ?? 0) - Date.now();
      assert.ok(Math.abs(byOurClockMs - 3_600_000) < 60_000, `${byOurClockMs} ms`);
    });
  }
});

Deno.test("GitHubApp never gives one App the token of another", async () => {
  // Installation ids count per host: both have an installation 42 with a repository "lib".
  await using one = new Setup();
  await using two = new Setup();
  const [first, second] = await Promise.all([one.ask(), two.ask()]);
  assert.equal(one.api.isValidFor(first?.password ?? "", "my-org/lib"), true);
  assert.equal(two.api.isValidFor(second?.password ?? "", "my-org/lib"), true);
});

Deno.test("GitHubApp gives up on an API that does not answer", async () => {
  await using setup = new Setup({ requestTimeoutMs: 20 });
  const held = stall();
  setup.api.misbehave = held.behaviour;
  const error = await failureOf(setup.ask());
  held.release();
  assert.ok(error instanceof DeadlineError, describeError(error));
});

Deno.test("GitHubApp stops waiting when a caller leaves; the others get their token", async () => {
  await using setup = new Setup();
  const held = stall();
  setup.api.misbehave = held.behaviour;
  const controller = new AbortController();
  const leaving = setup.ask("my-org/lib", controller.signal);
  const staying = setup.ask("my-org/lib");
  await held.arrived;
  controller.abort(new Error("left"));
  await assert.rejects(leaving, /^Error: left$/);
  held.release();
  assert.equal((await staying)?.password, setup.api.tokens[0]?.token);
});

Deno.test("GitHubApp says that the API cannot be reached, and why", async (t) => {
  await t.step("fetch throws a class of ours", async () => {
    const refused = new UpstreamError("Cannot reach http://127.0.0.1");
    await using setup = new Setup({ fetch: () => Promise.reject(refused) });
    assert.equal(await failureOf(setup.ask()), refused);
  });
  await t.step("the port is closed", async () => {
    const setup = new Setup();
    await setup.api[Symbol.asyncDispose]();
    const error = await failureOf(setup.ask());
    assert.ok(error instanceof UpstreamError);
    assert.match(describeError(error), /^Cannot reach the API of GitHub: .*connect/);
    assert.ok(error.cause instanceof TypeError, "not octokit's error, which has the request in it");
  });
});

Deno.test("GitHubApp keeps keys and tokens out of errors, steps and log", async (t) => {
  /** Sends back what it was sent, and a token of its own, wherever a client might look. */
  const echo = (code: number): Behaviour => async (request, honest) => {
    if (request.method === "GET" && code !== 401) return await honest();
    const sent = request.headers.get("Authorization");
    return Response.json({
      message: `You sent ${sent} and get ghs_${"s".repeat(36)}`,
      documentation_url: `https://docs.example.com/?${sent}`,
      errors: [{ sent }],
      token: `ghs_${"s".repeat(36)}`,
    }, { status: code, headers: { deprecation: `${sent}`, sunset: `${sent}` } });
  };
  for (const code of [200, 201, 400, 401, 403, 404, 409, 422, 429, 500]) {
    await t.step(`echo with ${code}`, async () => {
      await using setup = new Setup();
      setup.api.misbehave = echo(code);
      const error = await failureOf(setup.ask());
      const seen = [error.stack, inspect(error, { depth: 9, showHidden: true }), ...setup.steps]
        .concat(setup.logLines).join("\n");
      assert.doesNotMatch(seen, /eyJ|ghs_|PRIVATE KEY/);
    });
  }
  await t.step("success", async () => {
    await using setup = new Setup();
    const credentials = await setup.ask();
    const seen = [...setup.steps, ...setup.logLines].join("\n");
    assert.match(seen, /got a token that is good until 2/);
    assert.equal(seen.includes(credentials?.password ?? ""), false);
    assert.doesNotMatch(seen, /eyJ|ghs_/);
  });
});
