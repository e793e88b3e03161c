/** The store that the configuration names, as the environment lets us reach it; it has not been probed. */
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { openStore } from "../store/open.ts";
import { readCaCertificates } from "./fetch.ts";

export interface OpenConfiguredStoreOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly metrics?: Metrics;
  /** For who serves: `storage.cache` is used, and its trouble logged. All others are to see the store itself. */
  readonly cacheLog?: Pick<Logger, "warn">;
}

/** @throws {StorageError} when it cannot be opened */
export async function openConfiguredStore(
  config: Config,
  { env, metrics, cacheLog }: OpenConfiguredStoreOptions,
): Promise<ObjectStore> {
  return await openStore(config.storage, {
    env,
    insecureHosts: config.insecureHosts,
    caCertificates: await readCaCertificates(env),
    metrics,
    cacheLog,
  });
}
