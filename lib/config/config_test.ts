import assert from "node:assert/strict";
import { ConfigError } from "../errors.ts";
import { findingText, parseConfig, readConfig } from "./config.ts";

Deno.test("parseConfig() of nothing is all defaults", () => {
  for (const yaml of ["", "# nothing\n", "{}"]) {
    assert.deepEqual(parseConfig(yaml), {
      storage: { disk: { path: "./data" } },
      insecureHosts: [],
      privateModules: [],
      fetch: { ahead: "on" },
      gitHub: [],
      publicModules: { zips: "lazy" },
      sumDatabaseProxy: { discourageClientDirectSumDatabaseConnections: false, sumDatabases: [] },
      clientAuth: { enabled: false, acl: [], authenticators: { oidc: [] }, identities: [] },
      gitMirrors: { maxSizeMiB: 20_480 },
      index: "private",
      usage: "off",
      policy: { mode: "enforce", gate: "zip", rules: [], exceptions: [], approvers: [] },
      advisories: { refreshEvery: "1h", maxStale: "72h", sources: [] },
      listen: { trustedProxies: [], hosts: [], insecure: false },
      tls: {},
      httpProxy: {},
      egress: { allow: [] },
      limits: {
        maxConcurrentRequests: 2000,
        maxConcurrentRequestsPerClient: 500,
        maxConcurrentUnauthenticatedRequests: 200,
        scratchMaxMiB: 10_240,
        slowClientTimeoutSeconds: 60,
      },
      maxChildProcesses: 30,
    });
  }
});

Deno.test("parseConfig() understands each kind of storage", async (t) => {
  const s3 = { region: "", endpoint: "", prefix: "", forcePathStyle: false };
  const rows = [
    { yaml: "disk: { path: /srv/modules }", want: { disk: { path: "/srv/modules" } } },
    {
      yaml: "gcs: { bucket: modules }",
      want: { gcs: { bucket: "modules", prefix: "", apiEndpoint: "" } },
    },
    {
      yaml: "gcs: { bucket: b.example.com, prefix: team/go, apiEndpoint: 'https://example.com' }",
      want: {
        gcs: { bucket: "b.example.com", prefix: "team/go", apiEndpoint: "https://example.com" },
      },
    },
    { yaml: "s3: { bucket: modules }", want: { s3: { bucket: "modules", ...s3 } } },
    {
      yaml: "s3: { bucket: modules }, cache: { path: /var/cache/modules }",
      want: {
        s3: { bucket: "modules", ...s3 },
        cache: { path: "/var/cache/modules", maxMiB: 10240 },
      },
    },
    {
      yaml: "gcs: { bucket: modules }, cache: { path: cache, maxMiB: 1 }",
      want: {
        gcs: { bucket: "modules", prefix: "", apiEndpoint: "" },
        cache: { path: "cache", maxMiB: 1 },
      },
    },
    ...[false, true, { networks: ["10.0.0.0/8", "2001:db8::1"] }].map((redirect) => ({
      yaml: `s3: { bucket: modules, redirect: ${JSON.stringify(redirect)} }`,
      want: { s3: { ...s3, bucket: "modules", redirect } },
    })),
    {
      yaml: "s3: { bucket: modules, region: eu-west-1, forcePathStyle: true }",
      want: { s3: { ...s3, bucket: "modules", region: "eu-west-1", forcePathStyle: true } },
    },
  ];
  for (const { yaml, want } of rows) {
    await t.step(yaml, () => assert.deepEqual(parseConfig(`storage: { ${yaml} }`).storage, want));
  }
});

Deno.test("parseConfig() understands private modules of every kind", () => {
  const config = parseConfig(`
privateModules:
  - { pathPrefix: github.com/my-org, auth: { gitHubApp: 12345 } }
  - { pathPrefix: gitlab.example.com/team, auth: { token: { file: token } } }
  - { pathPrefix: git.example.com/a, auth: { userPassword: { user: u, password: { envVar: P } } } }
  - { pathPrefix: go.example.com/x, auth: { none: true }, repository: https://git.example.com/x }
  - { pathPrefix: other.example.com, auth: { netrc: { file: .netrc } } }
gitHub:
  - { host: GitHub.com, gitHubApps: [{ id: 12345, privateKey: { file: key.pem } }] }
maxChildProcesses: 4
`);
  assert.equal(config.privateModules.length, 5);
  assert.equal(config.gitHub[0]?.host, "github.com");
  assert.equal(config.maxChildProcesses, 4);
});

const SUM_KEY = "21a63ddd+Aa8Go+MpFxTk81bBnJsVzRlR7G5mYqp3vgdUfyiTgzQd";

Deno.test("parseConfig() understands checksum databases", () => {
  const config = parseConfig(`
publicModules: { sumDatabase: off }
sumDatabaseProxy:
  discourageClientDirectSumDatabaseConnections: true
  sumDatabases:
    - { name: sum.example.com, publicKey: ${SUM_KEY}, url: "https://sum.example.com" }
`);
  assert.equal(config.publicModules.sumDatabase, "off");
  assert.equal(config.sumDatabaseProxy.sumDatabases[0]?.name, "sum.example.com");
});

const FAULTS: { yaml: string; want: RegExp[] }[] = [
  { yaml: "storage: {}", want: [/^storage: exactly one of disk, gcs, s3/m] },
  {
    yaml: "storage: { disk: { path: data }, gcs: { bucket: modules } }",
    want: [/^storage: exactly one of disk, gcs, s3/m],
  },
  {
    yaml: "storage: { disk: { path: data }, cache: { path: cache } }",
    want: [/^storage: cache is for gcs and s3/m],
  },
  {
    yaml: "storage: { gcs: { bucket: modules }, cache: { path: '', maxMiB: 0 } }",
    want: [/^storage\.cache\.path: /m, /^storage\.cache\.maxMiB: /m],
  },
  { yaml: "storage: { gcs: { bukcet: b } }", want: [/^storage\.gcs: .*"bukcet"/m] },
  { yaml: "storage: { gcs: { bucket: a/b } }", want: [/^storage\.gcs\.bucket: not the name/m] },
  {
    yaml: "storage: { gcs: { bucket: modules, prefix: /a } }",
    want: [/^storage\.gcs\.prefix: not a folder/m],
  },
  {
    yaml: `storage: { s3: { bucket: modules, prefix: ${"a".repeat(124)} } }`,
    want: [/^storage\.s3\.prefix: longer than 123 bytes/m],
  },
  {
    yaml: "storage: { s3: { bucket: modules, endpoint: minio:9000, region: EU } }",
    want: [/^storage\.s3\.endpoint: not an http/m, /^storage\.s3\.region: not the name/m],
  },
  {
    yaml: "storage: { gcs: { bucket: modules, redirect: { networks: [10.0.0.1/8, office] } } }",
    want: [
      /^storage\.gcs\.redirect\.networks\[0\]: "10\.0\.0\.1\/8" is not an address or CIDR block/m,
      /^storage\.gcs\.redirect\.networks\[1\]: "office" is not an address or CIDR block/m,
    ],
  },
  {
    yaml: "storage: { s3: { bucket: modules, redirect: { networks: [] } } }",
    want: [/^storage\.s3\.redirect\.networks: must not be empty/m],
  },
  {
    yaml: "storage: { s3: { bucket: modules, redirect: near } }",
    want: [/^storage\.s3\.redirect: expected true, false or \{networks: /m],
  },
  {
    yaml: "storage: { disk: { path: data, redirect: true } }",
    want: [/^storage\.disk: .*"redirect"/m],
  },
  ...["internal", "/internal/", "/a/../b", "/a b", "/", "https://example.com/a"].map((path) => ({
    yaml: `listen: { accelRedirect: "${path}" }`,
    want: [/^listen\.accelRedirect: not a path as in "\/internal\/zips"/m],
  })),
  { yaml: "storage: { disk: { path: '' } }", want: [/^storage\.disk\.path: /m] },
  {
    yaml: "publicModules: { sumDatabase: on }",
    want: [/^publicModules\.sumDatabase: expected \{name, publicKey, url\} or off/m],
  },
  {
    yaml:
      `sumDatabaseProxy: { sumDatabases: [{ name: a.b, publicKey: ${SUM_KEY}, url: "https://a.b" }] }`,
    want: [/^sumDatabaseProxy\.sumDatabases\[0\]\.publicKey: Cannot read verifier key of "a\.b"/m],
  },
  { yaml: "stroage: {}", want: [/"stroage"/] },
  { yaml: "parentProxy: { url: proxy }", want: [/^parentProxy\.url: "proxy" is not a URL/m] },
  { yaml: "maxChildProcesses: 0", want: [/^maxChildProcesses: /m] },
  {
    yaml: "privateModules: [{ pathPrefix: a.example.com/, auth: { none: true } }]",
    want: [/^privateModules\[0\]\.pathPrefix: .*trailing slash/m],
  },
  {
    yaml: "privateModules: [{ pathPrefix: a.example.com, auth: { token: {} } }]",
    want: [/^privateModules\[0\]\.auth\.token: not a secret/m],
  },
  {
    yaml: "privateModules: [{ pathPrefix: a.example.com, auth: { gitHubApp: 7 } }]",
    want: [/^privateModules\[0\]\.auth\.gitHubApp: there is no App with id 7/m],
  },
  {
    yaml:
      "privateModules: [{ pathPrefix: a.example.com, auth: { none: true }, repository: 'ext::sh' }]",
    want: [/^privateModules\[0\]\.repository: not an http or https URL/m],
  },
  // All faults of a file in one go.
  {
    yaml: "storage: { disk: { path: 1 } }\nmaxChildProcesses: x\nnew: 1",
    want: [/^storage\.disk\.path: /m, /^maxChildProcesses: /m, /"new"/],
  },
  { yaml: "- a", want: [/expected a mapping/] },
  { yaml: "a: [", want: [/line 1/] },
];

Deno.test("parseConfig() refuses a file with the path of each fault", async (t) => {
  for (const { yaml, want } of FAULTS) {
    await t.step(yaml, () => {
      assert.throws(() => parseConfig(yaml), (error) => {
        assert.ok(error instanceof ConfigError);
        for (const pattern of want) assert.match(error.message, pattern);
        return true;
      });
    });
  }
});

Deno.test("parseConfig() never shows a secret", () => {
  const yaml = "privateModules: [{ pathPrefix: a/, auth: { token: [hunter2] } }]";
  assert.throws(() => parseConfig(yaml), (error) => !String(error).includes("hunter2"));
});

function faultsOf(yaml: string): string[] {
  return readConfig(yaml, { file: "f" }).faults.map(findingText);
}

Deno.test("readConfig() gives each fault its line and column", async (t) => {
  const rows = [
    { name: "a scalar", yaml: "gitMirrors:\n  maxSizeMiB: 0", want: "f:2:15: gitMirrors.max" },
    { name: "a mapping: its key", yaml: "storage:\n  {}", want: "f:1:1: storage: exactly one" },
    { name: "an item of a list", yaml: "insecureHosts:\n  - ''", want: "f:2:5: insecureHosts[0]" },
    {
      name: "an unknown key",
      yaml: "storage:\n  disc: {}",
      want: 'f:2:3: storage: unknown key "di',
    },
    {
      name: "a missing key: its parent",
      yaml: "gitHub:\n  - host: a\n    gitHubApps:\n      - id: 1",
      want: "f:4:9: gitHub[0].gitHubApps[0].privateKey: this key is required",
    },
    {
      name: "a value of an anchor: where it is written",
      yaml: "storage:\n  disk: &d\n    path: ''\n",
      want: "f:3:11: storage.disk.path: must not be empty",
    },
    {
      name: "a value that is merged",
      yaml: "limits:\n  <<: &l\n    scratchMaxMiB: 0\n  maxConcurrentRequests: 1\n",
      want: "f:3:20: limits.scratchMaxMiB: must be more than 0",
    },
    { name: "the whole", yaml: "\n- a", want: "f:1:1: expected a mapping of keys, not a list" },
  ];
  for (const { name, yaml, want } of rows) {
    await t.step(name, () => {
      const faults = faultsOf(yaml);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.ok(faults[0]?.startsWith(want), faults.join());
    });
  }
});

Deno.test("readConfig() says what is wrong with the syntax, all at once", async (t) => {
  const rows = [
    {
      name: "two faults",
      yaml: 'a: [1, 2\nb: "x\n',
      want: [/^f:2:1: syntax error: Flow sequence/, /^f:3:1: syntax error: Missing closing/],
    },
    { name: "a tab", yaml: "storage:\n\tdisk: {}", want: [/^f:2:1: syntax error: Tabs/] },
    {
      name: "repeated keys, and the rest",
      yaml: "index: all\nindex: none\nlimits: { scratchMaxMiB: 1, scratchMaxMiB: x }",
      want: [
        /^f:2:1: the key "index" is repeated/,
        /^f:2:8: index: expected private, all or off/,
        /^f:3:29: the key "scratchMaxMiB" is repeated/,
        /^f:3:44: limits.scratchMaxMiB: expected a number, not a text/,
      ],
    },
    {
      name: "aliases without anchors",
      yaml: "storage: *a\ngitHub: [*b]",
      want: [/^f:1:10: there is no anchor &a before it/, /^f:2:10: there is no anchor &b/],
    },
    { name: "two documents", yaml: "index: all\n---\nindex: off", want: [/^f:2:1: a second doc/] },
  ];
  for (const { name, yaml, want } of rows) {
    await t.step(name, () => {
      const faults = faultsOf(yaml);
      assert.equal(faults.length, want.length, faults.join("\n"));
      for (const [i, pattern] of want.entries()) assert.match(faults[i] ?? "", pattern);
    });
  }
});

Deno.test("readConfig() refuses what is too large, too deep or has no end", async (t) => {
  const bomb = Array.from({ length: 12 }, (_, i) => {
    return `a${i}: &a${i} [${Array(9).fill(i === 0 ? "x" : `*a${i - 1}`).join()}]\n`;
  }).join("");
  const claims = "clientAuth: { identities: [{ name: x, oidcBinding: { issuer: a, claims: &c " +
    "{ a: *c } } }] }";
  const rows = [
    {
      name: "1 MiB",
      yaml: `#${"x".repeat(1024 * 1024)}`,
      want: "f:1:1: the file is larger than 1 MiB",
    },
    { name: "aliases of aliases", yaml: bomb, want: "f:1:1: aliases are used too often" },
    {
      name: "many aliases",
      yaml: `gitHub: &g []\nprivateModules: [${"*g,".repeat(101)}]`,
      want: "f:1:1: aliases are used too often",
    },
    { name: "an endless alias", yaml: claims, want: "f:1:1: the file has more than 32 levels" },
    {
      name: "33 levels",
      yaml: `storage: ${"[".repeat(32)}${"]".repeat(32)}`,
      want: "f:1:1: the file has more than 32 levels",
    },
    {
      name: "more levels than the stack",
      yaml: `storage: ${"[".repeat(50_000)}`,
      want: "f:1:1: the file has more than 32 levels",
    },
  ];
  for (const { name, yaml, want } of rows) {
    await t.step(name, () => assert.deepEqual(faultsOf(yaml), [want]));
  }
});

Deno.test("readConfig() shows the first hundred faults, and counts the others", () => {
  const faults = faultsOf(`insecureHosts: [${"1,".repeat(150)}]`);
  assert.equal(faults.length, 101);
  assert.equal(faults.at(-1), "and 50 more");
});

Deno.test("readConfig() finds what does not go together beside other faults", () => {
  assert.deepEqual(
    faultsOf(`
index: none
privateModules:
  - { pathPrefix: a.example.com/x, auth: { gitHubApp: 1, x: 1 } }
  - { pathPrefix: a.example.com, auth: { none: false } }
clientAuth: { acl: [{ identities: [a] }], identities: [{ name: b, x: 1 }] }
`),
    [
      "f:2:8: index: expected private, all or off",
      "f:4:55: privateModules[0].auth.gitHubApp: there is no App with id 1 in gitHub",
      'f:4:58: privateModules[0].auth: unknown key "x"',
      'f:5:19: privateModules[1].pathPrefix: "a.example.com" overlaps with "a.example.com/x" ' +
      "(see privateModules[0].pathPrefix, line 4)",
      "f:5:48: privateModules[1].auth.none: expected true",
      'f:6:36: clientAuth.acl[0].identities[0]: there is no identity "a"',
      'f:6:67: clientAuth.identities[0]: unknown key "x"',
    ],
  );
});

Deno.test("readConfig() says a fault once, and not what follows from it", async (t) => {
  const rows = [
    { name: "a misspelt key that is required", yaml: "gitHub: [{ hots: a, gitHubApps: [] }]" },
    { name: "a misspelt key of which one is required", yaml: "storage: { diks: { path: a } }" },
    {
      name: "a name that is wrong, and used",
      yaml: 'clientAuth: { acl: [{ identities: ["a:b"] }], identities: [{ name: "a:b" }] }',
    },
    {
      name: "an App without a key, and its use",
      yaml: "privateModules: [{ pathPrefix: a.b, auth: { gitHubApp: 1 } }]\n" +
        "gitHub: [{ host: a, gitHubApps: [{ id: 1 }] }]",
    },
    {
      name: "an App with its id in quotes, and its use",
      yaml: "privateModules: [{ pathPrefix: a.b, auth: { gitHubApp: 1 } }]\n" +
        'gitHub: [{ host: a, gitHubApps: [{ id: "1", privateKey: { file: f } }] }]',
    },
    {
      name: "a prefix that is none, and one inside",
      yaml: "privateModules: [{ pathPrefix: a.b/, auth: { none: true } }, " +
        "{ pathPrefix: a.b/c, auth: { none: true } }]",
    },
    {
      name: "an issuer without an audience, and its use",
      yaml: "clientAuth: { authenticators: { oidc: [{ issuer: 'https://a' }] }, identities: " +
        "[{ name: a, oidcBinding: { issuer: 'https://a', claims: { sub: a } } }] }",
    },
  ];
  for (const { name, yaml } of rows) {
    await t.step(name, () => {
      const faults = faultsOf(yaml);
      assert.equal(faults.length, 1, faults.join("\n"));
    });
  }
});

const WARNINGS: { yaml: string; env?: Record<string, string>; want: string[] }[] = [
  { yaml: "", want: [] },
  { yaml: "tls: { minVersion: TLS1.2 }\ninsecureHosts: [a.example.com, 'b:8080']", want: [] },
  {
    yaml: "tls: { minVersion: tls1.3 }",
    want: ["f:1:20: tls.minVersion: outgoing connections may"],
  },
  {
    yaml: "insecureHosts: [http://a.example.com, B, a/b]",
    want: ["f:1:17: insecureHosts[0]: it matches no host", "f:1:39", "f:1:42"],
  },
  {
    yaml: "parentProxy: { url: 'https://a.example.com,direct|https://b.example.com' }",
    want: ['f:1:21: parentProxy.url: entries after "direct" are never used'],
  },
  {
    yaml: "",
    env: { GOPROXY: "off,direct" },
    want: ['GOPROXY: entries after "off" are never used'],
  },
  { yaml: "parentProxy: { url: direct }", env: { GOPROXY: "off,direct" }, want: [] },
  { yaml: "", env: { http_proxy: "http://a" }, want: ["HTTP_PROXY: it is for plain http alone"] },
  { yaml: "", env: { HTTP_PROXY: "http://a", https_proxy: "http://a" }, want: [] },
  { yaml: "httpProxy: { url: http://a }", env: { HTTP_PROXY: "http://a" }, want: [] },
  {
    yaml: "httpProxy: { url: http://a, user: u, password: p }",
    want: ["f:1:48: httpProxy.password: the secret is written in the configuration"],
  },
  {
    yaml: "listen: { tls: { certificate: c, privateKey: k } }",
    want: ["f:1:46: listen.tls.privateKey: the secret is written in the configuration"],
  },
  {
    yaml: "listen: { accelRedirect: /internal/zips, trustedProxies: [127.0.0.1] }",
    want: [],
  },
  {
    yaml: "listen: { accelRedirect: /internal/zips }",
    want: ["f:1:26: listen.accelRedirect: it has no effect without the address of the proxy"],
  },
  {
    yaml: "listen: { accelRedirect: /zips, trustedProxies: [127.0.0.1] }\n" +
      "storage: { gcs: { bucket: modules } }",
    want: ["f:1:26: listen.accelRedirect: it has no effect with a bucket"],
  },
  {
    yaml: "privateSumDatabase: { name: sum.example.com, privateKey: k }",
    want: ["f:1:58: privateSumDatabase.privateKey: the secret is written in the configuration"],
  },
  {
    yaml: "privateModules: [{ pathPrefix: a.b, auth: { none: true } }]",
    want: ["f:1:1: privateModules: anyone who reaches the server may read them"],
  },
  {
    yaml:
      "privateModules: [{ pathPrefix: a.b, auth: { token: t } }]\nclientAuth: { enabled: false }",
    want: ["f:1:52: privateModules[0].auth.token: the secret is written in the configuration"],
  },
  {
    yaml: "clientAuth: { acl: [{}] }",
    want: ["f:1:1: clientAuth: it has no effect without enabled: true"],
  },
  {
    yaml: "gitHub: [{ host: a.b, gitHubApps: [{ id: 1, privateKey: { file: f } }] }]",
    want: ["f:1:36: gitHub[0].gitHubApps[0]: no private prefix uses App 1"],
  },
];

Deno.test("readConfig() warns of what is legal and likely wrong", async (t) => {
  for (const { yaml, env = {}, want } of WARNINGS) {
    await t.step(`${yaml} ${JSON.stringify(env)}`, () => {
      const { config, warnings } = readConfig(yaml, { file: "f", env });
      assert.notEqual(config, null);
      const texts = warnings.map(findingText);
      assert.equal(texts.length, want.length, texts.join("\n"));
      for (const [i, start] of want.entries()) assert.ok(texts[i]?.startsWith(start), texts.join());
    });
  }
});
