/**
 * A checksum database, as seen by code that verifies module versions with it. Which one is asked is
 * known at once, by configuration and by the module path; what it says of a version takes a while.
 */
import { UpstreamError } from "../errors.ts";
import type { ModuleHashes } from "./h1.ts";
import { type ModuleVersion, nameOf } from "./module_version.ts";
import type { ModulePath } from "./path.ts";

export interface HashDatabase {
  readonly name: string;
  /**
   * The hashes of a module version. Null where nobody vouches for it: the database is our own and
   * learns of a version when it is published, or no upstream supports the database.
   *
   * @throws {UpstreamError | DeadlineError} when the database cannot say
   */
  find(module: ModuleVersion, signal: AbortSignal): Promise<RecordedHashes | "unrecorded" | null>;
}

export interface RecordedHashes extends ModuleHashes {
  /**
   * Settles when the database's record is in the store, too. Default: it is there already. A
   * version is published meanwhile, and answered when both are there: with a bucket 20 ms away a
   * cold `.info` takes 77 ms, and took 102 ms when the record was stored first.
   */
  readonly written?: Promise<void>;
}

/**
 * Why a version without a record is not published: its tag may still move, and the record of the
 * moved one would contradict what is published for ever.
 */
export function unrecordedError(module: ModuleVersion, database: string): UpstreamError {
  return new UpstreamError(
    `Cannot publish ${nameOf(module)}: ${database} has no record of it yet; ` +
      "a new version has one in a few minutes; for modules that the database cannot know, " +
      "the server needs publicModules.noSumDatabase",
  );
}

/** The database to verify modules of a path with; null where none is to be asked. */
export type DatabaseFor = (path: ModulePath) => HashDatabase | null;
