/** A token that is revoked while the server runs: refused on every thread within ten seconds. */
import assert from "node:assert/strict";
import { startUpstream } from "./fakes/upstream.ts";
import { eventually } from "./support/eventually.ts";
import { startServer } from "./worlds/server.ts";

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n" },
};
const MAX_DELAY_MS = 10_000;

Deno.test("a revoked token is refused on every thread within ten seconds", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  const dir = await Deno.makeTempDir({ prefix: "revocation-" });
  try {
    await Deno.writeTextFile(`${dir}/revoked`, "# nothing yet\n");
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      `
clientAuth:
  enabled: true
  acl: [{ access: allow }]
  authenticators: { accessToken: { audience: us, secret: "${"s".repeat(32)}" } }
  identities: [{ name: alice, password: a }, { name: bob, password: b }]
  revoked: revoked
`,
    );
    await using server = await startServer({
      args: ["--workers", "3", "--config-file", `${dir}/config.yaml`],
      env: { GOPROXY: upstream.url },
    });
    await server.log(({ msg }) => msg === "all threads listen");
    const logIn = async (user: string) => {
      const response = await fetch(`${server.url}/auth/userpassword`, {
        method: "POST",
        body: JSON.stringify({ user, password: user[0] }),
      });
      return String((await response.json()).access_token);
    };
    const [alice, bob] = [await logIn("alice"), await logIn("bob")];
    /** Of several connections, which the system gives to several threads. */
    const statuses = (token: string) =>
      Promise.all(Array.from({ length: 12 }, async () => {
        using client = Deno.createHttpClient({});
        const response = await fetch(`${server.url}/example.com/m/@v/v1.0.0.info`, {
          client,
          headers: { Authorization: `Bearer ${token}` },
        });
        await response.body?.cancel();
        return response.status;
      }));
    assert.deepEqual(new Set(await statuses(alice)), new Set([200]));
    assert.deepEqual(new Set(await statuses(bob)), new Set([200]));

    const { jti } = await server.log(({ audit, identity }) =>
      audit === "log-in" && identity === "alice"
    );
    await Deno.writeTextFile(`${dir}/revoked`, `${jti}\n`);
    await eventually(
      "all threads to refuse the token",
      async () => (await statuses(alice)).every((status) => status === 401),
      { timeoutMs: MAX_DELAY_MS },
    );
    assert.deepEqual(new Set(await statuses(bob)), new Set([200]), "other tokens count");
    assert.deepEqual(
      new Set(await statuses(await logIn("alice"))),
      new Set([200]),
      "a new one too",
    );

    await Deno.writeTextFile(`${dir}/revoked`, "identity:bob before 2999-01-01T00:00:00Z\n");
    await eventually(
      "all threads to refuse the identity's tokens",
      async () => (await statuses(bob)).every((status) => status === 401),
      { timeoutMs: MAX_DELAY_MS },
    );
    const { reason } = await server.log(({ reason }) => /revoked/.test(String(reason)));
    assert.equal(reason, "Cannot accept the token: it was revoked");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
