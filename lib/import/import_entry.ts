/** What an import finds: versions of modules in another program's file layout. */
import type { Origin } from "../module/info.ts";
import type { H1 } from "../module/h1.ts";
import type { ModuleVersion } from "../module/module_version.ts";

/** A version that is there, or part of one. */
export interface FoundVersion {
  /** What a person finds it by: the name of a file or folder in the directory. */
  readonly name: string;
  /**
   * The files, of which nothing is believed yet; null where there is no zip, and so no whole copy.
   *
   * @throws {ImportError | InvalidInfoError | InvalidRequestError} when what is there cannot be
   * used
   */
  read(options: ReadOptions): Promise<FoundFiles | null>;
}

export interface ReadOptions {
  /** An empty directory for what has to be unpacked; the caller removes it. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

export interface FoundFiles extends ModuleVersion {
  readonly time: string;
  readonly origin?: Origin;
  readonly goMod: Uint8Array<ArrayBuffer>;
  readonly zip: {
    readonly file: string;
    /** The h1 that was noted beside it, or null. */
    readonly h1: H1 | null;
  };
}

/** Something that is not imported, and why. */
export class ImportError extends Error {
  override readonly name = "ImportError";
}
