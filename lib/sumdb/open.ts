/**
 * From the configuration to the checksum databases.
 *
 * ```yaml
 * publicModules:
 *   sumDatabase: { name: sum.example.com, publicKey: 033de0ae+Ac4…, url: https://sum.example.com }   # or: off
 * sumDatabaseProxy:
 *   sumDatabases:
 *     - { name: sum.other.example.com, publicKey: 1a2b3c4d+AQ…, url: https://sum.other.example.com }
 * ```
 *
 * `publicModules.sumDatabase` is the one that public modules are verified with; without it that is the `go` command's own
 * default, where an upstream supports it. Clients may ask for it, for those of `sumDatabaseProxy` and for the `go` command's default: these are verified and
 * kept. A database of any other name is passed on from an upstream that supports it, if there is one.
 *
 * `publicKey` is what follows the name in GOSUMDB, `<key hash>+<key>`; with the name before it it is taken as well.
 */
import type { Logger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import type { ModulePath } from "../module/path.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { SumDatabase, type SumdbFetch } from "./database.ts";
import { SumDatabases, type Verifier } from "./databases.ts";
import { VerifierKey } from "./note.ts";
import { directly, type SumdbUpstream, SumdbWays } from "./fetch_order.ts";

/** The part of the configuration that this folder reads; its shape has been checked. */
export interface SumDatabasesConfig {
  readonly publicModules: { readonly sumDatabase?: SumDatabaseConfig | "off" | undefined };
  readonly sumDatabaseProxy: { readonly sumDatabases: readonly SumDatabaseConfig[] };
}

export interface SumDatabaseConfig {
  readonly name: string;
  readonly publicKey: string;
  /** Where it is, where no upstream supports it. */
  readonly url: string;
}

/** The database that the `go` command uses without GOSUMDB: knownGOSUMDB in cmd/go/internal/modfetch/key.go of Go 1.26. */
export const DEFAULT_SUM_DATABASE: SumDatabaseConfig = {
  name: "sum.golang.org",
  publicKey: "033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
  url: "https://sum.golang.org",
};

/** A host, perhaps with a port and a path, as the `go` command takes for a name; `.` and `..` are no elements. */
const NAME = /^[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?(\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$/;
/** Keys of the store begin with it. */
const MAX_NAME_LENGTH = 128;

export function isDatabaseName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text);
}

/** What is wrong with this part of the configuration by itself, each with its key. */
export function sumDatabaseFaults(config: SumDatabasesConfig): string[] {
  const keyHashes = new Map<string, string>();
  return configured(config).flatMap(({ key, database: { name, publicKey } }) => {
    if (!isDatabaseName(name)) {
      return [`${key}.name: "${name}" is not a host, perhaps with a path, as in "sum.example.com"`];
    }
    try {
      const { keyHash } = keyOf({ name, publicKey });
      const other = keyHashes.get(name) ?? keyHash;
      keyHashes.set(name, other);
      return other === keyHash ? [] : [`${key}.publicKey: "${name}" has another one above`];
    } catch (error) {
      return [`${key}.publicKey: ${error instanceof Error ? error.message : String(error)}`];
    }
  });
}

export interface OpenSumDatabasesOptions {
  /** Proxies that may support databases, in the order in which they are asked. */
  readonly upstreams: readonly SumdbUpstream[];
  /** A database's own server. */
  readonly openServer: (url: URL) => SumdbUpstream;
  readonly store: ObjectStore;
  /** Whether a path must not be told to anybody. */
  readonly isPrivate: (path: ModulePath) => boolean;
  /** Milliseconds since any moment. */
  readonly now: () => number;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

/** @param config without {@linkcode sumDatabaseFaults} */
export function openSumDatabases(
  config: SumDatabasesConfig,
  options: OpenSumDatabasesOptions,
): SumDatabases {
  const ways = new SumdbWays(options.upstreams);
  const known = new Map<string, SumDatabase>();
  for (const database of [...configured(config).map((row) => row.database), DEFAULT_SUM_DATABASE]) {
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
  { ways, openServer, store, isPrivate, now, log }: OpenSumDatabasesOptions & { ways: SumdbWays },
): SumDatabase {
  const straight = directly(openServer(new URL(config.url)));
  const fetch: SumdbFetch = async (path, options) => {
    const way = await ways.through(config.name, options.signal) ?? straight;
    return await way(path, options);
  };
  return new SumDatabase({ key: keyOf(config), fetch, store, isPrivate, now, log });
}

/** The databases of the configuration, each with its key there. */
function configured(
  { publicModules, sumDatabaseProxy }: SumDatabasesConfig,
): { key: string; database: SumDatabaseConfig }[] {
  const { sumDatabase } = publicModules;
  const proxied = sumDatabaseProxy.sumDatabases.map((database, i) => {
    return { key: `sumDatabaseProxy.sumDatabases[${i}]`, database };
  });
  return sumDatabase === undefined || sumDatabase === "off"
    ? proxied
    : [{ key: "publicModules.sumDatabase", database: sumDatabase }, ...proxied];
}

function keyOf({ name, publicKey }: Pick<SumDatabaseConfig, "name" | "publicKey">): VerifierKey {
  return VerifierKey.parse(publicKey.startsWith(`${name}+`) ? publicKey : `${name}+${publicKey}`);
}
