/** The index of published versions that the configuration asks for; null where it asks for none. */
import { pause } from "../async/pause.ts";
import type { Config } from "../config/config.ts";
import { ModuleIndex } from "../index/module_index.ts";
import type { Logger } from "../log/log.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { privatePaths } from "./private_paths.ts";

export function openIndex(
  config: Config,
  { store, log }: { store: ObjectStore; log: Logger },
): ModuleIndex | null {
  if (config.index === "off") return null;
  const isListed = config.index === "all" ? () => true : privatePaths(config);
  return new ModuleIndex({ store, isListed, now: Date.now, pause, log });
}
