/** Opens the store that the configuration names. */
import type { Logger } from "../log/log.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { openStore } from "../store/open.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenConfiguredStoreOptions {
  /** Whether reading changes nothing: damaged objects of a disk stay in place. Default: false. */
  readonly isReadOnly?: boolean | undefined;
  /**
   * For the server: `storage.cache` is used, and its failures are logged here. Default: the store
   * itself is used.
   */
  readonly cacheLog?: Pick<Logger, "warn"> | undefined;
}

export type StoreSurroundings =
  & Pick<Surroundings, "config" | "env" | "caCertificates" | "metrics">
  & Partial<Pick<Surroundings, "log">>;

/** @throws {StorageError} when it cannot be opened */
export async function openConfiguredStore(
  { config, env, caCertificates, metrics, log }: StoreSurroundings,
  { cacheLog, isReadOnly }: OpenConfiguredStoreOptions = {},
): Promise<ObjectStore> {
  return await openStore(config.storage, {
    env,
    insecureHosts: config.insecureHosts,
    caCertificates,
    metrics,
    log,
    isReadOnly,
    cacheLog,
  });
}
