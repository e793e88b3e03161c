import assert from "node:assert/strict";
import { FakeGitHubApi, newKeyPem } from "../../tests/fakes/github_api.ts";
import { createLogger } from "../log/log.ts";
import { type CredentialsConfig, credentialsFaults, type PrivateModules } from "./config.ts";
import { openCredentials } from "./open.ts";
import { contextOf } from "./provider.ts";
import { SecretError } from "./secret.ts";

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
