/** From the section `storage` of the configuration (config.ts) to a store. */
import { ConfigError, StorageError } from "../errors.ts";
import { abortableFetch } from "../http/abortable_fetch.ts";
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import { openTrustedDirectory } from "../scratch/trusted_directory.ts";
import { CacheFolder } from "./cache_folder.ts";
import { CachedStore } from "./cached.ts";
import type { StorageConfig } from "./config.ts";
import { DiskStore } from "./disk.ts";
import { GcsStore } from "./gcs.ts";
import { MeasuredStore } from "./measured.ts";
import type { ObjectStore } from "./object_store.ts";
import { S3Store } from "./s3.ts";
import type { StoreFetch } from "./store_client.ts";

export interface OpenStoreOptions {
  /** The environment. Libraries that find credentials read their own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Hosts (`host` or `host:port`) besides loopback that may be reached by plain http. */
  readonly insecureHosts?: readonly string[];
  /** Additional root certificates, PEM. */
  readonly caCertificates?: readonly string[];
  /** Counts the store's calls. Default: they are not counted. */
  readonly metrics?: Metrics | undefined;
  /** Logs damaged objects of a disk store. Default: they are not logged. */
  readonly log?: Pick<Logger, "warn" | "error"> | undefined;
  /** Reading changes nothing: a damaged object of a disk stays in its place. Default: false. */
  readonly isReadOnly?: boolean | undefined;
  /** Logs trouble with the configured cache. Default: no cache is used. */
  readonly cacheLog?: Pick<Logger, "warn"> | undefined;
}

/**
 * The store that the configuration names. It is to be probed before it is used: probe.ts.
 *
 * @throws {StorageError} when it cannot be opened
 * @throws {ConfigError} when the environment lacks something, or plain http is not allowed
 */
export async function openStore(
  config: StorageConfig,
  options: OpenStoreOptions = {},
): Promise<ObjectStore> {
  const { metrics, cacheLog, log, isReadOnly = false } = options;
  const measured = (store: ObjectStore) =>
    metrics === undefined ? store : new MeasuredStore(store, metrics);
  if ("disk" in config) {
    const { path } = config.disk;
    if (!isReadOnly) await checkDirectory(path);
    return measured(
      await DiskStore.open({ path, isReadOnly, ...log && { log }, ...metrics && { metrics } }),
    );
  }
  const bucket = openBucket(config, options);
  // Answers from the cache do not count as requests to the store.
  const store = measured(bucket);
  if (config.cache === undefined || cacheLog === undefined) return store;
  const { path, maxMiB } = config.cache;
  return new CachedStore(store, {
    folder: new CacheFolder({ path, maxBytes: maxMiB * 1024 * 1024, log: cacheLog }),
    identity: bucket.url,
    metrics,
  });
}

/** @throws {StorageError} when somebody else can write to it */
async function checkDirectory(path: string): Promise<void> {
  try {
    await openTrustedDirectory(path, { what: "store directory" });
  } catch (cause) {
    throw new StorageError(`Cannot open disk ${path}`, { cause });
  }
}

function openBucket(
  config: Exclude<StorageConfig, { readonly disk: unknown }>,
  { env = {}, insecureHosts = [], caCertificates = [], metrics }: OpenStoreOptions,
): GcsStore | S3Store {
  const fetch = storeFetch(caCertificates);
  if ("gcs" in config) {
    return new GcsStore({
      ...config.gcs,
      emulatorHost: env["STORAGE_EMULATOR_HOST"],
      fetch,
      metrics,
    });
  }
  const endpoint = config.s3.endpoint || env["AWS_ENDPOINT_URL_S3"] || env["AWS_ENDPOINT_URL"] ||
    "";
  const region = config.s3.region || env["AWS_REGION"] || env["AWS_DEFAULT_REGION"] ||
    (endpoint === "" ? "" : "us-east-1");
  if (region === "") {
    throw new ConfigError("storage.s3.region: set it, or AWS_REGION, to the region of the bucket");
  }
  return new S3Store({ ...config.s3, endpoint, region, insecureHosts, fetch, metrics });
}

function storeFetch(caCertificates: readonly string[]): StoreFetch {
  if (caCertificates.length === 0) return abortableFetch;
  const client = Deno.createHttpClient({ caCerts: [...caCertificates] });
  return (url, init) => abortableFetch(url, { ...init, client });
}
