/**
 * Where modules come from. A source answers what exists *now*; published copies are in the store,
 * and no source is asked for them again.
 *
 * A source throws {@linkcode NotFoundError} only for what is known not to exist. Any failure to
 * find out is an {@linkcode UpstreamError} or a {@linkcode DeadlineError}.
 *
 * A new kind of source is a file beside this one that implements {@linkcode Source}, and a case in
 * `open.ts`.
 */
import type { Info } from "../module/info.ts";
import type { H1 } from "../module/h1.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { RepositoryName } from "../module/repository_identity.ts";
import type { Query, Version } from "../module/version.ts";
import type { ZipSpool } from "./zip_spool.ts";

/** `.info` from a source; its version is canonical and fits the module path. */
export interface VersionInfo extends Info {
  readonly version: Version;
}

/** A name of a revision of a module. */
export interface ModuleQuery {
  readonly path: ModulePath;
  readonly query: Query;
}

/** The versions of a module that a source knows. */
export interface KnownVersions {
  /** The tagged ones, lowest first; empty for a module that exists without tags. */
  readonly versions: readonly Version[];
  /** How long this answer stays current, as the source says; 0 if it does not say. */
  readonly freshMs: number;
  /** The names that the module has because of where its code is (`namesByPlace`). Default: none. */
  readonly names?: readonly RepositoryName[];
}

/** A copy of a module version as it came from its source, except its zip. */
export interface DescribedCopy {
  readonly info: VersionInfo;
  /** The bytes of `.mod`. */
  readonly goMod: Uint8Array<ArrayBuffer>;
  /**
   * The origin that the manifest records, without credentials: `proxy https://proxy.example.com`.
   */
  readonly source: string;
}

/** A copy of a module version as it came from its source: checked, and not yet published. */
export interface FetchedCopy extends DescribedCopy {
  readonly zip: FetchedZip;
}

/** A module zip in a file, its rules checked. */
export interface FetchedZip {
  readonly file: string;
  readonly sizeBytes: number;
  readonly h1: H1;
}

export interface FetchOptions {
  /** Where the zip goes: a file that may exist already, and that the caller removes. */
  readonly file: string;
  /**
   * For clients that read the zip while it is written. A source that does not write through it
   * abandons it first.
   */
  readonly spool?: ZipSpool | undefined;
  readonly signal: AbortSignal;
}

/** Each method throws NotFoundError, UpstreamError, DeadlineError, or the reason of its signal. */
export interface Source {
  /** The name of this source in messages, without credentials. */
  readonly description: string;
  list(path: ModulePath, signal: AbortSignal): Promise<KnownVersions>;
  /** What `@latest` means now. */
  latest(path: ModulePath, signal: AbortSignal): Promise<VersionInfo>;
  /** The version that a branch, commit, tag or version prefix means now. */
  resolve(asked: ModuleQuery, signal: AbortSignal): Promise<VersionInfo>;
  /** `.info` and `.mod` of one version, from one place. */
  describe(module: ModuleVersion, signal: AbortSignal): Promise<DescribedCopy>;
  /** The zip alone, for a version whose h1 the caller knows. */
  fetchZip(module: ModuleVersion, options: FetchOptions): Promise<FetchedZip>;
  /** All three files of one version, from one place. */
  fetch(module: ModuleVersion, options: FetchOptions): Promise<FetchedCopy>;
}
