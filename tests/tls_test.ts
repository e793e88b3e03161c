/** https: the process loads its certificate, and again when the files change. */
import assert from "node:assert/strict";
import type { KeyPair } from "../server/node_server.ts";
import { createAuthority } from "./fakes/authority.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const authority = await createAuthority();
const keyPair = await authority.issue();

const MODULE = {
  path: "example.com/m",
  version: "v1.0.0",
  files: { "go.mod": "module example.com/m\n", "m.go": "package m\n" },
};

/** A folder with a configuration for https. */
class TlsFolder implements AsyncDisposable {
  readonly path: string;
  readonly args: readonly string[];

  private constructor(path: string) {
    this.path = path;
    this.args = ["--config-file", `${path}/config.yaml`];
  }

  static async make(pair: KeyPair): Promise<TlsFolder> {
    const folder = new TlsFolder(await Deno.makeTempDir({ prefix: "tls-" }));
    await folder.write(pair);
    await Deno.writeTextFile(
      `${folder.path}/config.yaml`,
      "listen: { tls: { certificate: { file: cert.pem }, privateKey: { file: key.pem } } }\n",
    );
    return folder;
  }

  /** Both files at once, as far as a reader can see: each by a rename. */
  async write({ certificate, privateKey }: KeyPair): Promise<void> {
    for (const [name, text] of [["cert.pem", certificate], ["key.pem", privateKey]] as const) {
      await Deno.writeTextFile(`${this.path}/new`, text);
      await Deno.rename(`${this.path}/new`, `${this.path}/${name}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

goTest("the go command downloads over https", async () => {
  await using folder = await TlsFolder.make(keyPair);
  await using upstream = await startUpstream({ modules: [MODULE] });
  await using server = await startServer({
    args: folder.args,
    env: { GOPROXY: upstream.url },
    caCertificate: authority.certificate,
  });
  await Deno.writeTextFile(`${folder.path}/ca.pem`, authority.certificate);
  await using go = await goCommand({
    proxy: server.url,
    env: { SSL_CERT_FILE: `${folder.path}/ca.pem` },
  });
  const { code, stderr } = await go.run(["mod", "download", "example.com/m@v1.0.0"]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const { code: status } = await server.kill("SIGTERM");
  assert.equal(status, 0);
});

Deno.test("a new certificate is used by new connections; an unusable one is not", async () => {
  await using folder = await TlsFolder.make(keyPair);
  await using server = await startServer({
    args: folder.args,
    env: { GOPROXY: "off" },
    caCertificate: authority.certificate,
  });
  const status = async (client: Deno.HttpClient) => {
    const response = await fetch(`${server.url}/healthz`, { client });
    await response.body?.cancel();
    return response.status;
  };
  using open = Deno.createHttpClient({ caCerts: [authority.certificate] });
  assert.equal(await status(open), 200);

  await folder.write({ ...keyPair, certificate: "text" });
  const { error } = await server.log(({ level }) => level === "error");
  assert.match(String(error), /Cannot use the secret in file "cert.pem" as a certificate/);
  {
    using fresh = Deno.createHttpClient({ caCerts: [authority.certificate] });
    assert.equal(await status(fresh), 200);
  }

  const other = await createAuthority();
  await folder.write(await other.issue(["127.0.0.1"]));
  await server.log(({ msg, names }) =>
    msg === "using a certificate" && names === "IP Address:127.0.0.1"
  );
  using fresh = Deno.createHttpClient({ caCerts: [other.certificate] });
  assert.equal(await status(fresh), 200);
  assert.equal(await status(open), 200);
});

Deno.test("the start is refused without the key to the certificate", async () => {
  const { privateKey } = await authority.issue();
  await using folder = await TlsFolder.make({ ...keyPair, privateKey });
  await assert.rejects(
    startServer({ args: folder.args, env: { GOPROXY: "off" } }),
    (error: Error) => {
      assert.match(
        error.message,
        /listen\.tls: Cannot use .*key\.pem.*not the key to the certificate/s,
      );
      assert.doesNotMatch(error.message, /BEGIN/);
      return true;
    },
  );
});

Deno.test("a port that is in use is reported, with https too", async () => {
  await using folder = await TlsFolder.make(keyPair);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const args = [...folder.args, "--port", String(listener.addr.port)];
  await assert.rejects(
    startServer({ args, env: { GOPROXY: "off" } }),
    /cannot listen on 127.*in use/,
  );
});
