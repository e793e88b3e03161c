import assert from "node:assert/strict";
import { dial, EgressProxy } from "./egress_proxy.ts";
import { EgressRoutes } from "./egress_routes.ts";

const NAME = "a.example.com";

interface World extends AsyncDisposable {
  readonly proxy: EgressProxy;
  /** Where the proxied server listens, on 127.0.0.1. */
  readonly port: number;
  readonly lookups: string[];
}

/**
 * A server that echoes what it gets and then closes, and a proxy whose names resolve to 127.0.0.1,
 * which is allowed.
 */
function start(allow: readonly string[] = ["127.0.0.0/8"]): World {
  const lookups: string[] = [];
  const routes = new EgressRoutes({
    allow,
    resolve: (hostname) => {
      lookups.push(hostname);
      return Promise.resolve(["127.0.0.1"]);
    },
  });
  const proxy = new EgressProxy(routes);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(1024);
      const size = await connection.read(buffer);
      if (size !== null) await connection.write(buffer.subarray(0, size));
      connection.close();
    }
  })();
  return {
    proxy,
    port: listener.addr.port,
    lookups,
    async [Symbol.asyncDispose]() {
      proxy[Symbol.dispose]();
      listener.close();
      await served;
    },
  };
}

/** Greets the proxy and asks for a host. What it answered, and the connection. */
async function ask(
  { proxy }: World,
  { kind, host, port, password = proxy.address.basicAuth.password }: {
    kind: number;
    host: readonly number[];
    port: number;
    password?: string;
  },
) {
  const { hostname, port: proxyPort } = new URL(proxy.address.url.replace("socks5h", "http"));
  const connection = await Deno.connect({ hostname, port: Number(proxyPort) });
  await connection.write(Uint8Array.of(5, 2, 0, 2));
  assert.deepEqual(await read(connection, 2), [5, 2]);
  const bytes = new TextEncoder().encode(password);
  await connection.write(Uint8Array.of(1, 6, ...new TextEncoder().encode("egress")));
  await connection.write(Uint8Array.of(bytes.length, ...bytes));
  const [, status] = await read(connection, 2);
  if (status !== 0) return { connection, reply: null };
  await connection.write(Uint8Array.of(5, 1, 0, kind, ...host, port >> 8, port & 0xff));
  const [, reply] = await read(connection, 10);
  return { connection, reply };
}

function named(name: string, port: number) {
  const bytes = new TextEncoder().encode(name);
  return { kind: 3, host: [bytes.length, ...bytes], port };
}

async function read(connection: Deno.TcpConn, sizeBytes: number): Promise<number[]> {
  const bytes: number[] = [];
  while (bytes.length < sizeBytes) {
    const buffer = new Uint8Array(sizeBytes - bytes.length);
    const size = await connection.read(buffer);
    if (size === null) break;
    bytes.push(...buffer.subarray(0, size));
  }
  return bytes;
}

Deno.test("EgressProxy connects to the checked address of a name, and to addresses", async (t) => {
  await using world = start();
  const hosts = [
    { name: "a name", ...named(NAME, world.port) },
    { name: "an address as a name", ...named("127.0.0.1", world.port) },
    { name: "an IPv4 address", kind: 1, host: [127, 0, 0, 1], port: world.port },
  ];
  for (const { name, ...host } of hosts) {
    await t.step(name, async () => {
      const { connection, reply } = await ask(world, host);
      using _ = connection;
      assert.equal(reply, 0);
      await connection.write(new TextEncoder().encode("hello"));
      assert.equal(String.fromCharCode(...await read(connection, 5)), "hello");
      // What the server has closed is closed for the client.
      assert.equal(await connection.read(new Uint8Array(1)), null);
    });
  }
  assert.deepEqual(world.lookups, [NAME]);
});

Deno.test("EgressProxy answers why it does not connect", async (t) => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closedPort = closed.addr.port;
  closed.close();
  await using world = start();
  await using strict = start([]);
  const rows = [
    { name: "not allowed by lookup", world: strict, host: named(NAME, strict.port), want: 2 },
    { name: "not allowed by name", world: strict, host: named("localhost", strict.port), want: 2 },
    { name: "a short address", world, host: named("127.1", world.port), want: 2 },
    {
      name: "IPv6 loopback",
      world,
      host: { kind: 4, host: [...new Uint8Array(15), 1], port: world.port },
      want: 2,
    },
    { name: "nobody listens", world, host: named(NAME, closedPort), want: 5 },
  ];
  for (const { name, world, host, want } of rows) {
    await t.step(name, async () => {
      const { connection, reply } = await ask(world, host);
      using _ = connection;
      assert.equal(reply, want);
      assert.equal(await connection.read(new Uint8Array(1)), null);
    });
  }
});

Deno.test("EgressProxy is for those who know its password", async () => {
  await using world = start();
  for (const password of ["", "x", "0".repeat(32)]) {
    const { connection, reply } = await ask(world, { ...named(NAME, world.port), password });
    using _ = connection;
    assert.equal(reply, null);
  }
  assert.deepEqual(world.lookups, []);
});

Deno.test("dial() goes on to the next address, and fails as the last one does", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  // Nobody listens on IPv6, which the test task may not even try.
  const connection = await dial(["::1", "127.0.0.1"], port);
  connection.close();
  listener.close();
  await assert.rejects(dial(["127.0.0.1"], port), Deno.errors.ConnectionRefused);
});
