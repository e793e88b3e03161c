/**
 * A process that asks a bucket for a list, for store_credentials_test.ts: the libraries that find
 * credentials read the environment of the process they are in. Argument: `gcs` or `s3`. It prints,
 * as JSON, the headers of its request, which reaches nobody. With `gcs-url`, it prints a signed URL
 * of an object; what signs in place of the account's key is at SIGNING_ENDPOINT.
 */
import { GcsStore } from "../../lib/store/gcs.ts";
import { googleUrlSigner } from "../../lib/store/gcs_signed_url.ts";
import { S3Store } from "../../lib/store/s3.ts";

/** An empty listing, as each API answers it. */
const EMPTY: Readonly<Record<string, string>> = { gcs: "{}", s3: "<ListBucketResult/>" };

if (import.meta.main) {
  const [kind = ""] = Deno.args;
  if (kind === "gcs-url") {
    const signUrl = googleUrlSigner({
      bucket: "modules",
      endpoint: "https://storage.googleapis.com",
      signingEndpoint: Deno.env.get("SIGNING_ENDPOINT"),
    });
    const url = await signUrl("z1/a@v/x+y", { startMs: Date.now(), lifetimeSeconds: 300 });
    console.log(url.href);
    Deno.exit();
  }
  const fetch = (_: URL, { headers }: RequestInit) => {
    Deno.stdout.writeSync(
      new TextEncoder().encode(JSON.stringify(Object.fromEntries(new Headers(headers)))),
    );
    return Promise.resolve(new Response(EMPTY[kind]));
  };
  const bucket = "modules";
  const store = kind === "gcs"
    ? new GcsStore({ bucket, fetch })
    : new S3Store({ bucket, region: "eu-west-1", fetch });
  await store.list("a");
}
