/**
 * ```yaml
 * privateSumDatabase:
 *   name: proxy.example.com/sumdb-team       # as in GOSUMDB, where it stands before the key
 *   privateKey: { file: sumdb-key }          # what `config keygen <name>` made
 *   combined: true                           # also for public modules, each verified with the public database
 * ```
 */
import { z } from "zod";
import { DEFAULT_SUM_DATABASE, isDatabaseName, type SumDatabasesConfig } from "../sumdb/open.ts";
import { secret } from "./fields.ts";

export const privateSumDatabase = z.strictObject({
  name: z.string().refine(
    isDatabaseName,
    'not a host, perhaps with a path, as in "sum.example.com"',
  ),
  /** The signer key of `config keygen`, on one line. */
  privateKey: secret,
  /** Whether it answers for public modules too: the `go` command asks one database only. */
  combined: z.boolean().default(true),
});

export type PrivateSumDatabaseConfig = z.output<typeof privateSumDatabase>;

/** What does not go together with the rest of the configuration, each with its key. */
export function privateSumDatabaseFaults(
  config: SumDatabasesConfig & { readonly privateSumDatabase?: PrivateSumDatabaseConfig },
): string[] {
  const own = config.privateSumDatabase;
  if (own === undefined) return [];
  const { publicModules: { sumDatabase }, sumDatabaseProxy: { sumDatabases } } = config;
  const others = [DEFAULT_SUM_DATABASE, ...sumDatabases];
  if (sumDatabase !== undefined && sumDatabase !== "off") others.push(sumDatabase);
  const faults = [];
  if (others.some(({ name }) => name === own.name)) {
    faults.push(`privateSumDatabase.name: "${own.name}" is another database's`);
  }
  if (own.combined && sumDatabase === "off") {
    faults.push(
      "privateSumDatabase.combined: needs publicModules.sumDatabase, which is off; set combined: false",
    );
  }
  return faults;
}
