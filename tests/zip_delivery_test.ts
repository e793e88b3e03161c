/**
 * Zips that others send: a bucket after a redirect, nginx from the directory of the store. The real
 * `go` command downloads them and verifies their sums; access is decided here, and what a client
 * sends us does not reach the bucket.
 */
import assert from "node:assert/strict";
import { createAuthority } from "./fakes/authority.ts";
import { SignedBucket } from "./fakes/signed_bucket.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { TlsFront } from "./fakes/tls_front.ts";
import { type AddedModule, startUpstream, type Upstream } from "./fakes/upstream.ts";
import { eventually } from "./support/eventually.ts";
import { type GoCommand, goCommand, goTest } from "./support/go_command.ts";
import {
  emulatorTests,
  FAKE_GCS_SERVER,
  S3_ACCOUNT,
  S3_REGION,
  startGcs,
  startS3,
  VERSITYGW,
} from "./worlds/emulator.ts";
import { nginxTest, startNginx } from "./worlds/nginx.ts";
import { runProgram, type Server, startServer } from "./worlds/server.ts";

const BUCKET = "modules";
const SMALL = { path: "example.com/small", version: "v1.0.0" };
const LARGE = { path: "example.com/Large", version: "v2.1.0+incompatible" };
const SECRET = { path: "example.com/secret", version: "v1.0.0" };
const ZIP_OF_LARGE = "example.com/!large/@v/v2.1.0+incompatible.zip";
const ZIP_OF_SMALL = "example.com/small/@v/v1.0.0.zip";

/** Larger than what stays in memory, and than a block of the disk store's. */
function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(sizeBytes, at + 65_536)));
  }
  return bytes;
}

interface Opened {
  readonly upstream: Upstream;
  readonly sumdb: Sumdb;
  readonly small: AddedModule;
  readonly large: AddedModule;
}

async function openUpstream(): Promise<Opened> {
  const upstream = await startUpstream();
  const add = ({ path, version }: typeof SMALL) =>
    upstream.addModule({
      path,
      version,
      files: { "go.mod": `module ${path}\n`, "x.go": "package x\n" },
    });
  const small = await add(SMALL);
  await add(SECRET);
  const large = await upstream.addModule({
    ...LARGE,
    files: { "x.go": "package x\n", "noise": noise(700_000) },
    goMod: `module ${LARGE.path}\n`,
  });
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  return { upstream, sumdb, small, large };
}

type Init = RequestInit & { readonly client?: Deno.HttpClient };

/** The answer itself, not that of where it leads. */
async function get(url: string, init: Init = {}): Promise<Response> {
  return await fetch(url, { redirect: "manual", ...init });
}

async function bytesOf(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  return await response.bytes();
}

async function dispose(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}

/** Downloads both modules and verifies them; go.sum has what the checksum database has. */
async function downloadBoth(go: GoCommand, upstream: Upstream): Promise<void> {
  const requires = [SMALL, LARGE].map(({ path, version }) => `require ${path} ${version}\n`);
  await go.writeFile("go.mod", `module example.com/main\n\ngo 1.21\n\n${requires.join("")}`);
  const downloaded = await go.run(["mod", "download", "-json", "all"]);
  assert.equal(downloaded.code, 0, downloaded.stderr + downloaded.stdout);
  const verified = await go.run(["mod", "verify"]);
  assert.equal(verified.stdout, "all modules verified\n", verified.stderr);
  const sums = downloaded.stdout.match(/"Sum": "h1:[^"]+"/g) ?? [];
  const wanted = [SMALL, LARGE].map(({ path, version }) =>
    `"Sum": "${upstream.hashesOf(path, version)?.h1}"`
  );
  assert.deepEqual(sums.sort(), wanted.sort());
}

emulatorTests(VERSITYGW, (program) => {
  goTest(
    "the go command downloads zips from an S3 bucket, and sends it no credentials",
    async (t) => {
      const authority = await createAuthority();
      const keyPair = await authority.issue();
      await using disposer = new AsyncDisposableStack();
      const { upstream, sumdb, small } = await openUpstream();
      disposer.use(upstream);
      const emulator = disposer.use(await startS3(program, BUCKET));
      const bucket = disposer.use(new TlsFront(emulator.url, keyPair));
      const directory = await Deno.makeTempDir({ prefix: "zip-delivery-" });
      disposer.defer(() => Deno.remove(directory, { recursive: true }));
      const files = {
        "cert.pem": keyPair.certificate,
        "key.pem": keyPair.privateKey,
        "ca.pem": authority.certificate,
        "config.yaml": `
listen:
  tls: { certificate: { file: cert.pem }, privateKey: { file: key.pem } }
caFile: ca.pem
storage:
  s3:
    bucket: ${BUCKET}
    region: ${S3_REGION}
    endpoint: "https://127.0.0.1:${bucket.port}"
    redirect: true
clientAuth:
  enabled: true
  acl:
    - { access: deny, modules: ["example.com/secret"] }
    - { access: allow }
  identities: [{ name: dev, password: correct-horse }, { name: ci, password: battery }]
  authenticators: { accessToken: { audience: us, secret: "${"s".repeat(32)}" } }
policy:
  rules: [{ name: not-them, modules: [example.com/small], identities: [ci], action: deny }]
publicModules:
  sumDatabase: { name: ${sumdb.name}, publicKey: "${
          sumdb.verifierKey.slice(sumdb.name.length + 1)
        }", url: "${upstream.url}/sumdb/${sumdb.name}" }
`,
      };
      for (const [name, text] of Object.entries(files)) {
        await Deno.writeTextFile(`${directory}/${name}`, text);
      }
      const server = disposer.use(
        await startServer({
          args: ["--config-file", `${directory}/config.yaml`, "--log-level", "trace"],
          env: {
            GOPROXY: upstream.url,
            AWS_ACCESS_KEY_ID: S3_ACCOUNT.accessKeyId,
            AWS_SECRET_ACCESS_KEY: S3_ACCOUNT.secretAccessKey,
          },
          caCertificate: authority.certificate,
        }),
      );
      const client = Deno.createHttpClient({ caCerts: [authority.certificate] });
      disposer.defer(() => client.close());
      // Another host than the bucket's, as with a bucket of the world.
      const proxy = server.url.replace("127.0.0.1", "localhost");
      const authorization = `Basic ${btoa("dev:correct-horse")}`;
      const ask = (path: string, init: Init = {}) =>
        get(`${server.url}/${path}`, {
          client,
          headers: { Authorization: authorization },
          ...init,
        });
      const readsByGo = () =>
        bucket.requestsFor(`/${BUCKET}/z1/`)
          .filter((head) => head.startsWith("GET ") && head.includes("Go-http-client"));
      const newGo = async (env: Record<string, string>) => {
        const go = disposer.use(
          await goCommand({
            proxy,
            sumdb: sumdb.verifierKey,
            env: { SSL_CERT_FILE: `${directory}/ca.pem`, GIT_CONFIG_NOSYSTEM: "1", ...env },
          }),
        );
        await Deno.writeTextFile(
          `${go.dir}/../.netrc`,
          `machine ${new URL(proxy).host} login dev password correct-horse\n`,
        );
        return go;
      };

      await Deno.writeTextFile(
        `${directory}/helper`,
        `#!/bin/sh\nprintf '%s\\n\\nAuthorization: ${authorization}\\n\\n' "${proxy}"\n`,
        { mode: 0o700 },
      );

      await t.step("what is not in the bucket yet is sent from here", async () => {
        const response = await ask(ZIP_OF_SMALL);
        assert.equal(response.status, 200);
        assert.deepEqual(await bytesOf(response), small.zip);
      });
      let location = "";
      await t.step("and then by the bucket", async () => {
        const response = await dispose(await ask(ZIP_OF_SMALL));
        assert.equal(response.status, 302);
        assert.equal(response.headers.get("Cache-Control"), "no-store");
        location = response.headers.get("Location") ?? "";
        const url = new URL(location);
        assert.equal(url.host, `127.0.0.1:${bucket.port}`);
        assert.equal(url.searchParams.get("X-Amz-Expires"), "300");
        const zip = await get(location, { client });
        assert.equal(zip.status, 200);
        assert.deepEqual(await bytesOf(zip), small.zip);
      });
      await t.step(
        "a range is redirected; HEAD and a zip that the client has are answered here",
        async () => {
          const headers = { Authorization: authorization, Range: "bytes=0-3" };
          const range = await ask(ZIP_OF_SMALL, { headers, redirect: "follow" });
          assert.equal(range.status, 206);
          assert.equal(await range.text(), "PK\u0003\u0004");
          const head = await dispose(await ask(ZIP_OF_SMALL, { method: "HEAD" }));
          assert.equal(head.status, 200);
          const etag = head.headers.get("ETag") ?? "";
          assert.ok(Number(head.headers.get("Content-Length")) > 0);
          const same = { Authorization: authorization, "If-None-Match": etag };
          assert.equal((await dispose(await ask(ZIP_OF_SMALL, { headers: same }))).status, 304);
        },
      );
      await t.step("small files are answered here", async () => {
        const info = await dispose(await ask("example.com/small/@v/v1.0.0.info"));
        assert.equal(info.status, 200);
      });
      for (
        const [name, user, path, status] of [
          ["a client that is denied", "dev:correct-horse", "example.com/secret/@v/v1.0.0.zip", 403],
          ["a client that the policy denies it", "ci:battery", ZIP_OF_SMALL, 403],
          ["a stranger", "", ZIP_OF_SMALL, 401],
          ["a wrong password", "dev:battery", ZIP_OF_SMALL, 401],
        ] as const
      ) {
        await t.step(`${name} gets no URL`, async () => {
          const headers: Record<string, string> = user === ""
            ? {}
            : { Authorization: `Basic ${btoa(user)}` };
          const response = await ask(path, { headers });
          assert.equal(response.status, status);
          assert.equal(response.headers.get("Location"), null);
          assert.ok(!/X-Amz/.test(await response.text()));
        });
      }
      for (
        const [name, env] of [
          ["netrc", { GOAUTH: "netrc" }],
          ["a command", { GOAUTH: `${directory}/helper` }],
        ] as const
      ) {
        await t.step(`the go command, with credentials from ${name}`, async () => {
          const go = await newGo(env);
          // From the bucket, all of it.
          const { headers } = await dispose(await ask(ZIP_OF_LARGE));
          await server.log(({ id }) => id === headers.get("X-Request-Id"));
          const readsBefore = readsByGo().length;
          const before = server.logs.length;
          await downloadBoth(go, upstream);
          const reads = readsByGo().slice(readsBefore);
          assert.equal(reads.length, 2);
          for (const head of reads) assert.ok(!/^authorization:/im.test(head), head);
          const lines = () =>
            server.logs.slice(before).filter(({ path }) => /\.zip$/.test(String(path)));
          await eventually("see both zips in the log", () => lines().length >= 2);
          assert.deepEqual(lines().map(({ status, sentBy }) => [status, sentBy]), [
            [302, "bucket"],
            [302, "bucket"],
          ]);
        });
      }
      // Those of the server itself, which sign in their headers.
      const [listing = ""] = bucket.requestsFor(`/${BUCKET}/?list-type`);
      assert.match(listing, /^authorization: AWS4-HMAC-SHA256 /im);
      await server.kill();
      await t.step("no URL is in the log", () => {
        const log = server.logs.map((line) => JSON.stringify(line)).join("\n");
        const signature = new URL(location).searchParams.get("X-Amz-Signature") ?? "";
        assert.match(signature, /^[0-9a-f]{64}$/);
        assert.ok(!log.includes(signature));
        assert.ok(!/X-Amz-Signature=/i.test(log));
      });
      assert.deepEqual([upstream.faults, sumdb.faults], [[], []]);
    },
  );

  Deno.test("only clients of the networks are redirected, on every thread", async (t) => {
    await using disposer = new AsyncDisposableStack();
    const { upstream } = await openUpstream();
    disposer.use(upstream);
    const emulator = disposer.use(await startS3(program, BUCKET));
    const dir = await Deno.makeTempDir({ prefix: "zip-delivery-" });
    disposer.defer(() => Deno.remove(dir, { recursive: true }));
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      `
listen: { trustedProxies: [127.0.0.1] }
publicModules: { sumDatabase: "off" }
storage:
  s3:
    bucket: ${BUCKET}
    region: ${S3_REGION}
    endpoint: "${emulator.url}"
    redirect: { networks: [10.0.0.0/8, "2001:db8::/32"] }
  cache: { path: ${dir}/cache }
`,
    );
    const server = disposer.use(
      await startServer({
        args: ["--workers", "3", "--config-file", `${dir}/config.yaml`],
        env: {
          GOPROXY: upstream.url,
          AWS_ACCESS_KEY_ID: S3_ACCOUNT.accessKeyId,
          AWS_SECRET_ACCESS_KEY: S3_ACCOUNT.secretAccessKey,
        },
      }),
    );
    await server.log(({ msg }) => msg === "all threads listen");
    await dispose(await get(`${server.url}/${ZIP_OF_LARGE}`));
    const rows = [
      { from: "10.1.2.3", want: 302 },
      { from: "203.0.113.9", want: 200 },
      { from: "10.1.2.3, 203.0.113.9", want: 200 },
      { from: "203.0.113.9, 10.1.2.3", want: 302 },
      { from: "2001:db8:1::1", want: 302 },
      { from: null, want: 200 },
    ];
    for (const { from, want } of rows) {
      await t.step(`${from}`, async () => {
        for (let i = 0; i < 6; i++) {
          // Each on a connection of its own, so that all threads get some.
          using client = Deno.createHttpClient({});
          const headers: Record<string, string> = from === null ? {} : { "X-Forwarded-For": from };
          const response = await get(`${server.url}/${ZIP_OF_LARGE}`, { client, headers });
          assert.equal(response.status, want);
          const bytes = await bytesOf(response);
          assert.equal(bytes.length > 700_000, want === 200);
        }
      });
    }
  });
});

emulatorTests(FAKE_GCS_SERVER, (program) => {
  interface World {
    readonly upstream: Upstream;
    readonly sumdb: Sumdb;
    readonly bucket: SignedBucket;
    readonly server: Server;
    /** What `config check` says. */
    check(): Promise<string>;
  }

  async function withBucket(
    credentials: (bucket: SignedBucket) => string,
    test: (world: World) => Promise<void>,
  ): Promise<void> {
    await using disposer = new AsyncDisposableStack();
    const { upstream, sumdb } = await openUpstream();
    disposer.use(upstream);
    const bucket = disposer.use(new SignedBucket(await startGcs(program, BUCKET)));
    const dir = await Deno.makeTempDir({ prefix: "zip-delivery-" });
    disposer.defer(() => Deno.remove(dir, { recursive: true }));
    await Deno.writeTextFile(`${dir}/key.json`, credentials(bucket));
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      `storage: { gcs: { bucket: ${BUCKET}, apiEndpoint: "${bucket.url}", redirect: true } }\n`,
    );
    const configFile = ["--config-file", `${dir}/config.yaml`];
    const env = { GOPROXY: upstream.url, GOOGLE_APPLICATION_CREDENTIALS: `${dir}/key.json` };
    const server = disposer.use(
      await startServer({ args: [...configFile, "--log-level", "trace"], env }),
    );
    const check = async () => {
      const { code, stdout, stderr } = await runProgram(["config", "check", ...configFile], {
        env,
      });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    await test({ upstream, sumdb, bucket, server, check });
  }

  goTest(
    "the go command downloads zips from a bucket of Google's",
    () =>
      withBucket(
        ({ account }) => account.keyFile,
        async ({ upstream, sumdb, bucket, server, check }) => {
          assert.match(await check(), /^ok {7}storage: URLs of gcs modules can be signed$/m);
          await using go = await goCommand({ proxy: server.url, sumdb: sumdb.verifierKey });
          await downloadBoth(go, upstream);
          assert.deepEqual(bucket.reads.map(({ status }) => status), [200, 200]);
          const { headers } = await dispose(await get(`${server.url}/${ZIP_OF_SMALL}`));
          const url = new URL(headers.get("Location") ?? "");
          assert.equal(url.searchParams.get("X-Goog-Expires"), "300");
          await server.kill();
          const log = server.logs.map((line) => JSON.stringify(line)).join("\n");
          assert.ok(!log.includes(url.searchParams.get("X-Goog-Signature") ?? "X-Goog-Signature"));
          assert.ok(!/X-Goog-Signature=/i.test(log));
          // What the library prints would not be JSON.
          assert.deepEqual(server.logs.filter(({ raw }) => raw !== undefined), []);
        },
      ),
  );

  Deno.test("zips are sent from here where no URL can be signed, with a warning", () =>
    withBucket(() => "{}", async ({ server, bucket, check }) => {
      assert.match(
        await check(),
        /^warning .*: storage\.gcs\.redirect: Cannot sign a URL .*; serve will send the zips itself$/m,
      );
      for (let i = 0; i < 3; i++) {
        const response = await get(`${server.url}/${ZIP_OF_LARGE}`);
        assert.equal(response.status, 200);
        assert.ok((await bytesOf(response)).length > 700_000);
      }
      const warnings = server.logs.filter(({ msg }) =>
        msg === "cannot redirect to the bucket; this server sends the zips itself"
      );
      assert.equal(warnings.length, 1);
      assert.match(
        String(warnings[0]?.["error"]),
        /^Cannot sign a URL of "z1\/example\.com\/!large/,
      );
      assert.deepEqual(bucket.reads, []);
    }));
});

nginxTest("nginx sends zips from the directory of the store", async (t, program) => {
  await using disposer = new AsyncDisposableStack();
  const { upstream, sumdb, large } = await openUpstream();
  disposer.use(upstream);
  const dir = await Deno.makeTempDir({ prefix: "zip-delivery-" });
  disposer.defer(() => Deno.remove(dir, { recursive: true }));
  const startOurs = async (trusted: string) => {
    const config = `${dir}/${trusted}.yaml`;
    await Deno.writeTextFile(
      config,
      `
listen: { trustedProxies: [${trusted}], accelRedirect: /internal/zips }
storage: { disk: { path: ${dir}/data } }
clientAuth:
  enabled: true
  acl:
    - { access: deny, modules: ["example.com/secret"] }
    - { access: allow }
  authenticators: { accessToken: { audience: us, secret: "${"s".repeat(32)}" } }
  identities: [{ name: dev, password: correct-horse }]
`,
    );
    return disposer.use(
      await startServer({
        args: ["--config-file", config],
        env: { GOPROXY: upstream.url },
      }),
    );
  };
  const server = await startOurs("127.0.0.1");
  const nginx = disposer.use(
    await startNginx(program, { server: server.url, store: `${dir}/data` }),
  );
  const { h1 } = large;
  const headers = { Authorization: `Basic ${btoa("dev:correct-horse")}` };
  const ask = (path: string, more: Record<string, string> = {}, method = "GET") =>
    get(`${nginx.url}/${path}`, { method, headers: { ...headers, ...more } });
  const assertZip = async (response: Response) => {
    assert.equal(response.status, 200);
    const { headers } = response;
    assert.equal(headers.get("Content-Type"), "application/zip");
    assert.equal(headers.get("Cache-Control"), "private, max-age=31536000, immutable");
    assert.equal(headers.get("Vary"), "Authorization");
    assert.equal(headers.get("ETag"), `"${h1}"`);
    assert.equal(headers.get("Accept-Ranges"), "bytes");
    assert.match(headers.get("X-Request-Id") ?? "", /./);
    assert.equal(headers.get("X-Accel-Redirect"), null);
    assert.deepEqual(await bytesOf(response), large.zip);
  };
  const lastLine = async (status: number) => {
    const isIt = (line: Record<string, unknown>) =>
      line["path"] === `/${ZIP_OF_LARGE}` && line["status"] === status;
    await server.log(isIt);
    return server.logs.findLast(isIt);
  };

  await t.step("a zip that has to be fetched", async () => assertZip(await ask(ZIP_OF_LARGE)));
  await t.step("a zip that is there", async () => {
    await assertZip(await ask(ZIP_OF_LARGE));
    const { sentBy, bytes } = await lastLine(200) ?? {};
    assert.deepEqual([sentBy, bytes], ["nginx", 0]);
  });
  await t.step("a range, with the server's ETag", async () => {
    const whole = await bytesOf(await ask(ZIP_OF_LARGE));
    const Range = "bytes=300000-300009";
    const part = await ask(ZIP_OF_LARGE, { Range, "If-Range": `"${h1}"` });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get("Content-Range"), `bytes 300000-300009/${whole.length}`);
    assert.deepEqual(await bytesOf(part), whole.slice(300_000, 300_010));
    const other = await ask(ZIP_OF_LARGE, { Range, "If-Range": '"h1:another="' });
    assert.equal(other.status, 200);
    assert.deepEqual(await bytesOf(other), whole);
  });
  await t.step("HEAD", async () => {
    const response = await dispose(await ask(ZIP_OF_LARGE, {}, "HEAD"));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("ETag"), `"${h1}"`);
    assert.ok(Number(response.headers.get("Content-Length")) > 700_000);
  });
  await t.step("a zip that the client has", async () => {
    const response = await dispose(await ask(ZIP_OF_LARGE, { "If-None-Match": `"${h1}"` }));
    assert.equal(response.status, 304);
  });
  await t.step("who may not have it gets nothing", async () => {
    assert.equal((await dispose(await ask("example.com/secret/@v/v1.0.0.zip"))).status, 403);
    assert.equal((await dispose(await get(`${nginx.url}/${ZIP_OF_LARGE}`))).status, 401);
  });
  await t.step("the location is not for clients", async () => {
    const { headers: answered } = await dispose(
      await get(`${server.url}/${ZIP_OF_LARGE}`, { headers }),
    );
    const place = answered.get("X-Accel-Redirect") ?? "";
    assert.match(
      place,
      /^\/internal\/zips\/z1\/example\.com\/!large\/@v\/v2\.1\.0\+incompatible\/[0-9a-f]{64}$/,
    );
    assert.equal((await dispose(await ask(place.slice(1)))).status, 404);
    assert.equal((await dispose(await ask("internal/zips/../x"))).status, 404);
  });
  await t.step("a file that was cut off is fetched anew", async () => {
    const { headers: answered } = await dispose(
      await get(`${server.url}/${ZIP_OF_LARGE}`, { headers }),
    );
    const file = (answered.get("X-Accel-Redirect") ?? "").replace("/internal/zips", `${dir}/data`);
    await Deno.truncate(file, 1000);
    await assertZip(await ask(ZIP_OF_LARGE));
    await assertZip(await ask(ZIP_OF_LARGE));
  });
  await t.step("a peer that is not trusted gets the zip itself", async () => {
    const other = await startOurs("192.0.2.1");
    await assertZip(await get(`${other.url}/${ZIP_OF_LARGE}`, { headers }));
  });
  assert.deepEqual([upstream.faults, sumdb.faults], [[], []]);
});

nginxTest("the go command downloads zips through nginx", async (_, program) => {
  await using disposer = new AsyncDisposableStack();
  const { upstream, sumdb } = await openUpstream();
  disposer.use(upstream);
  const dir = await Deno.makeTempDir({ prefix: "zip-delivery-" });
  disposer.defer(() => Deno.remove(dir, { recursive: true }));
  await Deno.writeTextFile(
    `${dir}/config.yaml`,
    `listen: { trustedProxies: [127.0.0.1], accelRedirect: /internal/zips }
storage: { disk: { path: ${dir}/data } }
`,
  );
  const server = disposer.use(
    await startServer({
      args: ["--config-file", `${dir}/config.yaml`],
      env: { GOPROXY: upstream.url },
    }),
  );
  const nginx = disposer.use(
    await startNginx(program, { server: server.url, store: `${dir}/data` }),
  );
  for (let i = 0; i < 2; i++) {
    await using go = await goCommand({ proxy: nginx.url, sumdb: sumdb.verifierKey });
    await downloadBoth(go, upstream);
  }
  const zips = () =>
    server.logs.filter(({ path, sentBy }) => /\.zip$/.test(String(path)) && sentBy === "nginx");
  await eventually("see the second time in the log", () => zips().length >= 2);
});
