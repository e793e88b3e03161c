/**
 * Plants a secret wherever one may be configured, runs a session in which everything fails, and
 * searches all output for them: the log at level debug, the answers, and the output of the
 * subcommands.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { type Behaviour, redirect } from "./fakes/behaviours.ts";
import { GitServer } from "./fakes/git_server.ts";
import { runProgram, startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

/** Each secret says where it was planted. Its length keeps it apart from anything else. */
function plant(place: string): string {
  return `hunter2-${place}-${crypto.randomUUID().slice(0, 8)}`;
}

const PLANTED = {
  upstreamPassword: plant("upstream-password"),
  token: plant("token"),
  tokenInFile: plant("token-in-file"),
  userPassword: plant("user-password"),
  netrc: plant("netrc"),
  bearer: plant("bearer"),
  basic: plant("basic"),
  cookie: plant("cookie"),
  proxyAuthorization: plant("proxy-authorization"),
  query: plant("query"),
  signature: plant("signature"),
  httpProxyPassword: plant("http-proxy-password"),
  clientPassword: plant("client-password"),
  tokenSecret: plant("token-secret"),
};

/** All forms in which a secret may turn up. */
function formsOf(secret: string): string[] {
  const base64 = ["", "u:", "x-access-token:"].map((prefix) => btoa(prefix + secret).slice(4, -4));
  return [secret, encodeURIComponent(secret), ...base64, new TextEncoder().encode(secret).toHex()];
}

/** An upstream that repeats all that it was sent. */
const echo: Behaviour = (request) =>
  new Response(
    `refused ${request.url} ${[...request.headers].map((pair) => pair.join(": ")).join(", ")}\n`,
    { status: 500 },
  );

Deno.test("no secret is in any output", async () => {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream({ modules: [] }));
  // git repeats on standard error what a server says with its refusal.
  const git = stack.use(
    await GitServer.start({
      authorize: () => false,
      misbehave: ({ authorization, repo, target }) => {
        if (authorization === null || repo === "refused.git") return null;
        const said = `no, ${authorization}, ${
          atob(authorization.slice("Basic ".length))
        }, ${target}\n`;
        return new Response(said, { status: 403, headers: { "Content-Type": "text/plain" } });
      },
    }),
  );
  const directory = await Deno.makeTempDir({ prefix: "secrets-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  await Deno.writeTextFile(`${directory}/key.pem`, pem);
  await Deno.writeTextFile(`${directory}/token`, `${PLANTED.tokenInFile}\n`);
  await Deno.writeTextFile(
    `${directory}/netrc`,
    `machine 127.0.0.1 login u password ${PLANTED.netrc}\n`,
  );
  const { host } = new URL(upstream.url);
  const config = `
httpProxy: { url: "http://127.0.0.1:1", user: u, password: ${PLANTED.httpProxyPassword} }
clientAuth:
  identities: [{ name: u, password: ${PLANTED.clientPassword} }]
  authenticators: { accessToken: { audience: a, secret: ${PLANTED.tokenSecret} } }
parentProxy: { url: "http://u:${PLANTED.upstreamPassword}@${host}" }
privateModules:
  - { pathPrefix: git.example.com/a, auth: { token: ${PLANTED.token} }, repository: ${git.url}/a.git }
  - { pathPrefix: git.example.com/b, auth: { token: { file: token } }, repository: ${git.url}/b.git }
  - { pathPrefix: git.example.com/c, auth: { userPassword: { user: u, password: ${PLANTED.userPassword} } }, repository: ${git.url}/c.git }
  - { pathPrefix: git.example.com/d, auth: { netrc: { file: netrc } }, repository: ${git.url}/d.git }
  - { pathPrefix: git.example.com/e, auth: { token: ${PLANTED.token} }, repository: ${git.url}/refused.git }
  - { pathPrefix: github.example.com/f, auth: { gitHubApp: 7 } }
gitHub:
  - host: github.example.com
    apiBaseUrl: ${upstream.url}
    gitHubApps: [{ id: 7, privateKey: { file: key.pem } }]
`;
  await Deno.writeTextFile(`${directory}/config.yaml`, config);
  const args = ["--config-file", `${directory}/config.yaml`, "--log-level", "trace"];
  const server = stack.use(await startServer({ args }));
  const output: string[] = [];
  const headers = {
    "Authorization": `Bearer ${PLANTED.bearer}`,
    "Proxy-Authorization": `Basic ${btoa(`u:${PLANTED.proxyAuthorization}`)}`,
    "Cookie": `session=${PLANTED.cookie}`,
  };
  const get = async (path: string, init: RequestInit = { headers }) => {
    const response = await fetch(`${server.url}/${path}`, init);
    output.push(JSON.stringify([...response.headers]), await response.text());
  };

  using _echo = upstream.misbehave(/./, echo);
  const basic = { Authorization: `Basic ${btoa(`u:${PLANTED.basic}`)}` };
  await get(`example.com/m/@v/list?token=${PLANTED.query}`);
  await get("example.com/m/@v/v1.0.0.zip", { headers: basic });
  for (const letter of "abcde") {
    await get(`git.example.com/${letter}/@v/list`);
    await get(`git.example.com/${letter}/@v/v1.0.0.info`);
  }
  await get(`nowhere?token=${PLANTED.query}`);
  await get("sumdb/sum.example.com/supported");
  {
    // A storage server's signed URL, and nobody there.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const signed =
      `http://u:${PLANTED.signature}@127.0.0.1:${port}/z?signature=${PLANTED.signature}`;
    using _redirect = upstream.misbehave(/./, redirect(signed));
    await get("example.com/m/@v/v2.0.0.info");
  }
  for (const module of ["git.example.com/a", "github.example.com/f/x"]) {
    const run = await runProgram(["check-source", ...args, module], {});
    output.push(run.stdout, run.stderr);
  }
  {
    const broken = config.replace("privateModules:", "privateModule:")
      .replace("id: 7", `id: "${PLANTED.token}"`);
    await Deno.writeTextFile(`${directory}/broken.yaml`, broken);
    const run = await runProgram(["fsck", "--config-file", `${directory}/broken.yaml`]);
    assert.equal(run.code, 1);
    output.push(run.stdout, run.stderr);
  }
  await server.kill();
  output.push(...server.logs.map((line) => JSON.stringify(line)));

  const text = output.join("\n");
  // They did turn up where they should: with the others.
  assert.ok(git.requests.filter(({ authorization }) => authorization !== null).length >= 5);
  assert.match(text, /the upstream answered status 500: refused/);
  assert.match(text, /git ended with/);
  for (const [name, secret] of Object.entries(PLANTED)) {
    const line = text.split("\n").find((line) =>
      formsOf(secret).some((form) => line.includes(form))
    );
    assert.equal(line, undefined, `${name} in a line of the output`);
  }
  assert.equal(text.includes(pem.split("\n")[3] ?? ""), false, "the private key");
});
