/**
 * A process that asks a bucket for a list, for store_credentials_test.ts: the libraries that find
 * credentials read the environment of the process they are in. Argument: `gcs` or `s3`. It prints,
 * as JSON, the headers of its request, which reaches nobody.
 */
import { GcsStore } from "../../lib/store/gcs.ts";
import { S3Store } from "../../lib/store/s3.ts";

if (import.meta.main) {
  const fetch = (_: URL, { headers }: RequestInit) => {
    Deno.stdout.writeSync(
      new TextEncoder().encode(JSON.stringify(Object.fromEntries(new Headers(headers)))),
    );
    return Promise.resolve(new Response("{}"));
  };
  const bucket = "modules";
  const store = Deno.args[0] === "gcs"
    ? new GcsStore({ bucket, fetch })
    : new S3Store({ bucket, region: "eu-west-1", fetch });
  await store.list("a");
}
