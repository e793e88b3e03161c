/** Opens the index of published versions. */
import { pause } from "../async/pause.ts";
import { ModuleIndex } from "../index/module_index.ts";
import type { ModulePath } from "../module/path.ts";
import { PrivatePrefixes } from "../module/private_prefixes.ts";
import type { ObjectStore } from "../store/object_store.ts";
import type { Surroundings } from "./surroundings.ts";

/** Null if the configuration turns it off. */
export function openIndex(
  { config, log }: Pick<Surroundings, "config" | "log">,
  store: ObjectStore,
): ModuleIndex | null {
  if (config.index === "off") return null;
  const prefixes = new PrivatePrefixes(config.privateModules);
  const isListed = (path: ModulePath) => config.index === "all" || prefixes.mustHide(path);
  return new ModuleIndex({ store, isListed, now: Date.now, pause, log });
}
