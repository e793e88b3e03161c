import assert from "node:assert/strict";
import { ConfigError } from "../errors.ts";
import { parseConfig } from "../config/config.ts";
import { pathText } from "../schema/fault.ts";
import { clientAuthWarnings } from "./config.ts";

function parseClientAuth(yaml: string) {
  const lines = yaml.trim().split("\n").map((line) => `  ${line}`).join("\n");
  return parseConfig(`clientAuth:\n${lines}\n`).clientAuth;
}

/** As the original's config_example_clientauth.yaml: its keys, their order, its kinds of values. */
const ORIGINAL = `
acl:
  - identities: ["x"]
    moduleRegexp: "^github\\\\.com/myorg/"
    access: allow
  - moduleRegexp: "^github\\\\.com/myorg/"
    access: deny
  - access: allow
authenticators:
  accessToken:
    audience: https://example.com/
    secret: asdfasdf
    timeToLive: 15m
  gceInstanceIdentity:
    audience: https://example.com/
enabled: true
identities:
  - name: x
    password: test
  - name: y
    gceInstanceIdentityBinding:
      email: 'my-google-sa@my-google-project.example.com'
`;

Deno.test("B12: parseConfig() loads the original's example, with scalars for secrets", () => {
  assert.deepEqual(parseClientAuth(ORIGINAL), {
    enabled: true,
    acl: [
      { access: "allow", identities: ["x"], moduleRegexp: "^github\\.com/myorg/" },
      { access: "deny", moduleRegexp: "^github\\.com/myorg/" },
      { access: "allow" },
    ],
    authenticators: {
      accessToken: {
        audience: "https://example.com/",
        secret: "asdfasdf",
        timeToLiveMs: 900_000,
      },
      gceInstanceIdentity: { audience: ["https://example.com/"] },
      oidc: [],
    },
    identities: [
      { name: "x", password: "test" },
      {
        name: "y",
        gceInstanceIdentityBinding: { email: "my-google-sa@my-google-project.example.com" },
      },
    ],
  });
});

Deno.test("parseConfig() understands what clientAuth has besides", () => {
  const hash = `$scrypt$ln=15,r=8,p=1$${"A".repeat(22)}$${"A".repeat(43)}`;
  const { acl, authenticators, identities } = parseClientAuth(`
acl: [{ access: DENY, modules: ["*.example.com", "github.com/my-org/*"] }, {}]
authenticators:
  accessToken: { audience: a, secrets: [{ file: new }, { envVar: OLD }] }
  gceInstanceIdentity: { audience: [a, b], jwksUri: "https://keys.example.com/certs" }
  oidc:
    - { name: ci, issuer: "https://ci.example.com", audience: a }
    - { issuer: "https://k8s.example.com", audience: [a, b], jwksUri: "https://k8s.example.com/keys" }
identities:
  - { name: dev, passwordHash: '${hash}' }
  - { name: ops, passwordHash: { file: hash } }
  - name: ci
    oidcBinding:
      issuer: https://ci.example.com
      claims: { repository: "my-org/*", ref: [refs/heads/main, "refs/tags/*"], nested: { a: b } }
  - name: vm
    gceInstanceIdentityBinding: { email: vm@example.com, project: p, zone: [z1, z2], instance: "ci-*" }
`);
  assert.deepEqual(acl, [
    { access: "deny", modules: ["*.example.com", "github.com/my-org/*"] },
    { access: "allow" },
  ]);
  assert.deepEqual(authenticators.accessToken, {
    audience: "a",
    secrets: [{ file: "new" }, { envVar: "OLD" }],
    timeToLiveMs: 3_600_000,
  });
  assert.deepEqual(authenticators.oidc[1]?.audience, ["a", "b"]);
  assert.deepEqual(identities[2]?.oidcBinding?.claims, {
    repository: ["my-org/*"],
    ref: ["refs/heads/main", "refs/tags/*"],
    nested: { a: ["b"] },
  });
  assert.deepEqual(identities[3]?.gceInstanceIdentityBinding, {
    email: "vm@example.com",
    project: ["p"],
    zone: ["z1", "z2"],
    instance: ["ci-*"],
  });
});

const GCE = "authenticators: { gceInstanceIdentity: { audience: a } }";
const OIDC = "authenticators: { oidc: [{ issuer: 'https://ci.example.com', audience: a }] }";

Deno.test("B16: parseConfig() names the place of each fault in clientAuth", async (t) => {
  const rows = [
    { yaml: "enabled: yes please", want: [/^clientAuth\.enabled: /m] },
    { yaml: "acls: []", want: [/^clientAuth: .*"acls"/m] },
    { yaml: "acl: [{ access: perhaps }]", want: [/^clientAuth\.acl\[0\]\.access: /m] },
    {
      yaml: "acl: [{ moduleRegexp: '(' }, { moduleRegexp: 'a(?=b)' }]",
      want: [
        /^clientAuth\.acl\[0\]\.moduleRegexp: .*missing closing \)/m,
        /^clientAuth\.acl\[1\]\.moduleRegexp: .*Perl syntax/m,
      ],
    },
    {
      yaml: "acl: [{ modules: ['github.com/a,github.com/b', '['] }]",
      want: [/^clientAuth\.acl\[0\]\.modules\[0\]: .*commas/m, /acl\[0\]\.modules\[1\]: /m],
    },
    { yaml: "acl: [{ modules: [] }]", want: [/^clientAuth\.acl\[0\]\.modules: /m] },
    {
      yaml: "acl: [{ identities: [x, y, x] }]\nidentities: [{ name: x, password: p }]",
      want: [
        /^clientAuth\.acl\[0\]\.identities\[1\]: there is no identity "y"/m,
        /^clientAuth\.acl\[0\]\.identities\[2\]: "x" is already used/m,
      ],
    },
    {
      yaml: "identities: [{ name: x }, { name: x }]",
      want: [/^clientAuth\.identities\[1\]\.name: "x" is already used/m],
    },
    {
      yaml: 'identities: [{ name: "a:b" }, { name: "" }, { name: "a\\nb" }, { password: p }]',
      want: [0, 1, 2, 3].map((i) => new RegExp(`^clientAuth\\.identities\\[${i}\\]\\.name: `, "m")),
    },
    {
      yaml: "identities: [{ name: x, password: p, passwordHash: { file: h } }]",
      want: [/^clientAuth\.identities\[0\]: password or passwordHash, not both/m],
    },
    {
      yaml: "identities: [{ name: x, passwordHash: hunter2 }]",
      want: [/^clientAuth\.identities\[0\]\.passwordHash: not of the form \$scrypt/m],
    },
    {
      yaml: "identities: [{ name: x, password: '' }]",
      want: [/^clientAuth\.identities\[0\]\.password: /m],
    },
    {
      yaml: "authenticators: { accessToken: { audience: a } }",
      want: [
        /^clientAuth\.authenticators\.accessToken\.secret: exactly one of secret and secrets/m,
      ],
    },
    {
      yaml: "authenticators: { clientCertificate: { ca: { file: ca.pem } } }",
      want: [/^clientAuth\.authenticators\.clientCertificate: it needs listen\.tls/m],
    },
    {
      yaml: "identities: [{ name: x, clientCertificateBinding: { subject: x } }]",
      want: [/clientCertificateBinding: it needs authenticators\.clientCertificate/m],
    },
    {
      yaml: "identities: [{ name: x, clientCertificateBinding: {} }]",
      want: [/clientCertificateBinding: subject or san is needed/m],
    },
    {
      yaml: "authenticators: { accessToken: { secret: { file: s }, secrets: [], timeToLive: 15 } }",
      want: [
        /^clientAuth\.authenticators\.accessToken\.audience: /m,
        /^clientAuth\.authenticators\.accessToken\.secrets: /m,
        /^clientAuth\.authenticators\.accessToken\.timeToLive: /m,
      ],
    },
    ...["0", "999ms", "25h", "169h", "1 hour", "-1h"].map((timeToLive) => ({
      yaml:
        `authenticators: { accessToken: { audience: a, secret: s, timeToLive: "${timeToLive}" } }`,
      want: [/^clientAuth\.authenticators\.accessToken\.timeToLive: /m],
    })),
    {
      yaml: "identities: [{ name: x, gceInstanceIdentityBinding: { email: a } }]",
      want: [/^clientAuth\.identities\[0\]\.gceInstanceIdentityBinding: it needs/m],
    },
    {
      yaml:
        `${GCE}\nidentities: [{ name: x, gceInstanceIdentityBinding: { email: a@example.com } },` +
        "{ name: y, gceInstanceIdentityBinding: { email: A@example.com } }]",
      want: [/^clientAuth\.identities\[1\]\.gceInstanceIdentityBinding\.email: .*already used/m],
    },
    {
      yaml: `${OIDC}\nidentities: [{ name: x, oidcBinding: ` +
        "{ issuer: 'https://ci.example.com/', claims: { sub: a } } }]",
      want: [/^clientAuth\.identities\[0\]\.oidcBinding\.issuer: .* is not an issuer/m],
    },
    {
      // Everybody at a public issuer.
      yaml: `${OIDC}\nidentities: [{ name: x, oidcBinding: ` +
        "{ issuer: 'https://ci.example.com', claims: {} } }]",
      want: [/^clientAuth\.identities\[0\]\.oidcBinding\.claims: at least one claim/m],
    },
    {
      yaml: "authenticators: { oidc: [{ issuer: ci.example.com, audience: [] }] }",
      want: [
        /^clientAuth\.authenticators\.oidc\[0\]\.issuer: not an http/m,
        /^clientAuth\.authenticators\.oidc\[0\]\.audience: /m,
      ],
    },
    {
      yaml:
        "authenticators: { oidc: [{ issuer: 'https://a', audience: a }, { issuer: 'https://a', audience: b }] }",
      want: [/^clientAuth\.authenticators\.oidc\[1\]\.issuer: .*already used/m],
    },
  ];
  for (const { yaml, want } of rows) {
    await t.step(yaml, () => {
      assert.throws(() => parseClientAuth(yaml), (error) => {
        assert.ok(error instanceof ConfigError);
        for (const pattern of want) assert.match(error.message, pattern);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      });
    });
  }
});

Deno.test("clientAuthWarnings() names secrets in the configuration, and identities that nobody can be", () => {
  const { clientAuth } = parseConfig(`
clientAuth:
  acl: [{}]
  authenticators: { accessToken: { audience: a, secret: asdf } }
  identities:
    - { name: x, password: test }
    - { name: y }
    - { name: z, passwordHash: "$scrypt$ln=15,r=8,p=1$${"A".repeat(22)}$${"A".repeat(43)}" }
`);
  const warnings = clientAuthWarnings(clientAuth)
    .map(({ path, message }) => `${pathText(path)}: ${message}`);
  assert.match(warnings[0] ?? "", /^clientAuth\.authenticators\.accessToken\.secret: /);
  assert.match(warnings[1] ?? "", /^clientAuth\.identities\[0\]\.password: /);
  assert.match(warnings[2] ?? "", /^clientAuth\.identities\[1\]: identity "y" has no login method/);
});

const AB = "identities: [{ name: a, password: { file: f } }, { name: b, password: { file: f } }]";

Deno.test("clientAuthWarnings() are about what has no effect", async (t) => {
  const rows = [
    { yaml: `acl: [{}]\n${AB}`, want: [] },
    { yaml: AB, want: [/^clientAuth\.acl: without a rule, all access is denied$/] },
    {
      yaml: `acl: [{ identities: [a] }]\n${AB}`,
      want: [/^clientAuth\.identities\[1\]: no rule of clientAuth\.acl applies to "b"/],
    },
    {
      yaml: `acl: [{}, { access: deny }, { modules: [x.y], identities: [a] }]\n${AB}`,
      want: [
        /^clientAuth\.acl\[1\]: this rule never applies: .* \(clientAuth\.acl\[0\]\)$/,
        /^clientAuth\.acl\[2\]: this rule never applies: .* \(clientAuth\.acl\[0\]\)$/,
      ],
    },
    {
      yaml: `acl: [{ identities: [a] }, { identities: [a, b] }, { identities: [b] }]\n${AB}`,
      want: [/^clientAuth\.acl\[2\]: .*\(clientAuth\.acl\[1\]\)$/],
    },
    {
      yaml: `acl: [{ access: deny, modules: [x.y, z.y] }, { modules: [z.y] }, {}]\n${AB}`,
      want: [/^clientAuth\.acl\[1\]: .*\(clientAuth\.acl\[0\]\)$/],
    },
    // The denial is for other spellings, too.
    { yaml: `acl: [{ modules: [x.y] }, { modules: [x.y], access: deny }, {}]\n${AB}`, want: [] },
    { yaml: `acl: [{ moduleRegexp: a }, { moduleRegexp: a }, {}]\n${AB}`, want: [] },
    {
      yaml: `acl: [{}]\n${AB}\nauthenticators: { gceInstanceIdentity: { audience: x }, ` +
        "oidc: [{ issuer: 'https://a', audience: x }] }",
      want: [
        /^clientAuth\.authenticators\.oidc\[0\]: no identity is bound to "https:\/\/a"/,
        /^clientAuth\.authenticators\.gceInstanceIdentity: no identity has a gceInstance/,
      ],
    },
  ];
  for (const { yaml, want } of rows) {
    await t.step(yaml, () => {
      const warnings = clientAuthWarnings(parseClientAuth(yaml)).map(({ path, message, see }) =>
        `${pathText(path)}: ${message}${see === undefined ? "" : ` (${pathText(see)})`}`
      );
      assert.equal(warnings.length, want.length, warnings.join("\n"));
      for (const [i, pattern] of want.entries()) assert.match(warnings[i] ?? "", pattern);
    });
  }
});
