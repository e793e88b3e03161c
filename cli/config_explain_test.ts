import assert from "node:assert/strict";
import { parseConfig } from "../lib/config/config.ts";
import { InvalidRequestError } from "../lib/errors.ts";
import { explainConfig } from "./config_explain.ts";

const YAML = `
parentProxy: { url: "https://user:hidden@proxy.example.com/go|https://b.example.com,direct" }
privateModules:
  - pathPrefix: github.com/my-org
    auth: { gitHubApp: 12345 }
  - pathPrefix: go.example.com/tools
    auth: { userPassword: { user: bot, password: hidden } }
    repository: https://git.example.com/tools.git
gitHub:
  - { host: github.com, gitHubApps: [{ id: 12345, privateKey: { file: key.pem } }] }
clientAuth:
  enabled: true
  identities: [{ name: dev, password: hidden }, { name: ci, password: hidden }]
  acl:
    - { access: deny, identities: [ci], modules: ["go.example.com/tools"] }
    - { identities: [ci], moduleRegexp: "^go\\\\.example" }
    - { identities: [dev] }
`;

interface Asked {
  readonly module: string;
  readonly yaml?: string;
  readonly identity?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function explain({ module, yaml = YAML, identity, env = {} }: Asked) {
  const lines: string[] = [];
  const mayRead = explainConfig({
    config: parseConfig(yaml),
    module,
    identity: identity ?? null,
    env,
    print: (line) => lines.push(line),
  });
  return { mayRead, lines };
}

const ROWS: { name: string; asked: Asked; mayRead: boolean; want: readonly string[] }[] = [
  {
    name: "a private module of a GitHub App",
    asked: { module: "github.com/my-org/lib/v2" },
    mayRead: true,
    want: [
      "module      github.com/my-org/lib/v2",
      'source      git alone: private prefix "github.com/my-org" (privateModules[0])',
      "repository  from https://github.com/my-org/lib/v2?go-get=1 or the path layout of its host",
      "credential  GitHub App 12345 at github.com: one token per repository",
      "database    none: the path is not disclosed",
      "zips        eager: with the rest",
      "access      dev may read it: clientAuth.acl[2] (allow, dev)",
      "access      ci may not read it: no rule of clientAuth.acl applies",
    ],
  },
  {
    name: "a private module whose repository is configured, for one identity",
    asked: { module: "go.example.com/tools/x", identity: "ci" },
    mayRead: false,
    want: [
      "module      go.example.com/tools/x",
      'source      git alone: private prefix "go.example.com/tools" (privateModules[1])',
      "repository  https://git.example.com/tools.git",
      'credential  user "bot": the secret in the configuration',
      "database    none: the path is not disclosed",
      "zips        eager: with the rest",
      "access      ci may not read it: clientAuth.acl[0] (deny, ci, modules go.example.com/tools)",
    ],
  },
  {
    name: "a public module",
    asked: { module: "go.example.com/other", identity: "ci" },
    mayRead: true,
    want: [
      "module      go.example.com/other",
      "source      https://proxy.example.com/go|https://b.example.com/,direct (parentProxy.url): " +
      "no private prefix covers the path",
      "database    sum.golang.org, if an upstream supports it (default)",
      "zips        lazy: on the first request, if the database has the hash",
      "access      ci may read it: clientAuth.acl[1] (allow, ci, moduleRegexp ^go\\.example)",
    ],
  },
  {
    name: "a path that is private but for its case",
    asked: { module: "github.com/My-Org/lib", identity: "dev" },
    mayRead: true,
    want: [
      "module      github.com/My-Org/lib",
      'source      none. Cannot serve "github.com/My-Org/lib": it differs from the private prefix ' +
      '"github.com/my-org" only in upper and lower case',
      "access      dev may read it: clientAuth.acl[2] (allow, dev)",
    ],
  },
  {
    name: "a private module with a checksum database of one's own",
    asked: {
      module: "example.com/m",
      yaml: `
privateModules: [{ pathPrefix: example.com/m, auth: { none: true } }]
privateSumDatabase: { name: sum.example.com, privateKey: hidden }
`,
    },
    mayRead: true,
    want: [
      "module      example.com/m",
      'source      git alone: private prefix "example.com/m" (privateModules[0])',
      "repository  from https://example.com/m?go-get=1 or the path layout of its host",
      "credential  none",
      "database    sum.example.com (privateSumDatabase): the path is not disclosed to others",
      "zips        eager: with the rest",
      "access      everyone: clientAuth.enabled is false",
    ],
  },
  {
    name: "a public module with a checksum database of one's own",
    asked: {
      module: "example.com/m",
      yaml: "privateSumDatabase: { name: sum.example.com, privateKey: hidden }",
    },
    mayRead: true,
    want: [
      "module      example.com/m",
      "source      direct (default): no private prefix covers the path",
      "database    sum.golang.org, if an upstream supports it (default)",
      "database    sum.example.com (privateSumDatabase), for clients that verify with it",
      "zips        lazy: on the first request, if the database has the hash",
      "access      everyone: clientAuth.enabled is false",
    ],
  },
  {
    name: "the defaults",
    asked: {
      module: "example.com/m",
      yaml: "publicModules: { sumDatabase: off }",
      env: { GOPROXY: "https://proxy.example.com" },
    },
    mayRead: true,
    want: [
      "module      example.com/m",
      "source      https://proxy.example.com/ (GOPROXY): no private prefix covers the path",
      "database    none: publicModules.sumDatabase is off",
      "zips        eager: fetching later needs the hash of a checksum database",
      "access      everyone: clientAuth.enabled is false",
    ],
  },
  {
    name: "a module that no database knows",
    asked: {
      module: "internal.example.com/m",
      yaml: 'publicModules: { noSumDatabase: "*.example.com" }',
      env: { GOPROXY: "https://proxy.example.com" },
    },
    mayRead: true,
    want: [
      "module      internal.example.com/m",
      "source      https://proxy.example.com/ (GOPROXY): no private prefix covers the path",
      "database    none: publicModules.noSumDatabase has the path",
      "zips        eager: fetching later needs the hash of a checksum database",
      "access      everyone: clientAuth.enabled is false",
    ],
  },
];

for (const { name, asked, mayRead, want } of ROWS) {
  Deno.test(`explainConfig() of ${name}`, () => {
    const explained = explain(asked);
    assert.deepEqual(explained, { mayRead, lines: want });
    assert.doesNotMatch(explained.lines.join("\n"), /hidden/);
  });
}

Deno.test("explainConfig() refuses what is no module path, and who is no identity", () => {
  assert.throws(() => explain({ module: "m" }), InvalidRequestError);
  assert.throws(
    () => explain({ module: "example.com/m", identity: "root" }),
    /no identity "root"/,
  );
});
