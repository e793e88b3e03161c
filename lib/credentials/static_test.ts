import assert from "node:assert/strict";
import { contextOf, originOf } from "./provider.ts";
import { NO_CREDENTIALS, TokenProvider, tokenUsername, UserPasswordProvider } from "./static.ts";

const places = {
  directory: "/",
  env: (name: string) => name === "PASSWORD" ? "PLANTED\n" : undefined,
};
const remote = contextOf(new URL("https://gitlab.example.com/team/lib.git"));
const { signal } = new AbortController();

Deno.test("tokenUsername() goes by the host", async (t) => {
  const rows = [
    { input: "github.com", want: "x-access-token" },
    { input: "github.example.com:8443", want: "x-access-token" },
    { input: "bitbucket.org", want: "x-token-auth" },
    { input: "bitbucket.example.com", want: "x-token-auth" },
    { input: "gitlab.com", want: "oauth2" },
    { input: "dev.azure.com", want: "oauth2" },
    { input: "git.example.com", want: "oauth2" },
    { input: "notbitbucket.example.com", want: "oauth2" },
    { input: "127.0.0.1:8080", want: "oauth2" },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(tokenUsername(input), want));
  }
});

Deno.test("static providers give what is configured, and keep it out of their steps", async (t) => {
  const secret = { envVar: "PASSWORD" };
  const rows = [
    {
      provider: new TokenProvider(secret, places),
      want: { username: "oauth2", password: "PLANTED" },
    },
    {
      provider: new UserPasswordProvider({ user: "ci", password: secret }, places),
      want: { username: "ci", password: "PLANTED" },
    },
    { provider: NO_CREDENTIALS, want: null },
  ];
  for (const { provider, want } of rows) {
    await t.step(provider.description, async () => {
      const steps: string[] = [];
      const onStep = (text: string) => steps.push(text);
      assert.deepEqual(await provider.credentials(remote, { signal, onStep }), want);
      assert.equal(steps.length, 1);
      assert.doesNotMatch(`${steps} ${provider.description}`, /PLANTED/);
    });
  }
});

Deno.test("contextOf() says what git would ask for", async (t) => {
  const rows = [
    { input: "https://Git.Example.com:443/a/b.git", want: ["https://git.example.com", "a/b.git"] },
    { input: "https://git.example.com:8443/a", want: ["https://git.example.com:8443", "a"] },
    { input: "http://127.0.0.1:8080/a/b", want: ["http://127.0.0.1:8080", "a/b"] },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => {
      const result = contextOf(new URL(input));
      assert.deepEqual([originOf(result), result.path], want);
    });
  }
});
