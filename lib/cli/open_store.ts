/** The store that the configuration names, as the environment lets us reach it; it has not been probed. */
import type { Config } from "../config/config.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { openStore } from "../store/open.ts";
import { readCaCertificates } from "./open_fetch.ts";

/** @throws {StorageError} when it cannot be opened */
export async function openConfiguredStore(
  config: Config,
  env: Readonly<Record<string, string>>,
): Promise<ObjectStore> {
  return await openStore(config.storage, {
    env,
    insecureHosts: config.insecureHosts,
    caCertificates: await readCaCertificates(env),
  });
}
