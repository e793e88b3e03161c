import assert from "node:assert/strict";
import { type Fault, pathText } from "../schema/fault.ts";
import {
  type CredentialsConfig,
  credentialsFaults,
  credentialsWarnings,
  type PrivateModules,
} from "./config.ts";

const TOKEN = { token: { envVar: "TOKEN" } };

function textsOf(faults: readonly Fault[]): string[] {
  return faults.map(({ path, message, see }) =>
    `${pathText(path)}: ${message}${see === undefined ? "" : ` (${pathText(see)})`}`
  );
}

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
        'privateModules[1].pathPrefix: "git.example.com/A" overlaps with "git.example.com/a/b" (privateModules[0].pathPrefix)',
        'privateModules[2].pathPrefix: "git.example.com/a/b" overlaps with "git.example.com/a/b" (privateModules[0].pathPrefix)',
      ],
    },
    {
      name: "no such App",
      config: configOf([{ pathPrefix: "github.com/a", auth: { gitHubApp: 1 } }], {
        gitHub: [{ host: "github.com", gitHubApps: [app(2)] }],
      }),
      want: ["privateModules[0].auth.gitHubApp: there is no App with id 1 in gitHub"],
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
        "privateModules[0].auth.gitHubApp: 2 Apps with id 1 in gitHub, none of them at the prefix's host",
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
        'gitHub[1].host: "github.com" is already used (gitHub[0].host)',
        'gitHub[0].gitHubApps[2].id: "1" is already used (gitHub[0].gitHubApps[0].id)',
      ],
    },
  ];
  for (const { name, config, want } of rows) {
    await t.step(name, () => assert.deepEqual(textsOf(credentialsFaults(config)), want));
  }
});

Deno.test("credentialsWarnings() names secrets in the configuration, not their content", () => {
  const config = configOf([
    { pathPrefix: "a.example.com", auth: { token: "PLANTED" } },
    { pathPrefix: "b.example.com", auth: { userPassword: { user: "u", password: "PLANTED" } } },
    { pathPrefix: "c.example.com", auth: TOKEN },
    { pathPrefix: "d.example.com", auth: { none: true } },
    { pathPrefix: "e.example.com", auth: { netrc: "PLANTED" } },
    { pathPrefix: "github.com/a", auth: { gitHubApp: 1 } },
  ], { gitHub: [{ host: "github.com", gitHubApps: [{ id: 1, privateKey: "PLANTED" }] }] });
  const warnings = textsOf(credentialsWarnings(config));
  assert.deepEqual(warnings.map((warning) => warning.split(":", 1)[0]), [
    "privateModules[0].auth.token",
    "privateModules[1].auth.userPassword.password",
    "privateModules[4].auth.netrc",
    "gitHub[0].gitHubApps[0].privateKey",
  ]);
  assert.doesNotMatch(warnings.join(), /PLANTED/);
});
