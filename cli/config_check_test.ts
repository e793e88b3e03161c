import assert from "node:assert/strict";
import { createAuthority } from "../tests/fakes/authority.ts";
import { readConfig } from "../lib/config/config.ts";
import { checkConfig } from "./config_check.ts";

const authority = await createAuthority();

/** Checks a configuration next to these files. */
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
      reading: readConfig(yaml.replaceAll("$DIR", configDirectory), { file: "config.yaml", env }),
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

const STORAGE = "storage: { disk: { path: $DIR/data } }\nparentProxy: { url: direct }\n";

Deno.test("checkConfig() is content with a good configuration, and makes nothing", async () => {
  assert.deepEqual(await check(STORAGE), {
    isFine: true,
    lines: ['ok       storage: the directory "$DIR/data" will be created', "0 faults, 0 warnings"],
  });
});

Deno.test("checkConfig() says all that is wrong with the file itself", async () => {
  const { isFine, lines } = await check(`# A file in which much is wrong.
stroage: { disk: { path: ./data } }
storage:
  gcs: { bukcet: modules }
  disk: { path: ./data }
parentProxy: { url: "proxy.example.com" }
publicModules: { zips: lasy }
maxChildProcesses: many
privateModules:
  - pathPrefix: github.com/my-org
    auth: { gitHubApp: 12354 }
  - pathPrefix: github.com/my-org/lib
    auth: { tokne: { file: token } }
  - auth: { none: true }
  - pathPrefix: git.example.com/
    auth: { token: { flie: token } }
gitHub:
  - host: github.com
    gitHubApps: [{ id: 12345, privateKey: hunter2, key: hunter2 }]
clientAuth:
  enabled: no
  enabled: true
  acl:
    - { access: denied }
    - { identities: [cii, bob] }
    - { moduleRegexp: "(" }
    - { modules: ["github.com/a,github.com/b"] }
  identities:
    - { name: ci, password: { envVar: CI } }
    - { name: bob, passwordHash: hunter2 }
    - { name: ci }
    - name: vm
      gceInstanceIdentityBinding:
        email: vm@example.com
limits:
`);
  assert.equal(isFine, false);
  assert.deepEqual(
    lines,
    `
fault    config.yaml:2:1: unknown key "stroage"; did you mean "storage"?
fault    config.yaml:3:1: storage: exactly one of disk, gcs, s3 is needed
fault    config.yaml:4:10: storage.gcs: unknown key "bukcet"; did you mean "bucket"?
fault    config.yaml:6:21: parentProxy.url: "proxy.example.com" is not a URL, "direct" or "off"
fault    config.yaml:7:24: publicModules.zips: expected lazy or eager; did you mean "lazy"?
fault    config.yaml:8:20: maxChildProcesses: expected a number, not a text
fault    config.yaml:11:24: privateModules[0].auth.gitHubApp: there is no App with id 12354 in gitHub; did you mean "12345"?
fault    config.yaml:12:17: privateModules[1].pathPrefix: "github.com/my-org/lib" overlaps with "github.com/my-org" (see privateModules[0].pathPrefix, line 10)
fault    config.yaml:13:13: privateModules[1].auth: unknown key "tokne"; did you mean "token"?
fault    config.yaml:14:5: privateModules[2].pathPrefix: this key is required
fault    config.yaml:15:17: privateModules[3].pathPrefix: Cannot read module path "git.example.com/": trailing slash
fault    config.yaml:16:13: privateModules[3].auth.token: not a secret: use {file: path}, {envVar: NAME} or a text
fault    config.yaml:19:52: gitHub[0].gitHubApps[0]: unknown key "key"
fault    config.yaml:22:3: the key "enabled" is repeated
fault    config.yaml:24:17: clientAuth.acl[0].access: expected allow or deny
fault    config.yaml:25:22: clientAuth.acl[1].identities[0]: there is no identity "cii"; did you mean "ci"?
fault    config.yaml:26:23: clientAuth.acl[2].moduleRegexp: error parsing regexp: missing closing ): \`(\`
fault    config.yaml:27:19: clientAuth.acl[3].modules[0]: write each pattern as an entry of the list, without commas
fault    config.yaml:30:34: clientAuth.identities[1].passwordHash: not of the form $scrypt$ln=17,r=8,p=1$<salt>$<hash>
fault    config.yaml:31:15: clientAuth.identities[2].name: "ci" is already used (see clientAuth.identities[0].name, line 29)
fault    config.yaml:33:7: clientAuth.identities[3].gceInstanceIdentityBinding: it needs authenticators.gceInstanceIdentity
fault    config.yaml:35:1: limits: expected a mapping of keys, not an empty value
22 faults, 0 warnings
`.trim().split("\n"),
  );
});

Deno.test("checkConfig() prints faults, warnings and what is well, and counts", async () => {
  const { isFine, lines } = await check(
    `${STORAGE}
httpProxy: { url: "http://proxy.example.com", user: me, password: hunter2 }
caFile: missing.pem
privateModules:
  - { pathPrefix: git.example.com/a, auth: { token: { envVar: UNSET } } }
`,
    { env: { GOPROXY: "nonsense" } },
  );
  assert.equal(isFine, false);
  assert.deepEqual(lines.map((line) => line.replace(/: No such file.*/, ": …")), [
    "fault    config.yaml:7:46: privateModules[0].auth.token: " +
    'Cannot read the secret in environment variable "UNSET": the variable is not set',
    "fault    config.yaml:5:9: caFile: …",
    "warning  config.yaml:4:67: httpProxy.password: " +
    "the secret is written in the configuration: use {file: …} or {envVar: …} instead",
    "warning  config.yaml:6:1: privateModules: anyone who reaches the server may read them; " +
    "set clientAuth, or clientAuth.enabled: false if that is meant on loopback",
    'ok       storage: the directory "$DIR/data" will be created',
    "2 faults, 2 warnings",
  ]);
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
    "fault    config.yaml:6:46: privateModules[1].auth.token: " +
    'Cannot read the secret in file "missing": No such file',
    "fault    config.yaml:8:52: gitHub[0].gitHubApps[0].privateKey: ",
    "fault    config.yaml:11:49: clientAuth.authenticators.accessToken.secret: ",
    "fault    config.yaml:12:29: clientAuth.identities[0].password: ",
    "fault    config.yaml:13:11: listen.tls: ",
    "fault    config.yaml:14:46: privateSumDatabase.privateKey: ",
    "warning  config.yaml:7:53: privateModules[2].auth.token: ",
    "warning  config.yaml:9:1: clientAuth.acl: ",
    "6 faults, 2 warnings",
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
  const subject = "the certificate for IP Address:127.0.0.1, DNS:localhost";
  const place = "config.yaml:4:11: listen.tls";
  assert.equal(
    await judge(Date.now() - 30 * DAY_MS),
    `ok       listen.tls: ${subject} is valid until DATE`,
  );
  assert.equal(
    await judge(Date.now()),
    `warning  ${place}: ${subject} expires soon, on DATE`,
  );
  assert.equal(
    await judge(Date.now() + 30 * DAY_MS),
    `fault    ${place}: ${subject} expired on DATE`,
  );
});

Deno.test("checkConfig() looks at GOPROXY where the file names no upstream", async () => {
  const env = { GOPROXY: "nonsense" };
  const yaml = "storage: { disk: { path: $DIR/data } }\n";
  assert.match((await check(yaml, { env })).lines[0] ?? "", /^fault {4}GOPROXY: "nonsense"/);
  assert.equal((await check(STORAGE, { env })).isFine, true);
  assert.match((await check(yaml)).lines[0] ?? "", /^warning {2}no upstream is configured: /);
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
    assert.match(lines[0] ?? "", /^fault {4}config.yaml:1:1: storage: Cannot .*s3/i);
  } finally {
    await server.shutdown();
  }
});
