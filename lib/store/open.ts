/**
 * From the `storage` part of the configuration to a store. A new back end is one more member of {@linkcode StorageConfig}
 * and one more case in {@linkcode openStore}.
 */
import { DiskStore } from "./disk.ts";
import type { ObjectStore } from "./object_store.ts";

/** Exactly one back end, under its name. */
export type StorageConfig = { readonly disk: { readonly path: string } };

/**
 * The store that the configuration names. It is to be probed before it is used: probe.ts.
 *
 * @throws {StorageError} when it cannot be opened
 */
export async function openStore(config: StorageConfig): Promise<ObjectStore> {
  return await DiskStore.open(config.disk);
}
