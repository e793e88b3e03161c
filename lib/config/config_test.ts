import assert from "node:assert/strict";
import { ConfigError } from "../errors.ts";
import { parseConfig } from "./config.ts";

Deno.test("parseConfig() of nothing is all defaults", () => {
  for (const yaml of ["", "# nothing\n", "{}"]) {
    assert.deepEqual(parseConfig(yaml), {
      storage: { disk: { path: "./data" } },
      insecureHosts: [],
      privateModules: [],
      gitHub: [],
      publicModules: { zips: "lazy" },
      sumDatabaseProxy: { discourageClientDirectSumDatabaseConnections: false, sumDatabases: [] },
      clientAuth: { enabled: false, acl: [], authenticators: { oidc: [] }, identities: [] },
      gitMirrors: { maxSizeMiB: 20_480 },
      index: "private",
      listen: {},
      tls: {},
      httpProxy: {},
      limits: {
        maxConcurrentRequests: 2000,
        maxConcurrentRequestsPerClient: 500,
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
  { yaml: "storage: { disk: { path: '' } }", want: [/^storage\.disk\.path: /m] },
  {
    yaml: "publicModules: { sumDatabase: on }",
    want: [/^publicModules\.sumDatabase: sumDatabase is \{name, publicKey, url\} or off/m],
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
    want: [/^privateModules\[0\]\.auth: /m],
  },
  {
    yaml: "privateModules: [{ pathPrefix: a.example.com, auth: { gitHubApp: 7 } }]",
    want: [/^privateModules\[0\]\.auth\.gitHubApp: no App with id 7/m],
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
  { yaml: "- a", want: [/expected object/] },
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
