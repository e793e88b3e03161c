/**
 * Clients behind a load balancer, told apart by `X-Forwarded-For`: on every thread, and by no one
 * who is not trusted to tell.
 */
import assert from "node:assert/strict";
import { MAX_FAILURES } from "../lib/auth/failed_logins.ts";
import { type Server, startServer } from "./worlds/server.ts";

const ALICE_AT_WORK = "198.51.100.7";
const BOB_AT_WORK = "198.51.100.8";
const ATTACKER = "203.0.113.9";

async function withServer(trustedProxies: string, work: (server: Server) => Promise<void>) {
  const dir = await Deno.makeTempDir({ prefix: "proxies-" });
  try {
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      `
listen: { trustedProxies: [${trustedProxies}] }
clientAuth:
  enabled: true
  acl: [{ access: allow }]
  authenticators: { accessToken: { audience: us, secret: "${"s".repeat(32)}" } }
  identities: [{ name: alice, password: a }, { name: bob, password: b }]
`,
    );
    const args = ["--workers", "3", "--config-file", `${dir}/config.yaml`];
    await using server = await startServer({ args, env: { GOPROXY: "off" } });
    await server.log(({ msg }) => msg === "all threads listen");
    await work(server);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Each on a connection of its own, so that all threads get some. */
async function logIn(server: Server, { user, password, from }: {
  user: string;
  password: string;
  from: string;
}): Promise<number> {
  using client = Deno.createHttpClient({});
  const response = await fetch(`${server.url}/auth/userpassword`, {
    client,
    method: "POST",
    // What the client wrote, and what the load balancer appends.
    headers: { "X-Forwarded-For": `192.0.2.200, ${from}` },
    body: JSON.stringify({ user, password }),
  });
  await response.body?.cancel();
  return response.status;
}

Deno.test("M5: wrong passwords lock out nobody else behind a load balancer", async () => {
  await withServer("127.0.0.0/8", async (server) => {
    const alice = { user: "alice", password: "a", from: ALICE_AT_WORK };
    assert.equal(await logIn(server, alice), 200);
    for (let i = 0; i < MAX_FAILURES; i++) {
      const guess = { user: "alice", password: `guess ${i}`, from: ATTACKER };
      assert.equal(await logIn(server, guess), 401);
    }
    assert.equal(await logIn(server, { ...alice, from: ATTACKER }), 429, "guessing has ended");
    assert.equal(await logIn(server, { ...alice, from: "203.0.113.10" }), 429, "from anywhere");
    assert.equal(await logIn(server, alice), 200, "from where she was before");
    const bob = { user: "bob", password: "b", from: BOB_AT_WORK };
    assert.equal(await logIn(server, bob), 200, "whom nobody has attacked");
    const { address } = await server.log(({ audit, reason }) =>
      audit === "denied" && /too many/.test(String(reason))
    );
    assert.equal(address, ATTACKER);
  });
});

Deno.test("M5: who is not a trusted proxy cannot choose an address", async () => {
  await withServer("192.0.2.0/24", async (server) => {
    for (let i = 0; i < MAX_FAILURES; i++) {
      const guess = { user: `user${i}`, password: "x", from: `203.0.113.${i}` };
      assert.equal(await logIn(server, guess), 401);
    }
    assert.equal(await logIn(server, { user: "bob", password: "b", from: BOB_AT_WORK }), 429);
  });
});
