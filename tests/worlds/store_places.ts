/**
 * Stores of each kind that several processes can open at once: a directory, and real servers of
 * object storage, which say SKIP where they are missing.
 */
import { DiskStore } from "../../lib/store/disk.ts";
import { GcsStore } from "../../lib/store/gcs.ts";
import type { ObjectStore } from "../../lib/store/object_store.ts";
import type { StorageConfig } from "../../lib/store/config.ts";
import { S3Store } from "../../lib/store/s3.ts";
import {
  emulatorTests,
  FAKE_GCS_SERVER,
  S3_ACCOUNT,
  S3_REGION,
  startGcs,
  startS3,
  VERSITYGW,
} from "./emulator.ts";

const BUCKET = "modules";

export interface StorePlace extends AsyncDisposable {
  /** What other processes open, with {@linkcode STORE_ENV}. */
  readonly config: StorageConfig;
  /** The same store. */
  readonly store: ObjectStore;
}

/** The variables by which other processes get at the servers. */
export const STORE_ENV = {
  AWS_ACCESS_KEY_ID: S3_ACCOUNT.accessKeyId,
  AWS_SECRET_ACCESS_KEY: S3_ACCOUNT.secretAccessKey,
};

export async function openDirectory(): Promise<StorePlace> {
  const path = await Deno.makeTempDir();
  return {
    config: { disk: { path } },
    store: await DiskStore.open({ path }),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Defines tests of both buckets. */
export function bucketTests(
  define: (kind: "gcs" | "s3", open: () => Promise<StorePlace>) => void,
): void {
  emulatorTests(FAKE_GCS_SERVER, (program) => {
    define("gcs", async () => {
      const emulator = await startGcs(program, BUCKET);
      const gcs = { bucket: BUCKET, prefix: "", apiEndpoint: emulator.url };
      return {
        config: { gcs },
        store: new GcsStore(gcs),
        [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
      };
    });
  });
  emulatorTests(VERSITYGW, (program) => {
    define("s3", async () => {
      const emulator = await startS3(program, BUCKET);
      const s3 = { bucket: BUCKET, prefix: "", region: S3_REGION, endpoint: emulator.url };
      return {
        config: { s3: { ...s3, forcePathStyle: true } },
        store: new S3Store({ ...s3, credentials: () => Promise.resolve(S3_ACCOUNT) }),
        [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
      };
    });
  });
}
