/** The checksum databases that the configuration names, as the environment lets us reach them. */
import type { Config } from "../config/config.ts";
import type { Fetch } from "../http/client.ts";
import { Upstream } from "../source/upstream.ts";
import type { SumDatabases } from "../sumdb/databases.ts";
import { openSumDatabases, type OpenSumDatabasesOptions } from "../sumdb/open.ts";

export interface OpenDatabasesOptions extends Omit<OpenSumDatabasesOptions, "openServer" | "now"> {
  readonly fetch: Fetch;
}

export function openDatabases(
  config: Config,
  { fetch, ...options }: OpenDatabasesOptions,
): SumDatabases {
  return openSumDatabases(config, {
    ...options,
    openServer: (url) => new Upstream(url, fetch),
    now: () => performance.now(),
  });
}
