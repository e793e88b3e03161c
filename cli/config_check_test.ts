import assert from "node:assert/strict";
import { createAuthority } from "../tests/fakes/authority.ts";
import { checkConfig } from "./config_check.ts";

const authority = await createAuthority();

/** Checks a configuration beside these files. */
async function check(
  yaml: string,
  { files = {}, env = {}, now = Date.now }: {
    files?: Readonly<Record<string, string>>;
    env?: Readonly<Record<string, string>>;
    now?: () => number;
  } = {},
) {
  const configDirectory = await Deno.makeTempDir({ prefix: "config-check-" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${configDirectory}/${name}`, text);
    }
    const lines: string[] = [];
    const isFine = await checkConfig({
      yaml: yaml.replaceAll("$DIR", configDirectory),
      configDirectory,
      env,
      print: (line) => lines.push(line.replaceAll(configDirectory, "$DIR")),
      signal: new AbortController().signal,
      now,
    });
    assert.deepEqual([...Deno.readDirSync(configDirectory)].length, Object.keys(files).length);
    return { isFine, lines };
  } finally {
    await Deno.remove(configDirectory, { recursive: true });
  }
}

const STORAGE = "storage: { disk: { path: $DIR/data } }\n";

Deno.test("checkConfig() is content with a good configuration, and makes nothing", async () => {
  assert.deepEqual(await check(STORAGE), {
    isFine: true,
    lines: ['ok       storage: the directory "$DIR/data" will be made', "0 faults, 0 warnings"],
  });
});

Deno.test("checkConfig() says all that is wrong with the file itself", async () => {
  const { isFine, lines } = await check(`
storage: { disk: { path: 1 } }
parentProxy: { url: nonsense }
clientAuth: { acl: [{ identities: [nobody] }] }
unknown: 1
`);
  assert.equal(isFine, false);
  const places = ["storage.disk.path", "parentProxy.url", "clientAuth.acl[0].identities[0]"];
  for (const place of places) {
    assert.ok(lines.some((line) => line.startsWith(`fault    ${place}: `)), `${place}\n${lines}`);
  }
  assert.ok(lines.some((line) => line.includes("unknown")));
});

Deno.test("checkConfig() says all that is wrong with secrets, each with its key", async () => {
  const { isFine, lines } = await check(
    `${STORAGE}
privateModules:
  - { pathPrefix: github.com/my-org, auth: { gitHubApp: 1 } }
  - { pathPrefix: git.example.com/a, auth: { token: { file: missing } } }
  - { pathPrefix: git.example.com/b, auth: { token: in the open } }
gitHub: [{ host: github.com, gitHubApps: [{ id: 1, privateKey: { file: key.pem } }] }]
clientAuth:
  enabled: true
  authenticators: { accessToken: { audience: a, secret: { envVar: SHORT } } }
  identities: [{ name: dev, password: { envVar: UNSET } }]
listen: { tls: { certificate: { file: key.pem }, privateKey: { file: key.pem } } }
privateSumDatabase: { name: sum.example.com, privateKey: { file: key.pem } }
`,
    { files: { "key.pem": "no key" }, env: { SHORT: "short" } },
  );
  assert.equal(isFine, false);
  const keys = [
    'fault    privateModules[1].auth.token: Cannot read the secret in file "missing": No such file',
    "fault    gitHub[0].gitHubApps[0].privateKey: ",
    "fault    clientAuth.authenticators.accessToken.secret: ",
    "fault    clientAuth.identities[0].password: ",
    "fault    listen.tls: ",
    "fault    privateSumDatabase.privateKey: ",
    "warning  privateModules[2].auth.token: ",
    "6 faults, 1 warning",
  ];
  for (const key of keys) {
    assert.ok(lines.some((line) => line.startsWith(key)), `${key}\n${lines.join("\n")}`);
  }
  assert.doesNotMatch(lines.join("\n"), /no key|in the open|short\b/);
});

const DAY_MS = 24 * 3_600_000;

Deno.test("checkConfig() looks at how long the certificate is good", async () => {
  const { certificate, privateKey } = await authority.issue();
  const yaml = `${STORAGE}
listen: { tls: { certificate: { file: cert.pem }, privateKey: { file: key.pem } } }
`;
  const files = { "cert.pem": certificate, "key.pem": privateKey };
  const judge = async (now: number) => {
    const { lines: [line = ""] } = await check(yaml, { files, now: () => now });
    return line.replace(/\d{4}-.*Z/, "DATE");
  };
  const text = "listen.tls: the certificate for IP Address:127.0.0.1, DNS:localhost ends on DATE";
  assert.equal(await judge(Date.now() - 30 * DAY_MS), `ok       ${text}`);
  assert.equal(await judge(Date.now()), `warning  ${text}: soon`);
  assert.equal(await judge(Date.now() + 30 * DAY_MS), `fault    ${text}: its time is over`);
});

Deno.test("checkConfig() looks at GOPROXY where the file names no upstream", async () => {
  const env = { GOPROXY: "nonsense" };
  assert.match((await check(STORAGE, { env })).lines[0] ?? "", /^fault {4}GOPROXY: "nonsense"/);
  const yaml = `${STORAGE}parentProxy: { url: "direct" }\n`;
  assert.equal((await check(yaml, { env })).isFine, true);
});

Deno.test("checkConfig() tries to read the store", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("no", { status: 403 }),
  );
  try {
    const { isFine, lines } = await check(
      `storage: { s3: { bucket: modules, region: eu-1, endpoint: "http://127.0.0.1:${server.addr.port}" } }`,
      { env: { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" } },
    );
    assert.equal(isFine, false);
    assert.match(lines[0] ?? "", /^fault {4}storage: Cannot .*s3/i);
  } finally {
    await server.shutdown();
  }
});
