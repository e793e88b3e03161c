/** Opens the checksum databases that the configuration names. */
import type { ModulePath } from "../module/path.ts";
import type { SourceEntry } from "../source/open.ts";
import { Upstream } from "../source/upstream.ts";
import type { ObjectStore } from "../store/object_store.ts";
import type { SumDatabases } from "../sumdb/databases.ts";
import { openSumDatabases } from "../sumdb/open.ts";
import type { OnTree } from "../sumdb/trusted_log.ts";
import type { Surroundings } from "./surroundings.ts";
import { proxiesOf } from "./upstreams.ts";

export interface OpenDatabasesOptions {
  readonly upstreams: readonly SourceEntry[];
  readonly store: ObjectStore;
  readonly isPrivate: (path: ModulePath) => boolean;
  readonly onTree: OnTree | undefined;
}

export function openDatabases(
  { config, fetch, log, metrics }: Surroundings,
  { upstreams, store, isPrivate, onTree }: OpenDatabasesOptions,
): SumDatabases {
  return openSumDatabases(config, {
    upstreams: proxiesOf(upstreams),
    openServer: (url) => new Upstream(url, fetch),
    store,
    isPrivate,
    now: () => performance.now(),
    onTree,
    log,
    metrics,
  });
}
