/** The process: its start, its error messages, and its end. */
import assert from "node:assert/strict";
import { tap } from "./fakes/behaviours.ts";
import { eventually } from "./support/eventually.ts";
import { runProgram, startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n", "m.go": "package m\n" },
};

Deno.test("SIGTERM finishes what is in flight, then exits 0", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using server = await startServer({ env: { GOPROXY: upstream.url } });
  const held = tap();
  using _rule = upstream.misbehave(/zip$/, held.behaviour);
  const inFlight = fetch(`${server.url}/example.com/m/@v/v1.0.0.zip`);
  await held.arrived;
  server.signal("SIGTERM");
  await server.log(({ msg }) => String(msg).startsWith("stopping"));
  held.release();
  const response = await inFlight;
  assert.equal(response.status, 200);
  assert.equal((await response.bytes()).length, Number(response.headers.get("Content-Length")));
  const { code, signal } = await server.kill("SIGTERM");
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
  assert.deepEqual(runsIn(`${server.dir}/.cache/go-mod-proxy`), []);
});

/** What processes have in a scratch directory for themselves. */
function runsIn(scratch: string): string[] {
  return [...Deno.readDirSync(scratch)].map(({ name }) => name).filter((name) =>
    name.startsWith("run-")
  );
}

Deno.test("the next process removes what a killed one left behind", async () => {
  const directory = await Deno.makeTempDir({ prefix: "scratch-" });
  try {
    const args = ["--scratch-dir", directory];
    {
      await using killed = await startServer({ args, env: { GOPROXY: "off" } });
      await killed.kill("SIGKILL");
    }
    const left = runsIn(directory);
    assert.equal(left.length, 1);
    await using _next = await startServer({ args, env: { GOPROXY: "off" } });
    const now = runsIn(directory);
    assert.equal(now.length, 1);
    assert.notDeepEqual(now, left);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a new user's server answers /, /healthz and /readyz, and says how to set an upstream", async () => {
  await using server = await startServer();
  for (
    const [path, want] of [["", /GOPROXY=http:\/\/127/], ["healthz", /^ok$/m], [
      "readyz",
      /^ok$/m,
    ]] as const
  ) {
    const response = await fetch(`${server.url}/${path}`);
    assert.equal(response.status, 200);
    assert.match(await response.text(), want);
  }
  const hint = await server.log(({ level }) => level === "warn");
  assert.match(String(hint["msg"]), /GOPROXY="https:\/\/proxy\.example\.com,direct"/);
});

Deno.test("the server warns of what is likely wrong, with its place in the file", async () => {
  const directory = await Deno.makeTempDir({ prefix: "config-" });
  try {
    const file = `${directory}/config.yaml`;
    await Deno.writeTextFile(
      file,
      "storage: { disk: { path: data } }\ntls: { minVersion: TLS1.3 }\n",
    );
    await using server = await startServer({
      args: ["--config-file", file],
      env: { GOPROXY: "off" },
    });
    const warning = await server.log(({ level }) => level === "warn");
    assert.equal(
      warning["msg"],
      `${file}:2:20: tls.minVersion: outgoing connections may use TLS 1.2 where a server has nothing newer`,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the server says every fault of the file in a line, and exits with 1", async () => {
  const directory = await Deno.makeTempDir({ prefix: "config-" });
  try {
    const file = `${directory}/config.yaml`;
    await Deno.writeTextFile(
      file,
      `storage: { disk: { path: 1 } }
parentProxy: { urls: x }
clientAuth:
  acl: [{ identities: [cii] }]
  identities: [{ name: ci }]
`,
    );
    assert.deepEqual(await runProgram(["serve", "--config-file", file]), {
      code: 1,
      stdout: "",
      stderr: `error: invalid configuration
${file}:1:26: storage.disk.path: expected a text, not a number
${file}:2:16: parentProxy: unknown key "urls"; did you mean "url"?
${file}:4:24: clientAuth.acl[0].identities[0]: there is no identity "cii"; did you mean "ci"?
`,
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

const REFUSED: {
  name: string;
  env: Record<string, string>;
  args?: string[];
  config?: string;
  message: RegExp;
}[] = [
  {
    name: "an upstream that is no URL",
    env: { GOPROXY: "proxy.example.com" },
    message: /GOPROXY: "proxy\.example\.com" is not a URL/,
  },
  {
    name: "unknown and wrong keys, all of them",
    env: {},
    config: "storage: { disk: { path: 1 } }\nparentProxy: { urls: x }\nstroage: {}\n",
    message: /storage\.disk\.path: .*\n.*parentProxy.*\n.*stroage/s,
  },
  {
    name: "a file that is no YAML",
    env: {},
    config: "storage: [",
    message: /invalid configuration/,
  },
  {
    name: "a store that cannot be made",
    env: {},
    config: "storage: { disk: { path: /dev/null/data } }\n",
    message: /invalid configuration.*storage: .*\/dev\/null/s,
  },
  {
    name: "private modules for everybody on all addresses",
    env: { GOPROXY: "off" },
    args: ["--host", "0.0.0.0"],
    config: "privateModules: [{ pathPrefix: a.b, auth: { none: true } }]\n" +
      "clientAuth: { enabled: false }\n",
    message: /cannot listen on 0\.0\.0\.0: privateModules: anyone .*listen\.insecure: true/s,
  },
  {
    name: "passwords in plain text on all addresses",
    env: { GOPROXY: "off" },
    args: ["--host", "::"],
    config:
      "clientAuth: { enabled: true, identities: [{ name: a, password: { envVar: PATH } }] }\n",
    message: /cannot listen on ::: clientAuth\.identities\[0\]: its password .*listen\.tls/s,
  },
];

for (const { name, env, args: flags = [], config, message } of REFUSED) {
  Deno.test(`the start is refused for ${name}`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "refused-" });
    try {
      const args = [...flags];
      if (config !== undefined) {
        await Deno.writeTextFile(`${directory}/config.yaml`, config);
        args.push("--config-file", `${directory}/config.yaml`);
      }
      await assert.rejects(startServer({ args, env }), (error: Error) => {
        assert.match(error.message.replaceAll('\\"', '"'), message);
        return true;
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test("a server is not its own upstream", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(
    startServer({ args: ["--port", String(port)], env: { GOPROXY: `http://127.0.0.1:${port}` } }),
    /is this server itself/,
  );
});

Deno.test("a port that is in use is reported", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await assert.rejects(
    startServer({ args: ["--port", String(port)] }),
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .*in use`, "i"),
  );
});

Deno.test("a port that another server of the same user shares is reported", async () => {
  await using first = await startServer({ args: ["--workers", "2"] });
  const { port } = new URL(first.url);
  await assert.rejects(
    startServer({ args: ["--workers", "2", "--port", port] }),
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .*in use`, "i"),
  );
});

Deno.test("M6: a name that a web page had resolve to loopback is not answered, on any thread", async () => {
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using server = await startServer({
    args: ["--workers", "3"],
    env: { GOPROXY: upstream.url },
  });
  await server.log(({ msg }) => msg === "all threads listen");
  const { hostname, port } = new URL(server.url);
  const statusFor = async (host: string, path: string) => {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    const text = await new Response(connection.readable).text();
    return { status: Number(text.split(" ")[1]), text };
  };
  const mod = "/example.com/m/@v/v1.0.0.mod";
  assert.equal((await statusFor(`localhost:${port}`, mod)).status, 200);
  // Each connection may be another thread's.
  for (let i = 0; i < 12; i++) {
    const { status, text } = await statusFor(`attacker.example:${port}`, mod);
    assert.equal(status, 403);
    assert.match(text, /not known as "attacker\.example".*listen\.hosts/);
    assert.doesNotMatch(text, /module example\.com/);
  }
  assert.equal((await statusFor("a b", "/")).status, 400);
  assert.equal((await statusFor("attacker.example", "/metrics")).status, 403);
});

Deno.test("the first connection that is accepted at the start is answered", async () => {
  const { port } = freePort();
  const starting = startServer({ args: ["--workers", "2", "--port", String(port)] });
  let answer = "";
  try {
    await eventually("the port to accept a connection", async () => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
      if (connection === null) return false;
      using _open = connection;
      const request = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
      await connection.write(new TextEncoder().encode(request));
      answer = await new Response(connection.readable).text();
      return true;
    });
  } finally {
    await (await starting)[Symbol.asyncDispose]();
  }
  assert.match(answer, /^HTTP\/1\.1 200 /);
});

/** A port that nobody listens on now. */
function freePort(): Deno.NetAddr {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr;
}
