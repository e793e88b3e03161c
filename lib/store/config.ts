/**
 * The section `storage`: where modules are kept. A back end's part is here, and is opened in
 * open.ts.
 */
import { z } from "zod";
import { parseProxyBlock } from "../http/client_address.ts";
import {
  countKeys,
  expected,
  keysAreKnown,
  nonEmpty,
  parseHttpUrl,
  textFor,
} from "../schema/fields.ts";
import { keyFault, MAX_KEY_BYTES } from "./object_store.ts";

/** Names in a bucket have at most 1024 bytes, on GCS and on S3. */
const MAX_PREFIX_BYTES = 1024 - MAX_KEY_BYTES - 1;

const bucket = z.string().regex(
  /^[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]$/,
  "not the name of a bucket",
);

/** A folder of the bucket, so that others may use the rest of it. Empty: the whole bucket. */
const prefix = textFor((text) => {
  if (text === "") return;
  if (text.length > MAX_PREFIX_BYTES) throw new Error(`longer than ${MAX_PREFIX_BYTES} bytes`);
  const fault = keyFault(text);
  if (fault !== null) throw new Error(`not a folder as in "team/modules": ${fault}`);
}).default("");

/** The bucket's server, where it is not the usual one. Empty: the usual one. */
const endpoint = textFor((text) => {
  if (text !== "") parseHttpUrl(text);
}).default("");

const disk = z.strictObject({
  /** A directory that is made when it is missing. */
  path: nonEmpty,
  /** Reads everything in the background and compares it with its checksums. Default: no. */
  scrub: z.strictObject({
    /** At most, of each directory. */
    mibPerSecond: z.int().min(1).max(10_000).default(8),
    /** From the end of one pass to the beginning of the next. */
    everyDays: z.int().min(1).max(365).default(7),
  }).exactOptional(),
});

/**
 * Which clients get a redirect to the bucket instead of a zip: all, none, or those whose address is
 * in one of the networks.
 */
const redirect = z.union([
  z.boolean(),
  z.strictObject({ networks: z.array(textFor(parseProxyBlock)).min(1) }),
], expected("expected true, false or {networks: [CIDR block]}"));

/** Google Cloud Storage, with the credentials that Google's clients find. */
const gcs = z.strictObject({
  bucket,
  prefix,
  /**
   * A private endpoint, or an emulator on this machine. Default: `STORAGE_EMULATOR_HOST`, else
   * Google's.
   */
  apiEndpoint: endpoint,
  /** Default: false. */
  redirect: redirect.exactOptional(),
});

/** Amazon S3 or a server like it, with the credentials that Amazon's clients find. */
const s3 = z.strictObject({
  bucket,
  prefix,
  /** Default: `AWS_REGION`, else `AWS_DEFAULT_REGION`, else, with an endpoint, `us-east-1`. */
  region: z.string().regex(/^[a-z0-9-]*$/, "not the name of a region").default(""),
  /** Default: `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`, else Amazon's of the region. */
  endpoint,
  /** Whether URLs have the bucket in their path instead of their host name. */
  forcePathStyle: z.boolean().default(false),
  /** Default: false. */
  redirect: redirect.exactOptional(),
});

/** Keeps what was read from the bucket on a disk of this machine. */
const cache = z.strictObject({
  /** A directory that is made when it is missing. Processes of one machine may share it. */
  path: nonEmpty,
  /** The most that it takes, in MiB. */
  maxMiB: z.int().positive().default(10 * 1024),
});

export type RedirectConfig = z.output<typeof redirect>;

const BACK_ENDS = ["disk", "gcs", "s3"];

/** Exactly one back end, under its name. */
export type StorageConfig =
  | { readonly disk: z.output<typeof disk> }
  | { readonly gcs: z.output<typeof gcs>; readonly cache?: z.output<typeof cache> }
  | { readonly s3: z.output<typeof s3>; readonly cache?: z.output<typeof cache> };

export const storage = z.strictObject({
  disk: disk.exactOptional(),
  gcs: gcs.exactOptional(),
  s3: s3.exactOptional(),
  cache: cache.exactOptional(),
}).refine((value) => countKeys(value, BACK_ENDS) === 1, {
  message: "exactly one of disk, gcs, s3 is needed",
  when: keysAreKnown,
}).refine((value) => !("disk" in value && "cache" in value), {
  message: "cache is for gcs and s3; disk is on a disk already",
  when: keysAreKnown,
}).transform((value) => value as StorageConfig);

/** Which clients are redirected to the store; none, where it is a disk. */
export function redirectOf(config: StorageConfig): RedirectConfig {
  if ("disk" in config) return false;
  return ("gcs" in config ? config.gcs : config.s3).redirect ?? false;
}
