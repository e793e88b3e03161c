/**
 * URLs by which a client reads an object of a bucket of Google Cloud Storage from Google itself, by
 * the V4 signing process (cloud.google.com/storage/docs/access-control/signing-urls-manually).
 *
 * The signer is that of Google's SDK. With a service account's key it signs on this machine.
 * Without one, on Google's machines and with workload identity, it asks the IAM credentials API
 * (`signBlob`), for which the account must be `roles/iam.serviceAccountTokenCreator` on itself.
 *
 * Nothing else of the SDK is used (docs/design/zip_delivery.md). It takes 40 ms and 9 MB to load
 * besides google-auth-library, so it is loaded for the first URL.
 *
 * Limits: the signature covers the host without its port, so an endpoint with a port of its own is
 * for emulators that do not look at it.
 */
import type { File, StorageOptions } from "@google-cloud/storage";
import type { SignUrl } from "./bucket.ts";

export interface GoogleUrlSignerOptions {
  readonly bucket: string;
  /** The base URL of the API, which clients must reach too. */
  readonly endpoint: string;
  /** Default: Google's usual credentials. */
  readonly authClient?: StorageOptions["authClient"];
  /** Default: Google's IAM credentials API. */
  readonly signingEndpoint?: string | undefined;
}

export function googleUrlSigner(
  { bucket, endpoint, authClient, signingEndpoint }: GoogleUrlSignerOptions,
): SignUrl {
  let files: Promise<(name: string) => Pick<File, "getSignedUrl">> | undefined;
  return async (name, { startMs, lifetimeSeconds }) => {
    files ??= import("@google-cloud/storage").then(({ Storage }) => {
      const storage = new Storage({ apiEndpoint: endpoint, ...authClient && { authClient } });
      const opened = storage.bucket(bucket);
      return (name) => opened.file(name);
    });
    const file = (await files)(name);
    const [url] = await file.getSignedUrl({
      version: "v4",
      action: "read",
      accessibleAt: startMs,
      expires: startMs + lifetimeSeconds * 1000,
      ...signingEndpoint === undefined ? {} : { signingEndpoint },
    });
    return new URL(url);
  };
}
