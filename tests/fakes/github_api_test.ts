import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { sign } from "node:crypto";
import { FakeGitHubApi, newKeyPem } from "./github_api.ts";

const KEY = newKeyPem();
const NOW_MS = Date.parse("2026-11-22T12:00:00Z");
const NOW = NOW_MS / 1000;

interface Jwt {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly key?: string;
}

function jwtOf({ header = {}, claims = {}, key = KEY }: Jwt = {}): string {
  const all = [
    { alg: "RS256", typ: "JWT", ...header },
    { iss: 12345, iat: NOW - 60, exp: NOW + 540, ...claims },
  ];
  const signed = all.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${signed}.${sign("RSA-SHA256", Buffer.from(signed), key).toString("base64url")}`;
}

Deno.test("FakeGitHubApi accepts the App's JWT and no other", async (t) => {
  await using api = new FakeGitHubApi({ now: () => NOW_MS, privateKeyPem: KEY });
  api.install({ owner: "My-Org", repositories: ["lib"] });
  const bearer = (jwt: Jwt) => `Bearer ${jwtOf(jwt)}`;
  const rows = [
    { name: "right", input: bearer({}), want: 200 },
    { name: "issuer as text", input: bearer({ claims: { iss: "12345" } }), want: 200 },
    { name: "lower-case scheme", input: `bearer ${jwtOf()}`, want: 200 },
    { name: "none", input: "", want: 401 },
    { name: "a token", input: "Bearer ghs_x", want: 401 },
    { name: "another key", input: bearer({ key: newKeyPem() }), want: 401 },
    { name: "another algorithm", input: bearer({ header: { alg: "none" } }), want: 401 },
    { name: "unsigned", input: `Bearer ${jwtOf().replace(/[^.]+$/, "")}`, want: 401 },
    { name: "another App", input: bearer({ claims: { iss: 12346 } }), want: 401 },
    { name: "from the future", input: bearer({ claims: { iat: NOW + 1 } }), want: 401 },
    { name: "expired", input: bearer({ claims: { exp: NOW } }), want: 401 },
    { name: "ends too late", input: bearer({ claims: { iat: NOW, exp: NOW + 601 } }), want: 401 },
    { name: "lasts too long", input: bearer({ claims: { iat: NOW - 61 } }), want: 401 },
    { name: "without an end", input: bearer({ claims: { exp: undefined } }), want: 401 },
  ];
  for (const { name, input, want } of rows) {
    await t.step(name, async () => {
      const response = await fetch(`${api.apiBaseUrl}/orgs/my-org/installation`, {
        headers: { Authorization: input },
      });
      await response.body?.cancel();
      assert.equal(response.status, want);
    });
  }
});

Deno.test("FakeGitHubApi gives what the installation has, and no more", async (t) => {
  await using api = new FakeGitHubApi({ now: () => NOW_MS, privateKeyPem: KEY });
  const id = api.install({ owner: "My-Org", repositories: ["lib", "app"], selected: ["lib"] });
  const suspended = api.install({ owner: "Ann", repositories: ["lib"], suspended: true });
  const rows = [
    { id, body: { repositories: ["LIB"], permissions: { contents: "read" } }, want: 201 },
    { id, body: {}, want: 201 },
    { id, body: { repositories: ["app"] }, want: 422 },
    { id, body: { repositories: ["lib", "absent"] }, want: 422 },
    { id, body: { repositories: ["My-Org/lib"] }, want: 422 },
    { id, body: { permissions: { contents: "write" } }, want: 422 },
    { id, body: { permissions: { issues: "read" } }, want: 422 },
    { id: suspended, body: {}, want: 403 },
    { id: 999, body: {}, want: 404 },
  ];
  for (const { id, body, want } of rows) {
    await t.step(`${id} ${JSON.stringify(body)}`, async () => {
      const response = await fetch(`${api.apiBaseUrl}/app/installations/${id}/access_tokens`, {
        method: "POST",
        headers: { Authorization: `Bearer ${jwtOf()}` },
        body: JSON.stringify(body),
      });
      await response.body?.cancel();
      assert.equal(response.status, want);
    });
  }
});

Deno.test("FakeGitHubApi.isValidFor() goes by repository, permission, time and installation", async () => {
  let nowMs = NOW_MS;
  await using api = new FakeGitHubApi({ now: () => nowMs, privateKeyPem: KEY });
  const id = api.install({
    owner: "My-Org",
    repositories: ["lib", "app"],
    permissions: { contents: "read", metadata: "read" },
  });
  const mint = async (body: object) => {
    const response = await fetch(`${api.apiBaseUrl}/app/installations/${id}/access_tokens`, {
      method: "POST",
      headers: { Authorization: `Bearer ${jwtOf()}` },
      body: JSON.stringify(body),
    });
    const { token } = await response.json() as { token: string };
    return token;
  };
  const all = await mint({});
  const lib = await mint({ repositories: ["lib"] });
  const metadata = await mint({ permissions: { metadata: "read" } });

  assert.equal(api.isValidFor(all, "my-org/app"), true);
  assert.equal(api.isValidFor(lib, "MY-ORG/lib"), true);
  assert.equal(api.isValidFor(lib, "my-org/app"), false);
  assert.equal(api.isValidFor(lib, "other/lib"), false);
  assert.equal(api.isValidFor(metadata, "my-org/lib"), false);
  assert.equal(api.isValidFor("", "my-org/lib"), false);
  nowMs += 60 * 60_000;
  assert.equal(api.isValidFor(lib, "my-org/lib"), false);
  nowMs = NOW_MS;
  api.installations.delete(id);
  assert.equal(api.isValidFor(lib, "my-org/lib"), false);
});
