/**
 * The `go` command against a server that requires authentication, over https with a certificate of
 * our own: every way of logging in that `go` has, with valid and with invalid credentials.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { AccessTokens } from "../lib/auth/access_tokens.ts";
import { createAuthority } from "./fakes/authority.ts";
import { type GoCommand, goCommand, type GoResult, goTest } from "./support/go_command.ts";
import { FakeIssuer } from "./fakes/issuer.ts";
import { Loopback } from "./fakes/loopback.ts";
import { denoDir, type Server, startFlags, startServer } from "./worlds/server.ts";
import { startUpstream, type Upstream, type UpstreamModule } from "./fakes/upstream.ts";

type Env = Readonly<Record<string, string>>;

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODULES: readonly UpstreamModule[] = ["example.com/m", "example.com/secret"].map((path) => ({
  path,
  version: "v1.0.0",
  files: { "go.mod": `module ${path}\n`, "m.go": "package m\n" },
}));

const AUDIENCE = "the server";
const SIGNING_SECRET = "0123456789abcdef0123456789abcdef";
const PASSWORD = "correct-horse";

function configOf(issuer: string): string {
  return `
listen: { tls: { certificate: { file: cert.pem }, privateKey: { file: key.pem } } }
clientAuth:
  enabled: true
  acl:
    - { access: deny, modules: ["example.com/secret"] }
    - { access: allow }
  authenticators:
    accessToken: { audience: "${AUDIENCE}", secret: { file: signing-secret } }
    oidc: [{ issuer: "${issuer}", audience: go-mod-proxy }]
  identities:
    - { name: dev, password: { file: password } }
    - { name: ci, oidcBinding: { issuer: "${issuer}", claims: { repository: "my-org/*" } } }
`;
}

/**
 * As GitHub does, gives a job of a repository an identity token for the audience that it asks for.
 */
function startActions(issuer: FakeIssuer): Actions {
  let count = 0;
  const server = new Loopback(async (request) => {
    const { searchParams } = new URL(request.url);
    if (request.headers.get("Authorization") !== "Bearer job") {
      return new Response(null, { status: 401 });
    }
    count += 1;
    const seconds = Math.floor(Date.now() / 1000);
    const value = await issuer.token({
      iss: issuer.url,
      aud: searchParams.get("audience") ?? "",
      sub: "job",
      repository: searchParams.get("repository"),
      iat: seconds,
      exp: seconds + 300,
    });
    return Response.json({ value });
  });
  return {
    count: () => count,
    env: (repository) => ({
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: "job",
      ACTIONS_ID_TOKEN_REQUEST_URL: `${server.url}/token?repository=${repository}`,
    }),
    [Symbol.asyncDispose]: () => server.down(),
  };
}

interface Actions extends AsyncDisposable {
  /** How many tokens it gave. */
  count(): number;
  /** What a job finds in its environment. */
  env(repository: string): Env;
}

interface World {
  readonly server: Server;
  /** What the server has its modules from. */
  readonly upstream: Upstream;
  /** Where the go command goes when the server says that there is no such module. */
  readonly elsewhere: Upstream;
  readonly actions: Actions;
  readonly caFile: string;
  /** `host:port` of the server. */
  readonly host: string;
  /** The command line of our program. */
  readonly program: string;
  newGo(env: Env): Promise<GoCommand>;
}

async function withWorld(test: (world: World) => Promise<void>): Promise<void> {
  const authority = await createAuthority();
  const { certificate, privateKey } = await authority.issue();
  await using disposer = new AsyncDisposableStack();
  const issuer = disposer.use(await FakeIssuer.start());
  const actions = disposer.use(startActions(issuer));
  const directory = await Deno.makeTempDir({ prefix: "go-auth-" });
  disposer.defer(() => Deno.remove(directory, { recursive: true }));
  const files = {
    "cert.pem": certificate,
    "key.pem": privateKey,
    "ca.pem": authority.certificate,
    "signing-secret": SIGNING_SECRET,
    "password": PASSWORD,
    "config.yaml": configOf(issuer.url),
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${directory}/${name}`, text);
  }
  const upstream = disposer.use(await startUpstream({ modules: MODULES }));
  const elsewhere = disposer.use(await startUpstream({ modules: MODULES }));
  const server = disposer.use(
    await startServer({
      args: ["--config-file", `${directory}/config.yaml`],
      env: { GOPROXY: upstream.url },
      caCertificate: authority.certificate,
    }),
  );
  const { host } = new URL(server.url);
  const caFile = `${directory}/ca.pem`;
  const program = [Deno.execPath(), "run", ...await startFlags(), `${ROOT}/main.ts`].join(" ");
  await test({
    server,
    upstream,
    elsewhere,
    actions,
    caFile,
    host,
    program,
    async newGo(env) {
      return disposer.use(
        await goCommand({
          proxy: `${server.url},${elsewhere.url}`,
          env: {
            SSL_CERT_FILE: caFile,
            DENO_DIR: await denoDir(),
            // Nothing of the user who runs the tests.
            GIT_CONFIG_NOSYSTEM: "1",
            ...env,
          },
        }),
      );
    },
  });
}

function download(
  go: GoCommand,
  { module = "example.com/m@v1.0.0", env = {} }: { module?: string; env?: Env } = {},
): Promise<GoResult> {
  return go.run(["mod", "download", "-x", module], { env });
}

/** git's configuration by environment: a helper that says this user and password. */
function gitHelper(user: string, password: string): Env {
  return {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "credential.helper",
    GIT_CONFIG_VALUE_0:
      `!f() { test "$1" = get && echo "username=${user}" && echo "password=${password}"; }; f`,
  };
}

function assertDone({ code, stderr }: GoResult): void {
  assert.equal(code, 0, stderr);
}

/** The command failed, printed why, and did not fall back to a server that needs no credentials. */
function assertStopped(
  { code, stderr }: GoResult,
  { elsewhere, reason }: { elsewhere: Upstream; reason: RegExp },
): void {
  assert.equal(code, 1, stderr);
  assert.match(stderr, reason);
  assert.deepEqual(elsewhere.requests, []);
}

goTest("the go command logs in over https", (t) =>
  withWorld(async (world) => {
    const { server, elsewhere, host, program, actions } = world;

    await t.step("nobody gets in", async () => {
      const go = await world.newGo({ GOAUTH: "off" });
      assertStopped(await download(go), {
        elsewhere,
        reason: /401 Unauthorized\n\tserver response:/,
      });
    });

    const valid = await accessTokens(Date.now).issue("dev");
    const old = await accessTokens(() => Date.now() - 7_200_000).issue("dev");
    const netrcRows: { name: string; password: string; env?: Env; reason?: RegExp }[] = [
      { name: "a password", password: PASSWORD },
      { name: "a password, by default", password: PASSWORD, env: {} },
      { name: "an access token in place of the password", password: valid.token },
      {
        name: "a wrong password",
        password: "wrong",
        reason: /401 .*\n\tserver response:\n\tCannot/,
      },
      { name: "an expired token", password: old.token, reason: /server response:\n\t.*expired/ },
    ];
    for (const { name, password, env = { GOAUTH: "netrc" }, reason } of netrcRows) {
      await t.step(`netrc, with ${name}`, async () => {
        const go = await world.newGo(env);
        await go.writeFile("../.netrc", `machine ${host} login dev password ${password}\n`);
        const result = await download(go);
        if (reason === undefined) assertDone(result);
        else assertStopped(result, { elsewhere, reason });
      });
    }

    await t.step("GOAUTH=git", async () => {
      const go = await world.newGo(gitHelper("dev", PASSWORD));
      assertDone(
        await go.run(["mod", "download", "example.com/m@v1.0.0"], {
          env: { GOAUTH: `git ${go.dir}` },
        }),
      );
    });

    await t.step("GOAUTH=git, with a wrong password", async () => {
      const go = await world.newGo(gitHelper("dev", "wrong"));
      const result = await download(go, { env: { GOAUTH: `git ${go.dir}` } });
      assertStopped(result, { elsewhere, reason: /401 Unauthorized/ });
    });

    const goauth = `${program} goauth ${server.url}`;

    await t.step("our program, with git's password", async () => {
      const go = await world.newGo({ ...gitHelper("dev", PASSWORD), GOAUTH: goauth });
      assertDone(await download(go));
    });

    await t.step("our program, with a wrong password", async () => {
      const go = await world.newGo({ ...gitHelper("dev", "wrong"), GOAUTH: goauth });
      const result = await download(go);
      assertStopped(result, { elsewhere, reason: /Cannot log in at https:\S+ / });
    });

    const job = { GOAUTH: `${goauth} --audience go-mod-proxy` };

    await t.step("our program, in a job of GitHub Actions", async () => {
      const go = await world.newGo({ ...job, ...actions.env("my-org/lib") });
      assertDone(await download(go));
      assertDone(await go.run(["list", "-m", "-versions", "example.com/m"]));
      assert.equal(actions.count(), 1);
    });

    await t.step("our program, in a job of another repository", async () => {
      const go = await world.newGo({ ...job, ...actions.env("other/lib") });
      assertStopped(await download(go), { elsewhere, reason: /Cannot log in at https:\S+ / });
    });

    await t.step("our program, with a kept token that the server refuses", async () => {
      const go = await world.newGo({ ...gitHelper("dev", PASSWORD), GOAUTH: goauth });
      assertDone(await download(go));
      const kept = await spoilKeptTokens(`${go.dir}/../.cache/go-mod-proxy/goauth`);
      assert.equal(kept, 1);
      assertDone(await go.run(["list", "-m", "-versions", "example.com/m"]));
    });

    await t.step("GOAUTH=off, through client-forward-proxy", async () => {
      await using forwarder = await startServer({
        command: "client-forward-proxy",
        args: ["--server-url", server.url, "--user", "dev", "--password-env", "PASSWORD"],
        env: { PASSWORD, SSL_CERT_FILE: world.caFile },
      });
      const go = await world.newGo({ GOAUTH: "off" });
      const GOPROXY = `${forwarder.url},${elsewhere.url}`;
      assertDone(await download(go, { env: { GOPROXY } }));
      assertStopped(await download(go, { module: "example.com/secret@v1.0.0", env: { GOPROXY } }), {
        elsewhere,
        reason: /403 Forbidden\n\tserver response:\n\t.*"dev".*clientAuth\.acl\[0\]/,
      });
      assert.equal((await forwarder.kill("SIGTERM")).code, 0);
    });

    await t.step("GOAUTH=off, through client-forward-proxy with a wrong password", async () => {
      await using forwarder = await startServer({
        command: "client-forward-proxy",
        args: ["--server-url", server.url, "--user", "dev", "--password-env", "PASSWORD"],
        env: { PASSWORD: "wrong", SSL_CERT_FILE: world.caFile },
        isReady: false,
      });
      const go = await world.newGo({ GOAUTH: "off" });
      const result = await download(go, { env: { GOPROXY: `${forwarder.url},${elsewhere.url}` } });
      assertStopped(result, {
        elsewhere,
        reason: /401 Unauthorized\n\tserver response:\n\tCannot log in at https:/,
      });
    });

    await t.step("a denied module stops the build, with the reason", async () => {
      const go = await world.newGo({ ...gitHelper("dev", PASSWORD), GOAUTH: goauth });
      const result = await download(go, { module: "example.com/secret@v1.0.0" });
      assertStopped(result, {
        elsewhere,
        reason:
          /example\.com\/secret.*403 Forbidden\n\tserver response:\n\t.*"dev".*clientAuth\.acl\[0\]/s,
      });
      assert.equal(world.upstream.count(/example\.com\/secret/), 0);
    });
  }));

/** What the server's own access tokens are made by. */
function accessTokens(now: () => number): AccessTokens {
  return new AccessTokens({
    audience: AUDIENCE,
    secrets: [SIGNING_SECRET],
    timeToLiveMs: 3_600_000,
    identities: new Set(["dev", "ci"]),
    places: { directory: "/", env: () => undefined },
    now,
  });
}

/** As if the server had other secrets now, and the tokens had been obtained a while ago. */
async function spoilKeptTokens(directory: string): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    const kept = JSON.parse(await Deno.readTextFile(path));
    const spoiled = { ...kept, token: "spoiled", obtainedAtMs: kept.obtainedAtMs - 60_000 };
    await Deno.writeTextFile(path, JSON.stringify(spoiled));
    count += 1;
  }
  return count;
}
