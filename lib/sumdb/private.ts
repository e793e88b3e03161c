/**
 * Private paths and checksum databases: a lookup makes a database fetch the module, and so tells it, and all who read its
 * log, that the path exists. It is answered here.
 */
import { NotFoundError } from "../errors.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";

/** 404 is what makes the `go` command stop: it asks no other proxy, and not the database, once this one supports it. */
export function privateLookup(module: ModuleVersion, database: string): NotFoundError {
  return new NotFoundError(
    `Cannot look up ${
      nameOf(module)
    } in ${database}: the path is private here; set GONOSUMDB or GOPRIVATE for it`,
  );
}
