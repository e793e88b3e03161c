/**
 * Clients that authenticate with a certificate in the TLS handshake. The certificates are made by
 * OpenSSL, and curl shows them.
 */
import assert from "node:assert/strict";
import { runCommand } from "./support/run_command.ts";
import { testWith } from "./support/requirements.ts";
import { type Server, startServer } from "./worlds/server.ts";

/** Of a section of its own, so that a comma is a part of the name. */
const EXTENSIONS = (san: string, usage = "serverAuth,clientAuth") =>
  `extendedKeyUsage=${usage}\nsubjectAltName=@names\n[names]\n${san.replace(":", ".1 = ")}\n`;

/** `openssl x509` learned to set dates only in version 3.4. */
const CA_CONFIG = `
[ca]
default_ca = here
[here]
new_certs_dir = .
database = index.txt
serial = serial
unique_subject = no
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = optional
`;

/** So many days from now, as OpenSSL writes it. */
function timeIn(days: number): string {
  const time = new Date(Date.now() + days * 24 * 3_600_000).toISOString();
  return `${time.replaceAll(/[-:T]/g, "").slice(0, 14)}Z`;
}

/** A folder with an authority and what it signs. */
class Certificates {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  async createAuthority(name: string): Promise<void> {
    await this.#openssl([
      ...["req", "-x509", "-days", "2", "-subj", `/CN=${name}`, "-out", `${name}.pem`],
      ...KEY,
      ...["-keyout", `${name}.key`],
    ]);
  }

  async issue(name: string, { san, subject = `/O=Org/CN=${name}`, by = "ca", usage, dates }: {
    san: string;
    subject?: string;
    by?: string;
    usage?: string;
    dates?: readonly [from: string, to: string];
  }): Promise<void> {
    await Deno.writeTextFile(`${this.dir}/${name}.ext`, EXTENSIONS(san, usage));
    await this.#openssl([
      ...["req", "-subj", subject, "-out", `${name}.csr`],
      ...KEY,
      ...["-keyout", `${name}.key`],
    ]);
    await Deno.writeTextFile(`${this.dir}/ca.cnf`, CA_CONFIG);
    await Deno.writeTextFile(`${this.dir}/index.txt`, "");
    const [from, to] = dates ?? [timeIn(-1), timeIn(1)];
    await this.#openssl([
      ...["ca", "-batch", "-notext", "-config", "ca.cnf", "-create_serial"],
      ...["-cert", `${by}.pem`, "-keyfile", `${by}.key`, "-startdate", from, "-enddate", to],
      ...["-in", `${name}.csr`, "-extfile", `${name}.ext`, "-out", `${name}.pem`],
    ]);
  }

  /** Status and body, or what curl says. */
  async ask(server: Server, path: string, options: {
    as?: string;
    user?: string;
  } = {}): Promise<{ status: number; body: string }> {
    const { as, user } = options;
    const { stdout } = await runCommand("curl", {
      args: [
        ...["--silent", "--max-time", "30", "--cacert", "ca.pem"],
        ...as === undefined ? [] : ["--cert", `${as}.pem`, "--key", `${as}.key`],
        ...user === undefined ? [] : ["--user", user],
        ...["--write-out", "\n%{http_code}", `${server.url}/${path}`],
      ],
      cwd: this.dir,
    });
    const [, body = "", status] = /^([^]*)\n(\d+)$/.exec(stdout) ?? [];
    return { status: Number(status), body };
  }

  async #openssl(args: string[]): Promise<void> {
    const { code, stderr } = await runCommand("openssl", { args, cwd: this.dir });
    assert.equal(code, 0, stderr);
  }
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

const CONFIG = `
listen: { tls: { certificate: { file: server.pem }, privateKey: { file: server.key } } }
clientAuth:
  enabled: true
  acl:
    - { modules: [example.com/secret], access: deny }
    - { access: allow }
  authenticators: { clientCertificate: { ca: { file: ca.pem } } }
  identities:
    - { name: alice, password: a }
    - { name: runner, clientCertificateBinding: { subject: runner-* } }
    - { name: ci, clientCertificateBinding: { san: "URI:spiffe://example.com/ci" } }
`;

const missing = await hasProgram("openssl") && await hasProgram("curl")
  ? null
  : "install openssl and curl";

async function hasProgram(name: string): Promise<boolean> {
  try {
    return (await runCommand(name, { args: ["version"] })).stdout !== "" || name === "curl";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

testWith(
  missing,
  "a client certificate stands for the identity that its names are bound to",
  async (t) => {
    const dir = await Deno.makeTempDir({ prefix: "certificates-" });
    try {
      const certificates = new Certificates(dir);
      await certificates.createAuthority("ca");
      await certificates.createAuthority("evil-ca");
      await certificates.issue("server", { san: "IP:127.0.0.1" });
      await certificates.issue("runner-1", { san: "DNS:runner-1.example.com" });
      await certificates.issue("spiffe", { subject: "/CN=x", san: "URI:spiffe://example.com/ci" });
      await certificates.issue("stranger", { san: "DNS:stranger.example.com" });
      // Names that a text of them would show as two.
      await certificates.issue("two-in-one", {
        subject: "/CN=x",
        san: "URI:http://x, URI:spiffe://example.com/ci",
      });
      await certificates.issue("forged", {
        subject: "/CN=runner-1",
        san: "URI:spiffe://example.com/ci",
        by: "evil-ca",
      });
      await certificates.issue("for-servers", {
        subject: "/CN=runner-1",
        san: "DNS:x",
        usage: "serverAuth",
      });
      await certificates.issue("expired", {
        subject: "/CN=runner-1",
        san: "DNS:x",
        dates: ["20200101000000Z", "20200201000000Z"],
      });
      await certificates.issue("early", {
        subject: "/CN=runner-1",
        san: "DNS:x",
        dates: ["20600101000000Z", "20610201000000Z"],
      });
      await Deno.writeTextFile(`${dir}/config.yaml`, CONFIG);
      await using server = await startServer({
        args: ["--config-file", `${dir}/config.yaml`],
        env: { GOPROXY: "off" },
        caCertificate: await Deno.readTextFile(`${dir}/ca.pem`),
      });
      const allowed = "explain/example.com/open@v1.0.0";
      const ROWS: { as?: string; user?: string; want: number; identity?: string }[] = [
        { as: "runner-1", want: 200, identity: "runner" },
        { as: "spiffe", want: 200, identity: "ci" },
        { as: "stranger", want: 401 },
        { as: "two-in-one", want: 401 },
        { as: "forged", want: 401 },
        { as: "for-servers", want: 401 },
        { as: "expired", want: 401 },
        { as: "early", want: 401 },
        { want: 401 },
        // Other credentials still count, and come first.
        { user: "alice:a", want: 200, identity: "alice" },
        { as: "forged", user: "alice:a", want: 200, identity: "alice" },
        { as: "runner-1", user: "alice:a", want: 200, identity: "alice" },
        { as: "runner-1", user: "alice:wrong", want: 401 },
      ];
      for (const { as, user, want, identity } of ROWS) {
        await t.step(`${as} ${user}`, async () => {
          const { status, body } = await certificates.ask(server, allowed, {
            ...as === undefined ? {} : { as },
            ...user === undefined ? {} : { user },
          });
          assert.equal(status, want, body);
          if (identity !== undefined) assert.match(body, new RegExp(`access of ${identity} `));
        });
      }
      await t.step("the access list counts", async () => {
        const secret = "example.com/secret/@v/list";
        assert.equal((await certificates.ask(server, secret, { as: "runner-1" })).status, 403);
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);
