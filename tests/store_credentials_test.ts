/**
 * Each way in which the clients of Google and Amazon find credentials, on servers of our own in
 * place of theirs, and with the permissions that the product runs with. The tests show that the
 * libraries work with these permissions, not how they work.
 *
 * Not here: tokens by a Google service account's key, which the library asks for at Google's own
 * address only.
 */
import assert from "node:assert/strict";
import { createSign } from "node:crypto";
import { Loopback } from "./fakes/loopback.ts";
import { faultOf, ServiceAccount } from "./fakes/signed_bucket.ts";
import { denoDir, startFlags } from "./worlds/server.ts";
import { runCommand, type RunResult } from "./support/run_command.ts";
import { dirname } from "node:path";

const MAIN = new URL("./processes/store_credentials_main.ts", import.meta.url).href;

interface Row {
  readonly name: string;
  /** Files of the process's home, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Here and in files, `HOME` stands for the process's home. */
  readonly env: Readonly<Record<string, string>>;
}

const ACCOUNT = {
  AccessKeyId: "KEY",
  SecretAccessKey: "not-a-secret",
  Expiration: "2999-01-01T00:00:00Z",
};

/** The services that hand out credentials, all in one: each has a path of its own. */
function handOut(request: Request): Response {
  const { pathname } = new URL(request.url);
  switch (pathname) {
    case "/computeMetadata/v1/instance/service-accounts/default/token":
      assert.equal(request.headers.get("Metadata-Flavor"), "Google");
      return Response.json({ access_token: "google-token", expires_in: 3600 }, {
        headers: { "Metadata-Flavor": "Google" },
      });
    case "/computeMetadata/v1/instance":
      return new Response("", { headers: { "Metadata-Flavor": "Google" } });
    case "/federation":
      return Response.json({ access_token: "google-token", expires_in: 3600 });
    case "/container":
      assert.equal(request.headers.get("Authorization"), "for-the-container");
      return Response.json({ ...ACCOUNT, Token: "session" });
    case "/latest/api/token":
      return new Response("imds-token", {
        headers: { "x-aws-ec2-metadata-token-ttl-seconds": "60" },
      });
    case "/latest/meta-data/iam/security-credentials/":
      return new Response("role");
    case "/latest/meta-data/iam/security-credentials/role":
      return Response.json({ ...ACCOUNT, Token: "session", Code: "Success" });
    case "/sts/":
      return new Response(
        `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
          <AccessKeyId>KEY</AccessKeyId><SecretAccessKey>not-a-secret</SecretAccessKey>
          <SessionToken>session</SessionToken><Expiration>${ACCOUNT.Expiration}</Expiration>
        </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
        { headers: { "Content-Type": "text/xml" } },
      );
    default:
      return new Response("", { status: 404 });
  }
}

Deno.test("GcsStore finds Google's usual credentials", async (t) => {
  await using server = new Loopback(handOut);
  const rows: Row[] = [
    { name: "metadata server", env: { GCE_METADATA_HOST: new URL(server.url).host } },
    {
      name: "workload identity federation",
      files: {
        "token": "a-web-identity",
        "account.json": JSON.stringify({
          type: "external_account",
          audience:
            "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
          subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
          token_url: `${server.url}/federation`,
          credential_source: { file: "HOME/token" },
        }),
      },
      // Without the project the library asks Google for it, which a test must not.
      env: { GOOGLE_APPLICATION_CREDENTIALS: "HOME/account.json", GOOGLE_CLOUD_PROJECT: "p" },
    },
  ];
  for (const row of rows) {
    await t.step(row.name, async () => {
      const headers = await headersOf("gcs", row);
      assert.equal(headers["authorization"], "Bearer google-token");
    });
  }
});

Deno.test("S3Store finds Amazon's usual credentials", async (t) => {
  await using server = new Loopback(handOut);
  const rows: Row[] = [
    {
      name: "environment",
      env: {
        AWS_ACCESS_KEY_ID: "KEY",
        AWS_SECRET_ACCESS_KEY: "not-a-secret",
        AWS_SESSION_TOKEN: "session",
      },
    },
    {
      name: "shared files",
      files: {
        ".aws/credentials":
          "[ci]\naws_access_key_id = KEY\naws_secret_access_key = not-a-secret\naws_session_token = session\n",
      },
      env: { AWS_PROFILE: "ci" },
    },
    {
      name: "web identity",
      files: { "token": "a-web-identity" },
      env: {
        AWS_WEB_IDENTITY_TOKEN_FILE: "HOME/token",
        AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/proxy",
        AWS_ENDPOINT_URL_STS: `${server.url}/sts`,
        AWS_REGION: "eu-west-1",
      },
    },
    {
      name: "container",
      env: {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/container`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN: "for-the-container",
      },
    },
    { name: "instance", env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url } },
  ];
  for (const row of rows) {
    await t.step(row.name, async () => {
      const headers = await headersOf("s3", row);
      const today = /Credential=KEY\/\d{8}\/eu-west-1\/s3\/aws4_request/;
      assert.match(headers["authorization"] ?? "", today);
      assert.equal(headers["x-amz-security-token"], "session");
    });
  }
});

Deno.test("GcsStore signs URLs with Google's usual credentials", async (t) => {
  const account = new ServiceAccount();
  const signedBy: string[] = [];
  await using server = new Loopback(async (request) => {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/computeMetadata/v1/instance/service-accounts/default/email":
        return new Response(account.email, { headers: { "Metadata-Flavor": "Google" } });
      case `/accounts/${account.email}:signBlob`: {
        signedBy.push(request.headers.get("Authorization") ?? "");
        const { payload } = await request.json();
        const signer = createSign("RSA-SHA256").update(Uint8Array.fromBase64(payload));
        return Response.json({ signedBlob: signer.sign(account.privateKey, "base64") });
      }
      default:
        return handOut(request);
    }
  });
  const rows: (Row & { want: string[] })[] = [
    {
      name: "a service account's key signs here",
      files: { "key.json": account.keyFile },
      env: { GOOGLE_APPLICATION_CREDENTIALS: "HOME/key.json" },
      want: [],
    },
    {
      name: "IAM signs for an account without a key",
      env: {
        GCE_METADATA_HOST: new URL(server.url).host,
        SIGNING_ENDPOINT: `${server.url}/accounts/`,
      },
      want: ["Bearer google-token"],
    },
  ];
  for (const { want, ...row } of rows) {
    await t.step(row.name, async () => {
      const { stdout, stderr } = await outputOf("gcs-url", row);
      const url = new URL(stdout.trim());
      assert.equal(
        url.origin + url.pathname,
        "https://storage.googleapis.com/modules/z1/a%40v/x%2By",
      );
      assert.equal(faultOf(new Request(url), account), null);
      assert.deepEqual(signedBy, want);
      // It would stand between the lines of our log.
      assert.equal(stderr, "");
    });
  }
});

async function headersOf(store: "gcs" | "s3", row: Row): Promise<Record<string, string>> {
  return JSON.parse((await outputOf(store, row)).stdout);
}

async function outputOf(kind: string, { files = {}, env }: Row): Promise<RunResult> {
  const home = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(dirname(`${home}/${name}`), { recursive: true });
      await Deno.writeTextFile(`${home}/${name}`, content.replace("HOME", home));
    }
    const inHome = Object.entries(env).map(([name, value]) => [name, value.replace("HOME", home)]);
    const result = await runCommand(Deno.execPath(), {
      args: ["run", ...await startFlags(), MAIN, kind],
      clearEnv: true,
      env: {
        PATH: Deno.env.get("PATH") ?? "",
        HOME: home,
        DENO_DIR: await denoDir(),
        NO_COLOR: "1",
        ...Object.fromEntries(inHome),
      },
    });
    assert.equal(result.code, 0, result.stderr);
    return result;
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
