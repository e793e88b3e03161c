import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeGitHubApi, newKeyPem } from "../../tests/fakes/github_api.ts";
import { ForbiddenError } from "../errors.ts";
import { createLogger } from "../log/log.ts";
import { type ModulePath, parseModulePath } from "../module/path.ts";
import {
  type CredentialsConfig,
  credentialsFaults,
  credentialsWarnings,
  openCredentials,
  type PrivateModules,
  PrivatePrefixes,
} from "./open.ts";
import { contextOf } from "./provider.ts";
import { SecretError } from "./secret.ts";
import { NO_CREDENTIALS } from "./static.ts";

const KEY = newKeyPem();
const ENV = new Map([["TOKEN", "PLANTED-TOKEN"], ["KEY", KEY], ["LINES", "PLANTED\nx"]]);
const OPTIONS = {
  places: { directory: "/nonexistent", env: (name: string) => ENV.get(name) },
  fetch,
  now: Date.now,
  log: createLogger("silent"),
};
const TOKEN = { token: { envVar: "TOKEN" } };
const { signal } = new AbortController();

function configOf(privateModules: PrivateModules[], rest: Partial<CredentialsConfig> = {}) {
  return { privateModules, gitHub: [], ...rest };
}

function app(id: number, privateKey = { envVar: "KEY" }) {
  return { id, privateKey };
}

Deno.test("credentialsFaults() names what is wrong", async (t) => {
  const rows: { name: string; config: CredentialsConfig; want: string[] }[] = [
    { name: "nothing configured", config: configOf([]), want: [] },
    {
      name: "neighbours",
      config: configOf([
        { pathPrefix: "git.example.com/team", auth: TOKEN },
        { pathPrefix: "git.example.com/teams", auth: TOKEN },
        { pathPrefix: "git.example.com/tea", auth: TOKEN },
        { pathPrefix: "example.com", auth: TOKEN },
      ]),
      want: [],
    },
    {
      name: "overlap, whichever comes first, whatever the case",
      config: configOf([
        { pathPrefix: "git.example.com/a/b", auth: TOKEN },
        { pathPrefix: "git.example.com/A", auth: TOKEN },
        { pathPrefix: "git.example.com/a/b", auth: TOKEN },
      ]),
      want: [
        'privateModules[1].pathPrefix: "git.example.com/A" overlaps with "git.example.com/a/b" of privateModules[0]',
        'privateModules[2].pathPrefix: "git.example.com/a/b" overlaps with "git.example.com/a/b" of privateModules[0]',
        'privateModules[2].pathPrefix: "git.example.com/a/b" overlaps with "git.example.com/A" of privateModules[1]',
      ],
    },
    {
      name: "empty elements",
      config: configOf([
        { pathPrefix: "git.example.com/", auth: TOKEN },
        { pathPrefix: "other.example.com//x", auth: TOKEN },
      ]),
      want: [
        'privateModules[0].pathPrefix: "git.example.com/" has an empty element',
        'privateModules[1].pathPrefix: "other.example.com//x" has an empty element',
      ],
    },
    {
      name: "no such App",
      config: configOf([{ pathPrefix: "github.com/a", auth: { gitHubApp: 1 } }], {
        gitHub: [{ host: "github.com", gitHubApps: [app(2)] }],
      }),
      want: ["privateModules[0].auth.gitHubApp: no App with id 1 in gitHub"],
    },
    {
      name: "App at the prefix's host and elsewhere",
      config: configOf([{ pathPrefix: "github.com/a", auth: { gitHubApp: 1 } }], {
        gitHub: [
          { host: "git.example.com", gitHubApps: [app(1)] },
          { host: "github.com", gitHubApps: [app(1)] },
        ],
      }),
      want: [],
    },
    {
      name: "App at two other hosts",
      config: configOf([{ pathPrefix: "go.example.com", auth: { gitHubApp: 1 } }], {
        gitHub: [
          { host: "git.example.com", gitHubApps: [app(1)] },
          { host: "github.com", gitHubApps: [app(1)] },
        ],
      }),
      want: [
        "privateModules[0].auth.gitHubApp: 2 Apps, none at the prefix's host, with id 1 in gitHub",
      ],
    },
    {
      name: "duplicates",
      config: configOf([], {
        gitHub: [
          { host: "github.com", gitHubApps: [app(1), app(2), app(1)] },
          { host: "github.com", gitHubApps: [] },
        ],
      }),
      want: [
        'gitHub[1].host: "github.com" is there twice',
        'gitHub[0].gitHubApps[2].id: "1" is there twice',
      ],
    },
  ];
  for (const { name, config, want } of rows) {
    await t.step(name, () => assert.deepEqual(credentialsFaults(config), want));
  }
});

Deno.test("credentialsWarnings() names secrets in the configuration, not their content", () => {
  const config = configOf([
    { pathPrefix: "a.example.com", auth: { token: "PLANTED" } },
    { pathPrefix: "b.example.com", auth: { userPassword: { user: "u", password: "PLANTED" } } },
    { pathPrefix: "c.example.com", auth: TOKEN },
    { pathPrefix: "d.example.com", auth: { none: true } },
    { pathPrefix: "e.example.com", auth: { netrc: "PLANTED" } },
  ], { gitHub: [{ host: "github.com", gitHubApps: [{ id: 1, privateKey: "PLANTED" }] }] });
  const warnings = credentialsWarnings(config);
  assert.deepEqual(warnings.map((warning) => warning.split(":", 1)[0]), [
    "privateModules[0].auth.token",
    "privateModules[1].auth.userPassword.password",
    "privateModules[4].auth.netrc",
    "gitHub[0].gitHubApps[0].privateKey",
  ]);
  assert.doesNotMatch(warnings.join(), /PLANTED/);
});

Deno.test("openCredentials() refuses secrets that cannot be used, all at once", async () => {
  const config = configOf([
    { pathPrefix: "a.example.com", auth: { token: { envVar: "LINES" } } },
    { pathPrefix: "b.example.com", auth: { netrc: { file: "netrc" } } },
    { pathPrefix: "c.example.com", auth: TOKEN },
  ], { gitHub: [{ host: "github.com", gitHubApps: [app(1, { envVar: "TOKEN" })] }] });
  await assert.rejects(openCredentials(config, OPTIONS), (error) => {
    assert.ok(error instanceof SecretError);
    assert.deepEqual(error.message.split("\n").map((line) => line.split(":", 1)[0]), [
      "privateModules[0].auth.token",
      "privateModules[1].auth.netrc",
      "gitHub[0].gitHubApps[0].privateKey",
    ]);
    assert.doesNotMatch(error.message, /PLANTED/);
    return true;
  });
});

Deno.test("PrivatePrefixes.find() compares whole elements", async (t) => {
  const prefixes = new PrivatePrefixes(
    ["github.com/My-Org", "git.example.com"].map((pathPrefix) => ({
      pathPrefix,
      repository: null,
      provider: NO_CREDENTIALS,
    })),
  );
  const rows = [
    { input: "github.com/My-Org", want: "github.com/My-Org" },
    { input: "github.com/My-Org/lib/v2", want: "github.com/My-Org" },
    { input: "git.example.com/a", want: "git.example.com" },
    { input: "github.com/My-Org2/lib", want: null },
    { input: "github.com/My-Or", want: null },
    { input: "github.com", want: null },
    { input: "sub.git.example.com/a", want: null },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => {
      assert.equal(prefixes.find(parseModulePath(input))?.pathPrefix ?? null, want);
    });
  }
  for (const input of ["github.com/my-org/lib", "github.com/MY-ORG"]) {
    await t.step(`${input} is neither private nor public`, () => {
      assert.throws(() => prefixes.find(parseModulePath(input)), ForbiddenError);
    });
  }
});

Deno.test("PrivatePrefixes.find() agrees with a comparison element by element", () => {
  const path = fc.array(fc.constantFrom("a", "b", "ab", "a-b"), { minLength: 1, maxLength: 4 })
    .map((elements) => elements.join("/"));
  fc.assert(fc.property(path, path, (pathPrefix, text) => {
    const prefixes = new PrivatePrefixes([
      { pathPrefix, repository: null, provider: NO_CREDENTIALS },
    ]);
    const want = pathPrefix.split("/").every((element, i) => element === text.split("/")[i]);
    assert.equal(prefixes.find(text as ModulePath) !== null, want);
  }));
});

Deno.test("credentials go to the remotes they are for and to no other", async (t) => {
  await using api = new FakeGitHubApi({ privateKeyPem: KEY });
  api.install({ owner: "my-org", repositories: ["lib"] });
  const gitHub = [{
    host: "github.com",
    apiBaseUrl: api.apiBaseUrl,
    gitHubApps: [app(api.appId)],
  }];
  const byApp = { gitHubApp: api.appId };
  const rows: {
    name: string;
    modules: PrivateModules;
    insecureHosts?: string[];
    yes: string[];
    no: string[];
  }[] = [
    {
      name: "token",
      modules: { pathPrefix: "git.example.com/team", auth: TOKEN },
      yes: ["https://git.example.com/team/lib.git", "https://git.example.com/elsewhere"],
      no: [
        "https://evil.example.com/team/lib.git",
        "https://git.example.com.evil.example.com/team/lib.git",
        "https://git.example.com:8443/team/lib.git",
        "http://git.example.com/team/lib.git",
      ],
    },
    {
      name: "user and password, plain http allowed",
      modules: {
        pathPrefix: "git.example.com",
        auth: { userPassword: { user: "u", password: { envVar: "TOKEN" } } },
      },
      insecureHosts: ["git.example.com"],
      yes: ["http://git.example.com/team/lib", "https://git.example.com/team/lib"],
      no: ["http://other.example.com/team/lib"],
    },
    {
      name: "token for a repository that is named",
      modules: {
        pathPrefix: "go.example.com/lib",
        repository: "http://127.0.0.1:8080/my-org/lib",
        auth: TOKEN,
      },
      yes: ["http://127.0.0.1:8080/my-org/lib"],
      no: ["https://go.example.com/lib", "https://127.0.0.1:8080/my-org/lib"],
    },
    {
      name: "GitHub App",
      modules: { pathPrefix: "github.com/my-org", auth: byApp },
      yes: ["https://github.com/my-org/lib"],
      no: ["https://git.example.com/my-org/lib", "http://github.com/my-org/lib"],
    },
    {
      name: "GitHub App behind a vanity path",
      modules: { pathPrefix: "go.example.com", auth: byApp },
      yes: ["https://github.com/my-org/lib"],
      no: ["https://go.example.com/my-org/lib"],
    },
    {
      name: "GitHub App for a repository that is named",
      modules: {
        pathPrefix: "github.com/my-org",
        repository: "http://127.0.0.1:8080/my-org/lib",
        auth: byApp,
      },
      yes: ["http://127.0.0.1:8080/my-org/lib"],
      no: ["https://github.com/my-org/lib"],
    },
    {
      name: "none",
      modules: { pathPrefix: "git.example.com", auth: { none: true } },
      yes: [],
      no: ["https://git.example.com/team/lib"],
    },
  ];
  for (const { name, modules, insecureHosts, yes, no } of rows) {
    await t.step(name, async () => {
      const config = configOf([modules], { gitHub, insecureHosts });
      assert.deepEqual(credentialsFaults(config), []);
      const { all: [prefix] } = await openCredentials(config, OPTIONS);
      for (const url of yes) {
        const credentials = await prefix?.provider.credentials(contextOf(new URL(url)), { signal });
        assert.ok(credentials, url);
      }
      for (const url of no) {
        const steps: string[] = [];
        const onStep = (text: string) => steps.push(text);
        const remote = contextOf(new URL(url));
        assert.equal(await prefix?.provider.credentials(remote, { signal, onStep }), null, url);
        assert.match(steps.join("\n"), /^no credentials/);
      }
    });
  }
});
