/**
 * Private paths and checksum databases: a lookup makes a database fetch the module, and discloses
 * the path to the database and to everyone who reads its log. Such lookups are therefore answered
 * here.
 */
import { NotFoundError } from "../errors.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";

/**
 * After a 404, the `go` command stops: it asks no other proxy, and does not contact the database
 * directly once this proxy supports it.
 */
export function privateLookup(module: ModuleVersion, database: string): NotFoundError {
  return new NotFoundError(
    `Cannot look up ${
      nameOf(module)
    } in ${database}: the path is private here; set GONOSUMDB or GOPRIVATE for it`,
  );
}
