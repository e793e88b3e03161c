import assert from "node:assert/strict";
import { UnauthenticatedError, UpstreamError } from "../errors.ts";
import { findIdentity, type Machine } from "./identity.ts";
import type { ProviderName } from "./providers.ts";

const JWT = "e30.e30.c2ln";
const SERVER = new URL("https://proxy.example.com/go");

interface MachineParts {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly git?: { user: string; password: string };
}

/** A machine of which only this is known; whatever else is asked for fails. */
function machine({ env = {}, files = {}, metadata = {}, git }: MachineParts): Machine {
  return {
    env: (name) => env[name],
    readFile: (path) => Promise.resolve(files[path] ?? null),
    fetchText(url, headers) {
      assert.equal(headers["Authorization"], "Bearer ask");
      assert.equal(url.href, "https://ci.example.com/token?api=1&audience=https%3A%2F%2Fa");
      return Promise.resolve(JSON.stringify({ value: JWT }));
    },
    askMetadata(url) {
      const answer = metadata[url.href];
      if (answer !== undefined) return Promise.resolve(answer);
      return Promise.reject(new UpstreamError(`Cannot ask ${url}`));
    },
    askGit: () => Promise.resolve(git ?? null),
  };
}

const GITHUB = {
  ACTIONS_ID_TOKEN_REQUEST_URL: "https://ci.example.com/token?api=1",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "ask",
};
const NETRC = { "/home/me/.netrc": "machine proxy.example.com login me password secret\n" };
const HOME = { HOME: "/home/me" };
const ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default";
const METADATA = {
  [`http://metadata.google.internal${ACCOUNT}/email`]: "ci@example.com",
  [`http://metadata.google.internal${ACCOUNT}/identity?format=full&audience=https%3A%2F%2Fa`]: JWT,
};
const ME = { kind: "password", user: "me", password: "secret" };
const OIDC = { kind: "oidc", token: JWT };
const GCE = { kind: "gce", token: JWT };

const ROWS: {
  name: string;
  parts: MachineParts;
  provider?: ProviderName;
  tokenVariable?: string;
  tokenFile?: string;
  want: unknown;
}[] = [
  { name: "a variable", parts: { env: { GO_MOD_PROXY_ID_TOKEN: `${JWT}\n` } }, want: OIDC },
  { name: "another variable", parts: { env: { T: JWT } }, tokenVariable: "T", want: OIDC },
  { name: "GitHub Actions", parts: { env: GITHUB }, want: OIDC },
  {
    name: "a file",
    parts: { files: { "/var/run/secrets/go-mod-proxy/token": JWT } },
    want: OIDC,
  },
  { name: "another file", parts: { files: { "/t": JWT } }, tokenFile: "/t", want: OIDC },
  { name: "netrc", parts: { env: HOME, files: NETRC }, want: ME },
  {
    name: "the netrc that NETRC names",
    parts: { env: { ...HOME, NETRC: "/n" }, files: { "/n": NETRC["/home/me/.netrc"] } },
    want: ME,
  },
  {
    name: "netrc by _netrc",
    parts: { env: { USERPROFILE: "C:" }, files: { "C:/_netrc": NETRC["/home/me/.netrc"] } },
    want: ME,
  },
  {
    name: "the metadata server, by the machine's product name",
    parts: {
      files: { "/sys/class/dmi/id/product_name": "Google Compute Engine\n" },
      metadata: METADATA,
    },
    want: GCE,
  },
  {
    name: "the metadata server, in Cloud Run",
    parts: { env: { K_SERVICE: "s" }, metadata: METADATA },
    want: GCE,
  },
  {
    name: "the metadata server, when told so",
    parts: { metadata: METADATA },
    provider: "gce",
    want: GCE,
  },
  { name: "git", parts: { git: { user: "me", password: "secret" } }, want: ME },
  {
    name: "a job's own identity before the person's",
    parts: { env: { ...GITHUB, ...HOME }, files: NETRC },
    want: OIDC,
  },
  {
    name: "the person's, when told so",
    parts: { env: { ...GITHUB, ...HOME }, files: NETRC },
    provider: "netrc",
    want: ME,
  },
  {
    name: "the person's before the machine's",
    parts: { env: { ...HOME, K_SERVICE: "s" }, files: NETRC, metadata: METADATA },
    want: ME,
  },
];

for (const { name, parts, want, ...options } of ROWS) {
  Deno.test(`findIdentity() finds ${name}`, async () => {
    const identity = await findIdentity(
      { server: SERVER, audience: "https://a", ...options },
      machine(parts),
    );
    assert.deepEqual(await identity.prove(), want);
    assert.ok(!identity.description.includes(JWT) && !/password/.test(identity.description));
  });
}

const ABSENT: { name: string; parts: MachineParts; provider?: ProviderName; message: RegExp }[] = [
  {
    name: "nothing",
    parts: {},
    message: /no identity found by env, github, file, netrc, gce, git/,
  },
  { name: "no variable", parts: {}, provider: "env", message: /GO_MOD_PROXY_ID_TOKEN is not set/ },
  {
    name: "no permission",
    parts: { env: { GITHUB_ACTIONS: "true" } },
    provider: "github",
    message: /id-token: write/,
  },
  { name: "no file", parts: {}, provider: "file", message: /no file .*token" that can be read/ },
  {
    name: "another machine's netrc",
    parts: { env: HOME, files: { "/home/me/.netrc": "machine x.example.com login a password b" } },
    provider: "netrc",
    message: /no entry for proxy.example.com/,
  },
  { name: "no git password", parts: {}, provider: "git", message: /git knows no password/ },
];

for (const { name, parts, provider, message } of ABSENT) {
  Deno.test(`findIdentity() says that there is ${name}`, async () => {
    await assert.rejects(
      findIdentity({ server: SERVER, audience: "a", provider }, machine(parts)),
      (error: Error) => {
        assert.ok(error instanceof UnauthenticatedError);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

Deno.test("findIdentity() fails where the metadata server should be and is not", async () => {
  const options = { server: SERVER, audience: "a", provider: "gce" } as const;
  await assert.rejects(findIdentity(options, machine({})), UpstreamError);
});

for (const token of ["secret", "a.b", "a.b.c\nd", "<html>"]) {
  Deno.test(`an identity token is not ${JSON.stringify(token)}`, async () => {
    const parts = { env: { GO_MOD_PROXY_ID_TOKEN: token } };
    const identity = await findIdentity({ server: SERVER, audience: "a" }, machine(parts));
    await assert.rejects(async () => await identity.prove(), (error: Error) => {
      assert.match(error.message, /not a JSON Web Token/);
      assert.ok(!error.message.includes(token));
      return true;
    });
  });
}
