/** Opens the checksum databases of the configuration (config.ts). */
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import { parsePathList } from "../module/glob.ts";
import type { ModulePath } from "../module/path.ts";
import type { ObjectStore } from "../store/object_store.ts";
import {
  DEFAULT_SUM_DATABASE,
  type SumDatabaseConfig,
  type SumDatabasesConfig,
  verifierKeyOf,
} from "./config.ts";
import { SumDatabase, type SumdbFetch } from "./database.ts";
import { SumDatabases, type Verifier } from "./databases.ts";
import { directly, type SumdbUpstream, SumdbWays } from "./fetch_order.ts";
import type { OnTree } from "./trusted_log.ts";

export interface OpenSumDatabasesOptions {
  /** Proxies that may support databases, in the order in which they are asked. */
  readonly upstreams: readonly SumdbUpstream[];
  /** A database's own server. */
  readonly openServer: (url: URL) => SumdbUpstream;
  readonly store: ObjectStore;
  /** Whether a path must not be disclosed to any database. */
  readonly isPrivate: (path: ModulePath) => boolean;
  /** Milliseconds since any moment. */
  readonly now: () => number;
  readonly onTree?: OnTree | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

export function openSumDatabases(
  config: SumDatabasesConfig,
  outer: OpenSumDatabasesOptions,
): SumDatabases {
  const isUnknown = parsePathList(config.publicModules.noSumDatabase ?? "");
  const options: OpenSumDatabasesOptions = {
    ...outer,
    isPrivate: (path) => outer.isPrivate(path) || isUnknown(path),
  };
  const ways = new SumdbWays(options.upstreams);
  const known = new Map<string, SumDatabase>();
  for (const database of [...configured(config), DEFAULT_SUM_DATABASE]) {
    if (known.has(database.name)) continue;
    known.set(database.name, openSumDatabase(database, { ...options, ways }));
  }
  const { isPrivate, metrics } = options;
  const verifier = verifierOf(config, known);
  return new SumDatabases({ known: [...known.values()], verifier, ways, isPrivate, metrics });
}

function verifierOf(
  { publicModules: { sumDatabase } }: SumDatabasesConfig,
  known: ReadonlyMap<string, SumDatabase>,
): Verifier | null {
  if (sumDatabase === "off") return null;
  const database = known.get((sumDatabase ?? DEFAULT_SUM_DATABASE).name);
  return database === undefined ? null : { database, isRequired: sumDatabase !== undefined };
}

function openSumDatabase(
  config: SumDatabaseConfig,
  { ways, openServer, store, isPrivate, now, onTree, log }: OpenSumDatabasesOptions & {
    ways: SumdbWays;
  },
): SumDatabase {
  const straight = directly(openServer(new URL(config.url)));
  const fetch: SumdbFetch = async (path, options) => {
    const way = await ways.through(config.name, options.signal) ?? straight;
    return await way(path, options);
  };
  return new SumDatabase({
    key: verifierKeyOf(config),
    fetch,
    store,
    isPrivate,
    now,
    onTree,
    log,
  });
}

/** The databases of the configuration. */
function configured(
  { publicModules: { sumDatabase }, sumDatabaseProxy: { sumDatabases } }: SumDatabasesConfig,
): readonly SumDatabaseConfig[] {
  return sumDatabase === undefined || sumDatabase === "off"
    ? sumDatabases
    : [sumDatabase, ...sumDatabases];
}
