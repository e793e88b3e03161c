/** The store that the configuration names. */
import type { Logger } from "../log/log.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { openStore } from "../store/open.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenConfiguredStoreOptions {
  /** For the server: `storage.cache` is used, and its trouble is logged here. Default: the store itself is used. */
  readonly cacheLog?: Pick<Logger, "warn"> | undefined;
}

export type StoreSurroundings = Pick<
  Surroundings,
  "config" | "env" | "caCertificates" | "metrics"
>;

/** @throws {StorageError} when it cannot be opened */
export async function openConfiguredStore(
  { config, env, caCertificates, metrics }: StoreSurroundings,
  { cacheLog }: OpenConfiguredStoreOptions = {},
): Promise<ObjectStore> {
  return await openStore(config.storage, {
    env,
    insecureHosts: config.insecureHosts,
    caCertificates,
    metrics,
    cacheLog,
  });
}
