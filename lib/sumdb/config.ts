/**
 * Configuration sections of checksum databases.
 *
 * ```yaml
 * publicModules:
 *   sumDatabase: { name: sum.example.com, publicKey: 033de0ae+Ac4…, url: https://sum.example.com }
 *   noSumDatabase: "internal.example.com,*.corp.example/lib"  # as in GONOSUMDB
 * sumDatabaseProxy:
 *   sumDatabases:
 *     - { name: sum.b.example.com, publicKey: 1a2b3c4d+AQ…, url: https://sum.b.example.com }
 * privateSumDatabase:
 *   name: proxy.example.com/sumdb-team       # as in GOSUMDB, before the key
 *   privateKey: { file: sumdb-key }          # from `config keygen <name>`
 *   combined: true                           # for public modules too, verified with the public one
 * ```
 *
 * Public modules are verified with `publicModules.sumDatabase`, unless it is `off`. The default is
 * the `go` command's own database, if an upstream supports it. Clients may ask for this database,
 * for those of `sumDatabaseProxy` and for the `go` command's default: their answers are verified
 * and stored. Requests for any other database are forwarded to the first upstream that supports it.
 *
 * `publicKey` is what follows the name in GOSUMDB, `<key hash>+<key>`; the name before it is
 * accepted as well.
 */
import { z } from "zod";
import { parsePathList } from "../module/glob.ts";
import type { Fault, Placed } from "../schema/fault.ts";
import { expected, faultOf, httpUrl, textFor } from "../schema/fields.ts";
import { textsAt, valuesAt } from "../schema/query.ts";
import { secret, secretWarnings } from "../schema/secret.ts";
import { VerifierKey } from "./note.ts";

/**
 * A host, optionally with a port and a path, as the `go` command accepts it as a name; `.` and `..`
 * are not path elements.
 */
const NAME = /^[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?(\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$/;
/** Keys of the store begin with it. */
const MAX_NAME_LENGTH = 128;

export function isDatabaseName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text);
}

const name = z.string().check(
  faultOf((text) =>
    isDatabaseName(text)
      ? null
      : `"${text}" is not a host with an optional path, as in "sum.example.com"`
  ),
);

const sumDatabase = z.strictObject({
  name,
  /** `<key hash>+<key>`. */
  publicKey: z.string(),
  /** Used if no upstream supports the database. */
  url: httpUrl,
});

export type SumDatabaseConfig = z.output<typeof sumDatabase>;

/** As in `GONOSUMDB`. */
const pathList = textFor((text) => {
  if (/\s/.test(text)) throw new Error("patterns are separated by commas, without white space");
  if (/(?:^|,)\/|\/\//.test(text)) throw new Error("a pattern has an empty element");
  parsePathList(text);
});

export const publicModules = z.strictObject({
  /** Default: the `go` command's own, if an upstream supports it. */
  sumDatabase: z.union(
    [z.literal("off"), sumDatabase],
    expected("expected {name, publicKey, url} or off"),
  )
    .exactOptional(),
  /** Paths that no checksum database knows or may learn of. Default: none. */
  noSumDatabase: pathList.exactOptional(),
  /** When zips of verified modules are fetched: on the first request, or with the other files. */
  zips: z.enum(["lazy", "eager"]).default("lazy"),
});

export const sumDatabaseProxy = z.strictObject({
  /**
   * Accepted for compatibility, without effect: the `go` command asks for each database by its
   * name.
   */
  discourageClientDirectSumDatabaseConnections: z.boolean().default(false),
  /** Further databases that are verified and served to clients. */
  sumDatabases: z.array(sumDatabase).default([]),
});

export const privateSumDatabase = z.strictObject({
  name,
  /** The signer key of `config keygen`, on one line. */
  privateKey: secret,
  /** Whether it serves public modules too; the `go` command uses only one database. */
  combined: z.boolean().default(true),
});

export type PrivateSumDatabaseConfig = z.output<typeof privateSumDatabase>;

/** The sections that configure databases of others. */
export interface SumDatabasesConfig {
  readonly publicModules: {
    readonly sumDatabase?: SumDatabaseConfig | "off" | undefined;
    readonly noSumDatabase?: string | undefined;
  };
  readonly sumDatabaseProxy: { readonly sumDatabases: readonly SumDatabaseConfig[] };
}

/**
 * The database that the `go` command uses without GOSUMDB: knownGOSUMDB in
 * cmd/go/internal/modfetch/key.go of Go 1.26.
 */
export const DEFAULT_SUM_DATABASE: SumDatabaseConfig = {
  name: "sum.golang.org",
  publicKey: "033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
  url: "https://sum.golang.org",
};

/** @throws {Error} with the reason why the key cannot be used */
export function verifierKeyOf(
  { name, publicKey }: Pick<SumDatabaseConfig, "name" | "publicKey">,
): VerifierKey {
  return VerifierKey.parse(publicKey.startsWith(`${name}+`) ? publicKey : `${name}+${publicKey}`);
}

/** Reports invalid keys and contradictory settings. @param config anything */
export function sumDatabaseFaults(config: unknown): Fault[] {
  const seen = new Map<string, Placed<string>>();
  const databases = ["publicModules.sumDatabase", "sumDatabaseProxy.sumDatabases.*"]
    .flatMap((pattern) => valuesAt(config, pattern));
  return [...databases.flatMap(keyFaults), ...privateSumDatabaseFaults(config)];

  function keyFaults(database: Placed<unknown>): Fault[] {
    const [name] = textsAt(database.value, "name");
    const [publicKey] = textsAt(database.value, "publicKey");
    if (name === undefined || publicKey === undefined || !isDatabaseName(name.value)) return [];
    const path = [...database.path, "publicKey"];
    try {
      const { keyHash } = verifierKeyOf({ name: name.value, publicKey: publicKey.value });
      const first = seen.get(name.value) ?? { path, value: keyHash };
      seen.set(name.value, first);
      return first.value === keyHash
        ? []
        : [{ path, message: `"${name.value}" already has another key`, see: first.path }];
    } catch (error) {
      return [{ path, message: error instanceof Error ? error.message : String(error) }];
    }
  }
}

function privateSumDatabaseFaults(config: unknown): Fault[] {
  const own = textsAt(config, "privateSumDatabase.name");
  const others = ["publicModules.sumDatabase.name", "sumDatabaseProxy.sumDatabases.*.name"]
    .flatMap((pattern) => textsAt(config, pattern));
  const faults: Fault[] = own.flatMap(({ path, value }) => {
    const message = `"${value}" is the name of another database`;
    const other = others.find((other) => other.value === value);
    if (other !== undefined) return [{ path, message, see: other.path }];
    return value === DEFAULT_SUM_DATABASE.name ? [{ path, message }] : [];
  });
  const isOff = textsAt(config, "publicModules.sumDatabase").some(({ value }) => value === "off");
  const [section] = valuesAt(config, "privateSumDatabase");
  if (isOff && section !== undefined) {
    const combined = valuesAt(section.value, "combined").at(0)?.value ?? true;
    if (combined === true) {
      faults.push({
        path: ["privateSumDatabase", "combined"],
        message: "needs publicModules.sumDatabase, which is off; set combined: false",
      });
    }
  }
  return faults;
}

/** What is valid but probably a mistake. */
export function privateSumDatabaseWarnings({ privateKey }: PrivateSumDatabaseConfig): Fault[] {
  return secretWarnings([{ path: ["privateSumDatabase", "privateKey"], secret: privateKey }]);
}
